//! The parameters of a layer normalization.

use attar_kernels::{Buffer, Norm};

/// Gain and bias `[H]` of a layer normalization and its epsilon.
#[derive(Debug)]
pub(crate) struct LayerNormWeights {
    pub(crate) gain: Buffer<f32>,
    pub(crate) bias: Buffer<f32>,
    pub(crate) epsilon: f32,
}

impl LayerNormWeights {
    pub(crate) fn borrow(&self) -> Norm<'_> {
        Norm { gain: &self.gain, bias: &self.bias, epsilon: self.epsilon }
    }
}
