//! Products of activations with packed weights, in 32-bit floats and in int8.
//!
//! `y = f(x W + b)` or `y += x W + b`, row by row: `x` `[rows, inputs]`, `W` `[inputs, outputs]`, `b` `[outputs]`.
//! Weights are packed once, into panels as wide as a tile of sums, and shared by threads.
//! A row's result depends on that row alone and not on the rows beside it.

mod epilogue;
mod float;
mod integer;
mod quantized_rows;
mod tile;

pub use epilogue::Epilogue;
pub use float::PackedMatrix;
pub use integer::PackedInt8;
pub(crate) use quantized_rows::{Factors, RowRange, Scaling, integer_stride};
pub use quantized_rows::{QuantizedRows, QuantizedRowsMut, quantize_rows};
