//! Functions applied to every lane of a vector. The stated errors hold on every instruction set.

mod gelu_polynomials;

use crate::isa::Isa;

use self::gelu_polynomials::{CDF, CDF_LIMIT, SLOPE, SLOPE_LIMIT};

/// Largest absolute error of the hyperbolic tangent of [`Epilogue::Tanh`](crate::Epilogue::Tanh).
pub const TANH_ERROR: f32 = 2.5e-7;

/// Largest absolute error of the tanh GELU of [`Epilogue::GeluTanh`](crate::Epilogue::GeluTanh) for |x| up to 4; beyond,
/// a quarter of it times |x|.
pub const GELU_TANH_ERROR: f32 = 5e-7;

/// A function applied to every lane. A type and not a closure, because a closure is compiled separately from the
/// kernel that calls it, without its instruction set.
pub(crate) trait Function {
    fn of<I: Isa>(isa: I, x: I::F) -> I::F;

    /// The same for several vectors, whose chains of operations are interleaved where that is faster.
    #[inline(always)]
    fn of_each<I: Isa, const N: usize>(isa: I, x: [I::F; N]) -> [I::F; N] {
        let mut y = x;
        for y in &mut y {
            *y = Self::of(isa, *y);
        }
        y
    }
}

/// [`gelu`].
#[derive(Clone, Copy)]
pub(crate) struct Gelu;
/// [`gelu_coarse`].
#[derive(Clone, Copy)]
pub(crate) struct GeluCoarse;
/// [`gelu_tanh`].
#[derive(Clone, Copy)]
pub(crate) struct GeluTanh;
/// [`tanh`].
#[derive(Clone, Copy)]
pub(crate) struct Tanh;
/// `max(x, 0)`.
#[derive(Clone, Copy)]
pub(crate) struct Relu;
/// [`exp2_in_range`].
#[derive(Clone, Copy)]
pub(crate) struct Exp2InRange;
/// [`exp2_in_range`] within [`Softmax::COARSE_ERROR`](crate::Softmax::COARSE_ERROR).
#[derive(Clone, Copy)]
pub(crate) struct Exp2Coarse;

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

impl Function for Exp2InRange {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        exp2_in_range(isa, x)
    }

    #[inline(always)]
    fn of_each<I: Isa, const N: usize>(isa: I, x: [I::F; N]) -> [I::F; N] {
        exp2_by_fraction(isa, x, &EXP2_IN_RANGE)
    }
}

impl Function for Exp2Coarse {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F) -> I::F {
        exp2_by_fraction(isa, [x], &EXP2_COARSE)[0]
    }

    #[inline(always)]
    fn of_each<I: Isa, const N: usize>(isa: I, x: [I::F; N]) -> [I::F; N] {
        exp2_by_fraction(isa, x, &EXP2_COARSE)
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

/// `2^x`, within 2.5e-7 of its value; 0 below -126, where numbers are no longer normal, and `2^127` from 127 on; NaN
/// for NaN.
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
    let [y] = polynomial(isa, [f], &POLYNOMIAL);
    let y = isa.scale(y, n);
    isa.where_greater(lowest, x, isa.zero(), y)
}

/// `2^x` within 2.5e-7 of its value for `x` in -126..=127, the range that the weights of a softmax need: beyond
/// it, a large result may be too small, but never below 2^127, and a small one too large, but never above 2^-126.
#[inline(always)]
pub(crate) fn exp2_in_range<I: Isa>(isa: I, x: I::F) -> I::F {
    exp2_by_fraction(isa, [x], &EXP2_IN_RANGE)[0]
}

/// Of `2^fraction` for fractions in 0..=1 (`fits/exp2.py`).
const EXP2_IN_RANGE: [f32; 6] = [0.999_999_94, 0.693_153_1, 0.240_153_61, 0.055_826_32, 0.008_989_34, 0.001_877_576_7];
const EXP2_COARSE: [f32; 4] = [0.999_925_2, 0.695_833_56, 0.226_067_16, 0.078_024_52];

/// `2^x` by a polynomial for `2^fraction`, for several vectors, interleaved.
#[inline(always)]
fn exp2_by_fraction<I: Isa, const C: usize, const N: usize>(
    isa: I,
    x: [I::F; N],
    coefficients: &[f32; C],
) -> [I::F; N] {
    let (mut fractions, mut powers) = (x, x);
    for ((&x, fraction), power) in x.iter().zip(&mut fractions).zip(&mut powers) {
        (*fraction, *power) = isa.split_exponent(x);
    }
    let mut y = polynomial(isa, fractions, coefficients);
    for (y, &power) in y.iter_mut().zip(&powers) {
        *y = isa.scale(*y, power);
    }
    y
}

/// `Σ c_k x^k` by Horner's rule, for several vectors, interleaved.
#[inline(always)]
fn polynomial<I: Isa, const C: usize, const N: usize>(isa: I, x: [I::F; N], coefficients: &[f32; C]) -> [I::F; N] {
    let mut y = [isa.splat(coefficients[C - 1]); N];
    for &c in coefficients[..C - 1].iter().rev() {
        for (y, &x) in y.iter_mut().zip(&x) {
            *y = isa.fma(*y, x, isa.splat(c));
        }
    }
    y
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
    let [p] = polynomial(isa, [u], coefficients);
    let inside = isa.fma(x, p, isa.splat(0.5));
    let above = isa.where_greater(x, isa.splat(limit), isa.splat(1.0), inside);
    isa.where_greater(isa.splat(-limit), x, isa.zero(), above)
}

/// The erf GELU within [`GELU_COARSE_ERROR`](crate::GELU_COARSE_ERROR), at half the cost of [`gelu`]: for a
/// result that is quantized to int8.
#[inline(always)]
pub(crate) fn gelu_coarse<I: Isa>(isa: I, x: I::F) -> I::F {
    const LIMIT: f32 = 4.0;
    const POLYNOMIAL: [f32; 7] =
        [0.397_883_36, -0.064_573_12, 0.008_772_391, -0.000_814_016_04, 4.795_558e-5, -1.598_605_4e-6, 2.278_150_3e-8];
    let inside = isa.max(isa.min(x, isa.splat(LIMIT)), isa.splat(-LIMIT));
    let square = isa.mul(inside, inside);
    let [p] = polynomial(isa, [square], &POLYNOMIAL);
    isa.mul(x, isa.fma(inside, p, isa.splat(0.5)))
}

/// The hyperbolic tangent, within [`TANH_ERROR`].
#[inline(always)]
pub(crate) fn tanh<I: Isa>(isa: I, x: I::F) -> I::F {
    // 1 - 2 / (e^2x + 1); at infinity the fraction vanishes.
    let e = exp2(isa, isa.mul(x, isa.splat(2.0 * std::f32::consts::LOG2_E)));
    let one = isa.splat(1.0);
    isa.sub(one, isa.div(isa.splat(2.0), isa.add(e, one)))
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the GELU of the original BERT code, within
/// [`GELU_TANH_ERROR`].
#[inline(always)]
pub(crate) fn gelu_tanh<I: Isa>(isa: I, x: I::F) -> I::F {
    const ROOT: f32 = 0.797_884_6;
    let cubic = isa.fma(isa.mul(x, x), isa.splat(ROOT * 0.044_715), isa.splat(ROOT));
    let t = tanh(isa, isa.mul(x, cubic));
    isa.mul(isa.mul(x, isa.splat(0.5)), isa.add(t, isa.splat(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GELU_COARSE_ERROR;
    use crate::cpu::{Cpu, Kernel};
    use crate::reference;

    #[derive(Clone, Copy)]
    struct Exp2;

    impl Function for Exp2 {
        #[inline(always)]
        fn of<I: Isa>(isa: I, x: I::F) -> I::F {
            exp2(isa, x)
        }
    }

    /// Largest relative error of [`exp2`].
    const EXP2_ERROR: f32 = 2.5e-7;

    struct Map<'a, F>(&'a [f32], &'a mut [f32], F);

    impl<F: Function> Kernel for Map<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            for (x, y) in self.0.chunks(I::LANES).zip(self.1.chunks_mut(I::LANES)) {
                isa.store_slice(y, F::of(isa, isa.load_slice(x)));
            }
        }
    }

    fn map<F: Function>(cpu: Cpu, f: F, x: &[f32]) -> Vec<f32> {
        let mut y = vec![f32::NAN; x.len()];
        cpu.run(Map(x, &mut y, f));
        y
    }

    /// Evenly spaced numbers, and some of every magnitude.
    fn inputs(from: f32, to: f32) -> Vec<f32> {
        let count = if cfg!(miri) { 100 } else { 200_000 };
        let even = (0..=count).map(|i| from + (to - from) * (i as f32 / count as f32));
        let magnitudes = (0..=f32::MAX.to_bits()).step_by((u32::MAX / count as u32) as usize).map(f32::from_bits);
        even.chain(magnitudes.flat_map(|x| [x, -x])).filter(|x| (from..=to).contains(x)).collect()
    }

    /// The largest `error(got, expected)` on any set.
    #[track_caller]
    fn largest_error<F: Function + Copy>(
        f: F,
        x: &[f32],
        exact: fn(f64) -> f64,
        error: fn(f32, f64, f64) -> f64,
    ) -> f64 {
        assert!(!x.is_empty(), "nothing to compare");
        let of = |cpu| {
            let errors = x.iter().zip(map(cpu, f, x)).map(|(&x, y)| error(x, f64::from(y), exact(f64::from(x))));
            errors.fold(0.0, |largest: f64, error| if error > largest || error.is_nan() { error } else { largest })
        };
        Cpu::all().into_iter().map(of).fold(0.0, |a: f64, b: f64| if b > a || b.is_nan() { b } else { a })
    }

    fn absolute(_: f32, y: f64, exact: f64) -> f64 {
        (y - exact).abs()
    }

    fn relative(_: f32, y: f64, exact: f64) -> f64 {
        ((y - exact) / exact).abs()
    }

    /// Relative to the argument, where that is larger than 1.
    fn by_argument(x: f32, y: f64, exact: f64) -> f64 {
        (y - exact).abs() / f64::from(x.abs()).max(1.0)
    }

    #[test]
    fn errors_are_as_stated() {
        let inside = largest_error(Exp2InRange, &inputs(-126.0, 127.0), f64::exp2, relative);
        let far = [inputs(-1e38, -8.0), inputs(8.0, 1e38)].concat();
        let found = [
            ("exp2", largest_error(Exp2, &inputs(-126.0, 127.0), f64::exp2, relative), EXP2_ERROR),
            ("exp2 inside", inside, EXP2_ERROR),
            (
                "exp2 coarse",
                largest_error(Exp2Coarse, &inputs(-126.0, 127.0), f64::exp2, relative),
                crate::Softmax::COARSE_ERROR,
            ),
            ("tanh", largest_error(Tanh, &inputs(f32::MIN, f32::MAX), f64::tanh, absolute), TANH_ERROR),
            ("tanh, near", largest_error(Tanh, &inputs(-10.0, 10.0), f64::tanh, absolute), TANH_ERROR),
            ("tanh GELU", largest_error(GeluTanh, &inputs(-4.0, 4.0), reference::gelu_tanh, absolute), GELU_TANH_ERROR),
            (
                "tanh GELU, far",
                largest_error(GeluTanh, &inputs(f32::MIN, f32::MAX), reference::gelu_tanh, by_argument),
                GELU_TANH_ERROR / 4.0,
            ),
            (
                "coarse GELU",
                largest_error(GeluCoarse, &inputs(-8.0, 8.0), reference::gelu, absolute),
                GELU_COARSE_ERROR,
            ),
            ("coarse GELU, far", largest_error(GeluCoarse, &far, reference::gelu, by_argument), 2e-5),
            ("ReLU", largest_error(Relu, &inputs(f32::MIN, f32::MAX), |x| x.max(0.0), absolute), 0.0),
        ];
        for (name, error, stated) in found {
            println!("{name}: {error:.2e}");
            // A stated error twice as large as the one found is no statement.
            let least = if cfg!(miri) { 0.0 } else { f64::from(stated) / 2.0 };
            assert!((least..=f64::from(stated)).contains(&error), "{name}: {error:e}, stated {stated:e}");
        }
    }

    #[test]
    fn the_error_measure_detects_errors() {
        assert!(largest_error(Tanh, &[0.5], |x| x.tanh() + 1e-3, absolute) > 0.9e-3);
        assert!(largest_error(Tanh, &[0.1, f32::NAN, 0.2], f64::tanh, absolute).is_nan());
    }

    #[test]
    fn limits_and_nan() {
        for cpu in Cpu::all() {
            let y = map(cpu, Exp2, &[f32::NEG_INFINITY, -126.5, 0.0, 127.0, 1e30, f32::NAN]);
            assert_eq!(y[..2], [0.0; 2], "{cpu}");
            assert!(
                (y[2] - 1.0).abs() <= EXP2_ERROR && y[3] == y[4] && y[3].is_finite() && y[5].is_nan(),
                "{cpu} {y:?}"
            );
            let y = map(cpu, Exp2InRange, &[f32::NEG_INFINITY, -200.0, f32::NAN]);
            assert!(y[0] < 1.2e-38 && y[1] < 1.2e-38 && y[2].is_nan(), "{cpu} {y:?}");
            let y = map(cpu, Tanh, &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
            assert!(y[0] == 1.0 && y[1] == -1.0 && y[2].is_nan(), "{cpu} {y:?}");
            let y = map(cpu, Relu, &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
            assert!(y[0] == f32::INFINITY && y[1] == 0.0 && y[2].is_nan(), "{cpu} {y:?}");
            let y = map(cpu, GeluTanh, &[f32::INFINITY, f32::NAN]);
            assert!(y[0] == f32::INFINITY && y[1].is_nan(), "{cpu} {y:?}");
        }
    }
}
