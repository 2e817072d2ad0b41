//! What a forward pass can compute.

use attar_model::Pooling;

use crate::batch::Input;
use crate::model::{PackedHead, PackedModel};

/// The result of a forward pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Output {
    /// Of the head: classes or a score `[B, K]`, tags `[N, K]`, or masked-token logits `[N, V]`.
    Logits,
    /// The last hidden state, `[N, H]`.
    Hidden,
    /// A vector for each sequence, `[B, H]`.
    Vectors(Pooling),
    /// The same without so many tokens at the beginning of each sequence, those of a prompt that is not pooled; the last
    /// token always stays, and the first one where it alone is taken ([`Cls`](attar_model::PoolingMode::Cls)).
    VectorsAfter(Pooling, usize),
}

impl Output {
    /// Rows of this output of a batch: one for each sequence, or one for each token.
    pub(crate) fn rows(self, model: &PackedModel, input: Input<'_>) -> usize {
        let is_by_sequence = matches!(
            (self, &model.head),
            (Output::Vectors(_) | Output::VectorsAfter(..), _)
                | (Output::Logits, PackedHead::Classification(_) | PackedHead::Mean(_))
        );
        if is_by_sequence { input.sequences() } else { input.tokens() }
    }
}
