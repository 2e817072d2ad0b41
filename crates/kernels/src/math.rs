//! Functions of every lane of a vector.

use crate::gelu::{CDF, CDF_LIMIT, SLOPE, SLOPE_LIMIT};
use crate::isa::Isa;

/// A function of every lane. A type and not a closure, because a closure is compiled apart from the kernel
/// that calls it, without its instruction set.
pub(crate) trait Function {
    fn of<I: Isa>(isa: I, x: I::F) -> I::F;
}

/// [`gelu`].
pub(crate) struct Gelu;
/// [`gelu_tanh`].
pub(crate) struct GeluTanh;
/// [`tanh`].
pub(crate) struct Tanh;
/// `max(x, 0)`.
pub(crate) struct Relu;

impl Function for Gelu {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        gelu(isa, x)
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        gelu_tanh(isa, x)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        tanh(isa, x)
    }
}

impl Function for Relu {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        isa.max(isa.zero(), x)
    }
}

/// `2^x`, within 2e-7 of its value; 0 below -126, where numbers are no longer normal, and `2^127` from 127 on.
///
/// `2^n 2^f` with whole `n` and `|f| ≤ 1/2`; a polynomial (`fits/exp2.py`) gives `2^f`.
#[inline(always)]
pub(crate) fn exp2<I: Isa>(isa: I, x: I::F) -> I::F {
    const POLYNOMIAL: [f32; 6] = [1.0000001, 0.693_146_94, 0.240_221_2, 0.055_507_13, 0.009_675_541, 0.001_327_647_1];
    let lowest = isa.splat(-126.0);
    // The bounds come first, so that NaN stays NaN.
    let x = isa.min(isa.splat(127.0), x);
    let clamped = isa.max(lowest, x);
    let n = isa.round(clamped);
    let f = isa.sub(clamped, n);
    let mut y = isa.splat(POLYNOMIAL[5]);
    for &c in POLYNOMIAL[..5].iter().rev() {
        y = isa.fma(y, f, isa.splat(c));
    }
    let y = isa.scale(y, n);
    isa.where_greater(lowest, x, isa.zero(), y)
}

/// As [`exp2`] for `x ≤ 0`, as in a softmax from which the largest was taken away; wrong otherwise.
#[inline(always)]
pub(crate) fn exp2_of_negative<I: Isa>(isa: I, x: I::F) -> I::F {
    const POLYNOMIAL: [f32; 6] = [1.0000001, 0.693_146_94, 0.240_221_2, 0.055_507_13, 0.009_675_541, 0.001_327_647_1];
    // 2^-126 stands for everything below it: beside the largest, 1, it is nothing.
    let x = isa.max(isa.splat(-126.0), x);
    let n = isa.round(x);
    let f = isa.sub(x, n);
    let mut y = isa.splat(POLYNOMIAL[5]);
    for &c in POLYNOMIAL[..5].iter().rev() {
        y = isa.fma(y, f, isa.splat(c));
    }
    isa.scale(y, n)
}

/// `x Φ(x)`, the erf GELU, within [`GELU_ERROR`](crate::GELU_ERROR).
#[inline(always)]
pub(crate) fn gelu<I: Isa>(isa: I, x: I::F) -> I::F {
    isa.mul(x, saturated(isa, x, CDF_LIMIT, &CDF))
}

/// `Φ(x) + x φ(x)`, the derivative of [`gelu`], within [`GELU_SLOPE_ERROR`](crate::GELU_SLOPE_ERROR).
#[inline(always)]
pub(crate) fn gelu_slope<I: Isa>(isa: I, x: I::F) -> I::F {
    saturated(isa, x, SLOPE_LIMIT, &SLOPE)
}

/// `1/2 + x p(2 x²/limit² - 1)` inside the limit, 0 below it and 1 above it; NaN for NaN.
#[inline(always)]
fn saturated<I: Isa, const N: usize>(isa: I, x: I::F, limit: f32, coefficients: &[f32; N]) -> I::F {
    let u = isa.fma(isa.mul(x, x), isa.splat(2.0 / (limit * limit)), isa.splat(-1.0));
    let mut polynomial = isa.splat(coefficients[N - 1]);
    for &c in coefficients[..N - 1].iter().rev() {
        polynomial = isa.fma(polynomial, u, isa.splat(c));
    }
    let inside = isa.fma(x, polynomial, isa.splat(0.5));
    let above = isa.where_greater(x, isa.splat(limit), isa.splat(1.0), inside);
    isa.where_greater(isa.splat(-limit), x, isa.zero(), above)
}

/// The hyperbolic tangent, within 3e-7.
#[inline(always)]
pub(crate) fn tanh<I: Isa>(isa: I, x: I::F) -> I::F {
    // 1 - 2 / (e^2x + 1); at infinity the fraction vanishes.
    let e = exp2(isa, isa.mul(x, isa.splat(2.0 * std::f32::consts::LOG2_E)));
    let one = isa.splat(1.0);
    isa.sub(one, isa.div(isa.splat(2.0), isa.add(e, one)))
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the GELU of the original BERT code.
#[inline(always)]
pub(crate) fn gelu_tanh<I: Isa>(isa: I, x: I::F) -> I::F {
    const ROOT: f32 = 0.797_884_56;
    let cubic = isa.fma(isa.mul(x, x), isa.splat(ROOT * 0.044_715), isa.splat(ROOT));
    let t = tanh(isa, isa.mul(x, cubic));
    isa.mul(isa.mul(x, isa.splat(0.5)), isa.add(t, isa.splat(1.0)))
}
