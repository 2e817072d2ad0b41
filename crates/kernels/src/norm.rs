//! Layer normalization, with or without quantization of its result.

use crate::buffer::RowsMut;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::matmul::{Factors, QuantizedRowsMut, RowRange, Scaling, integer_stride};

/// Gain and bias `[H]` of a layer normalization and its epsilon.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// `[H]`
    pub gain: &'a [f32],
    /// `[H]`
    pub bias: &'a [f32],
    /// Added to the variance, inside the root.
    pub epsilon: f32,
}

/// `(x - mean) / √(variance + ε) gain + bias` of each row `[H]` in place (Ba et al. 2016), with the biased variance,
/// and the result quantized too, if requested.
///
/// Off by at most `(H/8 + 8) ε/2 (1 + max |x| / √(variance + ε)) |gain|`, where the first ε is that of the floats, and a
/// rounding of the result. A NaN or an infinity makes its whole row NaN, and its scale.
///
/// # Panics
/// If the shapes do not match.
#[track_caller]
pub fn layer_norm(cpu: Cpu, x: RowsMut<'_, f32>, norm: Norm<'_>, quantized: Option<QuantizedRowsMut<'_>>) {
    assert_eq!([norm.gain.len(), norm.bias.len()], [x.columns; 2], "gain and bias of each column");
    if let Some(to) = &quantized {
        to.check(cpu, x.rows, x.columns);
    }
    if x.columns == 0 {
        return;
    }
    if quantized.as_ref().is_some_and(|to| !to.factors.is_empty()) {
        cpu.run_integers(LayerNorm::<true> { x, norm, quantized });
    } else {
        cpu.run_integers(LayerNorm::<false> { x, norm, quantized });
    }
}

struct LayerNorm<'a, const SCALED: bool> {
    x: RowsMut<'a, f32>,
    norm: Norm<'a>,
    quantized: Option<QuantizedRowsMut<'a>>,
}

/// Rows that are processed at a time: the lanes of their sums are reduced in parallel.
const ROWS_AT_ONCE: usize = Scaling::ROWS;

impl<const SCALED: bool> Kernel for LayerNorm<'_, SCALED> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let LayerNorm { mut x, norm, mut quantized } = self;
        let (stride, columns) = (integer_stride::<I>(x.columns), x.columns as f32);
        for first in (0..x.rows).step_by(ROWS_AT_ONCE) {
            let count = ROWS_AT_ONCE.min(x.rows - first);
            let (mut sums, mut squares) = ([isa.zero(); ROWS_AT_ONCE], [isa.zero(); ROWS_AT_ONCE]);
            let (mut lows, mut highs) = ([isa.zero(); ROWS_AT_ONCE], [isa.zero(); ROWS_AT_ONCE]);
            for (r, sum) in sums.iter_mut().enumerate().take(count) {
                *sum = sum_of(isa, x.row(first + r));
            }
            let mut means = isa.sum_each(&sums);
            for (r, squares) in squares.iter_mut().enumerate().take(count) {
                means[r] *= 1.0 / columns;
                *squares = squares_of(isa, x.row(first + r), isa.splat(means[r]));
            }
            let mut inverses = isa.sum_each(&squares);
            for inverse in &mut inverses {
                *inverse = 1.0 / (*inverse / columns + norm.epsilon).sqrt();
            }
            let factors = quantized.as_ref().map_or(&[][..], |to| to.factors);
            for r in 0..count {
                let (mean, inverse) = (isa.splat(means[r]), isa.splat(inverses[r]));
                let range = normalize::<I, SCALED>(isa, x.row(first + r), mean, inverse, norm, factors);
                (lows[r], highs[r]) = (range.low, range.high);
            }
            let Some(to) = &mut quantized else { continue };
            let scaling = Scaling::within(isa, &lows, &highs);
            for r in 0..count {
                let row = first + r;
                let bytes = &mut to.bytes[row * stride..][..stride];
                (to.scales[row], to.offsets[row]) = scaling.quantize::<I, SCALED>(isa, r, x.row(row), factors, bytes);
            }
        }
    }
}

/// Lane by lane, the sum of a row.
#[inline(always)]
fn sum_of<I: Isa>(isa: I, row: &[f32]) -> I::F {
    let mut sum = isa.zero();
    let whole = row.chunks_exact(I::LANES);
    let rest = whole.remainder();
    for x in whole {
        sum = isa.add(sum, isa.load_slice(x));
    }
    if rest.is_empty() { sum } else { isa.add(sum, isa.load_slice(rest)) }
}

/// Lane by lane, the sum of a row's squared distances from its mean.
#[inline(always)]
fn squares_of<I: Isa>(isa: I, row: &[f32], mean: I::F) -> I::F {
    let mut squares = isa.zero();
    let whole = row.chunks_exact(I::LANES);
    let rest = whole.remainder();
    for x in whole {
        let d = isa.sub(isa.load_slice(x), mean);
        squares = isa.fma(d, d, squares);
    }
    if !rest.is_empty() {
        let d = isa.select_first(rest.len(), isa.sub(isa.load_slice(rest), mean), isa.zero());
        squares = isa.fma(d, d, squares);
    }
    squares
}

/// Normalizes a row; returns the range of its numbers afterwards, multiplied by the factors of their columns.
#[inline(always)]
fn normalize<I: Isa, const SCALED: bool>(
    isa: I,
    row: &mut [f32],
    mean: I::F,
    inverse: I::F,
    norm: Norm<'_>,
    factors: &[f32],
) -> RowRange<I::F> {
    let (mut range, mut factors) = (RowRange::new(isa), Factors::<SCALED>::new::<I>(factors));
    let (gains, biases) = (norm.gain.chunks_exact(I::LANES), norm.bias.chunks_exact(I::LANES));
    let (last_gain, last_bias) = (isa.load_slice(gains.remainder()), isa.load_slice(biases.remainder()));
    let mut whole = row.chunks_exact_mut(I::LANES);
    for (x, (gain, bias)) in (&mut whole).zip(gains.zip(biases)) {
        let d = isa.mul(isa.sub(isa.load_slice(x), mean), inverse);
        let y = isa.fma(d, isa.load_slice(gain), isa.load_slice(bias));
        isa.store_slice(x, y);
        range.add(isa, factors.multiply(isa, y));
    }
    let rest = whole.into_remainder();
    if !rest.is_empty() {
        let d = isa.mul(isa.sub(isa.load_slice(rest), mean), inverse);
        let y = isa.fma(d, last_gain, last_bias);
        isa.store_slice(rest, y);
        range.add_first(isa, rest.len(), factors.multiply_rest(isa, y));
    }
    range
}
