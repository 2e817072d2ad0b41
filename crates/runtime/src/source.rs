//! The weights of a bundle on their way into packed ones.
//!
//! What is quantised stays so: a layer of 8-bit integers is packed as they are, an embedding table is kept as it is.
//! Everything else becomes floats, and a tensor is copied only where packing needs it in one piece.

use std::borrow::Cow;

use attar_kernels::{Cpu, PackedBytes, PackedMatrix, Table};
use attar_model::quantised::{Int4Matrix, Int8Matrix, QuantisedTensor, ScaleChoice};
use attar_model::{Bundle, Tensor};

use crate::error::Error;
use crate::linear::Linear;
use crate::model::{OwnNorm, Precision};

/// The canonical name of the word table.
const WORDS: &str = "embeddings.word_embeddings.weight";

/// The word table as it is kept, `[V, H]`.
#[derive(Debug)]
pub(crate) enum Words {
    F32(Vec<f32>),
    Int8(Int8Matrix),
    Int4(Int4Matrix),
}

/// Where the other weights come from.
pub(crate) struct Source<'a> {
    cpu: Cpu,
    bundle: &'a Bundle,
    precision: Precision,
}

/// A tensor as a bundle has it.
enum Stored<'a> {
    Floats(&'a Tensor),
    Quantised(&'a QuantisedTensor),
}

impl Words {
    /// The word table of a bundle that is needed again.
    pub(crate) fn copied(bundle: &Bundle, precision: Precision) -> Words {
        match stored(bundle, precision, WORDS) {
            Stored::Floats(tensor) => Words::F32(tensor.data.clone()),
            Stored::Quantised(tensor) => Words::of(tensor.clone(), precision),
        }
    }

    /// The word table of a bundle that is not needed again: for a small student, most of its bytes.
    pub(crate) fn taken(bundle: &mut Bundle, precision: Precision) -> Words {
        let quantised = bundle.quantised.as_mut();
        match (precision, bundle.weights.remove(WORDS), quantised.and_then(|weights| weights.take(WORDS))) {
            (Precision::F32, Some(floats), _) | (Precision::Int8, Some(floats), None) => Words::F32(floats.data),
            (_, _, Some(tensor)) => Words::of(tensor, precision),
            (Precision::F32, None, None) | (Precision::Int8, None, None) => absent(WORDS),
        }
    }

    fn of(tensor: QuantisedTensor, precision: Precision) -> Words {
        match (tensor, precision) {
            (QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor), _) => Words::F32(tensor.data),
            (tensor, Precision::F32) => Words::F32(tensor.dequantise().data),
            (QuantisedTensor::Int8(matrix), Precision::Int8) => Words::Int8(matrix),
            (QuantisedTensor::Int4(matrix), Precision::Int8) => Words::Int4(matrix),
        }
    }

    pub(crate) fn table(&self) -> Table<'_> {
        match self {
            Words::F32(numbers) => Table::F32(numbers),
            Words::Int8(matrix) => Table::Int8 { bytes: matrix.values(), scales: matrix.scales() },
            // A group that is the row may be odd; with a column more it still is the row.
            Words::Int4(matrix) => Table::Int4 {
                bytes: matrix.packed(),
                scales: matrix.scales(),
                group: matrix.group_columns().next_multiple_of(2),
            },
        }
    }

    /// All numbers `[V, H]`.
    pub(crate) fn numbers(&self) -> Cow<'_, [f32]> {
        match self {
            Words::F32(numbers) => Cow::Borrowed(numbers),
            Words::Int8(matrix) => Cow::Owned(matrix.dequantise().data),
            Words::Int4(matrix) => Cow::Owned(matrix.dequantise().data),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Words::F32(numbers) => size_of_val(&numbers[..]),
            Words::Int8(matrix) => matrix.values().len() + size_of_val(matrix.scales()),
            Words::Int4(matrix) => matrix.packed().len() + size_of_val(matrix.scales()),
        }
    }
}

impl<'a> Source<'a> {
    /// # Errors
    /// [`Error::NotFinite`] if a weight is not a number. Scales are finite by construction.
    pub(crate) fn new(cpu: Cpu, bundle: &'a Bundle, precision: Precision, words: &Words) -> Result<Self, Error> {
        for (name, tensor) in bundle.weights.iter() {
            check_finite(name, &tensor.data)?;
        }
        for (name, tensor) in bundle.quantised.iter().flat_map(|weights| weights.iter()) {
            if let QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor) = tensor {
                check_finite(name, &tensor.data)?;
            }
        }
        if let Words::F32(numbers) = words {
            check_finite(WORDS, numbers)?;
        }
        Ok(Source { cpu, bundle, precision })
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&self, name: &str) -> Cow<'a, [f32]> {
        match stored(self.bundle, self.precision, name) {
            Stored::Floats(tensor) | Stored::Quantised(QuantisedTensor::F32(tensor) | QuantisedTensor::F16(tensor)) => {
                Cow::Borrowed(&tensor.data)
            }
            Stored::Quantised(tensor) => Cow::Owned(tensor.dequantise().data),
        }
    }

    pub(crate) fn norm(&self, name: &str) -> OwnNorm {
        let part = |part: &str| self.numbers(&format!("{name}.{part}")).iter().copied().collect();
        OwnNorm { gain: part("weight"), bias: part("bias"), epsilon: self.bundle.config.layer_norm_eps as f32 }
    }

    /// A layer in floats, whatever it is stored as: pooler and heads.
    pub(crate) fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> PackedMatrix {
        let [weight, bias] = ["weight", "bias"].map(|part| self.numbers(&format!("{name}.{part}")));
        PackedMatrix::new(self.cpu, &weight, &bias, inputs, outputs)
    }

    /// Layers of equal shape, side by side.
    pub(crate) fn linear(&self, names: &[String], inputs: usize, outputs: usize) -> Linear {
        let bias = self.joined(names, "bias");
        let outputs = outputs * names.len();
        match self.integers(names) {
            Some(matrices) if inputs <= PackedBytes::MOST_INPUTS => {
                let values = joined(matrices.iter().map(|matrix| Cow::Borrowed(matrix.values())));
                let scales = joined(matrices.iter().map(|matrix| Cow::Borrowed(matrix.scales())));
                Linear::Bytes(PackedBytes::new(self.cpu, &values, &scales, &bias, inputs, outputs))
            }
            _ => {
                let weight = self.joined(names, "weight");
                Linear::Float(PackedMatrix::new(self.cpu, &weight, &bias, inputs, outputs))
            }
        }
    }

    /// The weights of layers as integers, if all of them are to be computed so. Layers that share one product (query,
    /// key and value) of which one was kept exact are all computed in floats: the exact one is to stay exact.
    fn integers(&self, names: &[String]) -> Option<Vec<Cow<'a, Int8Matrix>>> {
        if self.precision == Precision::F32 {
            return None;
        }
        let integers = |name: &String| match stored(self.bundle, self.precision, &format!("{name}.weight")) {
            Stored::Quantised(QuantisedTensor::Int8(matrix)) => Some(Cow::Borrowed(matrix)),
            Stored::Quantised(_) => None,
            // Numbers are finite and layers have two dimensions, so this gives a matrix.
            Stored::Floats(tensor) => Int8Matrix::quantise(tensor, ScaleChoice::MaxAbs).ok().map(Cow::Owned),
        };
        names.iter().map(integers).collect()
    }

    fn joined(&self, names: &[String], part: &str) -> Cow<'a, [f32]> {
        joined(names.iter().map(|name| self.numbers(&format!("{name}.{part}"))))
    }
}

/// One slice of several; of one, itself.
fn joined<'a, T: Copy + 'a>(mut parts: impl ExactSizeIterator<Item = Cow<'a, [T]>>) -> Cow<'a, [T]> {
    match (parts.len(), parts.next()) {
        (1, Some(only)) => only,
        (_, first) => first.into_iter().chain(parts).flat_map(Cow::into_owned).collect(),
    }
}

/// A tensor in the form that suits the precision, or in the other if that is all there is.
fn stored<'a>(bundle: &'a Bundle, precision: Precision, name: &str) -> Stored<'a> {
    let floats = bundle.weights.get(name).map(Stored::Floats);
    let quantised = bundle.quantised.as_ref().and_then(|weights| weights.get(name)).map(Stored::Quantised);
    let found = match precision {
        Precision::F32 => floats.or(quantised),
        Precision::Int8 => quantised.or(floats),
    };
    found.unwrap_or_else(|| absent(name))
}

/// A bundle's weights are those of its configuration: whoever makes one checks that.
fn absent(name: &str) -> ! {
    panic!("a bundle without `{name}`")
}

fn check_finite(tensor: &str, numbers: &[f32]) -> Result<(), Error> {
    // Without a branch for each number, so that whole vectors are looked at.
    for (block, some) in numbers.chunks(BLOCK).enumerate() {
        if some.iter().fold(false, |found, number| found | !number.is_finite())
            && let Some(at) = some.iter().position(|number| !number.is_finite())
        {
            return Err(Error::NotFinite { tensor: tensor.to_owned(), index: block * BLOCK + at, value: some[at] });
        }
    }
    Ok(())
}

/// Numbers that are looked at together.
const BLOCK: usize = 4096;
