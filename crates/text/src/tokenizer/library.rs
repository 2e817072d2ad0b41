//! The `tokenizers` crate behind a tokenizer, read only when something needs it.

use std::sync::{Arc, OnceLock};

use tokenizers::normalizers::BertNormalizer;
use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings};
use tokenizers::{Model, ModelWrapper, NormalizerWrapper, PostProcessor, PostProcessorWrapper};

use super::bert::{Bert, Parsed, Scratch};
use super::located::{LocatedEncoding, TokenPlace, Windows};
use super::{EncodeError, Encoding, Limit, Tokenizer, TokenizerError, Truncation, load};
use crate::guard::guarded;

/// Whether tokenizers of every kind are read, and every text. Without it an optimizing compiler leaves the library out.
pub(super) const HAS_LIBRARY: bool = cfg!(feature = "library");

/// What encodes, and what is known about it.
#[derive(Debug, Clone)]
pub(super) struct TokenizerBackend {
    library: Arc<Library>,
    /// For a tokenizer of BERT's kind.
    bert: Option<Arc<Bert>>,
    /// Adds the special tokens; kept apart because truncation happens before it.
    pub(super) post_processor: Option<PostProcessorWrapper>,
    /// If it is BERT's.
    pub(super) normalizer: Option<BertNormalizer>,
    pub(super) is_wordpiece: bool,
    /// One more than the largest id that a text can give.
    pub(super) size: usize,
    /// Whether tokens of a second text have another type than those of the first.
    pub(super) gives_types: bool,
    /// Bytes that one byte of a text may become before it is cut.
    pub(super) growth: usize,
    /// Ids of the added tokens that are special.
    pub(super) special_added: Vec<u32>,
}

/// The library's tokenizer, without truncation, padding and post-processor.
#[derive(Debug)]
struct Library {
    /// The `tokenizer.json` it is made of, empty if it was not.
    source: Vec<u8>,
    made: OnceLock<Result<tokenizers::Tokenizer, String>>,
}

impl TokenizerBackend {
    /// Takes the post-processor out, switches truncation and padding off. `growth` is how many bytes a byte of a text may
    /// become before it is cut.
    pub(super) fn of_library(mut inner: tokenizers::Tokenizer, growth: usize) -> Self {
        let post_processor = inner.get_post_processor().cloned();
        bare(&mut inner);
        let added = inner.get_added_vocabulary().get_added_tokens_decoder();
        let normalizer = match inner.get_normalizer() {
            Some(NormalizerWrapper::BertNormalizer(normalizer)) => Some(*normalizer),
            _ => None,
        };
        Self {
            bert: Bert::from_library(&inner, post_processor.as_ref()).map(Arc::new),
            post_processor,
            normalizer,
            is_wordpiece: matches!(inner.get_model(), ModelWrapper::WordPiece(_)),
            size: size(inner.get_vocab(true).iter().map(|(token, &id)| (token.as_str(), id))),
            gives_types: true,
            growth,
            special_added: added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect(),
            library: Arc::new(Library { source: Vec::new(), made: OnceLock::from(Ok(inner)) }),
        }
    }

    /// A tokenizer of BERT's kind whose library is made from `source` when first needed.
    pub(super) fn deferred(parsed: Parsed, source: Vec<u8>) -> Self {
        let Parsed { bert, normalizer, post_processor, special } = parsed;
        Self {
            library: Arc::new(Library { source, made: OnceLock::new() }),
            post_processor,
            normalizer: Some(normalizer),
            is_wordpiece: true,
            size: bert.size(),
            gives_types: true,
            growth: 1,
            special_added: special,
            bert: Some(Arc::new(bert)),
        }
    }

    fn library(&self) -> Result<&tokenizers::Tokenizer, &str> {
        if !HAS_LIBRARY {
            return Err("the text has a character that only the full program can split into tokens: leave it out");
        }
        let made = self.library.made.get_or_init(|| {
            let mut inner = load::parse(&self.library.source)?;
            bare(&mut inner);
            Ok(inner)
        });
        made.as_ref().map_err(String::as_str)
    }

    /// The whole tokenizer as the library has it.
    pub(super) fn whole(&self) -> Result<tokenizers::Tokenizer, TokenizerError> {
        let mut whole = self.library().map_err(|reason| TokenizerError::Library(reason.to_owned()))?.clone();
        whole.with_post_processor(self.post_processor.clone());
        Ok(whole)
    }

    /// Whether a token is found in a text before that is cut.
    pub(super) fn has_added(&self, token: &str) -> bool {
        match &self.bert {
            Some(bert) => bert.has_added(token),
            None => self.library().is_ok_and(|inner| {
                inner.get_added_vocabulary().get_added_tokens_decoder().values().any(|added| added.content == token)
            }),
        }
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        match &self.bert {
            Some(bert) => bert.id(token),
            None => self.library().ok()?.token_to_id(token),
        }
    }

    /// The token of an id.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        if let Some(bert) = &self.bert {
            return bert.token(id).map(str::to_owned);
        }
        let inner = self.library().ok()?;
        let added = inner.get_added_vocabulary().get_added_tokens_decoder().get(&id);
        added.map(|token| token.content.clone()).or_else(|| inner.get_model().id_to_token(id))
    }

    /// Appends the ids and types of an input and returns their number; appends nothing with an error.
    pub(super) fn encode_into(
        &self,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        types: &mut Vec<u32>,
    ) -> Result<usize, EncodeError> {
        let before = types.len();
        let by_bert = match &self.bert {
            Some(bert) => bert.encode_into(text, pair, limit, scratch, ids, types)?,
            None => None,
        };
        let tokens = match by_bert {
            Some(tokens) => tokens,
            None => {
                self.by_library(text, pair, |inner| self.encode_by_library(inner, text, pair, limit, ids, types))?
            }
        };
        if !self.gives_types {
            types[before..].fill(0);
        }
        Ok(tokens)
    }

    /// Encodes with the library, which may refuse a text or panic on it.
    fn by_library<T>(
        &self,
        text: &str,
        pair: Option<&str>,
        encode: impl FnOnce(&tokenizers::Tokenizer) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        let bytes = text.len() + pair.map_or(0, str::len);
        let most = MOST_CLEANED_BYTES / self.growth.max(1);
        if bytes > most {
            return Err(EncodeError::TooLong { bytes, most });
        }
        let inner = self.library().map_err(|reason| EncodeError::Library(reason.to_owned()))?;
        guarded(|| encode(inner)).unwrap_or_else(|| {
            let why = "its parts do not fit together: the tokenizers library panics on this text";
            Err(EncodeError::Library(why.to_owned()))
        })
    }

    /// An input whose tokens know their places.
    pub(super) fn locate(&self, text: &str, pair: Option<&str>, limit: Limit) -> Result<LocatedEncoding, EncodeError> {
        let by_bert = match &self.bert {
            Some(bert) => bert.locate(text, pair, limit)?,
            None => None,
        };
        let located = match by_bert {
            Some(located) => located,
            None => self.by_library(text, pair, |inner| {
                let second = pair.map(|pair| inner.encode(pair, false)).transpose()?;
                let (first, second) = self.cut(inner.encode(text, false)?, second, limit)?;
                Ok(located(&self.with_special_tokens(first, second)?))
            })?,
        };
        Ok(self.with_types(located))
    }

    fn with_types(&self, mut located: LocatedEncoding) -> LocatedEncoding {
        if !self.gives_types {
            located.encoding.types.fill(0);
        }
        located
    }

    /// The windows of an input.
    pub(super) fn windows(
        &self,
        text: &str,
        pair: Option<&str>,
        windows: Windows,
    ) -> Result<Vec<LocatedEncoding>, EncodeError> {
        let by_bert = match &self.bert {
            Some(bert) => bert.windows(text, pair, windows)?,
            None => None,
        };
        let all = match by_bert {
            Some(all) => all,
            None => self.by_library(text, pair, |inner| self.windows_by_library(inner, text, pair, windows))?,
        };
        Ok(all.into_iter().map(|located| self.with_types(located)).collect())
    }

    fn windows_by_library(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        pair: Option<&str>,
        windows: Windows,
    ) -> Result<Vec<LocatedEncoding>, EncodeError> {
        let first = inner.encode(text, false)?;
        let second = pair.map(|pair| inner.encode(pair, false)).transpose()?;
        let special = self.special_tokens(pair.is_some());
        let (fixed, mut cut) = match second {
            Some(second) => (Some(first), second),
            None => (None, first),
        };
        let beside = special + fixed.as_ref().map_or(0, tokenizers::Encoding::len);
        // Refuses what the library would panic about.
        let firsts: Vec<usize> = windows.over(cut.len(), beside)?.map(|range| range.start).collect();
        let words = cut.get_word_ids();
        let goes_on: Vec<bool> = firsts.iter().map(|&at| at > 0 && words[at - 1] == words[at]).collect();
        cut.truncate(windows.max_tokens - beside, windows.overlap, TruncationDirection::Right);
        let others = cut.take_overflowing();
        let window = |(cut, goes_on): (tokenizers::Encoding, bool)| {
            let merged = match &fixed {
                Some(first) => self.with_special_tokens(first.clone(), Some(cut)),
                None => self.with_special_tokens(cut, None),
            };
            let mut located = located(&merged?);
            // The word of a window's first token may have begun in the one before.
            let text = usize::from(fixed.is_some());
            if let Some(first) = located.places.iter_mut().flatten().find(|place| place.text == text) {
                first.begins_word = !goes_on;
            }
            Ok(located)
        };
        std::iter::once(cut).chain(others).zip(goes_on).map(window).collect()
    }

    fn encode_by_library(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
        ids: &mut Vec<u32>,
        types: &mut Vec<u32>,
    ) -> Result<usize, EncodeError> {
        let second = pair.map(|pair| inner.encode_fast(pair, false)).transpose()?;
        let (first, second) = self.cut(inner.encode_fast(text, false)?, second, limit)?;
        let merged = self.with_special_tokens(first, second)?;
        ids.extend_from_slice(merged.get_ids());
        types.extend_from_slice(merged.get_type_ids());
        Ok(merged.len())
    }

    fn special_tokens(&self, is_pair: bool) -> usize {
        self.post_processor.as_ref().map_or(0, |processor| processor.added_tokens(is_pair))
    }

    fn cut(
        &self,
        first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        limit: Limit,
    ) -> Result<(tokenizers::Encoding, Option<tokenizers::Encoding>), EncodeError> {
        let special = self.special_tokens(second.is_some());
        let (first_length, second_length) = (first.len(), second.as_ref().map_or(0, tokenizers::Encoding::len));
        let room = limit.max_tokens.checked_sub(special);
        let excess = (first_length + second_length).saturating_sub(room.unwrap_or(0));
        if room.is_none() || (room == Some(0) && excess > 0) {
            return Err(EncodeError::LimitTooSmall { max_tokens: limit.max_tokens, special });
        }
        if excess == 0 {
            return Ok((first, second));
        }
        let cuttable = match limit.truncation {
            Truncation::LongestFirst => usize::MAX,
            Truncation::OnlyFirst => first_length,
            Truncation::OnlySecond => second_length,
        };
        if cuttable <= excess {
            return Err(EncodeError::CannotTruncate { limit, special, first_length, second_length });
        }
        let parameters = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: first_length + second_length - excess,
            strategy: limit.truncation.into(),
            stride: 0,
        };
        Ok(truncate_encodings(first, second, &parameters)?)
    }

    fn with_special_tokens(
        &self,
        mut first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
    ) -> Result<tokenizers::Encoding, EncodeError> {
        if let Some(processor) = &self.post_processor {
            return Ok(processor.process(first, second, true)?);
        }
        first.set_sequence_id(0);
        first.set_type_ids(vec![0; first.len()]);
        let Some(mut second) = second else { return Ok(first) };
        second.set_sequence_id(1);
        second.set_type_ids(vec![1; second.len()]);
        first.merge_with(second, false);
        Ok(first)
    }
}

/// The library's offsets as places.
fn located(merged: &tokenizers::Encoding) -> LocatedEncoding {
    let (words, texts) = (merged.get_word_ids(), merged.get_sequence_ids());
    let place = |token: usize| {
        if merged.get_special_tokens_mask()[token] == 1 {
            return None;
        }
        let (start, end) = merged.get_offsets()[token];
        let text = texts[token]?;
        let before = token.checked_sub(1).filter(|&before| texts[before] == Some(text));
        let begins_word = before.is_none_or(|before| words[before].is_none() || words[before] != words[token]);
        Some(TokenPlace { text, bytes: start..end, begins_word })
    };
    let encoding = Encoding { ids: merged.get_ids().to_vec(), types: merged.get_type_ids().to_vec() };
    LocatedEncoding { places: (0..merged.len()).map(place).collect(), encoding }
}

impl Tokenizer {
    /// The library's tokenizer, without truncation, padding and post-processor.
    pub(super) fn library(&self) -> Result<&tokenizers::Tokenizer, TokenizerError> {
        self.parts.library().map_err(|reason| TokenizerError::Library(reason.to_owned()))
    }
}

/// One more than the largest id of these tokens. A blank line at the end of a vocabulary has an id too, but is no token
/// of any text, so that no model has a row for it.
pub(super) fn size<'a>(tokens: impl Iterator<Item = (&'a str, u32)>) -> usize {
    tokens.filter(|(token, _)| !token.is_empty()).map(|(_, id)| id as usize + 1).max().unwrap_or(0)
}

/// Most bytes of a cleaned text: the library needs some hundred times as much.
const MOST_CLEANED_BYTES: usize = 256 << 20;

/// Takes out what is done elsewhere, or only in training.
fn bare(inner: &mut tokenizers::Tokenizer) {
    if let ModelWrapper::BPE(model) = inner.get_model()
        && model.dropout.is_some()
    {
        let mut model = model.clone();
        model.dropout = None;
        inner.with_model(model);
    }
    inner.with_post_processor(None::<PostProcessorWrapper>);
    inner.with_padding(None);
    // Only a stride can be refused, and `None` has none.
    _ = inner.with_truncation(None);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tokenizer::{TrainOptions, train_wordpiece};

    fn trained() -> Value {
        let tokenizer = train_wordpiece(["a rose is a rose, \"é\"", "a daisy is"], TrainOptions::new(60)).unwrap();
        serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap()
    }

    fn read(json: &Value) -> Result<Tokenizer, TokenizerError> {
        Tokenizer::from_json(json.to_string().into_bytes())
    }

    fn is_deferred(tokenizer: &Tokenizer) -> bool {
        tokenizer.parts.library.made.get().is_none()
    }

    #[test]
    fn berts_kind_needs_no_library() {
        let tokenizer = read(&trained()).unwrap();
        let encoding = tokenizer.encode("A rose, \"é\" [MASK]!", Some("rosé"), Limit::new(12)).unwrap();
        assert_eq!(encoding.ids.len(), 12);
        assert_eq!(tokenizer.token(4).as_deref(), Some("[MASK]"));
        assert_eq!(tokenizer.vocabulary().unwrap().id("rose"), tokenizer.id("rose"));
        assert!(tokenizer.is_special(4) && !tokenizer.is_special(tokenizer.id("rose").unwrap()));
        assert!(is_deferred(&tokenizer));
        // Two marks that stay and change places: only the library knows.
        assert_eq!(tokenizer.encode("\u{302e}", None, Limit::unlimited()).unwrap().len(), 3);
        assert!(!is_deferred(&tokenizer));
    }

    #[test]
    fn a_late_library_writes_the_same_file() {
        let (file, tokenizer) = (trained(), read(&trained()).unwrap());
        assert!(is_deferred(&tokenizer));
        assert_eq!(serde_json::from_str::<Value>(&tokenizer.to_json().unwrap()).unwrap(), file);
    }

    /// Whatever is not of the usual form is read by the library at once, and its refusal is ours.
    #[test]
    fn anything_unusual_is_left_to_the_library() {
        let edits: [(&str, Value); 12] = [
            ("/version", json!("2.0")),
            ("/truncation", json!({"max_length": "long"})),
            ("/padding", json!(7)),
            ("/decoder", json!({"type": "Nothing"})),
            ("/decoder", json!("WordPiece")),
            ("/normalizer/clean_text", json!(false)),
            ("/normalizer", json!({"type": "Lowercase"})),
            ("/pre_tokenizer", json!({"type": "Whitespace"})),
            ("/post_processor", json!({"type": "Sequence", "processors": []})),
            ("/model/continuing_subword_prefix", json!("@@")),
            ("/model/unk_token", json!("[NONE]")),
            ("/model/vocab/rose", json!(3)),
        ];
        for (place, value) in edits {
            let mut file = trained();
            *file.pointer_mut(place).unwrap() = value;
            let by_library = load::parse(file.to_string().as_bytes());
            match read(&file) {
                Ok(tokenizer) => {
                    assert!(!is_deferred(&tokenizer), "{place}");
                    assert!(tokenizer.parts.bert.is_none(), "{place}");
                }
                Err(e) => assert!(e.to_string().ends_with(&by_library.unwrap_err()), "{place}: {e}"),
            }
        }
        let twice = trained().to_string().replacen("\"rose\":", "\"rose\":1000,\"rose\":", 1);
        assert!(!is_deferred(&Tokenizer::from_json(twice.into_bytes()).unwrap()));
    }
}
