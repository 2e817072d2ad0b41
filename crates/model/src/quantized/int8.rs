//! Matrices of 8-bit integers with one scale a row, and one a column where that makes rows more precise.

use super::error::{MatrixError, find_first};
use super::scales::{ScaleChoice, nearest, scale_of};
use crate::weights::{Tensor, element_count};

/// A matrix `[rows, columns]` as `value · scale of the row`, times the scale of the column if columns have some; values
/// from -127 to 127.
///
/// A row is an output of a dense layer (whose weight is `[out, in]`) or an entry of an embedding table. Lengths
/// and ranges hold by construction: scales are finite and not negative, those of columns are positive 16-bit floats,
/// no value is -128.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Matrix {
    rows: usize,
    columns: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
    /// Empty if all are 1.
    column_scales: Vec<f32>,
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
        Ok(Int8Matrix { rows, columns, values, scales, column_scales: Vec::new() })
    }

    /// The same values and scales with a scale for each column, or with none if the list is empty.
    ///
    /// # Errors
    /// [`MatrixError::Length`] or [`MatrixError::ColumnScale`] if they are invalid.
    pub fn with_column_scales(mut self, column_scales: Vec<f32>) -> Result<Self, MatrixError> {
        if !column_scales.is_empty() {
            MatrixError::check_length("column scales", Some(self.columns), column_scales.len())?;
            MatrixError::check_column_scales(&column_scales)?;
        }
        self.column_scales = column_scales;
        Ok(self)
    }

    /// The nearest matrix with these scales of its columns: their numbers are divided by them and then quantized as by
    /// [`quantize`](Self::quantize), whose bounds hold for the quotients.
    ///
    /// # Errors
    /// [`MatrixError::Rank`], [`MatrixError::NotFinite`], also of a quotient, or as
    /// [`with_column_scales`](Self::with_column_scales).
    pub fn quantize_columns(
        tensor: &Tensor,
        column_scales: Vec<f32>,
        choice: ScaleChoice,
    ) -> Result<Self, MatrixError> {
        let (_, columns) = MatrixError::check_floats(tensor)?;
        MatrixError::check_length("column scales", Some(columns), column_scales.len())?;
        MatrixError::check_column_scales(&column_scales)?;
        let quotients = tensor.data.iter().zip(column_scales.iter().cycle()).map(|(number, scale)| number / scale);
        let quotients = Tensor { shape: tensor.shape.clone(), data: quotients.collect() };
        Self::quantize(&quotients, choice)?.with_column_scales(column_scales)
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
        Ok(Int8Matrix { rows, columns, values, scales, column_scales: Vec::new() })
    }

    /// The numbers the matrix stands for: `value · scale`, and that times the scale of the column, each rounded to f32.
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
        for (number, scale) in out.iter_mut().zip(&self.column_scales) {
            *number *= scale;
        }
    }

    /// Values and scale of one row, without the scales of columns.
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

    /// The scales of the columns `[columns]`, positive; empty if all are 1.
    ///
    /// A product of a row `x` with the matrix is the sum of `x · column scale · value`, times the scale of the row. So a
    /// program that quantizes `x` too multiplies it by them first, which makes its columns alike (Xiao et al. 2023,
    /// SmoothQuant, equation 3).
    pub fn column_scales(&self) -> &[f32] {
        &self.column_scales
    }
}
