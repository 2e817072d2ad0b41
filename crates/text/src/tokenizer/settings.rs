//! What `tokenizer_config.json` asks for beyond the cleaning of text and the names of tokens.
//!
//! A vocabulary says nothing about how words are cut, so the class that it was made for decides whether it can be used
//! here at all. What attar cannot repeat is refused: other ids than those a model was trained with give answers that
//! look like any other.

use std::path::Path;

use serde_json::{Map, Value};

use super::TokenizerError;
use super::load::flag;

/// Classes, without the suffix `Fast`, that cut words as BERT does.
const BERT_CLASSES: [&str; 12] = [
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "RetriBertTokenizer",
    "SqueezeBertTokenizer",
];

/// The class that cuts words as BERT does and puts special tokens as RoBERTa does.
const MPNET_CLASS: &str = "MPNetTokenizer";

/// Classes that are written in Python alone, so that a `tokenizer.json` beside them is not what the model was made with.
const PYTHON_CLASSES: [&str; 6] = [
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "CanineTokenizer",
    "CharacterBertTokenizer",
    "PhobertTokenizer",
    "TapasTokenizer",
];

/// Classes that give no token types unless the configuration says otherwise.
const CLASSES_WITHOUT_TYPES: [&str; 5] =
    ["CamembertTokenizer", "DistilBertTokenizer", "MPNetTokenizer", "RobertaTokenizer", "XLMRobertaTokenizer"];

/// Refuses a class whose way of cutting text is not that of the files.
pub(super) fn check_class(path: &Path, config: &Map<String, Value>, has_json: bool) -> Result<(), TokenizerError> {
    let refused = |key: &'static str, value: &Value, way_out: &'static str| {
        Err(TokenizerError::Unsupported { path: path.to_owned(), key, value: value.to_string(), way_out })
    };
    if let Some(value) = config.get("word_tokenizer_type").filter(|value| !value.is_null()) {
        let way_out = "words are cut by a program of another kind; use a model whose tokenizer has a tokenizer.json";
        return refused("word_tokenizer_type", value, way_out);
    }
    let Some(value) = config.get("tokenizer_class").filter(|value| !value.is_null()) else { return Ok(()) };
    let class = value.as_str().unwrap_or_default().trim_end_matches("Fast");
    if PYTHON_CLASSES.contains(&class) {
        return refused("tokenizer_class", value, "use a model with a tokenizer of BERT's own kind");
    }
    if has_json || BERT_CLASSES.contains(&class) || class == MPNET_CLASS {
        return Ok(());
    }
    let way_out = "a vocab.txt alone is read for BERT's kind; let `transformers` write a tokenizer.json with \
                   AutoTokenizer.from_pretrained(…).save_pretrained(…)";
    refused("tokenizer_class", value, way_out)
}

/// Refuses settings that only tokenizers built from a `vocab.txt` have, and that change what is cut where.
pub(super) fn check_vocabulary_settings(path: &Path, config: &Map<String, Value>) -> Result<(), TokenizerError> {
    let refused = |key: &'static str, value: &Value| {
        let way_out = "let `transformers` write a tokenizer.json with \
                       AutoTokenizer.from_pretrained(…).save_pretrained(…), which says what is to be done";
        Err(TokenizerError::Unsupported { path: path.to_owned(), key, value: value.to_string(), way_out })
    };
    for key in ["do_basic_tokenize", "clean_text"] {
        if flag(path, config, key)? == Some(false) {
            return refused(key, &Value::Bool(false));
        }
    }
    match config.get("never_split") {
        None | Some(Value::Null) => {}
        Some(Value::Array(tokens)) if tokens.is_empty() => {}
        Some(value) => return refused("never_split", value),
    }
    match config.get("wordpieces_prefix") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value == "##" => Ok(()),
        Some(value) => refused("wordpieces_prefix", value),
    }
}

/// Where special tokens stand in an input, and what they are called where no file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `[CLS] a [SEP] b [SEP]`
    Bert,
    /// `<s> a </s></s> b </s>`, and `<mask>` takes the space before it.
    MpNet,
}

impl Style {
    /// By the class in `tokenizer_config.json`.
    pub(super) fn of(config: &Map<String, Value>) -> Style {
        let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
        if class.trim_end_matches("Fast") == MPNET_CLASS { Style::MpNet } else { Style::Bert }
    }
}

/// Whether a model gets the types of tokens, by `model_input_names` or else the class. Without them, `transformers`
/// takes every token for one of the first text, in training and after it.
pub(super) fn gives_types(config: &Map<String, Value>) -> bool {
    if let Some(names) = config.get("model_input_names").and_then(Value::as_array) {
        return names.iter().any(|name| name == "token_type_ids");
    }
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    !CLASSES_WITHOUT_TYPES.contains(&class.trim_end_matches("Fast"))
}
