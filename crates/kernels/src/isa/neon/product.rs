//! The integer products of Advanced SIMD: in 16 bits, as a dot product of bytes, as a product of small matrices.

use std::arch::aarch64::*;
use std::arch::asm;

/// How integers are multiplied; the constants, types and functions are those of [`Isa`](super::Isa).
///
/// Calling any function is safe only where the processor has the instructions of the product.
pub(crate) trait Product: Copy + Send + Sync + 'static {
    const TILE: (usize, usize);
    const INTEGER_BYTES: usize;
    const GROUP_BYTES: usize = 4;
    const ROWS: usize = 1;

    type Sum: Copy;
    type Weights: Copy;
    type Inputs: Copy;

    /// # Safety
    /// The processor has the instructions.
    unsafe fn zero_sum() -> Self::Sum;
    /// # Safety
    /// As [`Product::zero_sum`], and 4 integers can be read.
    #[inline(always)]
    unsafe fn start_sum(_totals: *const i32) -> Self::Sum {
        // SAFETY: the caller's promise.
        unsafe { Self::zero_sum() }
    }
    /// # Safety
    /// As [`Product::zero_sum`], and `4 GROUP_BYTES` bytes can be read.
    unsafe fn load_weights(from: *const i8) -> Self::Weights;
    /// # Safety
    /// As [`Product::zero_sum`], and `GROUP_BYTES` bytes can be read of each row.
    unsafe fn load_inputs(row: *const u8, next: *const u8) -> Self::Inputs;
    /// # Safety
    /// As [`Product::zero_sum`].
    unsafe fn dot(sum: Self::Sum, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sum;
    /// # Safety
    /// As [`Product::zero_sum`].
    unsafe fn sum_of_row(sum: Self::Sum, row: usize) -> int32x4_t;
}

/// The tile of products in inline assembly, which compilers do not reorder: eight rows would leave no registers for the
/// inputs.
const ASSEMBLY_TILE: (usize, usize) = (6, 3);

/// Products of 16-bit numbers.
#[derive(Clone, Copy)]
pub(crate) struct Widening16;

/// The dot product of ARMv8.2: 16 products of bytes an instruction.
#[derive(Clone, Copy)]
pub(crate) struct DotProduct;

/// The product of small matrices of ARMv8.6 (`i8mm`): 32 products of bytes an instruction, those of two rows of 8 inputs
/// with two columns of 8 weights.
#[derive(Clone, Copy)]
pub(crate) struct MatrixProduct;

/// 4 bytes, four times.
///
/// # Safety
/// The processor has Advanced SIMD, and 4 bytes can be read.
#[inline(always)]
unsafe fn splat_four(from: *const u8) -> uint8x16_t {
    // SAFETY: the caller's promise.
    unsafe { vreinterpretq_u8_u32(vdupq_n_u32(from.cast::<u32>().read_unaligned())) }
}

// SAFETY of every block below: what the trait asks of its callers.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl Product for Widening16 {
    const TILE: (usize, usize) = (8, 3);
    const INTEGER_BYTES: usize = 2;

    type Sum = int32x4_t;
    type Weights = int8x16_t;
    type Inputs = uint8x16_t;

    #[inline(always)]
    unsafe fn zero_sum() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> int8x16_t {
        unsafe { vld1q_s8(from) }
    }

    #[inline(always)]
    unsafe fn load_inputs(row: *const u8, _next: *const u8) -> uint8x16_t {
        unsafe { splat_four(row) }
    }

    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, inputs: uint8x16_t, weights: int8x16_t) -> int32x4_t {
        // A product of an unsigned and a signed byte fits into 16 bits; pairs of them are added into 32.
        unsafe {
            let (inputs, weights) = (vreinterpretq_s16_u8(inputs), vreinterpretq_s16_s8(weights));
            vpadalq_s16(sum, vmulq_s16(inputs, weights))
        }
    }

    #[inline(always)]
    unsafe fn sum_of_row(sum: int32x4_t, _row: usize) -> int32x4_t {
        sum
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl Product for DotProduct {
    const TILE: (usize, usize) = ASSEMBLY_TILE;
    const INTEGER_BYTES: usize = 1;

    type Sum = int32x4_t;
    type Weights = int8x16_t;
    type Inputs = uint8x16_t;

    #[inline(always)]
    unsafe fn zero_sum() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn start_sum(totals: *const i32) -> int32x4_t {
        // The instruction accepts only signed bytes, so it gets the inputs minus 128; starting the sum at 128 times
        // the totals of the weights makes up for that.
        unsafe { vshlq_n_s32::<7>(vld1q_s32(totals)) }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> int8x16_t {
        unsafe { vld1q_s8(from) }
    }

    #[inline(always)]
    unsafe fn load_inputs(row: *const u8, _next: *const u8) -> uint8x16_t {
        unsafe { splat_four(row) }
    }

    #[inline(always)]
    unsafe fn dot(mut sum: int32x4_t, inputs: uint8x16_t, weights: int8x16_t) -> int32x4_t {
        // The intrinsic `vdotq_s32` is not stable yet. Only registers are touched.
        unsafe {
            let inputs = vreinterpretq_s8_u8(veorq_u8(inputs, vdupq_n_u8(128)));
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {inputs:v}.16b, {weights:v}.16b",
                sum = inout(vreg) sum,
                inputs = in(vreg) inputs,
                weights = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }

    #[inline(always)]
    unsafe fn sum_of_row(sum: int32x4_t, _row: usize) -> int32x4_t {
        sum
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above speaks for all of them")]
impl Product for MatrixProduct {
    const TILE: (usize, usize) = ASSEMBLY_TILE;
    const INTEGER_BYTES: usize = 1;
    const GROUP_BYTES: usize = 8;
    const ROWS: usize = 2;

    /// The sums of the first two lanes and of the last two, those of the first row before those of the second.
    type Sum = [int32x4_t; 2];
    /// Of the first two lanes and of the last two.
    type Weights = [int8x16_t; 2];
    /// Of the first row and of the second.
    type Inputs = uint8x16_t;

    #[inline(always)]
    unsafe fn zero_sum() -> [int32x4_t; 2] {
        unsafe { [vdupq_n_s32(0); 2] }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> [int8x16_t; 2] {
        unsafe { [vld1q_s8(from), vld1q_s8(from.add(16))] }
    }

    #[inline(always)]
    unsafe fn load_inputs(row: *const u8, next: *const u8) -> uint8x16_t {
        unsafe { vcombine_u8(vld1_u8(row), vld1_u8(next)) }
    }

    #[inline(always)]
    unsafe fn dot(sum: [int32x4_t; 2], inputs: uint8x16_t, weights: [int8x16_t; 2]) -> [int32x4_t; 2] {
        let mut sums = sum;
        for (sum, weights) in sums.iter_mut().zip(weights) {
            // The intrinsic `vusmmlaq_s32` is not stable yet. Only registers are touched.
            unsafe {
                asm!(
                    ".arch_extension i8mm",
                    "usmmla {sum:v}.4s, {inputs:v}.16b, {weights:v}.16b",
                    sum = inout(vreg) *sum,
                    inputs = in(vreg) inputs,
                    weights = in(vreg) weights,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn sum_of_row([first, last]: [int32x4_t; 2], row: usize) -> int32x4_t {
        unsafe {
            if row == 0 {
                vcombine_s32(vget_low_s32(first), vget_low_s32(last))
            } else {
                vcombine_s32(vget_high_s32(first), vget_high_s32(last))
            }
        }
    }
}
