//! Encoder operations with a kernel of their own on the CPU engine.
//!
//! An operation is one file: a struct with what is not a tensor, its forward pass and its hand-written backward pass
//! ([`Operation`]), and a function over tensors. The arithmetic of both passes is in `attar_kernels`. Its composed
//! counterpart in [`operations`](super::operations) runs on every other device and is what it is tested against.

mod accumulator;
mod attention_context;
mod attention_scores;
mod cross_entropy;
mod feed_forward;
mod gelu;
mod linear;
mod operation;
mod primitive;
mod residual_norm;
mod segment_mean;
mod squared_difference;

pub(crate) use accumulator::GradientAccumulator;
pub(super) use attention_context::attention_context;
pub(super) use attention_scores::{Attention, attention_scores};
pub(super) use cross_entropy::cross_entropy;
pub(super) use feed_forward::feed_forward;
pub(super) use gelu::gelu;
pub(super) use linear::linear;
use operation::{Operation, Parents, run};
pub(crate) use primitive::recycle;
pub(super) use residual_norm::linear_residual_norm;
pub(super) use segment_mean::segment_mean;
pub(super) use squared_difference::squared_difference;
