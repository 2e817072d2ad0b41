//! Tensors of a bundle in the form that suits a precision.

use attar_model::quantized::QuantizedTensor;
use attar_model::{Bundle, Tensor};

use crate::precision::Precision;

/// A tensor as a bundle has it.
pub(crate) enum BundleTensor<'a> {
    Floats(&'a Tensor),
    Quantized(&'a QuantizedTensor),
}

/// A tensor in the form that suits the precision, or in the other if that is the only one.
///
/// # Panics
/// If the bundle lacks it.
pub(crate) fn bundle_tensor<'a>(bundle: &'a Bundle, precision: Precision, name: &str) -> BundleTensor<'a> {
    let floats = bundle.weights.get(name).map(BundleTensor::Floats);
    let quantized = bundle.quantized.as_ref().and_then(|weights| weights.get(name)).map(BundleTensor::Quantized);
    let found = match precision {
        Precision::F32 => floats.or(quantized),
        Precision::Int8 => quantized.or(floats),
    };
    found.unwrap_or_else(|| missing(name))
}

/// A bundle has the weights of its configuration: whoever makes one checks that.
pub(crate) fn missing(name: &str) -> ! {
    panic!("a bundle without `{name}`")
}
