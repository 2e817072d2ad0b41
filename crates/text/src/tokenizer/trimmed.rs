//! A tokenizer with fewer pieces: a small model need not carry words that its texts never have.
//!
//! WordPiece looks for the longest piece at each place of a word, so a text all of whose pieces stay is cut
//! exactly as before; other words become shorter pieces. What is written is the tokenizer's own file with
//! pieces taken out and every id in it renumbered, so that cleaning, templates and added tokens stay as they were.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::ModelWrapper;

use super::library::TokenizerBackend;
use super::{Tokenizer, TokenizerError};

/// A tokenizer with some of another one's pieces, and which those were.
#[derive(Debug, Clone)]
pub struct TrimmedVocabulary {
    /// The tokenizer with the pieces that stayed, ids without gaps, in the order they had.
    pub tokenizer: Tokenizer,
    /// The old id of each new one, `[V]`, ascending: the rows of an embedding table that stay.
    pub kept: Vec<u32>,
}

impl TrimmedVocabulary {
    /// The new id of an old one, `None` if its piece did not stay.
    pub fn new_id(&self, old: u32) -> Option<u32> {
        position(&self.kept, old)
    }
}

impl Tokenizer {
    /// The same tokenizer with these pieces only, and with special and added tokens, which always stay.
    ///
    /// ```
    /// use attar_text::tokenizer::{Limit, TrainOptions, train_wordpiece};
    ///
    /// let whole = train_wordpiece(["roses are red, red roses"; 2], TrainOptions::new(60))?;
    /// let ids = whole.encode("red roses", None, Limit::new(16))?.ids;
    /// let trimmed = whole.trimmed(&ids)?;
    /// let new = trimmed.tokenizer.encode("Red roses", None, Limit::new(16))?.ids;
    /// let old: Vec<u32> = new.iter().map(|&id| trimmed.kept[id as usize]).collect();
    /// assert_eq!(old, ids);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TokenizerError::CannotTrim`] if it is not of the WordPiece kind, [`TokenizerError::NoSuchId`] for an id
    /// without a token, [`TokenizerError::Library`] as [`Tokenizer::to_json`].
    pub fn trimmed(&self, keep: &[u32]) -> Result<TrimmedVocabulary, TokenizerError> {
        let mut kept = self.indispensable()?;
        kept.extend(keep);
        if let Some(&id) = kept.iter().find(|&&id| self.token(id).is_none()) {
            return Err(TokenizerError::NoSuchId { id, size: self.vocabulary_size() });
        }
        let kept: Vec<u32> = kept.into_iter().collect();
        let mut file = self.file()?;
        renumber_file(&mut file, &kept);
        let parts = TokenizerBackend::from_json(Path::new("tokenizer.json"), file.to_string().into_bytes())?;
        let mut config = self.config.clone();
        renumber_config(&mut config, &kept);
        let tokenizer = Self::assemble(parts, config, self.special_tokens_map.clone());
        Ok(TrimmedVocabulary { tokenizer, kept })
    }

    /// Ids without which it would be another tokenizer: of added and special tokens, wherever they are named.
    ///
    /// # Errors
    /// [`TokenizerError::CannotTrim`] if it is not of the WordPiece kind.
    pub(super) fn indispensable(&self) -> Result<BTreeSet<u32>, TokenizerError> {
        let model = match self.library()?.get_model() {
            ModelWrapper::WordPiece(model) => model,
            ModelWrapper::BPE(_) => return Err(TokenizerError::CannotTrim { kind: "BPE" }),
            ModelWrapper::WordLevel(_) => return Err(TokenizerError::CannotTrim { kind: "WordLevel" }),
            ModelWrapper::Unigram(_) => return Err(TokenizerError::CannotTrim { kind: "Unigram" }),
        };
        let mut ids: BTreeSet<u32> = self.id(&model.unk_token).into_iter().collect();
        ids.extend(self.library()?.get_added_vocabulary().get_added_tokens_decoder().keys());
        let special = self.special;
        ids.extend([special.pad, special.unk, special.cls, special.sep, special.mask].into_iter().flatten());
        ids.extend(processor_ids(&mut self.file()?["post_processor"]).into_iter().filter_map(|id| as_id(id)));
        // `transformers` adds these, whether tokenizer.json does or not.
        let decoder = self.config.get("added_tokens_decoder").and_then(Value::as_object);
        ids.extend(decoder.into_iter().flatten().filter_map(|(id, token)| {
            let id = id.parse().ok()?;
            (token.get("content")?.as_str()? == self.token(id)?).then_some(id)
        }));
        Ok(ids)
    }

    fn file(&self) -> Result<Value, TokenizerError> {
        serde_json::from_str(&self.to_json()?).map_err(|e| TokenizerError::Library(e.to_string()))
    }
}

fn position(kept: &[u32], old: u32) -> Option<u32> {
    kept.binary_search(&old).ok().map(|new| new as u32)
}

fn as_id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn renumber(id: &mut Value, kept: &[u32]) {
    if let Some(new) = as_id(id).and_then(|old| position(kept, old)) {
        *id = new.into();
    }
}

fn renumber_file(file: &mut Value, kept: &[u32]) {
    if let Some(Value::Object(vocabulary)) = file.pointer_mut("/model/vocab") {
        vocabulary.retain(|_, id| as_id(id).is_some_and(|id| position(kept, id).is_some()));
        vocabulary.values_mut().for_each(|id| renumber(id, kept));
    }
    if let Some(Value::Array(added)) = file.get_mut("added_tokens") {
        added.iter_mut().filter_map(|token| token.get_mut("id")).for_each(|id| renumber(id, kept));
    }
    processor_ids(&mut file["post_processor"]).into_iter().for_each(|id| renumber(id, kept));
}

/// `transformers` reads the ids of added tokens from here; those of tokens that are gone go too.
fn renumber_config(config: &mut Map<String, Value>, kept: &[u32]) {
    if let Some(Value::Object(decoder)) = config.get_mut("added_tokens_decoder") {
        let renumbered = std::mem::take(decoder)
            .into_iter()
            .filter_map(|(id, token)| Some((position(kept, id.parse().ok()?)?.to_string(), token)));
        *decoder = renumbered.collect();
    }
}

/// Where a post-processor of any kind holds ids.
fn processor_ids(processor: &mut Value) -> Vec<&mut Value> {
    let Value::Object(members) = processor else { return Vec::new() };
    let ids = members.iter_mut().map(|(key, value)| match (key.as_str(), value) {
        ("processors", Value::Array(inner)) => inner.iter_mut().flat_map(processor_ids).collect(),
        ("special_tokens", Value::Object(tokens)) => {
            tokens.values_mut().filter_map(|token| token.get_mut("ids")?.as_array_mut()).flatten().collect()
        }
        ("sep" | "cls", Value::Array(named)) => named.get_mut(1).into_iter().collect(),
        _ => Vec::new(),
    });
    ids.collect::<Vec<Vec<&mut Value>>>().into_iter().flatten().collect()
}
