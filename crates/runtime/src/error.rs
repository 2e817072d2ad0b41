//! What can be wrong with a batch, a model or a text.

use std::path::PathBuf;

use attar_text::tokenizer::{EncodeError, TokenizerError};

/// A batch that a model cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The lengths do not describe the ids.
    #[error("{tokens} token ids, but lengths that add up to {lengths}{}", if *empty { " and one that is 0" } else { "" })]
    Lengths {
        /// Ids given.
        tokens: usize,
        /// Sum of the lengths.
        lengths: u64,
        /// Whether a length is 0.
        empty: bool,
    },
    /// Not a type for each id.
    #[error("{tokens} token ids, but {types} token types: give one each, or none")]
    Types {
        /// Ids given.
        tokens: usize,
        /// Types given.
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
    #[error("token type {id} in a model with {types}: give single texts, or use a model of pairs")]
    Type {
        /// The type.
        id: u32,
        /// Rows of the table.
        types: usize,
    },
    /// More tokens than positions.
    #[error("a sequence of {tokens} tokens in a model with {positions} positions: cut it")]
    TooLong {
        /// Tokens of the sequence.
        tokens: u32,
        /// Positions of the model.
        positions: usize,
    },
}

/// What can go wrong between a directory, a text and an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model directory.
    #[error(transparent)]
    Model(#[from] attar_model::Error),
    /// Its tokenizer.
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
        "the tokenizer in `{}` has a vocabulary of {tokens} tokens, but the embedding table {rows} rows: \
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
        /// Place in the flattened tensor.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A text alone for a model that compares two.
    #[error("text {row} is alone, but the model scores pairs: give it a second text")]
    NoPair {
        /// Which text, counted from 0.
        row: usize,
    },
    /// The model has not what was asked for.
    #[error("the model has no {what}: {way_out}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// What to do.
        way_out: &'static str,
    },
}
