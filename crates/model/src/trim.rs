//! Trims the vocabulary of a model.

use crate::config::EncoderConfig;
use crate::weights::{Weights, WeightsError};

/// Why a vocabulary cannot be trimmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrimError {
    /// A piece beyond the model's own.
    #[error("piece {piece} is to stay, but the model has {vocabulary}: was the tokenizer trimmed that belongs to it?")]
    NoSuchPiece {
        /// The id.
        piece: u32,
        /// V of the model.
        vocabulary: usize,
    },
    /// The padding piece is not kept.
    #[error("the padding piece {piece} does not stay, expected it among the {pieces} that do")]
    NoPadding {
        /// Its id.
        piece: u32,
        /// How many are kept.
        pieces: usize,
    },
    /// RoBERTa and MPNet count positions from the id of the padding piece, which would change.
    #[error(
        "the padding piece would go from {from} to {to}, and the model's positions are counted from it; keep all pieces up to {from}"
    )]
    PaddingMoves {
        /// Its id.
        from: u32,
        /// Its id among the pieces that are kept.
        to: u32,
    },
    /// Weights and configuration do not belong together.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Keeps these pieces of a model's vocabulary, in this order: `kept` has the old id of each new one, `[V]`.
///
/// The word embeddings and the bias of a masked-language-model head lose the other rows, and the configuration gets
/// its new vocabulary and padding id. The model's output for a text whose pieces are all kept is bitwise the same.
///
/// ```
/// use attar_model::{EncoderConfig, Tensor, Weights, expected_shapes, keep_pieces};
///
/// let mut config = EncoderConfig { layers: 1, hidden: 24, heads: 4, vocabulary: 100, ..EncoderConfig::bert_base() };
/// let mut weights: Weights =
///     expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect();
/// keep_pieces(&mut config, &mut weights, &[0, 7, 99])?;
/// assert_eq!(config.vocabulary, 3);
/// weights.check(&config)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TrimError`]; nothing is changed then.
pub fn keep_pieces(config: &mut EncoderConfig, weights: &mut Weights, kept: &[u32]) -> Result<(), TrimError> {
    weights.check(config)?;
    let vocabulary = config.vocabulary;
    if let Some(&piece) = kept.iter().find(|&&piece| piece as usize >= vocabulary) {
        return Err(TrimError::NoSuchPiece { piece, vocabulary });
    }
    let from = config.pad_id;
    let to = kept.iter().position(|&piece| piece == from);
    let to = to.ok_or(TrimError::NoPadding { piece: from, pieces: kept.len() })? as u32;
    if config.family.counts_positions_from_padding() && from != to {
        return Err(TrimError::PaddingMoves { from, to });
    }
    for name in ["embeddings.word_embeddings.weight", "cls.predictions.bias"] {
        if let Some(tensor) = weights.get_mut(name) {
            let width = tensor.data.len() / vocabulary;
            let row = |&piece: &u32| &tensor.data[piece as usize * width..][..width];
            tensor.data = kept.iter().flat_map(row).copied().collect();
            tensor.shape[0] = kept.len();
        }
    }
    config.vocabulary = kept.len();
    config.pad_id = to;
    Ok(())
}
