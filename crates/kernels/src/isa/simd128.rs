//! WebAssembly's fixed-width SIMD: 4 lanes. Without the relaxed instructions, whose results a host may choose.

use std::arch::wasm32::*;

use super::Isa;

/// Fixed-width SIMD. A module that holds its instructions loads only where they are, so the token needs no proof.
#[derive(Clone, Copy)]
pub(crate) struct Simd128;

// SAFETY of every block below: the caller vouches for the memory. All other instructions are safe, because the whole
// module is compiled for them.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl Isa for Simd128 {
    const LANES: usize = 4;
    /// WebAssembly has as many as it likes; what it runs on has 16 or 32.
    const REGISTERS: usize = 16;
    const INTEGER_BYTES: usize = 2;

    type F = v128;
    type I = v128;
    type Sum = v128;
    type Weights = v128;
    type Inputs = v128;

    #[inline(always)]
    fn zero(self) -> v128 {
        f32x4_splat(0.0)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> v128 {
        debug_assert!(count <= 4);
        unsafe {
            match count {
                0 => self.zero(),
                1 => v128_load32_zero(from.cast()),
                2 => v128_load64_zero(from.cast()),
                3 => v128_load32_lane::<2>(v128_load64_zero(from.cast()), from.add(2).cast()),
                _ => v128_load(from.cast()),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: v128) {
        unsafe { v128_store(to.cast(), x) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, x: v128, count: usize) {
        debug_assert!(count <= 4);
        unsafe {
            match count {
                0 => {}
                1 => v128_store32_lane::<0>(x, to.cast()),
                2 => v128_store64_lane::<0>(x, to.cast()),
                3 => {
                    v128_store64_lane::<0>(x, to.cast());
                    v128_store32_lane::<2>(x, to.add(2).cast());
                }
                _ => v128_store(to.cast(), x),
            }
        }
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }

    #[inline(always)]
    fn fma(self, a: v128, b: v128, c: v128) -> v128 {
        // Rounded twice: only the relaxed instructions have a fused one.
        f32x4_add(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        // `pmin(b, a)` is `a < b ? a : b`.
        f32x4_pmin(b, a)
    }

    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }

    #[inline(always)]
    fn round(self, x: v128) -> v128 {
        f32x4_nearest(x)
    }

    #[inline(always)]
    fn scale(self, x: v128, n: v128) -> v128 {
        let exponent = i32x4_add(i32x4_trunc_sat_f32x4(n), i32x4_splat(127));
        f32x4_mul(x, i32x4_shl(exponent, 23))
    }

    #[inline(always)]
    fn where_greater(self, a: v128, b: v128, x: v128, y: v128) -> v128 {
        v128_bitselect(x, y, f32x4_gt(a, b))
    }

    #[inline(always)]
    fn sum(self, x: v128) -> f32 {
        let low = f32x4_extract_lane::<0>(x) + f32x4_extract_lane::<1>(x);
        low + (f32x4_extract_lane::<2>(x) + f32x4_extract_lane::<3>(x))
    }

    #[inline(always)]
    fn largest(self, x: v128) -> f32 {
        let low = f32x4_extract_lane::<0>(x).max(f32x4_extract_lane::<1>(x));
        low.max(f32x4_extract_lane::<2>(x).max(f32x4_extract_lane::<3>(x)))
    }

    #[inline(always)]
    fn smallest(self, x: v128) -> f32 {
        let low = f32x4_extract_lane::<0>(x).min(f32x4_extract_lane::<1>(x));
        low.min(f32x4_extract_lane::<2>(x).min(f32x4_extract_lane::<3>(x)))
    }

    #[inline(always)]
    unsafe fn load_signed_bytes(self, from: *const i8) -> v128 {
        let bytes = unsafe { v128_load32_zero(from.cast()) };
        f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes)))
    }

    #[inline(always)]
    fn to_integers(self, x: v128) -> v128 {
        i32x4_trunc_sat_f32x4(f32x4_nearest(x))
    }

    #[inline(always)]
    unsafe fn store_integers(self, to: *mut u8, x: v128) {
        let lowest = v128_and(x, i32x4_splat(255));
        unsafe { v128_store64_lane::<0>(u16x8_narrow_i32x4(lowest, lowest), to.cast()) }
    }

    #[inline(always)]
    fn zero_sum(self) -> v128 {
        i32x4_splat(0)
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> v128 {
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_inputs(self, row: *const u8, _next: *const u8) -> v128 {
        unsafe { v128_load32_splat(row.cast()) }
    }

    #[inline(always)]
    fn dot(self, sum: v128, inputs: v128, weights: v128) -> v128 {
        i32x4_add(sum, i32x4_dot_i16x8(inputs, weights))
    }

    #[inline(always)]
    fn sum_to_floats(self, sum: v128, _row: usize) -> v128 {
        f32x4_convert_i32x4(sum)
    }
}
