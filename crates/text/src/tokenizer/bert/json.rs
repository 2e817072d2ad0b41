//! A `tokenizer.json` of BERT's kind, read in one pass without the library's tokenizer.
//!
//! The library checks the vocabulary's form in several passes, through values of all kinds that the
//! file may hold. Here only the usual form is known, in which nothing can be wrong that the library
//! would find later: every member known and given once, every part but the model of the library's own
//! types, every token and every id once. Anything else is left to the library from the beginning.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, PaddingParams, PostProcessorWrapper, TruncationParams};

use super::super::components::LONGEST_WORD;
use super::super::library::HAS_LIBRARY;
use super::super::validate;
use super::{Bert, BertParts};
use crate::guard::guarded;

/// What a file states.
pub(in super::super) struct Parsed {
    pub(in super::super) bert: Bert,
    pub(in super::super) normalizer: BertNormalizer,
    pub(in super::super) post_processor: Option<PostProcessorWrapper>,
    /// Ids of the added tokens that are special.
    pub(in super::super) special: Vec<u32>,
}

impl Bert {
    /// The tokenizer of a `tokenizer.json`, or `None` if the library has to read it: for a tokenizer of
    /// another kind, and for whatever is wrong.
    pub(in super::super) fn from_json(text: &[u8]) -> Option<Parsed> {
        let file: File<'_> = serde_json::from_str(std::str::from_utf8(text).ok()?).ok()?;
        let is_usual = file.model.kind == "WordPiece" && file.model.max_input_chars_per_word <= LONGEST_WORD;
        if file.version != VERSION || !is_usual {
            return None;
        }
        // By the very types: the library's own choice among all there are would bring all of them into a program.
        let normalizer: BertNormalizer = part(file.normalizer)??;
        part::<BertPreTokenizer>(file.pre_tokenizer)??;
        let processor: Value = part(file.post_processor)?.unwrap_or_default();
        if validate::template_problem(&processor).is_some() {
            return None;
        }
        let mut post_processor = None;
        // What only the library uses it has to be able to read.
        if HAS_LIBRARY {
            part::<TruncationParams>(file.truncation)?;
            part::<PaddingParams>(file.padding)?;
            part::<WordPieceDecoder>(file.decoder)?;
            post_processor = part::<PostProcessorWrapper>(file.post_processor)?;
        }
        let added: Vec<(AddedToken, u32)> = file.added_tokens.into_iter().map(AddedTokenOfFile::into_library).collect();
        let is_there = |id: u32| {
            let mut listed = file.model.vocab.0.iter().map(|(_, id)| *id).chain(added.iter().map(|(_, id)| *id));
            listed.any(|known| known == id)
        };
        if !validate::special_ids(&processor).into_iter().all(is_there) {
            return None;
        }
        let bert = Bert::from_parts(&BertParts {
            normalizer,
            vocabulary: file.model.vocab.0.iter().map(|(token, id)| (&**token, *id)).collect(),
            unknown: &file.model.unk_token,
            prefix: &file.model.continuing_subword_prefix,
            longest_word: file.model.max_input_chars_per_word,
            added: added.iter().map(|(token, id)| (token, *id)).collect(),
            post_processor: &processor,
        })?;
        let special = added.iter().filter(|(token, _)| token.special).map(|&(_, id)| id).collect();
        Some(Parsed { bert, normalizer, post_processor, special })
    }
}

/// A part as the library reads it, `None` within for one that is null; `None` for one it cannot read, or
/// panics on, as on a decoder that is no object.
fn part<T: DeserializeOwned>(text: Option<&RawValue>) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    guarded(|| serde_json::from_str(text.get()))?.ok().map(Some)
}

/// The only version there is.
const VERSION: &str = "1.0";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    version: String,
    #[serde(borrow)]
    truncation: Option<&'a RawValue>,
    #[serde(borrow)]
    padding: Option<&'a RawValue>,
    added_tokens: Vec<AddedTokenOfFile>,
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'a RawValue>,
    #[serde(borrow)]
    decoder: Option<&'a RawValue>,
    #[serde(borrow)]
    model: WordPieceModel<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedTokenOfFile {
    id: u32,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl AddedTokenOfFile {
    fn into_library(self) -> (AddedToken, u32) {
        let Self { id, content, single_word, lstrip, rstrip, normalized, special } = self;
        (AddedToken { content, single_word, lstrip, rstrip, normalized, special }, id)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordPieceModel<'a> {
    #[serde(rename = "type")]
    kind: String,
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    #[serde(borrow)]
    vocab: Tokens<'a>,
}

/// Tokens and ids in the order of the file; only those written with escapes are copied.
struct Tokens<'a>(Vec<(Cow<'a, str>, u32)>);

impl<'de: 'a, 'a> Deserialize<'de> for Tokens<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Tokens<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tokens to ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tokens = Vec::new();
                while let Some((Token(token), id)) = map.next_entry()? {
                    tokens.push((token, id));
                }
                Ok(Tokens(tokens))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[derive(Deserialize)]
struct Token<'a>(#[serde(borrow)] Cow<'a, str>);
