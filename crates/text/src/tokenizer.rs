//! Text to token ids, exactly as the model's own tokenizer makes them.
//!
//! A [`Tokenizer`] comes from a Hugging Face model folder ([`Tokenizer::from_dir`]), from a
//! vocabulary ([`Tokenizer::from_vocabulary`]) or from text ([`train_wordpiece`]). The ids of the
//! special tokens are always looked up, never assumed, and a file's own truncation and padding are
//! switched off: how long an input may be is said with each call, by a [`Limit`].
//!
//! A general vocabulary can be trimmed to given texts: [`Tokenizer::piece_counts`] counts,
//! [`choose_pieces`] chooses, [`Tokenizer::trimmed`] cuts.

mod added;
mod bert;
mod chosen;
mod comparison;
mod components;
mod coverage;
mod encodings;
mod error;
mod library;
mod load;
mod located;
mod metadata;
mod save;
mod settings;
mod train;
mod trimmed;
mod validate;
mod wordpiece;

use rayon::prelude::*;
use serde_json::{Map, Value};

pub use chosen::{ChosenPieces, choose_pieces};
pub use comparison::{BrokenWord, VocabularyComparison, compare_vocabularies};
pub use coverage::{Coverage, TrimReport, Usage};
pub use encodings::Encodings;
pub use error::{EncodeError, TokenizerError};
pub use located::{LocatedEncoding, TokenPlace, Windows};
pub use train::{TrainOptions, WordCounts, train_wordpiece};
pub use trimmed::TrimmedVocabulary;
pub use wordpiece::{Accents, WordPieceOptions};

use self::bert::Scratch;
use self::library::TokenizerBackend;
use crate::vocabulary::{Vocabulary, VocabularyError};

/// Turns text into token ids. See the [module](self) for where one comes from.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    parts: TokenizerBackend,
    special: SpecialIds,
    /// `tokenizer_config.json`, as read or as made.
    config: Map<String, Value>,
    /// `special_tokens_map.json`, as read or as made.
    special_tokens_map: Map<String, Value>,
}

/// One input of a model: T tokens, special tokens included, without padding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Token ids, `[T]`.
    pub ids: Vec<u32>,
    /// Token types (0 for the first text, 1 for the second, in BERT), `[T]`.
    pub types: Vec<u32>,
}

/// How long an input may be, and which text is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Most tokens, special tokens included.
    pub max_tokens: usize,
    /// What is cut when there are more.
    pub truncation: Truncation,
}

/// Which text of a pair is cut, always at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// The longer one, until both are equally long; then both. With an odd budget the longer one
    /// keeps the extra token, the second on a tie.
    LongestFirst,
    /// The first text; an error if that cannot be enough.
    OnlyFirst,
    /// The second text; an error if that cannot be enough or there is none.
    OnlySecond,
}

impl Limit {
    /// At most this many tokens, the longer text cut first.
    pub const fn new(max_tokens: usize) -> Self {
        Self { max_tokens, truncation: Truncation::LongestFirst }
    }

    /// No limit: nothing is ever cut.
    pub const fn unlimited() -> Self {
        Self::new(usize::MAX)
    }
}

impl Encoding {
    /// Number of tokens T, special tokens included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all; never so with special tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Tokenizer {
    /// Encodes a text, or a pair of texts, with the special tokens of the model.
    ///
    /// An empty `pair` is still a pair: `[CLS] a [SEP] [SEP]`. Special tokens written out in the
    /// text, such as `[MASK]`, become those tokens.
    ///
    /// # Errors
    /// [`EncodeError::LimitTooSmall`] if there is no room beside the special tokens,
    /// [`EncodeError::CannotTruncate`] if the text that may be cut is too short,
    /// [`EncodeError::Library`] if the tokenizer has no token for unknown words and meets one.
    pub fn encode(&self, text: &str, pair: Option<&str>, limit: Limit) -> Result<Encoding, EncodeError> {
        let mut encoding = Encoding::default();
        self.parts.encode_into(text, pair, limit, &mut Scratch::default(), &mut encoding.ids, &mut encoding.types)?;
        Ok(encoding)
    }

    /// Encodes many texts or pairs on all cores; the result is in the order of the rows.
    ///
    /// # Errors
    /// [`EncodeError::Row`] with the first row, counted from 0, that [`Tokenizer::encode`] refuses.
    pub fn encode_all(&self, rows: &[(&str, Option<&str>)], limit: Limit) -> Result<Vec<Encoding>, EncodeError> {
        let encode = |scratch: &mut Scratch, (text, pair): &(&str, Option<&str>)| {
            let mut encoding = Encoding::default();
            self.parts.encode_into(text, *pair, limit, scratch, &mut encoding.ids, &mut encoding.types)?;
            Ok(encoding)
        };
        let encoded: Vec<Result<Encoding, EncodeError>> = rows.par_iter().map_init(Scratch::default, encode).collect();
        let in_row = |(row, encoding): (usize, Result<Encoding, EncodeError>)| {
            encoding.map_err(|source| EncodeError::Row { row, source: Box::new(source) })
        };
        encoded.into_iter().enumerate().map(in_row).collect()
    }

    /// Rows that an embedding table needs: one more than the largest id that a text can give.
    pub fn vocabulary_size(&self) -> usize {
        self.parts.size
    }

    /// All tokens in the order of their ids, added tokens included.
    ///
    /// # Errors
    /// [`VocabularyError`] if the ids have gaps, which `tokenizer.json` allows.
    pub fn vocabulary(&self) -> Result<Vocabulary, VocabularyError> {
        let tokens: Option<Vec<String>> = (0..self.parts.size as u32).map(|id| self.token(id)).collect();
        Vocabulary::from_tokens(tokens.ok_or(VocabularyError::Gaps { size: self.parts.size })?)
    }

    /// The id of a token, as it stands in the vocabulary (`##ing`, `[SEP]`).
    pub fn id(&self, token: &str) -> Option<u32> {
        self.parts.id(token)
    }

    /// The token of an id, as it stands in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.parts.token(id)
    }

    /// Whether this id is one of a special token (`[CLS]`, `[MASK]`, …) and not of text.
    pub fn is_special(&self, id: u32) -> bool {
        self.parts.special_added.contains(&id)
            || [self.special.pad, self.special.unk, self.special.cls, self.special.sep, self.special.mask]
                .contains(&Some(id))
    }

    /// Whether the tokens of a second text have a type of their own, by what the tokenizer's files say of its model.
    pub fn gives_types(&self) -> bool {
        self.parts.gives_types
    }

    /// The id that fills up a padded batch (`[PAD]`, `<pad>`), if there is one.
    pub fn pad_id(&self) -> Option<u32> {
        self.special.pad
    }

    /// The id of an unknown word (`[UNK]`, `<unk>`), if there is one.
    pub fn unk_id(&self) -> Option<u32> {
        self.special.unk
    }

    /// The id at the beginning of an input (`[CLS]`, `<s>`), if there is one.
    pub fn cls_id(&self) -> Option<u32> {
        self.special.cls
    }

    /// The id after each text (`[SEP]`, `</s>`), if there is one.
    pub fn sep_id(&self) -> Option<u32> {
        self.special.sep
    }

    /// The id that hides a word (`[MASK]`, `<mask>`), if there is one.
    pub fn mask_id(&self) -> Option<u32> {
        self.special.mask
    }
}

/// Ids of the special tokens by their part in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpecialIds {
    pad: Option<u32>,
    unk: Option<u32>,
    cls: Option<u32>,
    sep: Option<u32>,
    mask: Option<u32>,
}
