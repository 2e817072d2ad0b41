//! The word embedding table.

use std::borrow::Cow;

use attar_kernels::EmbeddingTable;
use attar_model::Bundle;
use attar_model::quantized::{Int4Matrix, Int8Matrix, QuantizedTensor};

use crate::precision::Precision;
use crate::stored::{BundleTensor, bundle_tensor, missing};

/// The canonical name of the table.
pub(crate) const WORD_EMBEDDINGS: &str = "embeddings.word_embeddings.weight";

/// The table `[V, E]` in the precision in which it is stored.
#[derive(Debug)]
pub(crate) enum WordEmbeddings {
    F32(Vec<f32>),
    Int8(Int8Matrix),
    Int4(Int4Matrix),
}

impl WordEmbeddings {
    /// A copy of the word embeddings of a bundle that is still needed.
    pub(crate) fn copy_from(bundle: &Bundle, precision: Precision) -> WordEmbeddings {
        match bundle_tensor(bundle, precision, WORD_EMBEDDINGS) {
            BundleTensor::Floats(tensor) => WordEmbeddings::F32(tensor.data.clone()),
            BundleTensor::Quantized(tensor) => WordEmbeddings::of(tensor.clone(), precision),
        }
    }

    /// The word embeddings taken out of a bundle: for a small student, most of its bytes.
    pub(crate) fn take_from(bundle: &mut Bundle, precision: Precision) -> WordEmbeddings {
        let quantized = bundle.quantized.as_mut();
        match (
            precision,
            bundle.weights.remove(WORD_EMBEDDINGS),
            quantized.and_then(|weights| weights.take(WORD_EMBEDDINGS)),
        ) {
            (Precision::F32, Some(floats), _) | (Precision::Int8, Some(floats), None) => {
                WordEmbeddings::F32(floats.data)
            }
            (_, _, Some(tensor)) => WordEmbeddings::of(tensor, precision),
            (Precision::F32, None, None) | (Precision::Int8, None, None) => missing(WORD_EMBEDDINGS),
        }
    }

    fn of(tensor: QuantizedTensor, precision: Precision) -> WordEmbeddings {
        match (tensor, precision) {
            (QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor), _) => WordEmbeddings::F32(tensor.data),
            (tensor, Precision::F32) => WordEmbeddings::F32(tensor.dequantize().data),
            (QuantizedTensor::Int8(matrix), Precision::Int8) => WordEmbeddings::Int8(matrix),
            (QuantizedTensor::Int4(matrix), Precision::Int8) => WordEmbeddings::Int4(matrix),
        }
    }

    pub(crate) fn table(&self) -> EmbeddingTable<'_> {
        match self {
            WordEmbeddings::F32(numbers) => EmbeddingTable::F32(numbers),
            WordEmbeddings::Int8(matrix) => EmbeddingTable::Int8 { bytes: matrix.values(), scales: matrix.scales() },
            // A group as wide as the row may be odd; rounded up to even it still covers the row.
            WordEmbeddings::Int4(matrix) => EmbeddingTable::Int4 {
                bytes: matrix.packed(),
                scales: matrix.scales(),
                group: matrix.group_columns().next_multiple_of(2),
            },
        }
    }

    /// All elements `[V, E]` as floats.
    pub(crate) fn numbers(&self) -> Cow<'_, [f32]> {
        match self {
            WordEmbeddings::F32(numbers) => Cow::Borrowed(numbers),
            WordEmbeddings::Int8(matrix) => Cow::Owned(matrix.dequantize().data),
            WordEmbeddings::Int4(matrix) => Cow::Owned(matrix.dequantize().data),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            WordEmbeddings::F32(numbers) => size_of_val(&numbers[..]),
            WordEmbeddings::Int8(matrix) => matrix.values().len() + size_of_val(matrix.scales()),
            WordEmbeddings::Int4(matrix) => matrix.packed().len() + size_of_val(matrix.scales()),
        }
    }
}
