//! Weights as small integers with scales, and their file `model.int8.safetensors`.
//!
//! Quantization is symmetric and by rows: a number is `value · scale`, where a row of a matrix (an output of a dense
//! layer, an entry of an embedding table) has one scale as [`Int8Matrix`], and as [`Int4Matrix`] one or one for each
//! group of columns. Columns of a dense layer's int8 weight may have scales too, by which the layer's inputs are
//! multiplied. Each tensor has its own [`Storage`], and none has to be quantized.
//!
//! ```
//! use attar_model::quantized::{QuantizedWeights, ScaleChoice, Storage};
//! use attar_model::{EncoderConfig, Tensor, Weights, expected_shapes};
//!
//! let config = EncoderConfig {
//!     layers: 1, hidden: 8, heads: 2, feed_forward: 16, vocabulary: 20, positions: 10,
//!     ..EncoderConfig::bert_base()
//! };
//! let weights: Weights =
//!     expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect();
//! // Everything as usual, except for the pooler in f32.
//! let storage = |name: &str| if name.starts_with("pooler.") { Storage::F32 } else { Storage::int8_matrices(name) };
//! let quantized = QuantizedWeights::quantize(&config, &weights, ScaleChoice::MaxAbs, storage)?;
//! assert!(quantized.int8("encoder.layer.0.output.dense.weight").is_some());
//! assert!(quantized.floats("pooler.dense.weight").is_some());
//! # Ok::<(), attar_model::quantized::QuantizedError>(())
//! ```
//!
//! # The file
//!
//! A safetensors file with the metadata `format` = `attar-int8`, `version` = `1`, or `2` if columns have scales, and
//! `source`, the [`fingerprint`](crate::fingerprint()) of the model it was made from. Tensors have the names of
//! `model.safetensors`, and the type says how each is stored:
//!
//! | type of `name` | shape of `name` | type and shape of `name.scale` |
//! |---|---|---|
//! | `F32`, `F16` | as in `model.safetensors` | none |
//! | `I8`, matrices | as in `model.safetensors` | `F32` `[rows]` |
//! | `U8` (4-bit), embedding tables | `[rows, columns / 2 rounded up]` | `F32` `[rows]`, or `[rows, groups]` for groups of 32 or 64 columns |
//!
//! Scales of columns are `name.column_scale`, `F16` `[columns]`, beside `I8` weights of dense layers that have some.
//! Two 4-bit values lie in a byte, that of the even column in the low bits; see [`Int4Matrix`].

mod error;
mod file;
mod int4;
mod int8;
mod layout;
mod scales;
mod storage;

use std::collections::BTreeMap;

use half::f16;
use indexmap::IndexMap;

pub use error::{MatrixError, QuantizedError};
pub use int4::Int4Matrix;
pub use int8::Int8Matrix;
pub use layout::file_length;
pub use scales::ScaleChoice;
pub use storage::{Int4Group, Storage};

use crate::config::EncoderConfig;
use crate::fingerprint::{fingerprint, hash_config};
use crate::hash::Sha256Hex;
use crate::names::expected_shapes;
use crate::weights::{Tensor, Weights, WeightsError, element_count};
use storage::is_embedding_table;

/// The name of the file in a bundle.
pub const QUANTIZED_FILE: &str = "model.int8.safetensors";

/// A tensor of a quantized model.
#[derive(Debug, Clone, PartialEq)]
pub enum QuantizedTensor {
    /// Not quantized.
    F32(Tensor),
    /// Not quantized, but rounded: every number is a 16-bit float, and is stored as one.
    F16(Tensor),
    /// 8-bit integers, a scale for each row.
    Int8(Int8Matrix),
    /// 4-bit integers, a scale for each row or group of columns.
    Int4(Int4Matrix),
}

/// The tensors of a quantized model by canonical name, in the order of [`expected_shapes`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeights {
    source: String,
    tensors: IndexMap<String, QuantizedTensor>,
}

impl QuantizedTensor {
    /// How it is stored.
    pub fn storage(&self) -> Storage {
        match self {
            QuantizedTensor::F32(_) => Storage::F32,
            QuantizedTensor::F16(_) => Storage::F16,
            QuantizedTensor::Int8(_) => Storage::Int8,
            QuantizedTensor::Int4(matrix) => Storage::Int4(matrix.group()),
        }
    }

    /// The shape of the tensor it stands for.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor) => tensor.shape.clone(),
            QuantizedTensor::Int8(matrix) => vec![matrix.rows(), matrix.columns()],
            QuantizedTensor::Int4(matrix) => vec![matrix.rows(), matrix.columns()],
        }
    }

    /// The numbers it stands for.
    pub fn dequantize(&self) -> Tensor {
        match self {
            QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor) => tensor.clone(),
            QuantizedTensor::Int8(matrix) => matrix.dequantize(),
            QuantizedTensor::Int4(matrix) => matrix.dequantize(),
        }
    }
}

impl QuantizedWeights {
    /// Quantizes the weights of a model, each tensor stored as the function says for its canonical name.
    ///
    /// The quantization errors are those of [`Int8Matrix::quantize`] and [`Int4Matrix::quantize`]; f16 rounds to
    /// 11 significant bits.
    ///
    /// # Errors
    /// [`QuantizedError::Weights`] if they are not of this configuration, [`QuantizedError::Storage`] if a tensor
    /// cannot be stored like that, [`QuantizedError::Matrix`] or [`QuantizedError::TooLarge`] for numbers that cannot
    /// be stored.
    pub fn quantize(
        config: &EncoderConfig,
        weights: &Weights,
        scales: ScaleChoice,
        storage: impl Fn(&str) -> Storage,
    ) -> Result<Self, QuantizedError> {
        weights.check(config)?;
        let mut tensors = IndexMap::new();
        for (name, _) in expected_shapes(config) {
            let Some(tensor) = weights.get(&name) else { continue };
            let got = storage(&name);
            if let Some(expected) = got.refusal(&name) {
                return Err(QuantizedError::Storage { tensor: name, got, expected });
            }
            let matrix = |source| QuantizedError::Matrix { tensor: name.clone(), source };
            let tensor = match got {
                Storage::F32 => QuantizedTensor::F32(tensor.clone()),
                Storage::F16 => QuantizedTensor::F16(rounded(&name, tensor)?),
                Storage::Int8 => QuantizedTensor::Int8(Int8Matrix::quantize(tensor, scales).map_err(matrix)?),
                Storage::Int4(group) => {
                    QuantizedTensor::Int4(Int4Matrix::quantize(tensor, group, scales).map_err(matrix)?)
                }
            };
            tensors.insert(name, tensor);
        }
        Ok(QuantizedWeights { source: fingerprint(config, weights), tensors })
    }

    /// The tensor of that canonical name.
    pub fn get(&self, name: &str) -> Option<&QuantizedTensor> {
        self.tensors.get(name)
    }

    /// The tensor of that canonical name if it is not quantized.
    pub fn floats(&self, name: &str) -> Option<&Tensor> {
        match self.get(name) {
            Some(QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// The tensor of that canonical name if it is one of 8-bit integers.
    pub fn int8(&self, name: &str) -> Option<&Int8Matrix> {
        match self.get(name) {
            Some(QuantizedTensor::Int8(matrix)) => Some(matrix),
            _ => None,
        }
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &QuantizedTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The numbers all tensors stand for, as f32.
    pub fn dequantize(&self) -> Weights {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dequantize())).collect()
    }

    /// [`fingerprint`](crate::fingerprint()) of the model these were made from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Replaces a tensor, for example by an exact one where quantization hurts, and returns the old one.
    ///
    /// # Errors
    /// [`QuantizedError::Missing`] if there is none of that name, [`QuantizedError::Shape`] or
    /// [`QuantizedError::Storage`] if the new one does not fit there, [`QuantizedError::NotRounded`] if it is
    /// declared as f16 and is not.
    pub fn replace(&mut self, name: &str, tensor: QuantizedTensor) -> Result<QuantizedTensor, QuantizedError> {
        let Some(place) = self.tensors.get_mut(name) else {
            return Err(QuantizedError::Missing { tensor: name.into(), expected: tensor.shape() });
        };
        check_tensor(name, &place.shape(), &tensor)?;
        Ok(std::mem::replace(place, tensor))
    }

    /// Takes a tensor out, for example to keep it without a copy. The rest is incomplete; see [`check`](Self::check).
    pub fn take(&mut self, name: &str) -> Option<QuantizedTensor> {
        self.tensors.shift_remove(name)
    }

    /// Whether these are the weights of that configuration.
    ///
    /// # Errors
    /// [`QuantizedError`] for the first difference.
    pub fn check(&self, config: &EncoderConfig) -> Result<(), QuantizedError> {
        let expected = expected_shapes(config);
        for (name, shape) in &expected {
            match self.get(name) {
                Some(tensor) => check_tensor(name, shape, tensor)?,
                None => return Err(QuantizedError::Missing { tensor: name.clone(), expected: shape.clone() }),
            }
        }
        let unexpected = || self.tensors.keys().find(|name| !expected.iter().any(|(known, _)| known == *name));
        if self.tensors.len() > expected.len()
            && let Some(tensor) = unexpected()
        {
            return Err(QuantizedError::Unexpected { tensor: tensor.clone() });
        }
        Ok(())
    }

    /// SHA-256 over a configuration and these weights, 64 hexadecimal digits: different from that of any weights
    /// in f32, and independent of files.
    pub fn fingerprint(&self, config: &EncoderConfig) -> String {
        let mut hash = Sha256Hex::new();
        // Part of every fingerprint so far: the spelling stays.
        hash.field(b"attar quantised model 1");
        hash_config(&mut hash, config);
        hash.number(self.tensors.len() as u64);
        for (name, tensor) in self.tensors.iter().collect::<BTreeMap<_, _>>() {
            hash.field(name.as_bytes());
            hash.field(tensor.storage().to_string().as_bytes());
            let shape = tensor.shape();
            hash.number(shape.len() as u64);
            shape.iter().for_each(|&length| hash.number(length as u64));
            hash.field(&file::value_bytes(tensor));
            hash.field(&file::scale_bytes(tensor));
            let column_scales = file::column_scale_bytes(tensor);
            if !column_scales.is_empty() {
                hash.field(&column_scales);
            }
        }
        hash.finish()
    }
}

/// Checks that a tensor fits a name and shape.
fn check_tensor(name: &str, shape: &[usize], tensor: &QuantizedTensor) -> Result<(), QuantizedError> {
    let got = tensor.shape();
    if got != shape {
        return Err(QuantizedError::Shape { tensor: name.into(), expected: shape.into(), got });
    }
    if let Some(expected) = tensor.storage().refusal(name) {
        return Err(QuantizedError::Storage { tensor: name.into(), got: tensor.storage(), expected });
    }
    if let QuantizedTensor::Int8(matrix) = tensor
        && !matrix.column_scales().is_empty()
        && is_embedding_table(name)
    {
        let expected = "its rows are looked up, so its columns can have no scales";
        return Err(QuantizedError::Storage { tensor: name.into(), got: tensor.storage(), expected });
    }
    if let QuantizedTensor::F32(floats) | QuantizedTensor::F16(floats) = tensor
        && element_count(shape) != Some(floats.data.len())
    {
        let (tensor, shape, elements) = (name.into(), shape.into(), floats.data.len());
        return Err(WeightsError::Elements { tensor, shape, elements }.into());
    }
    if let QuantizedTensor::F16(floats) = tensor
        && let Some(at) =
            floats.data.iter().position(|&number| f16::from_f32(number).to_f32().to_bits() != number.to_bits())
    {
        return Err(QuantizedError::NotRounded { tensor: name.into(), at, value: floats.data[at] });
    }
    Ok(())
}

/// The nearest tensor of 16-bit floats.
fn rounded(name: &str, tensor: &Tensor) -> Result<Tensor, QuantizedError> {
    let data: Vec<f32> = tensor.data.iter().map(|&number| f16::from_f32(number).to_f32()).collect();
    match data.iter().position(|number| !number.is_finite()) {
        Some(at) => Err(QuantizedError::TooLarge { tensor: name.into(), at, value: tensor.data[at] }),
        None => Ok(Tensor { shape: tensor.shape.clone(), data }),
    }
}
