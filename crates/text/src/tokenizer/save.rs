//! Writing a tokenizer into a model folder.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{Model, ModelWrapper};

use super::{Tokenizer, TokenizerError};
use crate::files;
use crate::vocabulary::Vocabulary;

impl Tokenizer {
    /// Writes `tokenizer.json` (without truncation and padding), `tokenizer_config.json`,
    /// `special_tokens_map.json` and, for WordPiece, `vocab.txt` into an existing folder, so that
    /// `transformers.AutoTokenizer` loads it.
    ///
    /// The two small files are written as they were read, or made where they were missing. The same tokenizer always gives the same
    /// bytes. A WordPiece vocabulary whose ids have gaps, or with a token that cannot stand on a
    /// line, has no `vocab.txt`.
    ///
    /// # Errors
    /// [`TokenizerError::Io`] if a file cannot be written, and as [`Tokenizer::to_json`].
    pub fn save(&self, dir: &Path) -> Result<(), TokenizerError> {
        self.files()?.into_iter().try_for_each(|(name, text)| write(dir, name, &text))
    }

    /// The files that [`Tokenizer::save`] writes, by name.
    ///
    /// # Errors
    /// As [`Tokenizer::to_json`].
    pub fn files(&self) -> Result<Vec<(&'static str, String)>, TokenizerError> {
        let mut files = vec![
            ("tokenizer.json", self.to_json()?),
            ("tokenizer_config.json", object(&self.config)),
            ("special_tokens_map.json", object(&self.special_tokens_map)),
        ];
        if let ModelWrapper::WordPiece(model) = self.library()?.get_model() {
            let tokens: Option<Vec<String>> =
                (0..model.get_vocab_size() as u32).map(|id| model.id_to_token(id)).collect();
            if let Some(Ok(text)) = tokens.map(|tokens| Vocabulary::from_tokens(tokens).and_then(|v| v.to_text())) {
                files.push(("vocab.txt", text));
            }
        }
        Ok(files)
    }

    /// The content of `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Library`] if the library cannot read or write a part of it.
    pub fn to_json(&self) -> Result<String, TokenizerError> {
        Ok(self.parts.whole()?.to_string(true)?)
    }
}

fn object(object: &Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(object.clone()))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), TokenizerError> {
    let path = dir.join(name);
    files::write_atomically(&path, text.as_bytes()).map_err(|source| TokenizerError::Io { path, source })
}
