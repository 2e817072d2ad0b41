//! Layer normalisation, alone and together with the quantisation of its result.

use crate::buffer::RowsMut;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::matmul::{QuantisedRows, quantise_row_within};

/// Gain and bias `[H]` of a layer normalisation and its epsilon.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// `[H]`
    pub gain: &'a [f32],
    /// `[H]`
    pub bias: &'a [f32],
    /// Added to the variance, inside the root.
    pub epsilon: f32,
}

/// Where the bytes of quantised rows go: [`QuantisedRows`] to be.
#[derive(Debug)]
pub struct Bytes<'a> {
    /// Rows, [`QuantisedRows::stride`] apart.
    pub bytes: &'a mut [u8],
    /// One a row.
    pub scales: &'a mut [f32],
    /// One a row.
    pub offsets: &'a mut [f32],
}

/// `(x - mean) / √(variance + ε) gain + bias` of each row `[H]` in place (Ba et al. 2016), with the biased variance,
/// and if asked for the result as bytes too, while it is at hand.
///
/// Off by at most `(H/8 + 8) ε/2 (1 + max |x| / √(variance + ε)) |gain|`, where the first ε is that of the floats, and a
/// rounding of the result. A NaN or an infinity makes NaN of its row, and of its scale.
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn layer_norm(cpu: Cpu, x: RowsMut<'_, f32>, norm: Norm<'_>, bytes: Option<Bytes<'_>>) {
    assert_eq!([norm.gain.len(), norm.bias.len()], [x.columns; 2], "gain and bias of each column");
    if let Some(to) = &bytes {
        assert_eq!([to.scales.len(), to.offsets.len()], [x.rows; 2], "a scale and an offset for each row");
        let stride = QuantisedRows::stride(x.columns);
        assert!(to.bytes.len() >= x.rows * stride, "{} rows of {stride} bytes, got {}", x.rows, to.bytes.len());
    }
    if x.columns > 0 {
        cpu.run(LayerNorm { x, norm, bytes });
    }
}

struct LayerNorm<'a> {
    x: RowsMut<'a, f32>,
    norm: Norm<'a>,
    bytes: Option<Bytes<'a>>,
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let LayerNorm { mut x, norm, mut bytes } = self;
        let stride = QuantisedRows::stride(x.columns);
        for r in 0..x.rows {
            let row = x.row(r);
            let (low, high) = normalise(isa, row, norm);
            if let Some(to) = &mut bytes {
                let bytes = &mut to.bytes[r * stride..][..stride];
                (to.scales[r], to.offsets[r]) = quantise_row_within(isa, row, bytes, low, high);
            }
        }
    }
}

/// Normalises a row that is not empty; its smallest and largest number afterwards.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment speaks for all of them")]
#[inline(always)]
pub(crate) fn normalise<I: Isa>(isa: I, row: &mut [f32], norm: Norm<'_>) -> (f32, f32) {
    let columns = row.len();
    let whole = columns / I::LANES * I::LANES;
    let rest = columns - whole;
    let at = row.as_mut_ptr();
    let scale = isa.splat(1.0 / columns as f32);

    // SAFETY (all blocks): vectors inside the row; `rest` numbers after the whole ones; gain and bias are as long.
    let mut sum = isa.zero();
    let mut c = 0;
    while c < whole {
        sum = isa.add(sum, unsafe { isa.load(at.add(c)) });
        c += I::LANES;
    }
    sum = isa.add(sum, unsafe { isa.load_part(at.add(whole), rest) });
    let mean = isa.mul(isa.splat(isa.sum(sum)), scale);

    let mut squares = isa.zero();
    let mut c = 0;
    while c < whole {
        let d = isa.sub(unsafe { isa.load(at.add(c)) }, mean);
        squares = isa.fma(d, d, squares);
        c += I::LANES;
    }
    if rest > 0 {
        // The lanes beyond the row hold the mean, and so no deviation.
        let mut last = [0.0; 16];
        unsafe { isa.store(last.as_mut_ptr(), mean) };
        for (to, from) in last.iter_mut().zip(&row[whole..]) {
            *to = *from;
        }
        let d = isa.sub(unsafe { isa.load(last.as_ptr()) }, mean);
        squares = isa.fma(d, d, squares);
    }
    let at = row.as_mut_ptr();
    let variance = isa.sum(squares) / columns as f32;
    let inverse = isa.splat(1.0 / (variance + norm.epsilon).sqrt());

    let (mut low, mut high) = (isa.splat(f32::INFINITY), isa.splat(f32::NEG_INFINITY));
    let mut c = 0;
    while c < whole {
        let (gain, bias) = unsafe { (isa.load(norm.gain.as_ptr().add(c)), isa.load(norm.bias.as_ptr().add(c))) };
        let d = isa.mul(isa.sub(unsafe { isa.load(at.add(c)) }, mean), inverse);
        let y = isa.fma(d, gain, bias);
        (low, high) = (isa.min(y, low), isa.max(y, high));
        unsafe { isa.store(at.add(c), y) };
        c += I::LANES;
    }
    let (mut low, mut high) = (isa.smallest(low), isa.largest(high));
    if rest > 0 {
        unsafe {
            let gain = isa.load_part(norm.gain.as_ptr().add(whole), rest);
            let bias = isa.load_part(norm.bias.as_ptr().add(whole), rest);
            let d = isa.mul(isa.sub(isa.load_part(at.add(whole), rest), mean), inverse);
            isa.store_part(at.add(whole), isa.fma(d, gain, bias), rest);
        }
        for &y in &row[whole..] {
            (low, high) = (low.min(y), high.max(y));
        }
    }
    (low, high)
}
