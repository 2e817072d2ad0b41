//! What can be wrong with a tokenizer or with a text for it.

use std::path::PathBuf;

use super::{Limit, Truncation};
use crate::vocabulary::VocabularyError;

/// Why a tokenizer could not be read, made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// Only the library could read it, and this program was made without it.
    #[error(
        "{} cannot be read here: this program reads a `tokenizer.json` of BERT's kind (WordPiece) alone; save the tokenizer as \
         `tokenizer.json` and make the file again", path.display()
    )]
    NoLibrary {
        /// The file.
        path: PathBuf,
    },
    /// Neither of the two files a tokenizer is read from.
    #[error("{}: neither tokenizer.json nor vocab.txt is here{}", dir.display(), merges_hint(.has_merges))]
    NoFiles {
        /// The folder.
        dir: PathBuf,
        /// Whether the two files of the older BPE format are there.
        has_merges: bool,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON of the expected form.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found, with line and column where known.
        reason: String,
    },
    /// An added token whose stated id is not the one it gets.
    #[error("{}: added token {token:?} states id {stated}, but its id is {actual}", path.display())]
    AddedTokenId {
        /// The file.
        path: PathBuf,
        /// The token.
        token: String,
        /// The id in `added_tokens`.
        stated: u32,
        /// The id in the vocabulary, or the next free one.
        actual: u32,
    },
    /// Ids so far apart that an embedding table for them would be mostly empty.
    #[error("{}: the largest id is {largest} for {tokens} tokens, expected ids without large gaps", path.display())]
    ScatteredIds {
        /// The file.
        path: PathBuf,
        /// The largest id.
        largest: u32,
        /// Number of tokens.
        tokens: usize,
    },
    /// `tokenizer.json` and `tokenizer_config.json` tokenize differently.
    #[error(
        "{}: {key} is {config}, but tokenizer.json says {tokenizer}; make the two agree, since `transformers` \
         follows the one and `tokenizers` the other", path.display()
    )]
    Contradiction {
        /// `tokenizer_config.json`.
        path: PathBuf,
        /// The key there.
        key: &'static str,
        /// Its value there, with what follows from it.
        config: bool,
        /// What `tokenizer.json` says.
        tokenizer: bool,
    },
    /// A class or setting whose way of cutting text is not that of the files.
    #[error("{}: {key} is {value}, which attar cannot repeat: {way_out}", path.display())]
    Unsupported {
        /// `tokenizer_config.json`.
        path: PathBuf,
        /// The key there.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A component of `tokenizer.json` with which encoding could fail or never end.
    #[error("{}: the component {component} {problem}; let `transformers` write the tokenizer again", path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Its type and where it stands.
        component: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A token without which the tokenizer cannot work.
    #[error("the vocabulary has no {token:?}{}", nearest_hint(.nearest))]
    MissingToken {
        /// The token.
        token: String,
        /// The most similar token there is, if any is similar.
        nearest: Option<String>,
    },
    /// `vocab.txt`, or a vocabulary given.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// Nothing to train on.
    #[error("no word in the training text, expected at least one")]
    NoText,
    /// Special tokens and single characters alone are too many.
    #[error(
        "a vocabulary of {wanted} tokens is too small: {needed} are needed for the special tokens and the single \
         characters; allow {needed} or more, or fewer characters than {characters}"
    )]
    VocabularyTooSmall {
        /// The size asked for.
        wanted: usize,
        /// The size without any token of several characters.
        needed: usize,
        /// Different characters kept.
        characters: usize,
    },
    /// A vocabulary from which pieces cannot be taken one by one.
    #[error(
        "expected a WordPiece vocabulary to trim, found {kind}, whose pieces depend on each other; keep the whole \
         vocabulary, or use a teacher of BERT's kind"
    )]
    CannotTrim {
        /// The kind it is of.
        kind: &'static str,
    },
    /// An id to keep that has no token.
    #[error("no token has id {id}, expected ids below {size} that have one")]
    NoSuchId {
        /// The id.
        id: u32,
        /// One more than the largest id.
        size: usize,
    },
    /// The `tokenizers` library refused.
    #[error("the tokenizers library reports: {0}")]
    Library(String),
}

/// Why a text could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No room for text.
    #[error("a limit of {max_tokens} tokens leaves no room for text beside {special} special tokens")]
    LimitTooSmall {
        /// The limit.
        max_tokens: usize,
        /// Special tokens of such an input.
        special: usize,
    },
    /// The text that may be cut is too short to meet the limit.
    #[error(
        "{} of {first_length} + {second_length} tokens and {special} special ones cannot meet a limit of {} tokens; \
         cut the longest first, or allow more tokens",
        cutting(.limit), .limit.max_tokens
    )]
    CannotTruncate {
        /// The limit.
        limit: Limit,
        /// Special tokens of such an input.
        special: usize,
        /// Tokens of the first text.
        first_length: usize,
        /// Tokens of the second text, 0 if there is none.
        second_length: usize,
    },
    /// No room for a window that goes on.
    #[error(
        "windows of {max_tokens} tokens with {overlap} of overlap leave no room for a context beside {beside} tokens of the \
         question and special ones; shorten the question, or let the model read more tokens"
    )]
    NoWindow {
        /// Tokens of a window.
        max_tokens: usize,
        /// Tokens that two windows share.
        overlap: usize,
        /// Special tokens and those of the first text.
        beside: usize,
    },
    /// A text that could take more memory than there is.
    #[error("a text of {bytes} bytes, at most {most} can be cut by this tokenizer: split it")]
    TooLong {
        /// Bytes of the text, or of both of a pair.
        bytes: usize,
        /// The most there may be.
        most: usize,
    },
    /// The `tokenizers` library refused.
    #[error("the tokenizers library reports: {0}")]
    Library(String),
    /// Any of the above, in this row.
    #[error("row {}: {source}", row + 1)]
    Row {
        /// Counted from 0; the message counts from 1.
        row: usize,
        /// What is wrong with it.
        source: Box<EncodeError>,
    },
}

impl From<tokenizers::Error> for TokenizerError {
    fn from(error: tokenizers::Error) -> Self {
        Self::Library(error.to_string())
    }
}

impl From<tokenizers::Error> for EncodeError {
    fn from(error: tokenizers::Error) -> Self {
        Self::Library(error.to_string())
    }
}

fn merges_hint(has_merges: &bool) -> &'static str {
    if *has_merges {
        "; vocab.json and merges.txt are: let `transformers` write a tokenizer.json from them with \
         AutoTokenizer.from_pretrained(…).save_pretrained(…)"
    } else {
        ""
    }
}

fn nearest_hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(", the nearest is {nearest:?}"))
}

fn cutting(limit: &Limit) -> &'static str {
    match limit.truncation {
        Truncation::LongestFirst => "cutting the longest text",
        Truncation::OnlyFirst => "cutting only the first text",
        Truncation::OnlySecond => "cutting only the second text",
    }
}
