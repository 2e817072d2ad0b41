//! The memory of a thread, reused from call to call.

use attar_kernels::{AttentionScratch, Buffer};

use crate::linear::QuantizedBuffer;

/// Activations and scratch memory of one thread.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuffers {
    /// Hidden states `[rows, H]`.
    pub(crate) x: Buffer<f32>,
    /// Queries, keys and values `[rows, 3H]`.
    pub(crate) qkv: Buffer<f32>,
    pub(crate) scratch: ThreadScratch,
}

/// Scratch memory that a thread needs for its rows, whoever owns their hidden states.
#[derive(Debug, Default)]
pub(crate) struct ThreadScratch {
    /// Weighted sums of values `[rows, H]`; in the head, first token states and pooled vectors `[B, H]`.
    pub(crate) context: Buffer<f32>,
    /// Feed-forward activations `[rows, F]` of a block.
    pub(crate) inner: Buffer<f32>,
    /// Quantized hidden states.
    pub(crate) quantized_x: QuantizedBuffer,
    /// Quantized inputs of the other layers.
    pub(crate) quantized: QuantizedBuffer,
    pub(crate) positions: Vec<u32>,
    pub(crate) attention: AttentionScratch,
}
