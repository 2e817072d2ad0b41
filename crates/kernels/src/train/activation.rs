//! Activation functions and their derivatives over slices.

use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

/// An activation function of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// The erf GELU, `x Φ(x)`.
    Gelu,
    /// The tanh GELU.
    GeluTanh,
    /// `max(x, 0)`, with slope 0 at 0.
    Relu,
}

/// `x = f(x)`.
pub(super) fn activate(cpu: Cpu, function: Activation, x: &mut [f32]) {
    let at = x.as_mut_ptr();
    // SAFETY: the numbers of one slice.
    cpu.run(unsafe { Activate::new(function, at, at, x.len()) });
}

/// `to = f(x)`, both equally long.
pub(super) fn activate_into(cpu: Cpu, function: Activation, x: &[f32], to: &mut [f32]) {
    assert_eq!(x.len(), to.len(), "as many values as numbers");
    // SAFETY: two slices of one length.
    cpu.run(unsafe { Activate::new(function, x.as_ptr(), to.as_mut_ptr(), x.len()) });
}

/// `to = to f'(x)`, both equally long.
pub(super) fn times_slope(cpu: Cpu, function: Activation, x: &[f32], to: &mut [f32]) {
    assert_eq!(x.len(), to.len(), "as many gradients as numbers");
    // SAFETY: two slices of one length.
    cpu.run(unsafe { TimesSlope::new(function, x.as_ptr(), to.as_mut_ptr(), x.len()) });
}

struct Activate {
    function: Activation,
    x: *const f32,
    to: *mut f32,
    len: usize,
}

impl Activate {
    /// # Safety
    /// `len` numbers can be read from `x`, and read and written at `to`, which may be the same address.
    unsafe fn new(function: Activation, x: *const f32, to: *mut f32, len: usize) -> Self {
        Activate { function, x, to, len }
    }
}

struct TimesSlope {
    function: Activation,
    x: *const f32,
    to: *mut f32,
    len: usize,
}

impl TimesSlope {
    /// # Safety
    /// `len` numbers can be read from `x`, and read and written at `to`, which may be the same address.
    unsafe fn new(function: Activation, x: *const f32, to: *mut f32, len: usize) -> Self {
        TimesSlope { function, x, to, len }
    }
}

impl Kernel for Activate {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Activate { function, x, to, len } = self;
        // SAFETY (all arms): the promise of `new`.
        match function {
            Activation::Gelu => unsafe { apply::<I, FunctionValue<math::Gelu>>(isa, x, to, len) },
            Activation::GeluTanh => unsafe { apply::<I, FunctionValue<math::GeluTanh>>(isa, x, to, len) },
            Activation::Relu => unsafe { apply::<I, FunctionValue<math::Relu>>(isa, x, to, len) },
        }
    }
}

impl Kernel for TimesSlope {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let TimesSlope { function, x, to, len } = self;
        // SAFETY (all arms): the promise of `new`.
        match function {
            Activation::Gelu => unsafe { apply::<I, GeluSlope>(isa, x, to, len) },
            Activation::GeluTanh => unsafe { apply::<I, GeluTanhSlope>(isa, x, to, len) },
            Activation::Relu => unsafe { apply::<I, ReluSlope>(isa, x, to, len) },
        }
    }
}

/// A function of an element and of the existing output.
trait Update {
    fn of<I: Isa>(isa: I, x: I::F, existing: I::F) -> I::F;
}

struct FunctionValue<F>(std::marker::PhantomData<F>);
struct GeluSlope;
struct GeluTanhSlope;
struct ReluSlope;

impl<F: math::Function> Update for FunctionValue<F> {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F, _: I::F) -> I::F {
        F::of(isa, x)
    }
}

impl Update for GeluSlope {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F, existing: I::F) -> I::F {
        isa.mul(existing, math::gelu_slope(isa, x))
    }
}

impl Update for GeluTanhSlope {
    /// `(1 + t) / 2 + x (1 - t²) u' / 2` with `t = tanh(u)`, `u = √(2/π) (x + 0.044715 x³)`.
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F, existing: I::F) -> I::F {
        const ROOT: f32 = 0.797_884_6;
        let square = isa.mul(x, x);
        let cubic = isa.fma(square, isa.splat(ROOT * 0.044_715), isa.splat(ROOT));
        let inner = isa.fma(square, isa.splat(ROOT * 3.0 * 0.044_715), isa.splat(ROOT));
        let t = math::tanh(isa, isa.mul(x, cubic));
        let one = isa.splat(1.0);
        // For large x, 1 - t² is 0 and `inner` large or infinite: both are clamped, so that their product is 0.
        let bound = isa.splat(1e4);
        let inner = isa.min(inner, bound);
        let cut = isa.max(isa.min(x, bound), isa.splat(-1e4));
        let bend = isa.mul(isa.mul(cut, inner), isa.sub(one, isa.mul(t, t)));
        let slope = isa.mul(isa.splat(0.5), isa.add(isa.add(one, t), bend));
        isa.mul(existing, slope)
    }
}

impl Update for ReluSlope {
    #[inline(always)]
    fn of<I: Isa>(isa: I, x: I::F, existing: I::F) -> I::F {
        isa.where_greater(x, isa.zero(), existing, isa.zero())
    }
}

/// # Safety
/// As [`Activate::new`].
#[inline(always)]
unsafe fn apply<I: Isa, U: Update>(isa: I, x: *const f32, to: *mut f32, len: usize) {
    let whole = len / I::LANES * I::LANES;
    let mut i = 0;
    while i < whole {
        // SAFETY: a whole vector of both.
        unsafe {
            let to = to.add(i);
            isa.store(to, U::of(isa, isa.load(x.add(i)), isa.load(to)));
        }
        i += I::LANES;
    }
    let rest = len - whole;
    if rest > 0 {
        // SAFETY: what is left of both.
        unsafe {
            let to = to.add(whole);
            let existing = isa.load_part(to, rest);
            isa.store_part(to, U::of(isa, isa.load_part(x.add(whole), rest), existing), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        for cpu in Cpu::all() {
            for function in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                let x: Vec<f32> = (-700..=700).map(|i| i as f32 / 100.0 + 0.003).collect();
                let h = 1.0 / 256.0;
                let shifted = |by: f32| {
                    let x: Vec<f32> = x.iter().map(|x| x + by).collect();
                    let mut y = vec![0.0; x.len()];
                    activate_into(cpu, function, &x, &mut y);
                    y
                };
                let (low, high) = (shifted(-h), shifted(h));
                let mut slopes = vec![2.0; x.len()];
                times_slope(cpu, function, &x, &mut slopes);
                for (i, &slope) in slopes.iter().enumerate() {
                    if function == Activation::Relu && x[i].abs() < 2.0 * h {
                        continue;
                    }
                    let difference = (high[i] - low[i]) / h;
                    // h² times the third derivative, and roundings of the values over h.
                    assert!(
                        (slope - difference).abs() < 1.5e-3,
                        "{cpu} {function:?} at {}: {slope} {difference}",
                        x[i]
                    );
                }
            }
        }
    }

    #[test]
    fn slopes_of_large_inputs_are_0_or_1() {
        for cpu in Cpu::all() {
            for function in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                let mut slopes = vec![1.0; 6];
                times_slope(cpu, function, &[-1e30, -300.0, -20.0, 20.0, 300.0, 1e30], &mut slopes);
                assert_eq!(slopes, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0], "{cpu} {function:?}");
            }
        }
    }
}
