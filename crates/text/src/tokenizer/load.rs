//! Reading a tokenizer from a model folder.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::added::Files;
use super::bert::Bert;
use super::library::{HAS_LIBRARY, TokenizerBackend};
use super::metadata::{self, SpecialNames};
use super::wordpiece::{self, Accents, Extra, WordPieceOptions};
use super::{Tokenizer, TokenizerError, added, components, settings, validate};
use crate::files;
use crate::guard::guarded;
use crate::vocabulary::Vocabulary;

impl Tokenizer {
    /// Reads the tokenizer of a Hugging Face model folder.
    ///
    /// `tokenizer.json` is read if it is there, else `vocab.txt`, cleaned as
    /// `tokenizer_config.json` says (`do_lower_case`, `strip_accents`, `tokenize_chinese_chars`), or
    /// as for BERT's uncased models where it does not say. Tokens beside the vocabulary are taken from wherever
    /// `transformers` looks for them: `added_tokens_decoder`, `added_tokens.json`, `additional_special_tokens`.
    /// Where `model_input_names` leaves out the types of tokens, all of them are 0.
    ///
    /// # Errors
    /// [`TokenizerError`]: no such file, not JSON of the expected form, a special token that is
    /// missing, `tokenizer.json` and `tokenizer_config.json` that contradict each other, or a class or setting whose
    /// way of cutting text cannot be repeated.
    pub fn from_dir(dir: &Path) -> Result<Self, TokenizerError> {
        Self::from_files(dir, |name| {
            let path = dir.join(name);
            match files::read(&path, files::MOST_TOKENIZER_BYTES) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(TokenizerError::Io { path, source }),
            }
        })
    }

    /// As [`Tokenizer::from_dir`], with files that are in memory or elsewhere: `read` returns the content of one by
    /// its name, `None` if there is none. The folder is for errors.
    ///
    /// # Errors
    /// As [`Tokenizer::from_dir`], and those of `read`.
    pub fn from_files(
        dir: &Path,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>, TokenizerError>,
    ) -> Result<Self, TokenizerError> {
        let object = |name: &str| match read(name)? {
            Some(text) => parse_object(&dir.join(name), &text).map(Some),
            None => Ok(None),
        };
        let config_path = dir.join("tokenizer_config.json");
        let config = object("tokenizer_config.json")?;
        let (has_config, mut config) = (config.is_some(), config.unwrap_or_default());
        let mut special_tokens_map = object("special_tokens_map.json")?.unwrap_or_default();
        let added_path = dir.join("added_tokens.json");
        let added_tokens = object("added_tokens.json")?;
        let files = Files {
            config_path: &config_path,
            config: &config,
            special_tokens_map: &special_tokens_map,
            added_path: &added_path,
            added_tokens: added_tokens.as_ref(),
        };
        if let Some(text) = read("tokenizer.json")? {
            let path = dir.join("tokenizer.json");
            settings::check_class(&config_path, &config, true)?;
            let parts = TokenizerBackend::from_json(&path, text)?;
            validate::check_agreement(&config_path, &config, parts.normalizer.as_ref())?;
            let parts = parts.with_listed(&files)?;
            if !has_config {
                metadata::complete(&parts, &mut config, &mut special_tokens_map);
            }
            return Ok(Self::assemble(parts, config, special_tokens_map));
        }
        let Some(vocabulary) = read("vocab.txt")? else {
            let has_merges = read("vocab.json")?.is_some() && read("merges.txt")?.is_some();
            return Err(TokenizerError::NoFiles { dir: dir.to_owned(), has_merges });
        };
        if !HAS_LIBRARY {
            return Err(TokenizerError::NoLibrary { path: dir.join("vocab.txt") });
        }
        settings::check_class(&config_path, &config, false)?;
        settings::check_vocabulary_settings(&config_path, &config)?;
        let options = options(&config_path, &config)?;
        let names = SpecialNames::from_files(&config, &special_tokens_map);
        let extra = Extra::of(&files)?;
        let vocabulary = Vocabulary::from_bytes(&dir.join("vocab.txt"), &vocabulary)?;
        wordpiece::build(&vocabulary, options, &names, config, special_tokens_map, extra)
    }

    /// Reads a tokenizer from the content of a `tokenizer.json` alone.
    ///
    /// # Errors
    /// As [`Tokenizer::from_dir`], under the name `tokenizer.json`.
    pub fn from_json(text: Vec<u8>) -> Result<Self, TokenizerError> {
        let (mut config, mut special_tokens_map) = (Map::new(), Map::new());
        let parts = TokenizerBackend::from_json(Path::new("tokenizer.json"), text)?;
        metadata::complete(&parts, &mut config, &mut special_tokens_map);
        Ok(Self::assemble(parts, config, special_tokens_map))
    }
}

impl TokenizerBackend {
    /// Checks and takes apart a `tokenizer.json`: one of BERT's kind by itself, any other through the
    /// library, as is one with anything unusual in it, so that every error is the same.
    pub(super) fn from_json(path: &Path, text: Vec<u8>) -> Result<Self, TokenizerError> {
        if let Some(parsed) = Bert::from_json(&text) {
            return Ok(Self::deferred(parsed, text));
        }
        if !HAS_LIBRARY {
            return Err(TokenizerError::NoLibrary { path: path.to_owned() });
        }
        validate::check(path, &text)?;
        let growth = components::check(path, &text)?;
        let inner = parse(&text).map_err(|reason| TokenizerError::Json { path: path.to_owned(), reason })?;
        validate::check_ids(path, &text, &inner)?;
        Ok(Self::of_library(inner, growth))
    }

    /// With the tokens that the small files name and the tokenizer does not have as such.
    fn with_listed(self, files: &Files<'_>) -> Result<Self, TokenizerError> {
        let mut listed = added::listed(files)?;
        listed.retain(|listed| !self.has_added(&listed.token.content));
        listed.retain(|listed| !listed.has_part || self.id(&listed.token.content).is_some());
        if listed.is_empty() {
            return Ok(self);
        }
        if !HAS_LIBRARY {
            return Err(TokenizerError::NoLibrary { path: files.stating().to_owned() });
        }
        let mut inner = self.whole()?;
        added::add(&mut inner, listed, files.stating())?;
        Ok(Self::of_library(inner, self.growth))
    }
}

/// The library's tokenizer, or why there is none.
pub(super) fn parse(text: &[u8]) -> Result<tokenizers::Tokenizer, String> {
    match guarded(|| tokenizers::Tokenizer::from_bytes(text)) {
        Some(tokenizer) => tokenizer.map_err(|e| e.to_string()),
        None => Err("its parts do not fit together: the tokenizers library panics on it".to_owned()),
    }
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

fn parse_object(path: &Path, text: &[u8]) -> Result<Map<String, Value>, TokenizerError> {
    let not_object = |e: serde_json::Error| TokenizerError::Json {
        path: path.to_owned(),
        reason: format!("expected a JSON object: {e}"),
    };
    serde_json::from_slice(text).map_err(not_object)
}
