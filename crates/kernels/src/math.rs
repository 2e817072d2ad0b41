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
/// [`gelu_coarse`].
pub(crate) struct GeluCoarse;
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

impl Function for GeluCoarse {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        gelu_coarse(isa, x)
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

/// `2^x` within 2e-7 of its value for `x` in -126..=127, as the weights of a softmax need it: beyond, a large number
/// may be too small, but never below 2^127, and a small one too large, but never above 2^-126.
#[inline(always)]
pub(crate) fn exp2_inside<I: Isa>(isa: I, x: I::F) -> I::F {
    const POLYNOMIAL: [f32; 6] = [0.999_999_94, 0.693_153_1, 0.240_153_61, 0.055_826_32, 0.008_989_34, 0.001_877_576_7];
    let (fraction, power) = isa.split_exponent(x);
    let mut y = isa.splat(POLYNOMIAL[5]);
    for &c in POLYNOMIAL[..5].iter().rev() {
        y = isa.fma(y, fraction, isa.splat(c));
    }
    isa.scale(y, power)
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

/// The erf GELU within [`GELU_COARSE_ERROR`](crate::GELU_COARSE_ERROR), at half the price of [`gelu`]: for a
/// result that becomes a byte.
#[inline(always)]
pub(crate) fn gelu_coarse<I: Isa>(isa: I, x: I::F) -> I::F {
    const LIMIT: f32 = 4.0;
    const POLYNOMIAL: [f32; 7] = [
        0.397_883_36,
        -0.064_573_12,
        0.008_772_391,
        -0.000_814_016_04,
        4.795_557_8e-5,
        -1.598_605_4e-6,
        2.278_150_3e-8,
    ];
    let inside = isa.max(isa.min(x, isa.splat(LIMIT)), isa.splat(-LIMIT));
    let square = isa.mul(inside, inside);
    let mut p = isa.splat(POLYNOMIAL[6]);
    for &c in POLYNOMIAL[..6].iter().rev() {
        p = isa.fma(p, square, isa.splat(c));
    }
    isa.mul(x, isa.fma(inside, p, isa.splat(0.5)))
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
