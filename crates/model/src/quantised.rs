//! Weights as small integers with scales, and their file `model.int8.safetensors`.
//!
//! Quantised is symmetric and by rows: a number is `value · scale`, where a row of a matrix (an output of a dense
//! layer, an entry of an embedding table) has one scale as [`Int8Matrix`], and as [`Int4Matrix`] one or one for each
//! group of columns. Which tensor is stored how is a [`Storage`] for each, and nothing has to be quantised.
//!
//! ```
//! use attar_model::quantised::{QuantisedWeights, ScaleChoice, Storage};
//! use attar_model::{EncoderConfig, Tensor, Weights, expected_shapes};
//!
//! let config = EncoderConfig {
//!     layers: 1, hidden: 8, heads: 2, feed_forward: 16, vocabulary: 20, positions: 10,
//!     ..EncoderConfig::bert_base()
//! };
//! let weights: Weights =
//!     expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect();
//! // Everything as usual, but the pooler exact.
//! let storage = |name: &str| if name.starts_with("pooler.") { Storage::F32 } else { Storage::int8_matrices(name) };
//! let quantised = QuantisedWeights::quantise(&config, &weights, ScaleChoice::MaxAbs, storage)?;
//! assert!(quantised.int8("encoder.layer.0.output.dense.weight").is_some());
//! assert!(quantised.floats("pooler.dense.weight").is_some());
//! # Ok::<(), attar_model::quantised::QuantisedError>(())
//! ```
//!
//! # The file
//!
//! A safetensors file with the metadata `format` = `attar-int8`, `version` = `1` and `source`, the
//! [`fingerprint`](crate::fingerprint()) of the model it was made from. Tensors have the names of
//! `model.safetensors`, and the type says how each is stored:
//!
//! | type of `name` | shape of `name` | type and shape of `name.scale` |
//! |---|---|---|
//! | `F32`, `F16` | as in `model.safetensors` | none |
//! | `I8`, matrices | as in `model.safetensors` | `F32` `[rows]` |
//! | `U8` (4-bit), embedding tables | `[rows, columns / 2 rounded up]` | `F32` `[rows]`, or `[rows, groups]` for groups of 32 or 64 columns |
//!
//! Two 4-bit values lie in a byte, that of the even column in the low bits; see [`Int4Matrix`].

mod error;
mod file;
mod int4;
mod int8;
mod layout;
mod scales;

use std::collections::BTreeMap;

use half::f16;
use indexmap::IndexMap;

pub use error::{MatrixError, QuantisedError};
pub use int4::{Int4Group, Int4Matrix};
pub use int8::Int8Matrix;
pub use layout::{Storage, file_length};
pub use scales::ScaleChoice;

use crate::config::EncoderConfig;
use crate::fingerprint::{fingerprint, hash_config};
use crate::hash::Sha256Hex;
use crate::names::expected_shapes;
use crate::weights::{Tensor, Weights, WeightsError, element_count};

/// The name of the file in a bundle.
pub const QUANTISED_FILE: &str = "model.int8.safetensors";

/// A tensor of a quantised model.
#[derive(Debug, Clone, PartialEq)]
pub enum QuantisedTensor {
    /// Not quantised.
    F32(Tensor),
    /// Not quantised, but rounded: every number is one that 16 bits hold, and is stored in them.
    F16(Tensor),
    /// 8-bit integers, a scale a row.
    Int8(Int8Matrix),
    /// 4-bit integers, a scale a row or a group of columns.
    Int4(Int4Matrix),
}

/// The tensors of a quantised model by canonical name, in the order of [`expected_shapes`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedWeights {
    source: String,
    tensors: IndexMap<String, QuantisedTensor>,
}

impl QuantisedTensor {
    /// How it is stored.
    pub fn storage(&self) -> Storage {
        match self {
            QuantisedTensor::F32(_) => Storage::F32,
            QuantisedTensor::F16(_) => Storage::F16,
            QuantisedTensor::Int8(_) => Storage::Int8,
            QuantisedTensor::Int4(matrix) => Storage::Int4(matrix.group()),
        }
    }

    /// The shape of the tensor it stands for.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor) => tensor.shape.clone(),
            QuantisedTensor::Int8(matrix) => vec![matrix.rows(), matrix.columns()],
            QuantisedTensor::Int4(matrix) => vec![matrix.rows(), matrix.columns()],
        }
    }

    /// The numbers it stands for.
    pub fn dequantise(&self) -> Tensor {
        match self {
            QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor) => tensor.clone(),
            QuantisedTensor::Int8(matrix) => matrix.dequantise(),
            QuantisedTensor::Int4(matrix) => matrix.dequantise(),
        }
    }
}

impl QuantisedWeights {
    /// Quantises the weights of a model, each tensor stored as the function says for its canonical name.
    ///
    /// The errors that this makes are those of [`Int8Matrix::quantise`] and [`Int4Matrix::quantise`]; f16 rounds to
    /// 11 significant bits.
    ///
    /// # Errors
    /// [`QuantisedError::Weights`] if they are not of this configuration, [`QuantisedError::Storage`] if a tensor
    /// cannot be stored like that, [`QuantisedError::Matrix`] or [`QuantisedError::TooLarge`] for numbers that cannot
    /// be.
    pub fn quantise(
        config: &EncoderConfig,
        weights: &Weights,
        scales: ScaleChoice,
        storage: impl Fn(&str) -> Storage,
    ) -> Result<Self, QuantisedError> {
        weights.check(config)?;
        let mut tensors = IndexMap::new();
        for (name, _) in expected_shapes(config) {
            let Some(tensor) = weights.get(&name) else { continue };
            let got = storage(&name);
            if let Some(expected) = got.refusal(&name) {
                return Err(QuantisedError::Storage { tensor: name, got, expected });
            }
            let matrix = |source| QuantisedError::Matrix { tensor: name.clone(), source };
            let tensor = match got {
                Storage::F32 => QuantisedTensor::F32(tensor.clone()),
                Storage::F16 => QuantisedTensor::F16(rounded(&name, tensor)?),
                Storage::Int8 => QuantisedTensor::Int8(Int8Matrix::quantise(tensor, scales).map_err(matrix)?),
                Storage::Int4(group) => {
                    QuantisedTensor::Int4(Int4Matrix::quantise(tensor, group, scales).map_err(matrix)?)
                }
            };
            tensors.insert(name, tensor);
        }
        Ok(QuantisedWeights { source: fingerprint(config, weights), tensors })
    }

    /// The tensor of that canonical name.
    pub fn get(&self, name: &str) -> Option<&QuantisedTensor> {
        self.tensors.get(name)
    }

    /// The tensor of that canonical name if it is not quantised.
    pub fn floats(&self, name: &str) -> Option<&Tensor> {
        match self.get(name) {
            Some(QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// The tensor of that canonical name if it is one of 8-bit integers.
    pub fn int8(&self, name: &str) -> Option<&Int8Matrix> {
        match self.get(name) {
            Some(QuantisedTensor::Int8(matrix)) => Some(matrix),
            _ => None,
        }
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &QuantisedTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The numbers all tensors stand for, as f32.
    pub fn dequantise(&self) -> Weights {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dequantise())).collect()
    }

    /// [`fingerprint`](crate::fingerprint()) of the model these were made from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Puts another tensor in the place of one, say an exact one for a layer that is hurt, and returns the old one.
    ///
    /// # Errors
    /// [`QuantisedError::Missing`] if there is none of that name, [`QuantisedError::Shape`] or
    /// [`QuantisedError::Storage`] if the new one cannot stand there, [`QuantisedError::NotRounded`] if it is said to
    /// be f16 and is not.
    pub fn replace(&mut self, name: &str, tensor: QuantisedTensor) -> Result<QuantisedTensor, QuantisedError> {
        let Some(place) = self.tensors.get_mut(name) else {
            return Err(QuantisedError::Missing { tensor: name.into(), expected: tensor.shape() });
        };
        check_tensor(name, &place.shape(), &tensor)?;
        Ok(std::mem::replace(place, tensor))
    }

    /// Takes a tensor out, say to keep it without a copy. What is left is no model's; see [`check`](Self::check).
    pub fn take(&mut self, name: &str) -> Option<QuantisedTensor> {
        self.tensors.shift_remove(name)
    }

    /// Whether these are the weights of that configuration.
    ///
    /// # Errors
    /// [`QuantisedError`] for the first difference.
    pub fn check(&self, config: &EncoderConfig) -> Result<(), QuantisedError> {
        let expected = expected_shapes(config);
        for (name, shape) in &expected {
            match self.get(name) {
                Some(tensor) => check_tensor(name, shape, tensor)?,
                None => return Err(QuantisedError::Missing { tensor: name.clone(), expected: shape.clone() }),
            }
        }
        let stranger = || self.tensors.keys().find(|name| !expected.iter().any(|(known, _)| known == *name));
        if self.tensors.len() > expected.len()
            && let Some(tensor) = stranger()
        {
            return Err(QuantisedError::Unexpected { tensor: tensor.clone() });
        }
        Ok(())
    }

    /// SHA-256 over a configuration and these weights, 64 hexadecimal digits: another one than that of any weights
    /// in f32, and independent of files.
    pub fn fingerprint(&self, config: &EncoderConfig) -> String {
        let mut hash = Sha256Hex::new();
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
        }
        hash.finish()
    }
}

/// Whether a tensor can stand under that name and shape.
fn check_tensor(name: &str, shape: &[usize], tensor: &QuantisedTensor) -> Result<(), QuantisedError> {
    let got = tensor.shape();
    if got != shape {
        return Err(QuantisedError::Shape { tensor: name.into(), expected: shape.into(), got });
    }
    if let Some(expected) = tensor.storage().refusal(name) {
        return Err(QuantisedError::Storage { tensor: name.into(), got: tensor.storage(), expected });
    }
    if let QuantisedTensor::F32(floats) | QuantisedTensor::F16(floats) = tensor
        && element_count(shape) != Some(floats.data.len())
    {
        let (tensor, shape, elements) = (name.into(), shape.into(), floats.data.len());
        return Err(WeightsError::Elements { tensor, shape, elements }.into());
    }
    if let QuantisedTensor::F16(floats) = tensor
        && let Some(at) =
            floats.data.iter().position(|&number| f16::from_f32(number).to_f32().to_bits() != number.to_bits())
    {
        return Err(QuantisedError::NotRounded { tensor: name.into(), at, value: floats.data[at] });
    }
    Ok(())
}

/// The nearest tensor of 16-bit floats.
fn rounded(name: &str, tensor: &Tensor) -> Result<Tensor, QuantisedError> {
    let data: Vec<f32> = tensor.data.iter().map(|&number| f16::from_f32(number).to_f32()).collect();
    match data.iter().position(|number| !number.is_finite()) {
        Some(at) => Err(QuantisedError::TooLarge { tensor: name.into(), at, value: tensor.data[at] }),
        None => Ok(Tensor { shape: tensor.shape.clone(), data }),
    }
}
