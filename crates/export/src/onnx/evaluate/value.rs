//! Tensors of the evaluation.

use crate::onnx::proto::{TensorProto, data_type};

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Numbers,
}

/// The elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numbers {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Unsigned(Vec<u8>),
    Signed(Vec<i8>),
    Truths(Vec<bool>),
}

impl Value {
    pub(crate) fn floats(shape: &[usize], numbers: Vec<f32>) -> Value {
        Value { shape: shape.to_vec(), numbers: Numbers::Floats(numbers) }
    }

    pub(crate) fn integers(shape: &[usize], numbers: Vec<i64>) -> Value {
        Value { shape: shape.to_vec(), numbers: Numbers::Integers(numbers) }
    }

    /// A constant of a graph.
    pub(crate) fn of(tensor: &TensorProto) -> Result<Value, String> {
        let shape: Vec<usize> = tensor.dims.iter().map(|&length| usize::try_from(length).unwrap_or(0)).collect();
        let raw = tensor.raw_data.as_deref().unwrap_or_default();
        let numbers = match tensor.data_type {
            Some(data_type::FLOAT) => {
                Numbers::Floats(raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
            }
            Some(data_type::INT64) => {
                Numbers::Integers(raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect())
            }
            Some(data_type::UINT8) => Numbers::Unsigned(raw.to_vec()),
            Some(data_type::INT8) => Numbers::Signed(raw.iter().map(|byte| byte.cast_signed()).collect()),
            other => return Err(format!("a constant of the unknown type {other:?}")),
        };
        let value = Value { shape, numbers };
        if value.len() == value.shape.iter().product::<usize>() {
            Ok(value)
        } else {
            Err(format!("a constant of the shape {:?} with {} elements", value.shape, value.len()))
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Floats(all) => all.len(),
            Numbers::Integers(all) => all.len(),
            Numbers::Unsigned(all) => all.len(),
            Numbers::Signed(all) => all.len(),
            Numbers::Truths(all) => all.len(),
        }
    }

    pub(crate) fn as_floats(&self) -> Result<&[f32], String> {
        match &self.numbers {
            Numbers::Floats(all) => Ok(all),
            _ => Err("expected floats".into()),
        }
    }

    pub(crate) fn as_integers(&self) -> Result<&[i64], String> {
        match &self.numbers {
            Numbers::Integers(all) => Ok(all),
            _ => Err("expected integers".into()),
        }
    }

    /// The elements at these places, in that order, as a tensor of this shape.
    pub(crate) fn taken(&self, shape: Vec<usize>, places: &[usize]) -> Value {
        fn take<T: Copy>(all: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|&place| all[place]).collect()
        }
        let numbers = match &self.numbers {
            Numbers::Floats(all) => Numbers::Floats(take(all, places)),
            Numbers::Integers(all) => Numbers::Integers(take(all, places)),
            Numbers::Unsigned(all) => Numbers::Unsigned(take(all, places)),
            Numbers::Signed(all) => Numbers::Signed(take(all, places)),
            Numbers::Truths(all) => Numbers::Truths(take(all, places)),
        };
        Value { shape, numbers }
    }

    /// The same elements in another shape.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Result<Value, String> {
        if shape.iter().product::<usize>() != self.len() {
            return Err(format!("{:?} cannot become {shape:?}", self.shape));
        }
        Ok(Value { shape, numbers: self.numbers.clone() })
    }

    /// An axis, counted from the end where it is negative.
    pub(crate) fn axis(&self, axis: i64) -> Result<usize, String> {
        axis_of(axis, self.shape.len())
    }
}

/// An axis of so many dimensions, counted from the end where it is negative.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let found = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(found) {
        Ok(found) if found < rank => Ok(found),
        _ => Err(format!("no axis {axis} among {rank}")),
    }
}

/// How many elements lie before an axis, on it, and in each of its places.
pub(crate) fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}
