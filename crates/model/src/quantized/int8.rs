//! Matrices of 8-bit integers with one scale a row.

use super::error::{MatrixError, find_first};
use super::scales::{ScaleChoice, nearest, scale_of};
use crate::weights::{Tensor, element_count};

/// A matrix `[rows, columns]` as `value · scale of the row`, values from -127 to 127.
///
/// A row is an output of a dense layer (whose weight is `[out, in]`) or an entry of an embedding table. Lengths
/// and ranges hold by construction: scales are finite and not negative, no value is -128.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Matrix {
    rows: usize,
    columns: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

const LEVELS: f32 = 127.0;

impl Int8Matrix {
    /// A matrix of these values, row-major, and one scale for each row.
    ///
    /// # Errors
    /// [`MatrixError::Length`], [`MatrixError::Scale`] or [`MatrixError::Value`] if they are invalid.
    pub fn new(rows: usize, columns: usize, values: Vec<i8>, scales: Vec<f32>) -> Result<Self, MatrixError> {
        MatrixError::check_length("values", element_count(&[rows, columns]), values.len())?;
        MatrixError::check_length("scales", Some(rows), scales.len())?;
        MatrixError::check_scales(&scales)?;
        if let Some(at) = find_first(&values, |value| value == i8::MIN) {
            return Err(MatrixError::Value { row: at / columns, column: at % columns, value: i8::MIN, lowest: -127 });
        }
        Ok(Int8Matrix { rows, columns, values, scales })
    }

    /// The nearest matrix of this kind, row by row.
    ///
    /// With scale `s` of a row, a number `w` of magnitude up to `127·s` comes back within half a step:
    /// `s/2·(1 + 2⁻¹⁵) + 2⁻¹⁴²`, where the small terms are rounding of f32 and of numbers below its normal ones.
    /// Under [`ScaleChoice::MaxAbs`] that is every number; under [`ScaleChoice::LeastSquares`] larger ones come
    /// back as `±127·s`. A row of zeros has scale 0. (Bounds tested in `tests/it/quantize.rs`.)
    ///
    /// # Errors
    /// [`MatrixError::Rank`] or [`MatrixError::NotFinite`].
    pub fn quantize(tensor: &Tensor, choice: ScaleChoice) -> Result<Self, MatrixError> {
        let (rows, columns) = MatrixError::check_floats(tensor)?;
        let mut values = Vec::with_capacity(tensor.data.len());
        let mut scales = Vec::with_capacity(rows);
        for row in 0..rows {
            let numbers = &tensor.data[row * columns..][..columns];
            let scale = scale_of(numbers, LEVELS, choice);
            values.extend(numbers.iter().map(|&number| nearest(number, scale, LEVELS)));
            scales.push(scale);
        }
        Ok(Int8Matrix { rows, columns, values, scales })
    }

    /// The numbers the matrix stands for: `value · scale` rounded to f32.
    pub fn dequantize(&self) -> Tensor {
        let mut data = vec![0.0; self.values.len()];
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
        let (values, scale) = self.row(row);
        assert_eq!(out.len(), self.columns, "a row has {} columns", self.columns);
        for (number, &value) in out.iter_mut().zip(values) {
            *number = f32::from(value) * scale;
        }
    }

    /// Values and scale of one row.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn row(&self, row: usize) -> (&[i8], f32) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        (&self.values[row * self.columns..][..self.columns], self.scales[row])
    }

    /// Number of rows: outputs of a layer, entries of a table.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: inputs of a layer, width of a table.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values `[rows, columns]`, row-major, from -127 to 127.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// The scales `[rows]`, finite and not negative.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
}
