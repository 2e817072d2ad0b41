//! What a product does with its sums.

/// What is done with a sum after its bias was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// Written.
    Write,
    /// Added to the existing output: a residual connection.
    Add,
    /// Its erf GELU, within [`GELU_ERROR`](crate::GELU_ERROR).
    Gelu,
    /// Its erf GELU, within [`GELU_COARSE_ERROR`](crate::GELU_COARSE_ERROR): for a result that is quantized to int8.
    GeluCoarse,
    /// Its tanh GELU, within [`GELU_TANH_ERROR`](crate::GELU_TANH_ERROR).
    GeluTanh,
    /// The larger of it and 0.
    Relu,
    /// Its hyperbolic tangent, within [`TANH_ERROR`](crate::TANH_ERROR).
    Tanh,
}
