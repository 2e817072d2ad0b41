//! Rows of activations as integers, each with a scale and an offset of its own.

use std::slice::ChunksExact;

use crate::buffer::Rows;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// A smaller range is treated as empty: its reciprocal may not be finite.
const SMALLEST_RANGE: f32 = 1e-35;

/// How an instruction set multiplies integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntegerShape {
    /// Bytes in which a quantized number is stored.
    pub(super) bytes: usize,
    /// Inputs that are multiplied at a time.
    pub(super) group: usize,
}

impl IntegerShape {
    pub(super) fn of(cpu: Cpu) -> IntegerShape {
        struct ShapeOf;
        impl Kernel for ShapeOf {
            type Output = IntegerShape;
            #[inline(always)]
            fn run<I: Isa>(self, _: I) -> IntegerShape {
                IntegerShape { bytes: I::INTEGER_BYTES, group: I::GROUP }
            }
        }
        cpu.run_integers(ShapeOf)
    }

    /// Bytes of the numbers of a group.
    pub(super) fn group_bytes(self) -> usize {
        self.group * self.bytes
    }
}

/// Bytes between the starts of rows of `columns` quantized numbers: whole cache lines.
pub(crate) const fn integer_stride<I: Isa>(columns: usize) -> usize {
    (columns * I::INTEGER_BYTES).next_multiple_of(64)
}

/// Quantized activations: `x ≈ offset + scale q` for each row, with `q` in 0..=255, stored as the instruction set
/// multiplies it: in one byte, or in two, the lower one first.
#[derive(Debug, Clone, Copy)]
pub struct QuantizedRows<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) columns: usize,
    pub(super) stride: usize,
    pub(super) group: usize,
    pub(super) scales: &'a [f32],
    pub(super) offsets: &'a [f32],
}

impl<'a> QuantizedRows<'a> {
    /// Bytes between the starts of rows of `columns` columns: whole cache lines.
    pub fn stride(cpu: Cpu, columns: usize) -> usize {
        (columns * IntegerShape::of(cpu).bytes).next_multiple_of(64)
    }

    /// Rows quantized on this instruction set, [`stride`](Self::stride) apart, with scale and offset of each.
    ///
    /// # Panics
    /// If the lengths do not match.
    #[track_caller]
    pub fn new(cpu: Cpu, bytes: &'a [u8], columns: usize, scales: &'a [f32], offsets: &'a [f32]) -> Self {
        let (stride, group) = (Self::stride(cpu, columns), IntegerShape::of(cpu).group);
        assert_eq!(scales.len(), offsets.len(), "an offset for each scale");
        assert!(bytes.len() >= scales.len() * stride, "{} rows of {stride} bytes", scales.len());
        QuantizedRows { bytes, columns, stride, group, scales, offsets }
    }
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
    /// What each column is multiplied by before it is quantized, or nothing. A row has one scale, so columns of large
    /// numbers cost the others their precision: factors make the columns alike, and the weights are divided by them
    /// (Xiao et al. 2023, SmoothQuant, equation 3).
    pub factors: &'a [f32],
}

impl QuantizedRowsMut<'_> {
    #[track_caller]
    pub(crate) fn check(&self, cpu: Cpu, rows: usize, columns: usize) {
        let stride = QuantizedRows::stride(cpu, columns);
        assert_eq!([self.scales.len(), self.offsets.len()], [rows; 2], "a scale and an offset for each row");
        assert!(self.bytes.len() >= rows * stride, "{rows} rows of {stride} bytes, got {}", self.bytes.len());
        assert!(self.factors.is_empty() || self.factors.len() == columns, "a factor for each of {columns} columns");
    }
}

/// Quantizes each row of `input`, its columns multiplied by the factors, as [`QuantizedRows`].
///
/// A scaled input is off by at most 0.501 times the scale, which is the row's range over 255; in a row whose range is below
/// 1e-35, by at most that range. A NaN becomes the row's smallest number. A row of NaN alone, or with an infinity, gets
/// a scale of NaN, and so every sum over it is NaN.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn quantize_rows(cpu: Cpu, input: Rows<'_, f32>, to: QuantizedRowsMut<'_>) {
    to.check(cpu, input.rows, input.columns);
    struct Quantize<'a, const SCALED: bool> {
        input: Rows<'a, f32>,
        to: QuantizedRowsMut<'a>,
    }
    impl<const SCALED: bool> Kernel for Quantize<'_, SCALED> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            let Quantize { input, to } = self;
            let stride = integer_stride::<I>(input.columns);
            for first in (0..input.rows).step_by(ROWS_AT_ONCE) {
                let count = ROWS_AT_ONCE.min(input.rows - first);
                let (mut lows, mut highs) = ([isa.zero(); ROWS_AT_ONCE], [isa.zero(); ROWS_AT_ONCE]);
                for r in 0..count {
                    let range = range::<I, SCALED>(isa, input.row(first + r), to.factors);
                    (lows[r], highs[r]) = (range.low, range.high);
                }
                let scaling = Scaling::within(isa, &lows, &highs);
                for r in 0..count {
                    let row = first + r;
                    let bytes = &mut to.bytes[row * stride..][..stride];
                    let (scale, offset) = scaling.quantize::<I, SCALED>(isa, r, input.row(row), to.factors, bytes);
                    (to.scales[row], to.offsets[row]) = (scale, offset);
                }
            }
        }
    }
    if input.columns == 0 {
        to.scales.fill(0.0);
        to.offsets.fill(0.0);
    } else if to.factors.is_empty() {
        cpu.run_integers(Quantize::<false> { input, to });
    } else {
        cpu.run_integers(Quantize::<true> { input, to });
    }
}

/// Rows whose ranges are computed at a time.
const ROWS_AT_ONCE: usize = Scaling::ROWS;

/// Lane by lane, the smallest and the largest number of a row whose columns are multiplied by the factors.
#[inline(always)]
fn range<I: Isa, const SCALED: bool>(isa: I, row: &[f32], factors: &[f32]) -> RowRange<I::F> {
    let (mut range, mut factors) = (RowRange::new(isa), Factors::<SCALED>::new::<I>(factors));
    let whole = row.chunks_exact(I::LANES);
    let rest = whole.remainder();
    for x in whole {
        range.add(isa, factors.multiply(isa, isa.load_slice(x)));
    }
    if !rest.is_empty() {
        range.add_first(isa, rest.len(), factors.multiply_rest(isa, isa.load_slice(rest)));
    }
    range
}

/// The factors of a row's columns, a vector at a time; with `SCALED` false there are none. Slices of exact chunks, because
/// compilers keep the checks of indices in these loops, which cost half of their speed.
pub(crate) struct Factors<'a, const SCALED: bool>(ChunksExact<'a, f32>);

impl<'a, const SCALED: bool> Factors<'a, SCALED> {
    #[inline(always)]
    pub(crate) fn new<I: Isa>(factors: &'a [f32]) -> Self {
        Factors(factors.chunks_exact(I::LANES))
    }

    /// The next vector of a row, multiplied.
    #[inline(always)]
    pub(crate) fn multiply<I: Isa>(&mut self, isa: I, x: I::F) -> I::F {
        match self.0.next() {
            Some(factors) if SCALED => isa.mul(x, isa.load_slice(factors)),
            _ => x,
        }
    }

    /// The columns behind the last whole vector, multiplied.
    #[inline(always)]
    pub(crate) fn multiply_rest<I: Isa>(&self, isa: I, x: I::F) -> I::F {
        if SCALED { isa.mul(x, isa.load_slice(self.0.remainder())) } else { x }
    }
}

/// Lane by lane, the smallest and the largest number of those added.
pub(crate) struct RowRange<F> {
    pub(crate) low: F,
    pub(crate) high: F,
}

impl<F: Copy> RowRange<F> {
    #[inline(always)]
    pub(crate) fn new<I: Isa<F = F>>(isa: I) -> RowRange<F> {
        RowRange { low: isa.splat(f32::INFINITY), high: isa.splat(f32::NEG_INFINITY) }
    }

    #[inline(always)]
    pub(crate) fn add<I: Isa<F = F>>(&mut self, isa: I, x: F) {
        // In this order, so that a NaN does not replace an earlier bound.
        (self.low, self.high) = (isa.min(x, self.low), isa.max(x, self.high));
    }

    /// As `add`, of the first `count` lanes.
    #[inline(always)]
    pub(crate) fn add_first<I: Isa<F = F>>(&mut self, isa: I, count: usize, x: F) {
        self.low = isa.select_first(count, isa.min(x, self.low), self.low);
        self.high = isa.select_first(count, isa.max(x, self.high), self.high);
    }
}

/// Scales and offsets of some rows.
pub(crate) struct Scaling {
    scales: [f32; Self::ROWS],
    /// Reciprocals of the scales.
    factors: [f32; Self::ROWS],
    offsets: [f32; Self::ROWS],
}

impl Scaling {
    pub(crate) const ROWS: usize = 16;

    /// From the smallest and the largest numbers of each row, lane by lane.
    #[inline(always)]
    pub(crate) fn within<I: Isa>(isa: I, lows: &[I::F; Self::ROWS], highs: &[I::F; Self::ROWS]) -> Scaling {
        let (lows, highs) = (isa.smallest_each(lows), isa.largest_each(highs));
        let [scales, factors, offsets] = [[0.0; Self::ROWS]; 3];
        let mut scaling = Scaling { scales, factors, offsets };
        for r in 0..Self::ROWS {
            let range = highs[r] - lows[r];
            let is_wide = range > SMALLEST_RANGE;
            // Where all are NaN, or infinite, no comparison holds.
            let narrow = if range >= 0.0 { 0.0 } else { f32::NAN };
            scaling.scales[r] = if is_wide { range / 255.0 } else { narrow };
            scaling.factors[r] = if is_wide { 255.0 / range } else { 0.0 };
            scaling.offsets[r] = if lows[r].is_finite() { lows[r] } else { 0.0 };
        }
        scaling
    }

    /// Writes the integers of row `r`, a stride long, its columns multiplied by the factors, and returns its scale and
    /// offset.
    #[inline(always)]
    pub(crate) fn quantize<I: Isa, const SCALED: bool>(
        &self,
        isa: I,
        r: usize,
        row: &[f32],
        factors: &[f32],
        bytes: &mut [u8],
    ) -> (f32, f32) {
        // Subtract first: where the range is small beside the values, their products would be rounded coarsely. The
        // result is then in 0..=255 up to rounding, and needs no clamping.
        let (factor, lowest) = (isa.splat(self.factors[r]), isa.splat(self.offsets[r]));
        let step = I::LANES * I::INTEGER_BYTES;
        assert!(bytes.len() >= row.len().div_ceil(I::LANES) * step, "bytes for whole vectors");
        let mut factors = Factors::<SCALED>::new::<I>(factors);
        let whole = row.chunks_exact(I::LANES);
        let rest = whole.remainder();
        let mut to = bytes.as_mut_ptr();
        for x in whole {
            let x = factors.multiply(isa, isa.load_slice(x));
            let q = isa.mul(isa.sub(x, lowest), factor);
            // SAFETY: there are bytes for whole vectors.
            unsafe { isa.store_integers(to, isa.to_integers(q)) };
            to = to.wrapping_add(step);
        }
        if !rest.is_empty() {
            let x = factors.multiply_rest(isa, isa.load_slice(rest));
            let q = isa.mul(isa.sub(x, lowest), factor);
            // SAFETY: as above.
            unsafe { isa.store_integers(to, isa.to_integers(q)) };
        }
        (self.scales[r], self.offsets[r])
    }
}
