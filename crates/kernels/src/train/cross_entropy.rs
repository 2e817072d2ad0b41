//! The cross-entropy of many classes, as of all pieces of a vocabulary, forward and backward in one pass each.

use rayon::prelude::*;

use super::pool::acquire;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math::exp2_in_range;

/// `Σ_rows log Σ_k e^(z_k) - z_label` of logits `[B, K]` and labels `[B]`; what the backward pass needs of each row, its
/// `log Σ_k e^(z_k)`, goes to `totals` `[B]`.
///
/// # Panics
/// If the lengths do not fit or a label is no class.
#[track_caller]
pub fn cross_entropy(logits: &[f32], labels: &[u32], totals: &mut [f32]) -> f64 {
    let classes = classes(logits, labels);
    assert_eq!(totals.len(), labels.len(), "a total for each row");
    let cpu = Cpu::detect();
    let losses: Vec<f64> = logits
        .par_chunks(classes)
        .zip(labels)
        .zip(totals)
        .map(|((row, &label), total)| {
            *total = cpu.run(LogSumExp(row));
            f64::from(*total) - f64::from(row[label as usize])
        })
        .collect();
    losses.iter().sum()
}

/// The gradient of [`cross_entropy`] at the logits, times `factor`: `factor (softmax(z) - 1_label)`, `[B, K]`.
///
/// # Panics
/// As [`cross_entropy`].
#[track_caller]
pub fn cross_entropy_backward(logits: &[f32], labels: &[u32], totals: &[f32], factor: f32) -> Vec<f32> {
    let classes = classes(logits, labels);
    assert_eq!(totals.len(), labels.len(), "a total for each row");
    let cpu = Cpu::detect();
    let mut gradient = acquire(logits.len());
    let rows = gradient.par_chunks_mut(classes).zip(logits.par_chunks(classes)).zip(labels).zip(totals);
    rows.for_each(|(((to, row), &label), &total)| {
        cpu.run(Softmax { row, total, factor, to });
        to[label as usize] -= factor;
    });
    gradient
}

#[track_caller]
fn classes(logits: &[f32], labels: &[u32]) -> usize {
    let classes = logits.len() / labels.len().max(1);
    assert!(!labels.is_empty() && classes * labels.len() == logits.len(), "rows of logits, one for each label");
    assert!(labels.iter().all(|&label| (label as usize) < classes), "labels below the number of classes {classes}");
    classes
}

/// `log Σ e^x`
struct LogSumExp<'a>(&'a [f32]);

impl Kernel for LogSumExp<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f32 {
        let (whole, rest) = self.0.split_at(self.0.len() / I::LANES * I::LANES);
        let mut largest = isa.splat(f32::NEG_INFINITY);
        for part in whole.chunks_exact(I::LANES) {
            largest = isa.max(largest, isa.load_slice(part));
        }
        let largest = rest.iter().fold(isa.largest(largest), |a, &b| a.max(b));
        let shift = isa.splat(largest);
        let mut sum = isa.zero();
        for part in whole.chunks_exact(I::LANES) {
            sum = isa.add(sum, power(isa, isa.sub(isa.load_slice(part), shift)));
        }
        if !rest.is_empty() {
            let x = power(isa, isa.sub(isa.load_slice(rest), shift));
            sum = isa.add(sum, isa.select_first(rest.len(), x, isa.zero()));
        }
        largest + isa.sum(sum).ln()
    }
}

/// `factor e^(x - total)`
struct Softmax<'a> {
    row: &'a [f32],
    total: f32,
    factor: f32,
    to: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Softmax { row, total, factor, to } = self;
        let shift = isa.splat(total);
        let factor = isa.splat(factor);
        for (from, to) in row.chunks(I::LANES).zip(to.chunks_mut(I::LANES)) {
            let x = power(isa, isa.sub(isa.load_slice(from), shift));
            isa.store_slice(to, isa.mul(factor, x));
        }
    }
}

/// `e^x` of an `x` that is at most 0, as good as 0 from -87 down.
#[inline(always)]
fn power<I: Isa>(isa: I, x: I::F) -> I::F {
    let x = isa.mul(isa.splat(std::f32::consts::LOG2_E), x);
    exp2_in_range(isa, isa.max(isa.splat(-126.0), x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loss and gradient in double precision.
    fn reference(logits: &[f32], labels: &[u32], factor: f64) -> (f64, Vec<f64>) {
        let classes = logits.len() / labels.len();
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (row, &label) in logits.chunks(classes).zip(labels) {
            let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total = largest + row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
            loss += total - row[label as usize];
            let one = |k: usize| if k == label as usize { 1.0 } else { 0.0 };
            gradient.extend(row.iter().enumerate().map(|(k, x)| factor * ((x - total).exp() - one(k))));
        }
        (loss, gradient)
    }

    #[test]
    fn losses_and_gradients_are_those_of_doubles() {
        for classes in [1, 2, 7, 8, 16, 33, 1000, 30_522] {
            let rows = 3;
            let logits: Vec<f32> = (0..rows * classes).map(|i| 20.0 * (i as f32 * 0.37).sin()).collect();
            let labels = [0, (classes - 1) as u32, (classes / 2) as u32];
            let (loss, gradient) = reference(&logits, &labels, 0.25);
            let mut totals = [0.0; 3];
            assert!((cross_entropy(&logits, &labels, &mut totals) - loss).abs() <= 2e-6 * (1.0 + loss), "{classes}");
            let got = cross_entropy_backward(&logits, &labels, &totals, 0.25);
            let off = got.iter().zip(&gradient).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(off < 2e-6, "{classes}: {off}");
        }
    }

    #[test]
    fn every_instruction_set_agrees() {
        let row: Vec<f32> = (0..77).map(|i| 5.0 * (i as f32).cos()).collect();
        let expected = Cpu::detect().run(LogSumExp(&row));
        for cpu in Cpu::all() {
            assert!((cpu.run(LogSumExp(&row)) - expected).abs() < 1e-5, "{cpu:?}");
            let mut to = vec![0.0; row.len()];
            cpu.run(Softmax { row: &row, total: expected, factor: 1.0, to: &mut to });
            assert!((to.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{cpu:?}");
        }
    }

    #[test]
    fn far_logits_stay_finite() {
        let logits = [0.0, 3e4, -3e4, f32::MIN];
        let mut totals = [0.0];
        assert_eq!(cross_entropy(&logits, &[1], &mut totals), 0.0);
        let gradient = cross_entropy_backward(&logits, &[1], &totals, 1.0);
        // The label's own is 1 - 1, as good as the exponential is.
        assert!(gradient.iter().all(|x| x.abs() < 2.5e-7), "{gradient:?}");
    }
}
