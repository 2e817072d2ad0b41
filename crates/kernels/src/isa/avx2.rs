//! AVX2 and FMA: 8 lanes, 16 registers; 16 products of 16-bit numbers an instruction, with AVX-VNNI 32 of bytes.

use std::arch::x86_64::*;

use super::{Isa, integer_bytes};
use crate::cpu::Kernel;

/// AVX2 and FMA. `BYTES` is the storage size of a quantized number: 1 with AVX-VNNI, 2 without, 0 for kernels without integer
/// operations. Made only by the `enter` functions.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<const BYTES: usize>(());

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<0>(()))
}

/// For kernels with integer operations where there is no VNNI: 16-bit products by `madd`.
///
/// # Safety
/// As [`enter`].
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn enter_madd<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<2>(()))
}

/// # Safety
/// As [`enter`], and AVX-VNNI.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(crate) unsafe fn enter_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<1>(()))
}

/// All bits set in the first `count` of 8 lanes.
#[inline(always)]
fn first(count: usize) -> __m256i {
    debug_assert!(count <= 8);
    const BITS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: 8 numbers from an offset of at most 8.
    let from = unsafe { BITS.as_ptr().add(8 - count.min(8)) };
    // SAFETY: as above; unaligned loads are allowed.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// Brings the lanes of 16 vectors together, each vector's into one number.
macro_rules! across {
    ($x:expr, $meet:ident) => {{
        let mut each = [0.0; 16];
        for (x, each) in $x.chunks_exact(8).zip(each.chunks_exact_mut(8)) {
            unsafe {
                let mut pairs = [_mm256_setzero_ps(); 4];
                for (i, to) in pairs.iter_mut().enumerate() {
                    let (a, b) = (x[2 * i], x[2 * i + 1]);
                    *to = $meet(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                }
                let mut halves = [_mm256_setzero_ps(); 2];
                for (i, to) in halves.iter_mut().enumerate() {
                    let (a, b) = (_mm256_castps_pd(pairs[2 * i]), _mm256_castps_pd(pairs[2 * i + 1]));
                    let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                    *to = $meet(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
                }
                let [a, b] = halves;
                let all = $meet(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
                _mm256_storeu_ps(each.as_mut_ptr(), all);
            }
        }
        each
    }};
}

// SAFETY of every block below: the token exists only inside the `enter` functions, so the processor has the
// instruction; where memory is touched, the caller vouches for it.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl<const BYTES: usize> Isa for Avx2<BYTES> {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    const INTEGER_BYTES: usize = integer_bytes(BYTES);

    type F = __m256;
    type I = __m256i;
    type Sum = __m256i;
    type Weights = __m256i;
    type Inputs = __m256i;

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    fn zero(self) -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, first(count)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, x: __m256, count: usize) {
        debug_assert!(count <= 8);
        // In parts: a masked store is some twenty to forty operations on many processors.
        unsafe {
            if count >= 8 {
                return _mm256_storeu_ps(to, x);
            }
            let (mut to, mut rest) = (to, _mm256_castps256_ps128(x));
            if count & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(x));
            }
            if count & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if count & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn scale(self, x: __m256, n: __m256) -> __m256 {
        // The bits of 2ⁿ, computed as a number.
        unsafe {
            let one = _mm256_set1_ps((127 << 23) as f32);
            let bits = _mm256_cvtps_epi32(_mm256_fmadd_ps(n, _mm256_set1_ps((1 << 23) as f32), one));
            _mm256_mul_ps(x, _mm256_castsi256_ps(bits))
        }
    }

    #[inline(always)]
    fn split_exponent(self, x: __m256) -> (__m256, __m256) {
        let x = self.max(self.splat(-126.0), self.min(self.splat(127.0), x));
        let n = unsafe { _mm256_floor_ps(x) };
        (self.sub(x, n), n)
    }

    #[inline(always)]
    fn where_greater(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }

    #[inline(always)]
    fn select_first(self, count: usize, x: __m256, other: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(other, x, _mm256_castsi256_ps(first(count))) }
    }

    #[inline(always)]
    fn sum_each(self, x: &[__m256; 16]) -> [f32; 16] {
        across!(x, _mm256_add_ps)
    }

    #[inline(always)]
    fn smallest_each(self, x: &[__m256; 16]) -> [f32; 16] {
        across!(x, _mm256_min_ps)
    }

    #[inline(always)]
    fn largest_each(self, x: &[__m256; 16]) -> [f32; 16] {
        across!(x, _mm256_max_ps)
    }

    #[inline(always)]
    fn sum(self, x: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn largest(self, x: __m256) -> f32 {
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn smallest(self, x: __m256) -> f32 {
        unsafe {
            let four = _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn load_signed_bytes(self, from: *const i8) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    fn to_integers(self, x: __m256) -> __m256i {
        unsafe { _mm256_cvtps_epi32(x) }
    }

    #[inline(always)]
    unsafe fn store_integers(self, to: *mut u8, x: __m256i) {
        unsafe {
            let lowest = _mm256_and_si256(x, _mm256_set1_epi32(255));
            let words = _mm_packus_epi32(_mm256_castsi256_si128(lowest), _mm256_extracti128_si256::<1>(lowest));
            if Self::INTEGER_BYTES == 1 {
                _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
            } else {
                _mm_storeu_si128(to.cast(), words);
            }
        }
    }

    #[inline(always)]
    fn zero_sum(self) -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_inputs(self, row: *const u8, _next: *const u8) -> __m256i {
        let four = unsafe { row.cast::<i32>().read_unaligned() };
        unsafe { _mm256_set1_epi32(four) }
    }

    #[inline(always)]
    fn dot(self, sum: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
        if Self::INTEGER_BYTES == 1 {
            return unsafe { _mm256_dpbusd_avx_epi32(sum, inputs, weights) };
        }
        // The product of bytes saturates at 16 bits; this one does not.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(inputs, weights)) }
    }

    #[inline(always)]
    fn sum_to_floats(self, sum: __m256i, _row: usize) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(sum) }
    }

    #[inline(always)]
    unsafe fn transpose_in(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for c in (0..columns).step_by(8) {
            let width = (columns - c).min(8);
            let mut tile = [self.zero(); 8];
            for (r, row) in tile.iter_mut().enumerate().take(rows) {
                *row = unsafe { self.load_part(from.add(r * from_stride + c), width) };
            }
            let tile = transpose_8x8(tile);
            for (i, column) in tile.into_iter().enumerate().take(width) {
                unsafe { self.store(to.add((c + i) * to_stride), column) };
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose_out(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for c in (0..columns).step_by(8) {
            let width = (columns - c).min(8);
            let mut tile = [self.zero(); 8];
            for (i, column) in tile.iter_mut().enumerate().take(width) {
                *column = unsafe { self.load(from.add((c + i) * from_stride)) };
            }
            let tile = transpose_8x8(tile);
            for (r, row) in tile.into_iter().enumerate().take(rows) {
                unsafe { self.store_part(to.add(r * to_stride + c), row, width) };
            }
        }
    }
}

/// Three rounds of swapping ever larger squares: 24 shuffles.
#[inline(always)]
fn transpose_8x8(x: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: called by methods of the token alone.
    unsafe {
        let mut a = x;
        for i in 0..4 {
            a[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
            a[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
        }
        let mut b = a;
        for i in 0..2 {
            let [p, q, r, s] = [a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]].map(|x| _mm256_castps_pd(x));
            b[4 * i] = _mm256_castpd_ps(_mm256_unpacklo_pd(p, r));
            b[4 * i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(p, r));
            b[4 * i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(q, s));
            b[4 * i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(q, s));
        }
        // b[4g + j] holds, in its two halves, columns j and 4 + j of rows 4g..4g+4.
        let mut out = b;
        for j in 0..4 {
            out[j] = _mm256_permute2f128_ps::<0x20>(b[j], b[4 + j]);
            out[4 + j] = _mm256_permute2f128_ps::<0x31>(b[j], b[4 + j]);
        }
        out
    }
}
