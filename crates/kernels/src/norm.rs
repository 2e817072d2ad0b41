//! Layer normalization, with or without quantization of its result.

use crate::buffer::RowsMut;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::matmul::{QuantizedRows, Scaling, integer_stride};

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

/// As [`QuantizedRows`], to be written.
#[derive(Debug)]
pub struct QuantizedRowsMut<'a> {
    /// Rows, [`QuantizedRows::stride`] apart.
    pub bytes: &'a mut [u8],
    /// One for each row.
    pub scales: &'a mut [f32],
    /// One for each row.
    pub offsets: &'a mut [f32],
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
        assert_eq!([to.scales.len(), to.offsets.len()], [x.rows; 2], "a scale and an offset for each row");
        let stride = QuantizedRows::stride(cpu, x.columns);
        assert!(to.bytes.len() >= x.rows * stride, "{} rows of {stride} bytes, got {}", x.rows, to.bytes.len());
    }
    if x.columns > 0 {
        cpu.run(LayerNorm { x, norm, quantized });
    }
}

struct LayerNorm<'a> {
    x: RowsMut<'a, f32>,
    norm: Norm<'a>,
    quantized: Option<QuantizedRowsMut<'a>>,
}

/// Rows that are processed at a time: the lanes of their sums are reduced in parallel.
const ROWS_AT_ONCE: usize = Scaling::ROWS;

impl Kernel for LayerNorm<'_> {
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
            for r in 0..count {
                let (mean, inverse) = (isa.splat(means[r]), isa.splat(inverses[r]));
                (lows[r], highs[r]) = normalize(isa, x.row(first + r), mean, inverse, norm);
            }
            let Some(to) = &mut quantized else { continue };
            let scaling = Scaling::within(isa, &lows, &highs);
            for r in 0..count {
                let row = first + r;
                let bytes = &mut to.bytes[row * stride..][..stride];
                (to.scales[row], to.offsets[row]) = scaling.quantize(isa, r, x.row(row), bytes);
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

/// Normalizes a row; returns, lane by lane, its smallest and its largest number afterwards.
#[inline(always)]
fn normalize<I: Isa>(isa: I, row: &mut [f32], mean: I::F, inverse: I::F, norm: Norm<'_>) -> (I::F, I::F) {
    let (mut low, mut high) = (isa.splat(f32::INFINITY), isa.splat(f32::NEG_INFINITY));
    let (gains, biases) = (norm.gain.chunks_exact(I::LANES), norm.bias.chunks_exact(I::LANES));
    let (last_gain, last_bias) = (isa.load_slice(gains.remainder()), isa.load_slice(biases.remainder()));
    let mut whole = row.chunks_exact_mut(I::LANES);
    for (x, (gain, bias)) in (&mut whole).zip(gains.zip(biases)) {
        let d = isa.mul(isa.sub(isa.load_slice(x), mean), inverse);
        let y = isa.fma(d, isa.load_slice(gain), isa.load_slice(bias));
        isa.store_slice(x, y);
        // In this order, so that a NaN does not replace an earlier bound.
        (low, high) = (isa.min(y, low), isa.max(y, high));
    }
    let rest = whole.into_remainder();
    if !rest.is_empty() {
        let d = isa.mul(isa.sub(isa.load_slice(rest), mean), inverse);
        let y = isa.fma(d, last_gain, last_bias);
        isa.store_slice(rest, y);
        low = isa.select_first(rest.len(), isa.min(y, low), low);
        high = isa.select_first(rest.len(), isa.max(y, high), high);
    }
    (low, high)
}
