//! Errors of quantized weights.

use half::f16;

use super::storage::Storage;
use crate::weights::{Tensor, WeightsError, element_count};

/// Why values are not a valid quantized matrix, or floats cannot be quantized to one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// Only matrices are quantized.
    #[error("the shape is {shape:?}, expected [rows, columns] of as many elements: keep it as f32")]
    Rank {
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A number that is to be quantized is infinite or NaN.
    #[error("row {row}, column {column} is {value}, expected a finite number: the model is damaged, train it again")]
    NotFinite {
        /// Row of the first such number.
        row: usize,
        /// Its column.
        column: usize,
        /// The number.
        value: f32,
    },
    /// Too few or too many values or scales.
    #[error("{got} {what}, expected {expected}: the file is damaged, quantize again")]
    Length {
        /// Which of them.
        what: &'static str,
        /// The expected number.
        expected: String,
        /// The actual number.
        got: usize,
    },
    /// A scale is negative, infinite or NaN.
    #[error("scale {at} is {value}, expected a finite number of at least 0: the file is damaged, quantize again")]
    Scale {
        /// Its place among the scales.
        at: usize,
        /// The scale.
        value: f32,
    },
    /// The scale of a column is no positive 16-bit float.
    #[error(
        "the scale of column {at} is {value}, expected a positive 16-bit float: the file is damaged, quantize again"
    )]
    ColumnScale {
        /// The column.
        at: usize,
        /// The scale.
        value: f32,
    },
    /// A value is the lowest of its type, which has no negative and never results from quantizing.
    #[error("row {row}, column {column} is {value}, expected at least {lowest}: the file is damaged, quantize again")]
    Value {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The value.
        value: i8,
        /// The lowest there may be.
        lowest: i8,
    },
    /// The last four bits of a row with an odd number of columns are in use.
    #[error("the last four bits of row {row} are not zero: the file is damaged, quantize again")]
    Padding {
        /// The row.
        row: usize,
    },
}

/// Why quantized weights could not be made, written or read.
///
/// Tensors are named as in the file, or canonically where there is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizedError {
    /// The file is a safetensors file of another kind.
    #[error("the metadata says format {got:?}, expected \"attar-int8\": it holds no weights quantized by attar")]
    Format {
        /// What it says.
        got: Option<String>,
    },
    /// The file is of another version of the format.
    #[error(
        "the metadata says version {got:?}, this attar reads \"1\" and \"2\": quantize again, or use the attar it is from"
    )]
    Version {
        /// What it says.
        got: Option<String>,
    },
    /// The file does not say what it was made from.
    #[error("the metadata says source {got:?}, expected 64 hexadecimal digits: quantize again")]
    Source {
        /// What it says.
        got: Option<String>,
    },
    /// A tensor of the configuration is missing.
    #[error(
        "tensor `{tensor}` is missing, expected with shape {expected:?}: take config.json and this file from the same model"
    )]
    Missing {
        /// Its name.
        tensor: String,
        /// Its shape by the configuration.
        expected: Vec<usize>,
    },
    /// A tensor of integers has no scales.
    #[error("tensor `{tensor}` holds integers, but there is no `{tensor}.scale`: quantize again")]
    NoScales {
        /// Its name.
        tensor: String,
    },
    /// There is a tensor the configuration does not ask for.
    #[error("tensor `{tensor}` is not part of this model: take config.json and this file from the same model")]
    Unexpected {
        /// Its name.
        tensor: String,
    },
    /// A tensor has another shape.
    #[error(
        "tensor `{tensor}` has shape {got:?}, expected {expected:?}: take config.json and this file from the same model"
    )]
    Shape {
        /// Its name.
        tensor: String,
        /// Its shape by the configuration.
        expected: Vec<usize>,
        /// Its shape.
        got: Vec<usize>,
    },
    /// The scales of a tensor have a shape that they cannot have.
    #[error("`{tensor}.scale` has shape {got:?}, expected {expected}: quantize again")]
    ScaleShape {
        /// The tensor's name.
        tensor: String,
        /// The shapes it can have.
        expected: String,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A tensor has a type that it cannot have.
    #[error("tensor `{tensor}` holds {got}, expected {expected}: quantize again")]
    Element {
        /// Its name.
        tensor: String,
        /// The types it can have.
        expected: &'static str,
        /// The type in the file.
        got: &'static str,
    },
    /// Values or scales of a tensor are invalid.
    #[error("tensor `{tensor}`")]
    Matrix {
        /// Its name.
        tensor: String,
        /// What is wrong with it.
        source: MatrixError,
    },
    /// A tensor of this kind cannot be stored like that.
    #[error("tensor `{tensor}` cannot be stored as {got}: {expected}")]
    Storage {
        /// Canonical name.
        tensor: String,
        /// How it is to be stored.
        got: Storage,
        /// What is possible.
        expected: &'static str,
    },
    /// A number that is to be stored in 16 bits is beyond what they hold.
    #[error("element {at} of tensor `{tensor}` is {value}, beyond 16-bit floats: store it as f32")]
    TooLarge {
        /// Canonical name.
        tensor: String,
        /// Its place in row-major order.
        at: usize,
        /// The number.
        value: f32,
    },
    /// A tensor declared as 16-bit floats holds a number that is not one.
    #[error("element {at} of tensor `{tensor}` is {value}, which is not a 16-bit float: round it first")]
    NotRounded {
        /// Canonical name.
        tensor: String,
        /// Its place in row-major order.
        at: usize,
        /// The number.
        value: f32,
    },
    /// The weights that are to be quantized, or those beside them, do not match the configuration.
    #[error("weights and configuration disagree")]
    Weights(#[from] WeightsError),
    /// The quantized weights were made from others than those beside them.
    #[error(
        "made from the model {got}, the weights beside them are of {expected}: quantize again, or write one of them alone"
    )]
    Stale {
        /// Fingerprint of the weights beside.
        expected: String,
        /// Fingerprint of what the quantized ones were made from.
        got: String,
    },
}

/// The index of the first element that fulfills a condition, searched a block at a time: a loop without an early exit
/// is vectorized, and such an element is rare.
pub(super) fn find_first<T: Copy>(elements: &[T], matches: impl Fn(T) -> bool) -> Option<usize> {
    const BLOCK: usize = 4096;
    let mut blocks = elements.chunks(BLOCK);
    let block = blocks.position(|block| block.iter().fold(false, |found, &element| found | matches(element)))?;
    let start = block * BLOCK;
    elements[start..].iter().position(|&element| matches(element)).map(|at| start + at)
}

impl MatrixError {
    pub(super) fn check_length(what: &'static str, expected: Option<usize>, got: usize) -> Result<(), Self> {
        if expected == Some(got) {
            return Ok(());
        }
        let expected = expected.map_or_else(|| "fewer than memory can hold".into(), |count| count.to_string());
        Err(MatrixError::Length { what, expected, got })
    }

    pub(super) fn check_scales(scales: &[f32]) -> Result<(), Self> {
        match scales.iter().position(|&scale| !(scale >= 0.0 && scale.is_finite())) {
            Some(at) => Err(MatrixError::Scale { at, value: scales[at] }),
            None => Ok(()),
        }
    }

    pub(super) fn check_column_scales(scales: &[f32]) -> Result<(), Self> {
        let is_valid = |scale: f32| scale > 0.0 && scale.is_finite() && f16::from_f32(scale).to_f32() == scale;
        match scales.iter().position(|&scale| !is_valid(scale)) {
            Some(at) => Err(MatrixError::ColumnScale { at, value: scales[at] }),
            None => Ok(()),
        }
    }

    /// Rows and columns of a tensor that can be quantized.
    pub(super) fn check_floats(tensor: &Tensor) -> Result<(usize, usize), Self> {
        let [rows, columns] = tensor.shape[..] else {
            return Err(MatrixError::Rank { shape: tensor.shape.clone() });
        };
        if element_count(&tensor.shape) != Some(tensor.data.len()) {
            return Err(MatrixError::Rank { shape: tensor.shape.clone() });
        }
        match find_first(&tensor.data, |number| !number.is_finite()) {
            Some(at) => Err(MatrixError::NotFinite { row: at / columns, column: at % columns, value: tensor.data[at] }),
            None => Ok((rows, columns)),
        }
    }
}
