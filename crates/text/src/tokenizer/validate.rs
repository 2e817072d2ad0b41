//! What a `tokenizer.json` must satisfy beyond its syntax, so that encoding can neither panic nor
//! give other ids than the file states.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::normalizers::BertNormalizer;

use super::TokenizerError;
use super::load::flag;

#[derive(Deserialize)]
struct Skeleton {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// Checks the templates of the post-processor, which the library does not check.
pub(super) fn check(path: &Path, text: &[u8]) -> Result<(), TokenizerError> {
    let skeleton = skeleton(path, text)?;
    let reason = match template_problem(&skeleton.post_processor) {
        Some(reason) => reason,
        None => return Ok(()),
    };
    Err(TokenizerError::Json { path: path.to_owned(), reason: format!("in post_processor: {reason}") })
}

/// Checks that every added token got the id that the file states for it, that the post-processor adds tokens that there are,
/// and that no id is far out of range.
pub(super) fn check_ids(path: &Path, text: &[u8], inner: &tokenizers::Tokenizer) -> Result<(), TokenizerError> {
    let Skeleton { added_tokens, post_processor } = skeleton(path, text)?;
    if let Some(id) = special_ids(&post_processor).into_iter().find(|&id| inner.id_to_token(id).is_none()) {
        let reason = format!("in post_processor: it adds id {id}, which no token has");
        return Err(TokenizerError::Json { path: path.to_owned(), reason });
    }
    for AddedToken { id: stated, content: token } in added_tokens {
        match inner.token_to_id(&token) {
            Some(actual) if actual != stated => {
                return Err(TokenizerError::AddedTokenId { path: path.to_owned(), token, stated, actual });
            }
            _ => {}
        }
    }
    let vocabulary = inner.get_vocab(true);
    let (tokens, largest) = (vocabulary.len(), vocabulary.into_values().max().unwrap_or(0));
    if largest as usize >= tokens + MOST_GAPS {
        return Err(TokenizerError::ScatteredIds { path: path.to_owned(), largest, tokens });
    }
    Ok(())
}

/// Ids without a token that a file may have. Published ones have a few thousand at most.
pub(super) const MOST_GAPS: usize = 1 << 16;

/// Checks that `tokenizer_config.json` sets what the normalizer does, as far as it sets it.
///
/// `transformers` rebuilds the normalizer from the former and `tokenizers` uses the latter, so a
/// model whose files disagree has two tokenizers and it is unclear which one it was trained with.
pub(super) fn check_agreement(
    path: &Path,
    config: &Map<String, Value>,
    normalizer: Option<&BertNormalizer>,
) -> Result<(), TokenizerError> {
    let Some(normalizer) = normalizer else { return Ok(()) };
    let lowercase = flag(path, config, "do_lower_case")?;
    // Accents follow lower-casing unless said otherwise, on either side.
    let strip = match config.get("strip_accents") {
        None => None,
        Some(_) => flag(path, config, "strip_accents")?.or(lowercase),
    };
    let pairs = [
        ("do_lower_case", lowercase, normalizer.lowercase),
        ("strip_accents", strip, normalizer.strip_accents.unwrap_or(normalizer.lowercase)),
        ("tokenize_chinese_chars", flag(path, config, "tokenize_chinese_chars")?, normalizer.handle_chinese_chars),
    ];
    for (key, config, tokenizer) in pairs {
        if let Some(config) = config.filter(|&config| config != tokenizer) {
            return Err(TokenizerError::Contradiction { path: path.to_owned(), key, config, tokenizer });
        }
    }
    Ok(())
}

fn skeleton(path: &Path, text: &[u8]) -> Result<Skeleton, TokenizerError> {
    serde_json::from_slice(text).map_err(|e| TokenizerError::Json { path: path.to_owned(), reason: e.to_string() })
}

/// The ids that a post-processor adds to a text, in any of the library's forms.
pub(super) fn special_ids(processor: &Value) -> Vec<u32> {
    let parts = processor.get("processors").and_then(Value::as_array).into_iter().flatten();
    let mut ids: Vec<u32> = parts.flat_map(special_ids).collect();
    let number = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    // BERT's and RoBERTa's have a token with its id.
    ids.extend(["sep", "cls"].iter().filter_map(|key| number(processor.get(key)?.get(1)?)));
    let named = processor.get("special_tokens").and_then(Value::as_object).into_iter().flat_map(|named| named.values());
    let listed = named.filter_map(|token| token.get("ids")?.as_array());
    ids.extend(listed.flatten().filter_map(number));
    ids
}

/// What is wrong with a post-processor, if anything.
pub(super) fn template_problem(processor: &Value) -> Option<String> {
    if let Some(parts) = processor.get("processors").and_then(Value::as_array) {
        return parts.iter().find_map(template_problem);
    }
    let known = processor.get("special_tokens");
    for (key, sequences) in [("single", &["A"][..]), ("pair", &["A", "B"])] {
        let pieces = processor.get(key).and_then(Value::as_array).into_iter().flatten();
        let mut used = Vec::new();
        for piece in pieces {
            if let Some(id) = piece.pointer("/SpecialToken/id").and_then(Value::as_str)
                && known.and_then(|known| known.get(id)).is_none()
            {
                return Some(format!("{key} uses {id:?}, which is not among special_tokens"));
            }
            used.extend(piece.pointer("/Sequence/id").and_then(Value::as_str));
        }
        used.sort_unstable();
        if processor.get(key).is_some() && used != sequences {
            return Some(format!("expected {key} to hold the texts {sequences:?} once each, found {used:?}"));
        }
    }
    None
}
