//! The tensors of one linear layer or LayerNorm.

use burn::tensor::Tensor;

/// Weight `[in, out]` and bias `[out]` of a linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Tensor<1>,
}

/// Gain and bias `[H]` of a LayerNorm and its epsilon.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    /// `[H]`
    pub gain: Tensor<1>,
    /// `[H]`
    pub bias: Tensor<1>,
    /// Added to the variance, inside the root.
    pub epsilon: f64,
}
