//! Attention over ragged sequences in two operations, scores and context, because objectives use the scores.
//!
//! Scores are ragged too: in the order sequence, head, query, key. All products read queries, keys, values and their
//! gradients in place from `[N, 3H]`; only keys and values are transposed, one head at a time.

mod context;
mod ragged;
mod scores;
mod softmax;

pub use context::{attention_context, attention_context_backward};
pub use ragged::Ragged;
pub use scores::{attention_bias_backward, attention_scores, attention_scores_backward};
