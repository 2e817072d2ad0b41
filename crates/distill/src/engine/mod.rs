//! The differentiable encoder over ragged batches.

mod dropout;
mod encoder;
#[expect(clippy::too_many_arguments, reason = "tensors of a fused operation are arguments of its own")]
mod fused;
mod input;
mod layout;
mod operations;
mod parameters;
mod pooling;

pub use dropout::Dropout;
pub(crate) use encoder::pair_cosine;
pub use encoder::{Encoder, Keep, LayerTrace, Trace};
pub(crate) use fused::{Join, recycle};
pub use input::Input;
pub use layout::{Geometry, Layout};
pub(crate) use operations::squared_difference;
pub use operations::{Linear, Scores, linear, split_into_heads, third};
pub use parameters::{Parameters, Slot, Storage, Value, Values};
pub use pooling::{mean_pool, normalise};
