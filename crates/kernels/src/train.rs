//! Forward and backward passes of the operations of an encoder layer, for training on a CPU.
//!
//! N rows (tokens), H hidden, F feed-forward, A heads, D head width, P query-key pairs. Matrices are slices in
//! row-major order; a weight is `[inputs, outputs]`, the layout of its gradient `Xᵀ dY`.
//!
//! Results are vectors from the [`pool`]: release them when they are no longer needed, and a training step allocates no
//! new memory. Every sum over rows is split at boundaries that depend on the number of rows alone, so that results do
//! not depend on the number of threads.

#[expect(clippy::undocumented_unsafe_blocks, reason = "the blocks of a loop share a comment")]
mod activation;
#[expect(clippy::undocumented_unsafe_blocks, reason = "the blocks of a loop share a comment")]
mod attention;
mod cross_entropy;
mod difference;
mod feed_forward;
mod lanes;
mod linear;
mod mask;
pub mod pool;
#[expect(clippy::undocumented_unsafe_blocks, reason = "the blocks of a loop share a comment")]
mod product;
#[expect(clippy::undocumented_unsafe_blocks, reason = "the blocks of a loop share a comment")]
mod residual_norm;
mod rows;
mod segment_mean;
#[expect(clippy::undocumented_unsafe_blocks, reason = "the blocks of a loop share a comment")]
mod weight_gradient;

pub use activation::Activation;
pub use attention::{
    Ragged, attention_bias_backward, attention_context, attention_context_backward, attention_scores,
    attention_scores_backward,
};
pub use cross_entropy::{cross_entropy, cross_entropy_backward};
pub use difference::{squared_difference, squared_difference_backward};
pub use feed_forward::{FeedForward, FeedForwardGradients, FeedForwardKept, feed_forward, feed_forward_backward};
pub use linear::{InputGradient, Linear, LinearGradients, linear, linear_backward};
pub use mask::{Mask, keep_factor};
pub use residual_norm::{
    NormGradients, ResidualNormGradients, ResidualNormKept, linear_residual_norm, linear_residual_norm_backward,
};
pub use segment_mean::{segment_mean, segment_mean_backward};
