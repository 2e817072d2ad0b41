//! The differentiable encoder over ragged batches.

mod dropout;
mod encoder;
mod fused;
mod input;
mod layer_parts;
mod layer_weights;
mod layout;
mod operations;
mod parameters;
mod pooling;
mod relative_bias;
mod required;
mod span_logits;
mod words;

pub use dropout::Dropout;
pub(crate) use encoder::pair_cosine;
pub use encoder::{Encoder, Keep, LayerTrace, Lift, Trace};
pub(crate) use fused::{GradientAccumulator, recycle};
pub use input::Input;
pub use layer_parts::{LayerMatrix, LayerParts, Width};
pub use layer_weights::Linear;
pub use layout::{Geometry, Layout};
pub use operations::{Qkv, Scores, linear, slice_qkv, split_into_heads};
pub(crate) use operations::{cross_entropy, squared_difference};
pub use parameters::{Parameters, Slot, Storage, Value, Values};
pub use pooling::{mean_pool, normalize};
pub use required::{RequiredLayer, RequiredOutputs};
pub use span_logits::span_logits;
pub use words::TeacherTrace;
pub(crate) use words::Words;
