//! A tokenizer from a vocabulary: BERT's normalization, WordPiece, the special tokens of BERT or MPNet.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::{Template, TemplateProcessing};

use super::added::{self, Files, Listed};
use super::library::TokenizerBackend;
use super::metadata::{self, SpecialNames};
use super::settings::Style;
use super::{Tokenizer, TokenizerError};
use crate::nearest::nearest;
use crate::vocabulary::Vocabulary;

/// How text is cleaned before WordPiece looks up its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordPieceOptions {
    /// Whether text is lower-cased.
    pub lowercase: bool,
    /// What happens to accents.
    pub accents: Accents,
    /// Whether each Chinese character is a word of its own.
    pub split_cjk: bool,
    /// Positions of the model, written to `tokenizer_config.json`; nothing is cut because of it.
    pub model_max_length: Option<usize>,
}

/// What happens to accents (é, ü).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accents {
    /// They are dropped if text is lower-cased and kept otherwise: BERT's rule.
    FollowLowercase,
    /// They are kept.
    Keep,
    /// They are dropped.
    Strip,
}

impl WordPieceOptions {
    /// BERT's uncased models: lower case without accents.
    pub const fn uncased() -> Self {
        Self { lowercase: true, accents: Accents::FollowLowercase, split_cjk: true, model_max_length: None }
    }

    /// BERT's cased models: case and accents are kept.
    pub const fn cased() -> Self {
        Self { lowercase: false, ..Self::uncased() }
    }
}

impl Accents {
    /// The three-state value of Hugging Face's files.
    pub(super) fn to_option(self) -> Option<bool> {
        match self {
            Self::FollowLowercase => None,
            Self::Keep => Some(false),
            Self::Strip => Some(true),
        }
    }

    pub(super) fn from_option(strip: Option<bool>) -> Self {
        match strip {
            None => Self::FollowLowercase,
            Some(false) => Self::Keep,
            Some(true) => Self::Strip,
        }
    }
}

impl Tokenizer {
    /// A WordPiece tokenizer with this vocabulary: `##` marks the inside of a word, words of more
    /// than 100 characters are unknown, inputs are `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.
    ///
    /// # Errors
    /// [`TokenizerError::MissingToken`] without `[UNK]`, `[CLS]` and `[SEP]`. `[PAD]` and `[MASK]`
    /// are recognized where they are.
    pub fn from_vocabulary(vocabulary: Vocabulary, options: WordPieceOptions) -> Result<Self, TokenizerError> {
        build(&vocabulary, options, &SpecialNames::of(Style::Bert), Map::new(), Map::new(), Extra::default())
    }
}

/// Tokens beside the vocabulary, and the file that states their ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    listed: Vec<Listed>,
    path: PathBuf,
}

impl Extra {
    pub(super) fn of(files: &Files<'_>) -> Result<Self, TokenizerError> {
        Ok(Self { listed: added::listed(files)?, path: files.stating().to_owned() })
    }
}

/// Builds the tokenizer, in the style that `config` names; `config` and `special_tokens_map` are completed where they lack a key.
pub(super) fn build(
    vocabulary: &Vocabulary,
    options: WordPieceOptions,
    names: &SpecialNames,
    mut config: Map<String, Value>,
    mut special_tokens_map: Map<String, Value>,
    extra: Extra,
) -> Result<Tokenizer, TokenizerError> {
    let style = Style::of(&config);
    let required = |name: &str| vocabulary.id(name).ok_or_else(|| missing_token(name, vocabulary));
    required(&names.unk)?;
    let (cls, sep) = (required(&names.cls)?, required(&names.sep)?);

    // The library's own map type, which it does not export by name.
    let mut ids = WordPiece::read_bytes(b"")?;
    ids.extend(vocabulary.tokens().iter().cloned().zip(0..));
    let model = WordPiece::builder()
        .vocab(ids)
        .unk_token(names.unk.clone())
        .continuing_subword_prefix("##".to_owned())
        .max_input_chars_per_word(100)
        .build()?;
    let template = |text: String| Template::try_from(text).map_err(TokenizerError::Library);
    let post_processor = TemplateProcessing::builder()
        .single(template(format!("{0}:0 $A:0 {1}:0", names.cls, names.sep))?)
        .pair(template(match style {
            Style::Bert => format!("{0}:0 $A:0 {1}:0 $B:1 {1}:1", names.cls, names.sep),
            Style::MpNet => format!("{0}:0 $A:0 {1}:0 {1}:0 $B:0 {1}:0", names.cls, names.sep),
        })?)
        .special_tokens(vec![(names.cls.clone(), cls), (names.sep.clone(), sep)])
        .build()
        .map_err(|e| TokenizerError::Library(e.to_string()))?;

    let mut inner = tokenizers::Tokenizer::new(model);
    let accents = options.accents.to_option();
    inner.with_normalizer(Some(BertNormalizer::new(true, options.split_cjk, accents, options.lowercase)))?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    inner.with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
    inner.with_post_processor(Some(post_processor));
    let Extra { mut listed, path } = extra;
    for name in names.all() {
        if listed.iter().all(|listed| listed.token.content != name) {
            listed.push(Listed { token: AddedToken::from(name, true), id: None, has_part: true });
        }
    }
    if style == Style::MpNet {
        let mask = listed.iter_mut().find(|listed| listed.token.content == names.mask && listed.has_part);
        mask.into_iter().for_each(|mask| mask.token.lstrip = true);
        names.clone().state(&mut config, &special_tokens_map);
    }
    added::add(&mut inner, listed, &path)?;

    let parts = TokenizerBackend::of_library(inner, 1);
    metadata::complete(&parts, &mut config, &mut special_tokens_map);
    if let Some(max) = options.model_max_length {
        config.insert("model_max_length".to_owned(), json!(max));
    }
    Ok(Tokenizer::assemble(parts, config, special_tokens_map))
}

fn missing_token(token: &str, vocabulary: &Vocabulary) -> TokenizerError {
    let nearest = nearest(token, vocabulary.tokens().iter().map(String::as_str)).map(str::to_owned);
    TokenizerError::MissingToken { token: token.to_owned(), nearest }
}
