//! Errors of batches, models and texts.

use std::path::PathBuf;

use attar_text::tokenizer::{EncodeError, TokenizerError};

/// A batch that a model cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The lengths do not add up to the ids, or one is 0.
    #[error("{tokens} token ids, but lengths that add up to {lengths}{}", if *empty { " and one that is 0" } else { "" })]
    Lengths {
        /// Number of ids.
        tokens: usize,
        /// Sum of the lengths.
        lengths: u64,
        /// Whether a length is 0.
        empty: bool,
    },
    /// The number of types differs from that of ids.
    #[error("{tokens} token ids, but {types} token types: give one for each id, or none")]
    Types {
        /// Number of ids.
        tokens: usize,
        /// Number of types.
        types: usize,
    },
    /// An id past the vocabulary.
    #[error("token id {id} in a model with a vocabulary of {vocabulary}: use the tokenizer that belongs to it")]
    Id {
        /// The id.
        id: u32,
        /// Rows of the table.
        vocabulary: usize,
    },
    /// A type past the table of types.
    #[error("token type {id} in a model with {types}: give single texts, or use a model that takes pairs")]
    Type {
        /// The type.
        id: u32,
        /// Rows of the table.
        types: usize,
    },
    /// More tokens than positions.
    #[error("a sequence of {tokens} tokens in a model with {positions} positions: truncate it")]
    TooLong {
        /// Tokens of the sequence.
        tokens: u32,
        /// Positions of the model.
        positions: usize,
    },
}

/// What can go wrong between a model directory, a text and a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model directory cannot be read.
    #[error(transparent)]
    Model(#[from] attar_model::Error),
    /// Its tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A text that cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A batch that the model cannot take.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The tokenizer has ids for which the model has no row.
    #[error(
        "the tokenizer in `{}` has a vocabulary of {tokens} tokens, but the embedding table has {rows} rows: \
         use the tokenizer that belongs to the model", dir.display()
    )]
    Vocabulary {
        /// The model directory.
        dir: PathBuf,
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A weight that is not a number.
    #[error("tensor `{tensor}` holds {value} at {index}: the model is damaged, or its training diverged")]
    NotFinite {
        /// Canonical name.
        tensor: String,
        /// Index in the flattened tensor.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A result that is infinite or not a number.
    #[error(
        "the model's numbers overflow in row {row} of what it was given: its weights are too large, as they are after a \
         training that diverged; use weights from before that"
    )]
    Overflow {
        /// Row of the output, counted from 0: a text, or a token where there is a row for each.
        row: usize,
    },
    /// A single text for a model that compares two.
    #[error("text {row} is single, but the model scores pairs: give it a second text")]
    NoPair {
        /// Index of the text.
        row: usize,
    },
    /// A prompt as long as a whole text may be.
    #[error(
        "the prompt has {tokens} tokens and leaves no room for text in the {limit} that the model takes: shorten it"
    )]
    Prompt {
        /// Its tokens, the special ones before it included.
        tokens: usize,
        /// Most tokens of a text.
        limit: usize,
    },
    /// The model lacks what was requested.
    #[error("the model has no {what}: {way_out}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// What to do.
        way_out: &'static str,
    },
}
