//! The erf GELU and its exact derivative.
//!
//! Both are `x` times, or a half plus `x` times, a smooth even function, which a polynomial in x² fits
//! to the precision of a 32-bit float, without a branch and without an exponential.

use rayon::prelude::*;

use crate::CHUNK;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

/// Largest absolute error of [`gelu`] for |x| up to 5.5; beyond, it is at most half a unit in the last
/// place of x.
pub const GELU_ERROR: f32 = 1e-6;

/// Largest absolute error of [`Epilogue::GeluCoarse`](crate::Epilogue::GeluCoarse) for |x| up to 8; beyond, its relative
/// error is at most 2e-5.
pub const GELU_COARSE_ERROR: f32 = 2e-4;

/// Largest absolute error of the derivative in [`gelu_backward`] before it is multiplied by the gradient.
pub const GELU_SLOPE_ERROR: f32 = 4e-7;

/// `y = x/2 (1 + erf(x/√2))`, within [`GELU_ERROR`] of [`reference::gelu`](crate::reference::gelu). NaN for NaN, and
/// for negative infinity, which is multiplied by zero.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn gelu(x: &[f32], y: &mut [f32]) {
    gelu_on(Cpu::detect(), x, y);
}

/// `dx = g (Φ(x) + x φ(x))`: the gradient of [`gelu`] at its input `x`. NaN for NaN.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn gelu_backward(x: &[f32], g: &[f32], dx: &mut [f32]) {
    gelu_backward_on(Cpu::detect(), x, g, dx);
}

#[track_caller]
fn gelu_on(cpu: Cpu, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "gelu: the output is as long as the input");
    x.par_chunks(CHUNK).zip(y.par_chunks_mut(CHUNK)).for_each(|(x, y)| cpu.run(Forward { x, y }));
}

#[track_caller]
fn gelu_backward_on(cpu: Cpu, x: &[f32], g: &[f32], dx: &mut [f32]) {
    assert_eq!(x.len(), g.len(), "gelu_backward: the gradient is as long as the input");
    assert_eq!(x.len(), dx.len(), "gelu_backward: the output is as long as the input");
    x.par_chunks(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(dx.par_chunks_mut(CHUNK))
        .for_each(|((x, g), dx)| cpu.run(Backward { x, g, dx }));
}

/// Slices of one length.
struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Forward { x, y } = self;
        for (x, y) in x.chunks(I::LANES).zip(y.chunks_mut(I::LANES)) {
            isa.store_slice(y, math::gelu(isa, isa.load_slice(x)));
        }
    }
}

/// Slices of one length.
struct Backward<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Backward { x, g, dx } = self;
        for ((x, g), dx) in x.chunks(I::LANES).zip(g.chunks(I::LANES)).zip(dx.chunks_mut(I::LANES)) {
            let slope = math::gelu_slope(isa, isa.load_slice(x));
            isa.store_slice(dx, isa.mul(isa.load_slice(g), slope));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    /// Some 32-bit floats of every exponent up to magnitude 30, both signs, and the special values.
    fn inputs() -> Vec<f32> {
        let step = if cfg!(miri) { 1 << 22 } else { 1 << 10 };
        let mut all: Vec<f32> = (0..=30.0f32.to_bits()).step_by(step).map(f32::from_bits).collect();
        all.extend([f32::MIN_POSITIVE, 5.499_999_5, 5.5, 5.500_000_5, 6.0, 1e30, f32::MAX]);
        let negative: Vec<f32> = all.iter().map(|x| -x).collect();
        all.extend(negative);
        all
    }

    /// Calls `check` with input, output and reference of each element, on every instruction set.
    fn compare(f: impl Fn(Cpu, &[f32], &mut [f32]), exact: fn(f64) -> f64, check: impl Fn(f32, f32, f64)) {
        let x = inputs();
        let expected: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
        for cpu in Cpu::all() {
            let mut y = vec![f32::NAN; x.len()];
            f(cpu, &x, &mut y);
            x.iter().zip(&y).zip(&expected).for_each(|((&x, &y), &expected)| check(x, y, expected));
        }
    }

    #[test]
    fn forward_error_is_as_stated() {
        compare(gelu_on, reference::gelu, |x, y, expected| {
            let error = (f64::from(y) - expected).abs();
            let allowed = f64::from(GELU_ERROR).max(f64::from(x.abs()) * f64::from(f32::EPSILON) / 2.0);
            assert!(error <= allowed, "gelu({x}) = {y}, off by {error:e}");
        });
    }

    #[test]
    fn backward_error_is_as_stated() {
        let backward = |cpu, x: &[f32], dx: &mut [f32]| gelu_backward_on(cpu, x, &vec![1.0; x.len()], dx);
        compare(backward, reference::gelu_slope, |x, slope, expected| {
            let error = (f64::from(slope) - expected).abs();
            assert!(error <= f64::from(GELU_SLOPE_ERROR), "gelu'({x}) = {slope}, off by {error:e}");
        });
    }

    #[test]
    fn special_values() {
        for cpu in Cpu::all() {
            let mut y = [0.0; 4];
            gelu_on(cpu, &[f32::NAN, f32::INFINITY, 0.0, f32::NEG_INFINITY], &mut y);
            assert!(y[0].is_nan() && y[1] == f32::INFINITY && y[2] == 0.0 && y[3].is_nan(), "{cpu}: {y:?}");
            let mut dx = [0.0; 3];
            gelu_backward_on(cpu, &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN], &[2.0; 3], &mut dx);
            assert!(dx[0] == 2.0 && dx[1] == 0.0 && dx[2].is_nan(), "{cpu}: {dx:?}");
            gelu_on(cpu, &[], &mut []);
        }
    }

    #[test]
    fn chunks_do_not_matter() {
        let x: Vec<f32> = (0..3 * CHUNK + 7).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
        let x = if cfg!(miri) { &x[..1500] } else { &x };
        let mut whole = vec![0.0; x.len()];
        gelu(x, &mut whole);
        let mut parts = vec![0.0; x.len()];
        for (x, y) in x.chunks(1001).zip(parts.chunks_mut(1001)) {
            gelu(x, y);
        }
        assert_eq!(whole, parts);
    }
}
