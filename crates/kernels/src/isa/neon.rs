//! Advanced SIMD of 64-bit ARM: 4 lanes, 32 registers; integers are multiplied as a [`Product`] says.

mod product;

use std::arch::aarch64::*;
use std::marker::PhantomData;

use self::product::{DotProduct, MatrixProduct, Product, Widening16};
use super::Isa;
use crate::cpu::Kernel;

/// Advanced SIMD, and the instructions of a product. Made only by the `enter` functions.
#[derive(Clone, Copy)]
pub(crate) struct Neon<P>(PhantomData<P>);

/// # Safety
/// The processor has Advanced SIMD.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<Widening16>(PhantomData))
}

/// # Safety
/// As [`enter`], and the integer dot product.
#[target_feature(enable = "neon,dotprod")]
pub(crate) unsafe fn enter_dot<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<DotProduct>(PhantomData))
}

/// # Safety
/// As [`enter`], and the product of matrices of bytes.
#[target_feature(enable = "neon,i8mm")]
pub(crate) unsafe fn enter_matrices<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<MatrixProduct>(PhantomData))
}

// SAFETY of every block below: the token exists only inside the `enter` functions, so the processor has the
// instruction; where memory is touched, the caller vouches for it.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl<P: Product> Isa for Neon<P> {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    const INTEGER_TILE: (usize, usize) = P::TILE;
    const INTEGER_BYTES: usize = P::INTEGER_BYTES;
    const GROUP_BYTES: usize = P::GROUP_BYTES;
    const ROWS: usize = P::ROWS;

    type F = float32x4_t;
    type I = int32x4_t;
    type Sum = P::Sum;
    type Weights = P::Weights;
    type Inputs = P::Inputs;

    #[inline(always)]
    fn zero(self) -> float32x4_t {
        self.splat(0.0)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> float32x4_t {
        debug_assert!(count <= 4);
        unsafe {
            match count {
                0 => self.zero(),
                1 => vld1q_lane_f32::<0>(from, self.zero()),
                2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
                3 => vld1q_lane_f32::<2>(from.add(2), vcombine_f32(vld1_f32(from), vdup_n_f32(0.0))),
                _ => vld1q_f32(from),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: float32x4_t) {
        unsafe { vst1q_f32(to, x) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, x: float32x4_t, count: usize) {
        debug_assert!(count <= 4);
        unsafe {
            match count {
                0 => {}
                1 => vst1q_lane_f32::<0>(to, x),
                2 => vst1_f32(to, vget_low_f32(x)),
                3 => {
                    vst1_f32(to, vget_low_f32(x));
                    vst1q_lane_f32::<2>(to.add(2), x);
                }
                _ => vst1q_f32(to, x),
            }
        }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // Not `fmin`, which has another opinion on NaN.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn round(self, x: float32x4_t) -> float32x4_t {
        unsafe { vrndnq_f32(x) }
    }

    #[inline(always)]
    fn scale(self, x: float32x4_t, n: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn where_greater(self, a: float32x4_t, b: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), x, y) }
    }

    #[inline(always)]
    fn sum(self, x: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(x) }
    }

    #[inline(always)]
    fn largest(self, x: float32x4_t) -> f32 {
        unsafe { vmaxnmvq_f32(x) }
    }

    #[inline(always)]
    fn smallest(self, x: float32x4_t) -> f32 {
        unsafe { vminnmvq_f32(x) }
    }

    #[inline(always)]
    unsafe fn load_signed_bytes(self, from: *const i8) -> float32x4_t {
        unsafe {
            let four = from.cast::<u32>().read_unaligned();
            let words = vmovl_s8(vcreate_s8(u64::from(four)));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(words)))
        }
    }

    #[inline(always)]
    fn to_integers(self, x: float32x4_t) -> int32x4_t {
        unsafe { vcvtnq_s32_f32(x) }
    }

    #[inline(always)]
    unsafe fn store_integers(self, to: *mut u8, x: int32x4_t) {
        unsafe {
            let words = vmovn_u32(vreinterpretq_u32_s32(x));
            if P::INTEGER_BYTES == 1 {
                let bytes = vmovn_u16(vcombine_u16(words, words));
                to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)));
            } else {
                let lowest = vand_u16(words, vdup_n_u16(255));
                to.cast::<u64>().write_unaligned(vget_lane_u64::<0>(vreinterpret_u64_u16(lowest)));
            }
        }
    }

    #[inline(always)]
    fn zero_sum(self) -> P::Sum {
        unsafe { P::zero_sum() }
    }

    #[inline(always)]
    unsafe fn start_sum(self, totals: *const i32) -> P::Sum {
        unsafe { P::start_sum(totals) }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> P::Weights {
        unsafe { P::load_weights(from) }
    }

    #[inline(always)]
    unsafe fn load_inputs(self, row: *const u8, next: *const u8) -> P::Inputs {
        unsafe { P::load_inputs(row, next) }
    }

    #[inline(always)]
    fn dot(self, sum: P::Sum, inputs: P::Inputs, weights: P::Weights) -> P::Sum {
        unsafe { P::dot(sum, inputs, weights) }
    }

    #[inline(always)]
    fn sum_to_floats(self, sum: P::Sum, row: usize) -> float32x4_t {
        unsafe { vcvtq_f32_s32(P::sum_of_row(sum, row)) }
    }
}
