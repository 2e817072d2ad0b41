//! Plain loops over four lanes: runs everywhere, and under an interpreter that checks every access.

use super::Isa;

/// No particular instructions.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

const LANES: usize = 4;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Isa for Scalar {
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;
    const INTEGER_BYTES: usize = 1;

    type F = [f32; LANES];
    type I = [i32; LANES];
    type Sum = [i32; LANES];
    type Weights = [[i8; 4]; LANES];
    type Inputs = [u8; 4];

    #[inline(always)]
    fn zero(self) -> Self::F {
        [0.0; LANES]
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::F) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self::F>().write_unaligned(x) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, x: Self::F, count: usize) {
        for (i, x) in x.into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = x };
        }
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // Rounded twice: a fused operation without an instruction for it is a slow call.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn round(self, x: Self::F) -> Self::F {
        x.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn scale(self, x: Self::F, n: Self::F) -> Self::F {
        zip(x, n, |x, n| x * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn where_greater(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        std::array::from_fn(|i| if a[i] > b[i] { x[i] } else { y[i] })
    }

    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        (x[0] + x[1]) + (x[2] + x[3])
    }

    #[inline(always)]
    fn largest(self, x: Self::F) -> f32 {
        x.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn smallest(self, x: Self::F) -> f32 {
        x.into_iter().fold(f32::INFINITY, f32::min)
    }

    #[inline(always)]
    unsafe fn load_signed_bytes(self, from: *const i8) -> Self::F {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[i8; LANES]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    fn to_integers(self, x: Self::F) -> Self::I {
        x.map(|x| x.round_ties_even() as i32)
    }

    #[inline(always)]
    unsafe fn store_integers(self, to: *mut u8, x: Self::I) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(x.map(|x| x as u8)) }
    }

    #[inline(always)]
    fn zero_sum(self) -> Self::Sum {
        [0; LANES]
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> Self::Weights {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_inputs(self, row: *const u8, _next: *const u8) -> Self::Inputs {
        // SAFETY: the caller's promise.
        unsafe { row.cast::<[u8; 4]>().read_unaligned() }
    }

    #[inline(always)]
    fn dot(self, sum: Self::Sum, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sum {
        std::array::from_fn(|i| {
            let products = inputs.iter().zip(weights[i]).map(|(&x, w)| i32::from(x) * i32::from(w));
            sum[i] + products.sum::<i32>()
        })
    }

    #[inline(always)]
    fn sum_to_floats(self, sum: Self::Sum, _row: usize) -> Self::F {
        sum.map(|sum| sum as f32)
    }
}
