//! Text to token ids, exactly as the model's own tokenizer makes them.
//!
//! A [`Tokenizer`] comes from a Hugging Face model folder ([`Tokenizer::from_dir`]), from a
//! vocabulary ([`Tokenizer::from_vocabulary`]) or from text ([`train_wordpiece`]). The ids of the
//! special tokens are always looked up, never assumed, and a file's own truncation and padding are
//! switched off: how long an input may be is said with each call, by a [`Limit`].

mod error;
mod load;
mod metadata;
mod save;
mod train;
mod validate;
mod wordpiece;

use rayon::prelude::*;
use serde_json::{Map, Value};
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings};
use tokenizers::{Model, PostProcessor};

pub use error::{EncodeError, TokenizerError};
pub use train::{TrainOptions, train_wordpiece};
pub use wordpiece::{Accents, WordPieceOptions};

use crate::vocabulary::{Vocabulary, VocabularyError};

/// Turns text into token ids. See the [module](self) for where one comes from.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// Without truncation, padding and post-processor.
    inner: tokenizers::Tokenizer,
    /// Adds the special tokens; kept apart because truncation happens before it.
    post_processor: Option<PostProcessorWrapper>,
    special: SpecialIds,
    /// One more than the largest id.
    size: usize,
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

/// How long an input may be, and which text gives way.
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
        let mut first = self.inner.encode_fast(text, false)?;
        let mut second = pair.map(|pair| self.inner.encode_fast(pair, false)).transpose()?;
        let added = self.post_processor.as_ref().map_or(0, |processor| processor.added_tokens(pair.is_some()));
        let (first_length, second_length) = (first.len(), second.as_ref().map_or(0, tokenizers::Encoding::len));
        let room = limit.max_tokens.checked_sub(added);
        let excess = (first_length + second_length).saturating_sub(room.unwrap_or(0));
        if room.is_none() || (room == Some(0) && excess > 0) {
            return Err(EncodeError::LimitTooSmall { max_tokens: limit.max_tokens, special: added });
        }
        if excess > 0 {
            let cuttable = match limit.truncation {
                Truncation::LongestFirst => usize::MAX,
                Truncation::OnlyFirst => first_length,
                Truncation::OnlySecond => second_length,
            };
            if cuttable <= excess {
                return Err(EncodeError::CannotTruncate { limit, special: added, first_length, second_length });
            }
            let parameters = TruncationParams {
                direction: TruncationDirection::Right,
                max_length: first_length + second_length - excess,
                strategy: limit.truncation.into(),
                stride: 0,
            };
            (first, second) = truncate_encodings(first, second, &parameters)?;
        }
        let (mut ids, mut types);
        if let Some(processor) = &self.post_processor {
            let merged = processor.process(first, second, true)?;
            (ids, types) = (merged.get_ids().to_vec(), merged.get_type_ids().to_vec());
        } else {
            ids = first.get_ids().to_vec();
            types = vec![0; ids.len()];
            if let Some(second) = second {
                ids.extend_from_slice(second.get_ids());
                types.resize(ids.len(), 1);
            }
        }
        Ok(Encoding { ids, types })
    }

    /// Encodes many texts or pairs on all cores; the result is in the order of the rows.
    ///
    /// # Errors
    /// [`EncodeError::Row`] with the first row, counted from 0, that [`Tokenizer::encode`] refuses.
    pub fn encode_all(&self, rows: &[(&str, Option<&str>)], limit: Limit) -> Result<Vec<Encoding>, EncodeError> {
        let encoded: Vec<Result<Encoding, EncodeError>> =
            rows.par_iter().map(|(text, pair)| self.encode(text, *pair, limit)).collect();
        let in_row = |(row, encoding): (usize, Result<Encoding, EncodeError>)| {
            encoding.map_err(|source| EncodeError::Row { row, source: Box::new(source) })
        };
        encoded.into_iter().enumerate().map(in_row).collect()
    }

    /// Rows that an embedding table needs: one more than the largest id.
    pub fn vocabulary_size(&self) -> usize {
        self.size
    }

    /// All tokens in the order of their ids, added tokens included.
    ///
    /// # Errors
    /// [`VocabularyError`] if the ids have gaps, which `tokenizer.json` allows.
    pub fn vocabulary(&self) -> Result<Vocabulary, VocabularyError> {
        let tokens: Option<Vec<String>> = (0..self.size as u32).map(|id| self.token(id)).collect();
        Vocabulary::from_tokens(tokens.ok_or(VocabularyError::Gaps { size: self.size })?)
    }

    /// The id of a token, as it stands in the vocabulary (`##ing`, `[SEP]`).
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, as it stands in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder().get(&id);
        added.map(|token| token.content.clone()).or_else(|| self.inner.get_model().id_to_token(id))
    }

    /// Whether this id is one of a special token (`[CLS]`, `[MASK]`, …) and not of text.
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        added.get(&id).is_some_and(|token| token.special)
            || [self.special.pad, self.special.unk, self.special.cls, self.special.sep, self.special.mask]
                .contains(&Some(id))
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

impl From<Truncation> for TruncationStrategy {
    fn from(truncation: Truncation) -> Self {
        match truncation {
            Truncation::LongestFirst => Self::LongestFirst,
            Truncation::OnlyFirst => Self::OnlyFirst,
            Truncation::OnlySecond => Self::OnlySecond,
        }
    }
}
