//! Tokens beside the vocabulary: markers that a model was given later, and special tokens.
//!
//! They are spread over four places: `added_tokens` of `tokenizer.json`, `added_tokens_decoder` of
//! `tokenizer_config.json`, `added_tokens.json` and the names of special tokens in `tokenizer_config.json` and
//! `special_tokens_map.json`. `transformers` reads all of them, and so does this.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::TokenizerError;

/// A token with the id that a file states for it, if one does.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) token: AddedToken,
    pub(super) id: Option<u32>,
    /// Whether it has a part of its own, as `[CLS]` has, rather than being one more.
    pub(super) has_part: bool,
}

/// The small files of a model folder that name tokens.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) config_path: &'a Path,
    /// `tokenizer_config.json`.
    pub(super) config: &'a Map<String, Value>,
    /// `special_tokens_map.json`.
    pub(super) special_tokens_map: &'a Map<String, Value>,
    pub(super) added_path: &'a Path,
    /// `added_tokens.json`.
    pub(super) added_tokens: Option<&'a Map<String, Value>>,
}

impl Files<'_> {
    /// The file that states the ids.
    pub(super) fn stating(&self) -> &Path {
        if self.added_tokens.is_some() && !self.config.contains_key("added_tokens_decoder") {
            self.added_path
        } else {
            self.config_path
        }
    }
}

/// Keys of the special tokens in the order in which `transformers` adds them.
const SPECIAL_KEYS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// All tokens that the small files name, each once, in the order in which they get ids: first those with an id.
pub(super) fn listed(files: &Files<'_>) -> Result<Vec<Listed>, TokenizerError> {
    let special = special(files);
    let mut listed: Vec<Listed> = Vec::new();
    if let Some(decoder) = files.config.get("added_tokens_decoder").filter(|value| !value.is_null()) {
        for (id, value) in object(files.config_path, "added_tokens_decoder", decoder)? {
            let wrong = || wrong(files.config_path, "each of added_tokens_decoder to have an id and a content", value);
            let id = id.parse().map_err(|_| wrong())?;
            listed.push(Listed { token: token(value, false).ok_or_else(wrong)?, id: Some(id), has_part: false });
        }
    } else {
        for (content, id) in files.added_tokens.into_iter().flatten() {
            let wrong = || wrong(files.added_path, &format!("the id of {content:?}"), id);
            let id = u32::try_from(id.as_u64().ok_or_else(wrong)?).map_err(|_| wrong())?;
            // An ordinary marker is found in cleaned text, as if it were cleaned itself.
            let is_special = special.iter().any(|special| special.token.content == *content);
            listed.push(Listed { token: AddedToken::from(content.clone(), is_special), id: Some(id), has_part: false });
        }
    }
    listed.sort_by_key(|listed| listed.id);
    for special in special {
        if listed.iter().all(|listed| listed.token.content != special.token.content) {
            listed.push(special);
        }
    }
    Ok(listed)
}

/// Adds tokens to a tokenizer. One with a part of its own that is not in the vocabulary is left out, because no text
/// needs it, unless others after it would get another id then.
///
/// # Errors
/// [`TokenizerError::AddedTokenId`] if a token gets another id than `path` states for it.
pub(super) fn add(
    inner: &mut tokenizers::Tokenizer,
    mut listed: Vec<Listed>,
    path: &Path,
) -> Result<(), TokenizerError> {
    let is_known = |listed: &Listed| listed.id.is_some() || inner.token_to_id(&listed.token.content).is_some();
    let appends = listed.iter().any(|listed| !listed.has_part && !is_known(listed));
    listed.retain(|listed| appends || !listed.has_part || is_known(listed));
    listed.sort_by_key(|listed| (listed.id.is_none(), listed.id, !listed.has_part));
    inner.add_tokens(listed.iter().map(|listed| listed.token.clone()))?;
    for Listed { token, id, .. } in listed {
        if let (Some(stated), Some(actual)) = (id, inner.token_to_id(&token.content))
            && stated != actual
        {
            return Err(TokenizerError::AddedTokenId { path: path.to_owned(), token: token.content, stated, actual });
        }
    }
    Ok(())
}

/// The special tokens by name, those of `tokenizer_config.json` before those of `special_tokens_map.json`.
fn special(files: &Files<'_>) -> Vec<Listed> {
    let stated = |key: &str| files.config.get(key).filter(|value| !value.is_null());
    let with_part = SPECIAL_KEYS.iter().filter_map(|key| stated(key).or_else(|| files.special_tokens_map.get(*key)));
    let others = ["additional_special_tokens", "extra_special_tokens"];
    let others = others.iter().flat_map(|key| [files.config.get(*key), files.special_tokens_map.get(*key)]);
    let others = others.flatten().flat_map(|value| match value {
        Value::Array(tokens) => tokens.iter().collect(),
        Value::Object(tokens) => tokens.values().collect(),
        _ => Vec::new(),
    });
    let tokens = with_part.map(|value| (value, true)).chain(others.map(|value| (value, false)));
    let listed = tokens.filter_map(|(value, has_part)| Some(Listed { token: token(value, true)?, id: None, has_part }));
    listed.filter(|listed| !listed.token.content.is_empty()).collect()
}

/// A token as a string, or as an object with `content` and flags.
fn token(value: &Value, is_special: bool) -> Option<AddedToken> {
    let content = value.as_str().or_else(|| value.get("content")?.as_str())?;
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let is_special = is_special || flag("special").unwrap_or(false);
    Some(
        AddedToken::from(content, is_special)
            .normalized(flag("normalized").unwrap_or(!is_special))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .single_word(flag("single_word").unwrap_or(false)),
    )
}

fn object<'a>(path: &Path, key: &str, value: &'a Value) -> Result<&'a Map<String, Value>, TokenizerError> {
    value.as_object().ok_or_else(|| wrong(path, &format!("{key} to be an object"), value))
}

fn wrong(path: &Path, expected: &str, found: &Value) -> TokenizerError {
    let found: String = found.to_string().chars().take(60).collect();
    TokenizerError::Json { path: path.to_owned(), reason: format!("expected {expected}, found {found}") }
}
