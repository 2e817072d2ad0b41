//! Products of activations with packed weights, in 32-bit floats and in bytes.
//!
//! `y = f(x W + b)` or `y += x W + b`, row by row: `x` `[rows, inputs]`, `W` `[inputs, outputs]`, `b` `[outputs]`.
//! Weights are packed once, into panels of as many columns as a tile of sums is wide, and shared by threads.
//! A row's result depends on that row alone and not on how many rows come with it.

mod float;
mod integer;
mod tile;

pub use float::PackedMatrix;
pub(crate) use integer::Scaling;
pub use integer::{PackedBytes, QuantisedRows, quantise_rows};

/// What becomes of a sum once its bias is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It is written.
    Write,
    /// It is added to what is there: a residual connection.
    Add,
    /// Its erf GELU is written, within [`GELU_ERROR`](crate::GELU_ERROR).
    Gelu,
    /// Its erf GELU within [`GELU_COARSE_ERROR`](crate::GELU_COARSE_ERROR) is written: for what becomes bytes.
    GeluCoarse,
    /// Its tanh GELU is written, within [`GELU_TANH_ERROR`](crate::GELU_TANH_ERROR).
    GeluTanh,
    /// The larger of it and 0 is written.
    Relu,
    /// Its hyperbolic tangent is written, within [`TANH_ERROR`](crate::TANH_ERROR).
    Tanh,
}
