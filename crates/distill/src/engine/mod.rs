//! The differentiable encoder over ragged batches.

mod dropout;
mod encoder;
mod fused;
mod input;
mod layout;
mod operations;
mod parameters;

pub use dropout::Dropout;
pub use encoder::{Encoder, Keep, LayerTrace, Trace};
pub use input::Input;
pub use layout::{Geometry, Layout};
pub use operations::{Linear, Scores, linear, split_into_heads, third};
pub use parameters::{Parameters, Slot, Storage, Value, Values};
