//! Matrices of 4-bit integers, two a byte, with one scale a row or a group of columns.

use super::error::{MatrixError, find_first};
use super::scales::{ScaleChoice, nearest, scale_of};
use super::storage::Int4Group;
use crate::weights::{Tensor, element_count};

/// A matrix `[rows, columns]` as `value · scale`, values from -7 to 7, for embedding tables.
///
/// Two values a byte: of an even column in the low four bits, of the odd one after it in the high four, in two's
/// complement; a row begins on a byte, and where the number of columns is odd its last four bits are zero. Lengths and
/// ranges hold by construction: scales are finite and not negative, no value is -8.
#[derive(Debug, Clone, PartialEq)]
pub struct Int4Matrix {
    rows: usize,
    columns: usize,
    group: Int4Group,
    packed: Vec<u8>,
    scales: Vec<f32>,
}

const LEVELS: f32 = 7.0;

impl Int4Matrix {
    /// A matrix of these bytes, `columns / 2` a row, rounded up, and its scales, row-major.
    ///
    /// # Errors
    /// [`MatrixError::Length`], [`MatrixError::Scale`], [`MatrixError::Value`] or [`MatrixError::Padding`] if they
    /// are invalid.
    pub fn new(
        rows: usize,
        columns: usize,
        group: Int4Group,
        packed: Vec<u8>,
        scales: Vec<f32>,
    ) -> Result<Self, MatrixError> {
        let group = group.within(columns);
        let row_bytes = columns.div_ceil(2);
        MatrixError::check_length("bytes of values", element_count(&[rows, row_bytes]), packed.len())?;
        MatrixError::check_length("scales", element_count(&[rows, group.per_row(columns)]), scales.len())?;
        MatrixError::check_scales(&scales)?;
        if let Some(at) = find_first(&packed, |byte| (byte & 0x0f == 0x08) | (byte & 0xf0 == 0x80)) {
            let (row, pair) = (at / row_bytes, at % row_bytes);
            let column = 2 * pair + usize::from(packed[at] & 0x0f != 0x08);
            return Err(MatrixError::Value { row, column, value: -8, lowest: -7 });
        }
        if columns % 2 == 1
            && let Some(row) = packed.chunks_exact(row_bytes).position(|row| row[row_bytes - 1] & 0xf0 != 0)
        {
            return Err(MatrixError::Padding { row });
        }
        Ok(Int4Matrix { rows, columns, group, packed, scales })
    }

    /// The nearest matrix of this kind, group by group.
    ///
    /// With scale `s` of a group, a number `w` of magnitude up to `7·s` comes back within half a step:
    /// `s/2·(1 + 2⁻¹⁵) + 2⁻¹⁴²`, where the small terms are rounding of f32 and of numbers below its normal ones.
    /// Under [`ScaleChoice::MaxAbs`] that is every number; under [`ScaleChoice::LeastSquares`] larger ones come
    /// back as `±7·s`. A group of zeros has scale 0. (Bounds tested in `tests/it/quantize.rs`.)
    ///
    /// # Errors
    /// [`MatrixError::Rank`] or [`MatrixError::NotFinite`].
    pub fn quantize(tensor: &Tensor, group: Int4Group, choice: ScaleChoice) -> Result<Self, MatrixError> {
        let (rows, columns) = MatrixError::check_floats(tensor)?;
        let group = group.within(columns);
        let mut packed = Vec::with_capacity(rows * columns.div_ceil(2));
        let mut scales = Vec::with_capacity(rows * group.per_row(columns));
        let mut values = vec![0u8; columns];
        for row in 0..rows {
            let numbers = &tensor.data[row * columns..][..columns];
            for (values, numbers) in values.chunks_mut(group.width(columns)).zip(numbers.chunks(group.width(columns))) {
                let scale = scale_of(numbers, LEVELS, choice);
                scales.push(scale);
                for (value, &number) in values.iter_mut().zip(numbers) {
                    *value = nearest(number, scale, LEVELS).cast_unsigned() & 0x0f;
                }
            }
            if columns == 0 {
                scales.push(0.0);
            }
            packed.extend(values.chunks(2).map(|pair| pair[0] | pair.get(1).copied().unwrap_or(0) << 4));
        }
        Ok(Int4Matrix { rows, columns, group, packed, scales })
    }

    /// The numbers the matrix stands for: `value · scale` rounded to f32.
    pub fn dequantize(&self) -> Tensor {
        let mut data = vec![0.0; self.rows * self.columns];
        for row in 0..self.rows {
            self.dequantize_row(row, &mut data[row * self.columns..][..self.columns]);
        }
        Tensor { shape: vec![self.rows, self.columns], data }
    }

    /// One row of [`dequantize`](Self::dequantize).
    ///
    /// # Panics
    /// If there is no such row or the length of `out` is not [`columns`](Self::columns).
    #[track_caller]
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        let (packed, scales) = self.row(row);
        assert_eq!(out.len(), self.columns, "a row has {} columns", self.columns);
        // Groups are of an even width, so each begins on a byte.
        let width = self.group_columns();
        for ((out, packed), &scale) in out.chunks_mut(width).zip(packed.chunks(width.div_ceil(2))).zip(scales) {
            for (pair, &byte) in out.chunks_mut(2).zip(packed) {
                let signed = byte.cast_signed();
                pair[0] = f32::from((signed << 4) >> 4) * scale;
                if let Some(second) = pair.get_mut(1) {
                    *second = f32::from(signed >> 4) * scale;
                }
            }
        }
    }

    /// Packed values and scales of one row.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn row(&self, row: usize) -> (&[u8], &[f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let (bytes, scales) = (self.columns.div_ceil(2), self.group.per_row(self.columns));
        (&self.packed[row * bytes..][..bytes], &self.scales[row * scales..][..scales])
    }

    /// Number of rows: entries of a table.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: width of a table.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Which columns of a row share a scale; [`Int4Group::Row`] wherever a group would be as wide as a row.
    pub fn group(&self) -> Int4Group {
        self.group
    }

    /// How many columns share a scale, from the first; at least 1.
    pub fn group_columns(&self) -> usize {
        self.group.width(self.columns)
    }

    /// All values, two a byte, `[rows, columns / 2 rounded up]`.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The scales `[rows, groups of a row]`, finite and not negative.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
}
