//! BERT's tokenization done directly: the ids of the `tokenizers` crate, many times faster.
//!
//! The crate keeps for every character where it came from, allocates for every word and hashes every
//! candidate piece. Ids alone need none of it. One pass over the bytes of a text finds the words: a
//! run of ASCII letters and digits is found, lower-cased and looked up eight bytes at a time; anything
//! else goes character by character through tables made by the Unicode crates that `tokenizers` itself
//! uses, so that both agree on every code point. What these tables cannot decide alone (characters that
//! change places under canonical ordering and stay) is left to the crate, whole text by whole text.
//!
//! A tokenizer of another kind, or with an unusual part, has no [`Bert`] and takes the crate's way
//! throughout: [`Bert::from_library`] and [`Bert::from_json`] say `None` to whatever they do not know.

mod added;
mod characters;
mod json;
mod pieces;
mod sink;
mod template;
mod truncate;
mod words;

use std::sync::OnceLock;

use tokenizers::{ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

pub(super) use json::Parsed;

use self::added::AddedTokens;
use self::characters::Characters;
use self::pieces::Pieces;
use self::sink::{Located, Sink};
use self::template::{TemplatePart, Templates};
use self::truncate::{Kept, kept};
use super::located::{LocatedEncoding, TokenPlace, Windows};
use super::{EncodeError, Encoding, Limit, Truncation};

/// A WordPiece tokenizer in BERT's way, ready to encode.
pub(super) struct Bert {
    characters: Characters,
    added: AddedTokens,
    /// All tokens as they are spelled, which is how a word begins.
    beginnings: Pieces,
    /// What follows `##`, which is how a word goes on.
    continuations: Pieces,
    unknown: u32,
    /// Longer words, in characters, are unknown.
    longest_word: usize,
    templates: Templates,
    size: usize,
    /// Built when first needed, since few callers need it.
    by_id: OnceLock<Vec<Option<String>>>,
}

/// What a [`Bert`] is made of.
struct BertParts<'a> {
    normalizer: tokenizers::normalizers::BertNormalizer,
    vocabulary: Vec<(&'a str, u32)>,
    unknown: &'a str,
    prefix: &'a str,
    longest_word: usize,
    added: Vec<(&'a tokenizers::AddedToken, u32)>,
    /// As a file states it.
    post_processor: &'a serde_json::Value,
}

/// Room that encoding needs besides its result; using it again saves allocating it again.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch<S = Vec<u32>> {
    word: Vec<u8>,
    first: S,
    second: S,
}

impl Bert {
    /// The same tokenizer as the library's, or `None` if that is of another kind.
    pub(super) fn from_library(
        inner: &tokenizers::Tokenizer,
        post_processor: Option<&PostProcessorWrapper>,
    ) -> Option<Self> {
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = inner.get_normalizer() else { return None };
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = inner.get_pre_tokenizer() else { return None };
        let ModelWrapper::WordPiece(model) = inner.get_model() else { return None };
        let vocabulary = tokenizers::Model::get_vocab(model);
        let added = inner.get_added_vocabulary();
        Self::from_parts(&BertParts {
            normalizer: *normalizer,
            vocabulary: vocabulary.iter().map(|(token, &id)| (token.as_str(), id)).collect(),
            unknown: &model.unk_token,
            prefix: &model.continuing_subword_prefix,
            longest_word: model.max_input_chars_per_word,
            added: added.get_added_tokens_decoder().iter().map(|(&id, token)| (token, id)).collect(),
            post_processor: &serde_json::to_value(post_processor).ok()?,
        })
    }

    fn from_parts(parts: &BertParts<'_>) -> Option<Self> {
        // Without cleaning, a word may hold NUL, with which the keys of short pieces are filled up; with
        // another prefix, a word may begin like the inside of one.
        if !parts.normalizer.clean_text || parts.prefix != PREFIX {
            return None;
        }
        let ids = (parts.vocabulary.iter().map(|&(_, id)| id as usize).max()?).checked_add(1)?;
        if ids > parts.vocabulary.len() + super::validate::MOST_GAPS {
            return None;
        }
        let mut taken = vec![false; ids];
        for &(_, id) in &parts.vocabulary {
            if std::mem::replace(&mut taken[id as usize], true) {
                return None;
            }
        }
        let beginnings = Pieces::new(parts.vocabulary.iter().copied())?;
        let continuations =
            Pieces::new(parts.vocabulary.iter().filter_map(|&(token, id)| Some((token.strip_prefix(PREFIX)?, id))))?;
        let added = AddedTokens::new(&parts.added, |token| beginnings.id(token))?;
        let characters = Characters::new(&parts.normalizer, &added);
        Some(Self {
            characters,
            added,
            unknown: beginnings.id(parts.unknown)?,
            beginnings,
            continuations,
            longest_word: parts.longest_word,
            templates: Templates::new(parts.post_processor)?,
            size: super::library::size(parts.vocabulary.iter().copied()),
            by_id: OnceLock::new(),
        })
    }

    /// Appends the ids and types of an input and returns their number; `None` if only the library can
    /// tell them. Nothing is appended then, nor with an error.
    pub(super) fn encode_into(
        &self,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        types: &mut Vec<u32>,
    ) -> Result<Option<usize>, EncodeError> {
        let Some(keep) = self.keep(text, pair, limit, scratch)? else { return Ok(None) };
        let before = ids.len();
        let (first, second) = (&scratch.first[..keep.first], &scratch.second[..keep.second]);
        self.templates.of(pair.is_some()).append(first, second, ids, types);
        Ok(Some(ids.len() - before))
    }

    /// Both texts' pieces and how many of each stay; `None` if only the library can tell them.
    fn keep<S: Sink>(
        &self,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
        scratch: &mut Scratch<S>,
    ) -> Result<Option<Kept>, EncodeError> {
        let special = self.templates.of(pair.is_some()).special();
        let Some(room) = limit.max_tokens.checked_sub(special) else {
            return Err(EncodeError::LimitTooSmall { max_tokens: limit.max_tokens, special });
        };
        // One token more than there is room for tells that something is cut, and no more needs to be
        // known, unless the error tells the length of the whole text.
        let enough = match (limit.truncation, pair) {
            (Truncation::LongestFirst, _) | (Truncation::OnlyFirst, None) => room.saturating_add(1),
            _ => usize::MAX,
        };
        if !self.tokenize_both(text, pair, enough, scratch) {
            return Ok(None);
        }
        // Both may be longer still; of an odd room the longer one has the extra token.
        let undecided = pair.is_some() && room % 2 == 1 && scratch.first.len().min(scratch.second.len()) >= enough;
        if undecided && !self.tokenize_both(text, pair, usize::MAX, scratch) {
            return Ok(None);
        }
        let lengths = Kept { first: scratch.first.len(), second: scratch.second.len() };
        kept(lengths, pair.is_some(), room, special, limit).map(Some)
    }

    /// Both texts' pieces, or as many as are `enough`; `false` if only the library can tell them.
    fn tokenize_both<S: Sink>(&self, text: &str, pair: Option<&str>, enough: usize, scratch: &mut Scratch<S>) -> bool {
        let Scratch { word, first, second } = scratch;
        first.truncate(0);
        second.truncate(0);
        self.tokenize(text, enough, word, first).is_some()
            && pair.is_none_or(|pair| self.tokenize(pair, enough, word, second).is_some())
    }

    /// An input whose tokens know their places; `None` if only the library can tell.
    pub(super) fn locate(
        &self,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
    ) -> Result<Option<LocatedEncoding>, EncodeError> {
        let mut scratch = Scratch::<Located>::default();
        let Some(keep) = self.keep(text, pair, limit, &mut scratch)? else { return Ok(None) };
        let (first, second) = (&scratch.first.pieces[..keep.first], &scratch.second.pieces[..keep.second]);
        Ok(Some(self.located(first, second, pair.is_some())))
    }

    /// The windows of an input; `None` if only the library can tell.
    pub(super) fn windows(
        &self,
        text: &str,
        pair: Option<&str>,
        windows: Windows,
    ) -> Result<Option<Vec<LocatedEncoding>>, EncodeError> {
        let mut scratch = Scratch::<Located>::default();
        if !self.tokenize_both(text, pair, usize::MAX, &mut scratch) {
            return Ok(None);
        }
        let (first, second) = (&scratch.first.pieces[..], &scratch.second.pieces[..]);
        let special = self.templates.of(pair.is_some()).special();
        let (fixed, cut) = if pair.is_some() { (first, second) } else { (&[][..], first) };
        let ranges = windows.over(cut.len(), fixed.len() + special)?;
        let window = |range: std::ops::Range<usize>| match pair {
            Some(_) => self.located(first, &second[range], true),
            None => self.located(&first[range], &[], false),
        };
        Ok(Some(ranges.map(window).collect()))
    }

    fn located(&self, first: &[sink::Piece], second: &[sink::Piece], is_pair: bool) -> LocatedEncoding {
        let (mut encoding, mut places) = (Encoding::default(), Vec::new());
        for part in self.templates.of(is_pair).parts() {
            let (pieces, text, token_type) = match part {
                TemplatePart::First { token_type } => (first, 0, token_type),
                TemplatePart::Second { token_type } => (second, 1, token_type),
                TemplatePart::Special { ids, token_type } => {
                    encoding.ids.extend_from_slice(ids);
                    encoding.types.resize(encoding.ids.len(), *token_type);
                    places.resize(encoding.ids.len(), None);
                    continue;
                }
            };
            encoding.ids.extend(pieces.iter().map(|piece| piece.id));
            encoding.types.resize(encoding.ids.len(), *token_type);
            places.extend(
                pieces
                    .iter()
                    .map(|piece| Some(TokenPlace { text, bytes: piece.bytes.clone(), begins_word: piece.begins_word })),
            );
        }
        LocatedEncoding { encoding, places }
    }

    /// Whether a token is found in a text before that is cleaned.
    pub(super) fn has_added(&self, token: &str) -> bool {
        self.added.contains(token)
    }

    /// One more than the largest id.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The id of a token as it is spelled.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.beginnings.id(token)
    }

    /// The token of an id.
    pub(super) fn token(&self, id: u32) -> Option<&str> {
        let by_id = self.by_id.get_or_init(|| {
            let mut by_id = vec![None; self.size];
            self.beginnings.for_each(|token, id| {
                // A blank line after the last token has an id past the end.
                if let Some(place) = by_id.get_mut(id as usize) {
                    *place = Some(token.to_owned());
                }
            });
            by_id
        });
        by_id.get(id as usize)?.as_deref()
    }
}

impl std::fmt::Debug for Bert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bert").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Marks the inside of a word in the vocabulary.
const PREFIX: &str = "##";
