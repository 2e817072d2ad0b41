//! Reading a tokenizer from a model folder.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::metadata::{self, SpecialNames};
use super::wordpiece::{self, Accents, WordPieceOptions};
use super::{Tokenizer, TokenizerError, validate};
use crate::vocabulary::Vocabulary;

impl Tokenizer {
    /// Reads the tokenizer of a Hugging Face model folder.
    ///
    /// `tokenizer.json` is read if it is there, else `vocab.txt`, cleaned as
    /// `tokenizer_config.json` says (`do_lower_case`, `strip_accents`, `tokenize_chinese_chars`), or
    /// as for BERT's uncased models where it does not say.
    ///
    /// # Errors
    /// [`TokenizerError`]: no such file, not JSON of the expected form, a special token that is
    /// missing, or `tokenizer.json` and `tokenizer_config.json` that contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, TokenizerError> {
        let config = read_object(&dir.join("tokenizer_config.json"))?;
        let (has_config, mut config) = (config.is_some(), config.unwrap_or_default());
        let mut special_tokens_map = read_object(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
        let path = dir.join("tokenizer.json");
        if let Some(text) = read_if_present(&path)? {
            validate::check(&path, &text)?;
            let inner = parse(&path, &text)?;
            validate::check_ids(&path, &text, &inner)?;
            validate::check_agreement(&dir.join("tokenizer_config.json"), &config, &inner)?;
            if !has_config {
                metadata::complete(&inner, &mut config, &mut special_tokens_map);
            }
            return Ok(Self::assemble(inner, config, special_tokens_map));
        }
        let path = dir.join("vocab.txt");
        if !path.exists() {
            let has_merges = dir.join("vocab.json").exists() && dir.join("merges.txt").exists();
            return Err(TokenizerError::NoFiles { dir: dir.to_owned(), has_merges });
        }
        let options = options(&dir.join("tokenizer_config.json"), &config)?;
        let names = SpecialNames::from_files(&config, &special_tokens_map);
        wordpiece::build(&Vocabulary::from_file(&path)?, options, &names, config, special_tokens_map)
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<tokenizers::Tokenizer, TokenizerError> {
    // The library indexes out of range on some files, such as merges shorter than their prefix.
    let parsed = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(text));
    let reason = match parsed {
        Ok(Ok(tokenizer)) => return Ok(tokenizer),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "its parts do not fit together, which the tokenizers library does not survive".to_owned(),
    };
    Err(TokenizerError::Json { path: path.to_owned(), reason })
}

fn options(path: &Path, config: &Map<String, Value>) -> Result<WordPieceOptions, TokenizerError> {
    let uncased = WordPieceOptions::uncased();
    Ok(WordPieceOptions {
        lowercase: flag(path, config, "do_lower_case")?.unwrap_or(uncased.lowercase),
        accents: Accents::from_option(flag(path, config, "strip_accents")?),
        split_cjk: flag(path, config, "tokenize_chinese_chars")?.unwrap_or(uncased.split_cjk),
        model_max_length: None,
    })
}

/// A key that is true, false, null or absent.
pub(super) fn flag(path: &Path, config: &Map<String, Value>, key: &str) -> Result<Option<bool>, TokenizerError> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(TokenizerError::Json {
            path: path.to_owned(),
            reason: format!("expected {key} to be true, false or null, found {other}"),
        }),
    }
}

fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    let Some(text) = read_if_present(path)? else { return Ok(None) };
    let not_object = |e: serde_json::Error| TokenizerError::Json {
        path: path.to_owned(),
        reason: format!("expected a JSON object: {e}"),
    };
    serde_json::from_slice(&text).map(Some).map_err(not_object)
}

fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, TokenizerError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Io { path: path.to_owned(), source }),
    }
}
