//! The weights of a bundle on their way into packed ones.
//!
//! Quantized tensors stay quantized: int8 layers are packed without conversion, embedding tables kept as they are.
//! Everything else becomes floats, and a tensor is copied only where packing needs it contiguous.

use std::borrow::Cow;

use attar_kernels::{Cpu, PackedInt8, PackedMatrix};
use attar_model::Bundle;
use attar_model::quantized::{Int8Matrix, QuantizedTensor, ScaleChoice};

use crate::layer_norm::LayerNormWeights;
use crate::linear::PackedLinear;
use crate::precision::Precision;
use crate::stored::{BundleTensor, bundle_tensor};

/// Where all weights but the word embeddings come from.
pub(crate) struct WeightSource<'a> {
    cpu: Cpu,
    bundle: &'a Bundle,
    precision: Precision,
}

impl<'a> WeightSource<'a> {
    pub(crate) fn new(cpu: Cpu, bundle: &'a Bundle, precision: Precision) -> Self {
        WeightSource { cpu, bundle, precision }
    }

    /// The elements of a tensor as floats.
    pub(crate) fn numbers(&self, name: &str) -> Cow<'a, [f32]> {
        match bundle_tensor(self.bundle, self.precision, name) {
            BundleTensor::Floats(tensor)
            | BundleTensor::Quantized(QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor)) => {
                Cow::Borrowed(&tensor.data)
            }
            BundleTensor::Quantized(tensor) => Cow::Owned(tensor.dequantize().data),
        }
    }

    pub(crate) fn norm(&self, name: &str) -> LayerNormWeights {
        let part = |part: &str| self.numbers(&format!("{name}.{part}")).iter().copied().collect();
        LayerNormWeights { gain: part("weight"), bias: part("bias"), epsilon: self.bundle.config.layer_norm_eps as f32 }
    }

    /// A layer in floats, however it is stored: pooler and heads.
    pub(crate) fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> PackedMatrix {
        let [weight, bias] = ["weight", "bias"].map(|part| self.numbers(&format!("{name}.{part}")));
        PackedMatrix::new(self.cpu, &weight, &bias, inputs, outputs)
    }

    /// Layers of equal shape as one, their outputs side by side.
    pub(crate) fn linear(&self, names: &[String], inputs: usize, outputs: usize) -> PackedLinear {
        let bias = self.concatenated(names, "bias");
        let outputs = outputs * names.len();
        match self.int8_matrices(names) {
            Some(matrices) if inputs <= PackedInt8::MAX_INPUTS => {
                let values = concatenated(matrices.iter().map(|matrix| Cow::Borrowed(matrix.values())));
                let scales = concatenated(matrices.iter().map(|matrix| Cow::Borrowed(matrix.scales())));
                let factors = matrices[0].column_scales().iter().copied().collect();
                PackedLinear::Int8 {
                    weight: PackedInt8::new(self.cpu, &values, &scales, &bias, inputs, outputs),
                    factors,
                }
            }
            _ => {
                let weight = self.concatenated(names, "weight");
                PackedLinear::F32(PackedMatrix::new(self.cpu, &weight, &bias, inputs, outputs))
            }
        }
    }

    /// The int8 weights of layers, if all of them are computed in int8. If one of several layers that share a product
    /// (query, key and value) is stored in floats, all are computed in floats, so that it stays exact; and so are those
    /// whose columns have different scales, for they read the same quantized rows.
    fn int8_matrices(&self, names: &[String]) -> Option<Vec<Cow<'a, Int8Matrix>>> {
        if self.precision == Precision::F32 {
            return None;
        }
        let int8 = |name: &String| match bundle_tensor(self.bundle, self.precision, &format!("{name}.weight")) {
            BundleTensor::Quantized(QuantizedTensor::Int8(matrix)) => Some(Cow::Borrowed(matrix)),
            BundleTensor::Quantized(_) => None,
            // Weights are finite and layers have two dimensions, so this succeeds.
            BundleTensor::Floats(tensor) => Int8Matrix::quantize(tensor, ScaleChoice::MaxAbs).ok().map(Cow::Owned),
        };
        let matrices: Vec<_> = names.iter().map(int8).collect::<Option<_>>()?;
        let column_scales = matrices[0].column_scales();
        matrices.iter().all(|matrix| matrix.column_scales() == column_scales).then_some(matrices)
    }

    fn concatenated(&self, names: &[String], part: &str) -> Cow<'a, [f32]> {
        concatenated(names.iter().map(|name| self.numbers(&format!("{name}.{part}"))))
    }
}

/// Several slices as one; a single one is not copied.
fn concatenated<'a, T: Copy + 'a>(mut parts: impl ExactSizeIterator<Item = Cow<'a, [T]>>) -> Cow<'a, [T]> {
    match (parts.len(), parts.next()) {
        (1, Some(only)) => only,
        (_, first) => first.into_iter().chain(parts).flat_map(Cow::into_owned).collect(),
    }
}
