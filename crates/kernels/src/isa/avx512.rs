//! AVX-512: 16 lanes, 32 registers; 32 products of 16-bit numbers an instruction, with VNNI 64 of bytes.

use std::arch::x86_64::*;

use super::{Isa, integer_bytes};
use crate::cpu::Kernel;

/// AVX-512 F, BW, DQ and VL. `BYTES` is the storage size of a quantized number: 1 with VNNI, 2 without, 0 for kernels without integer
/// operations. Made only by the `enter` functions.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BYTES: usize>(());

/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<0>(()))
}

/// For kernels with integer operations where there is no VNNI: 16-bit products by `madd`.
///
/// # Safety
/// As [`enter`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn enter_madd<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<2>(()))
}

/// # Safety
/// As [`enter`], and AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(crate) unsafe fn enter_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<1>(()))
}

#[inline(always)]
fn first(count: usize) -> __mmask16 {
    debug_assert!(count <= 16);
    ((1u32 << count) - 1) as __mmask16
}

/// Brings the lanes of 16 vectors together, each vector's into one lane of the result: halves change places and meet,
/// 30 shuffles in all, where vector by vector would take 64.
macro_rules! across {
    ($x:expr, $meet:ident) => {{
        let x = $x;
        let mut each = [0.0; 16];
        unsafe {
            let mut pairs = [_mm512_setzero_ps(); 8];
            for (i, to) in pairs.iter_mut().enumerate() {
                let (a, b) = (x[2 * i], x[2 * i + 1]);
                *to = $meet(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            }
            let mut quarters = [_mm512_setzero_ps(); 4];
            for (i, to) in quarters.iter_mut().enumerate() {
                let (a, b) = (_mm512_castps_pd(pairs[2 * i]), _mm512_castps_pd(pairs[2 * i + 1]));
                let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
                *to = $meet(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
            }
            // Now four vectors to a register, one to a lane of each of its quarters.
            let [a, b, c, d] = quarters;
            let low = $meet(_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b));
            let high = $meet(_mm512_shuffle_f32x4::<0b10_00_10_00>(c, d), _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d));
            let all = $meet(
                _mm512_shuffle_f32x4::<0b10_00_10_00>(low, high),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(low, high),
            );
            _mm512_storeu_ps(each.as_mut_ptr(), all);
        }
        each
    }};
}

// SAFETY of every block below: the token exists only inside the `enter` functions, so the processor has the
// instruction; where memory is touched, the caller vouches for it.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl<const BYTES: usize> Isa for Avx512<BYTES> {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    const INTEGER_BYTES: usize = integer_bytes(BYTES);

    type F = __m512;
    type I = __m512i;
    type Sum = __m512i;
    type Weights = __m512i;
    type Inputs = __m512i;

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn zero(self) -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(count), from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: __m512) {
        unsafe { _mm512_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, x: __m512, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(count), x) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn scale(self, x: __m512, n: __m512) -> __m512 {
        unsafe { _mm512_scalef_ps(x, n) }
    }

    #[inline(always)]
    fn split_exponent(self, x: __m512) -> (__m512, __m512) {
        // What is left above the next whole number below; the scaling rounds its power down by itself.
        (unsafe { _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x) }, x)
    }

    #[inline(always)]
    fn where_greater(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        let mask = unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) };
        unsafe { _mm512_mask_blend_ps(mask, y, x) }
    }

    #[inline(always)]
    fn select_first(self, count: usize, x: __m512, other: __m512) -> __m512 {
        unsafe { _mm512_mask_mov_ps(other, first(count), x) }
    }

    #[inline(always)]
    fn sum_each(self, x: &[__m512; 16]) -> [f32; 16] {
        across!(x, _mm512_add_ps)
    }

    #[inline(always)]
    fn smallest_each(self, x: &[__m512; 16]) -> [f32; 16] {
        across!(x, _mm512_min_ps)
    }

    #[inline(always)]
    fn largest_each(self, x: &[__m512; 16]) -> [f32; 16] {
        across!(x, _mm512_max_ps)
    }

    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(x) }
    }

    #[inline(always)]
    fn largest(self, x: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(x) }
    }

    #[inline(always)]
    fn smallest(self, x: __m512) -> f32 {
        unsafe { _mm512_reduce_min_ps(x) }
    }

    #[inline(always)]
    unsafe fn load_signed_bytes(self, from: *const i8) -> __m512 {
        let bytes = unsafe { _mm_loadu_si128(from.cast()) };
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)) }
    }

    #[inline(always)]
    fn to_integers(self, x: __m512) -> __m512i {
        unsafe { _mm512_cvtps_epi32(x) }
    }

    #[inline(always)]
    unsafe fn store_integers(self, to: *mut u8, x: __m512i) {
        unsafe {
            if Self::INTEGER_BYTES == 1 {
                _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(x));
            } else {
                let lowest = _mm512_and_si512(x, _mm512_set1_epi32(255));
                _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(lowest));
            }
        }
    }

    #[inline(always)]
    fn zero_sum(self) -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_inputs(self, row: *const u8, _next: *const u8) -> __m512i {
        let four = unsafe { row.cast::<i32>().read_unaligned() };
        unsafe { _mm512_set1_epi32(four) }
    }

    #[inline(always)]
    fn dot(self, sum: __m512i, inputs: __m512i, weights: __m512i) -> __m512i {
        if Self::INTEGER_BYTES == 1 {
            return unsafe { _mm512_dpbusd_epi32(sum, inputs, weights) };
        }
        // The product of bytes saturates at 16 bits; this one does not.
        unsafe { _mm512_add_epi32(sum, _mm512_madd_epi16(inputs, weights)) }
    }

    #[inline(always)]
    fn sum_to_floats(self, sum: __m512i, _row: usize) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(sum) }
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
        let mut c = 0;
        while c < columns {
            let width = (columns - c).min(16);
            let mut tile = [self.zero(); 16];
            for (r, row) in tile.iter_mut().enumerate().take(rows) {
                *row = unsafe { self.load_part(from.add(r * from_stride + c), width) };
            }
            let tile = transpose_16x16(tile);
            for (i, column) in tile.into_iter().enumerate().take(width) {
                unsafe { self.store(to.add((c + i) * to_stride), column) };
            }
            c += 16;
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
        let mut c = 0;
        while c < columns {
            let width = (columns - c).min(16);
            let mut tile = [self.zero(); 16];
            for (i, column) in tile.iter_mut().enumerate().take(width) {
                *column = unsafe { self.load(from.add((c + i) * from_stride)) };
            }
            let tile = transpose_16x16(tile);
            for (r, row) in tile.into_iter().enumerate().take(rows) {
                unsafe { self.store_part(to.add(r * to_stride + c), row, width) };
            }
            c += 16;
        }
    }
}

/// Four rounds of swapping ever larger squares: 64 shuffles.
#[inline(always)]
fn transpose_16x16(x: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: called by methods of the token alone.
    unsafe {
        let mut a = x;
        for i in 0..8 {
            a[2 * i] = _mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]);
            a[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]);
        }
        let mut b = a;
        for i in 0..4 {
            let [p, q, r, s] = [a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]].map(|x| _mm512_castps_pd(x));
            b[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(p, r));
            b[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(p, r));
            b[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(q, s));
            b[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(q, s));
        }
        // b[4g + j] holds, in its four quarters, column 4·quarter + j of rows 4g..4g+4.
        let mut out = b;
        for j in 0..4 {
            let low = _mm512_shuffle_f32x4::<0b10_00_10_00>(b[j], b[4 + j]);
            let high = _mm512_shuffle_f32x4::<0b11_01_11_01>(b[j], b[4 + j]);
            let low_below = _mm512_shuffle_f32x4::<0b10_00_10_00>(b[8 + j], b[12 + j]);
            let high_below = _mm512_shuffle_f32x4::<0b11_01_11_01>(b[8 + j], b[12 + j]);
            out[j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(low, low_below);
            out[8 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(low, low_below);
            out[4 + j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(high, high_below);
            out[12 + j] = _mm512_shuffle_f32x4::<0b11_01_11_01>(high, high_below);
        }
        out
    }
}
