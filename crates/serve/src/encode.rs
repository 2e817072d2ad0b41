//! From the texts of a request to the ids that a bundle computes.

use attar_text::tokenizer::{EncodeError, Encoding, Limit, Tokenizer};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bundle::Bundle;
use crate::error::{ErrorType, Refusal};

/// At which end of a text tokens are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub(crate) enum TruncationDirection {
    /// At the beginning.
    #[serde(alias = "left")]
    Left,
    /// At the end.
    #[default]
    #[serde(alias = "right")]
    Right,
}

/// What is done with texts that are longer than a bundle takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truncation {
    /// Whether they are cut or refused.
    pub(crate) truncates: bool,
    pub(crate) direction: TruncationDirection,
}

/// One input of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Text(String),
    Pair(String, String),
    /// Ids as they are, special tokens included.
    Ids(Vec<u32>),
}

impl Source {
    pub(crate) fn characters(&self) -> usize {
        match self {
            Source::Text(text) => text.chars().count(),
            Source::Pair(text, pair) => text.chars().count() + pair.chars().count(),
            Source::Ids(ids) => ids.len(),
        }
    }

    /// Bytes that are to be tokenized.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Source::Text(text) => text.len(),
            Source::Pair(text, pair) => text.len() + pair.len(),
            Source::Ids(_) => 0,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Source::Text(text) => text.is_empty(),
            Source::Pair(text, pair) => text.is_empty() && pair.is_empty(),
            Source::Ids(ids) => ids.is_empty(),
        }
    }
}

/// Encodes one input: one sequence, or two where the bundle compares the texts of a pair.
pub(crate) fn encode(bundle: &Bundle, source: &Source, truncation: Truncation) -> Result<Vec<Encoding>, Refusal> {
    if source.is_empty() {
        return Err(Refusal::new(ErrorType::Validation, "`inputs` cannot be empty"));
    }
    let of_text = |text, pair| from_text(&bundle.tokenizer, text, pair, bundle.max_tokens, truncation);
    let encodings = match source {
        Source::Ids(ids) => vec![from_ids(ids, bundle.max_tokens, truncation)],
        Source::Text(text) => vec![of_text(text, None)?],
        Source::Pair(text, pair) if bundle.compares => vec![of_text(text, None)?, of_text(pair, None)?],
        Source::Pair(text, pair) => vec![of_text(text, Some(pair))?],
    };
    encodings.iter().try_for_each(|encoding| check(bundle, encoding))?;
    Ok(encodings)
}

/// Refuses what a bundle has no room or no row for: ids are a client's own words.
fn check(bundle: &Bundle, encoding: &Encoding) -> Result<(), Refusal> {
    let (tokens, max_tokens) = (encoding.len(), bundle.max_tokens);
    if tokens > max_tokens {
        let way_out = "shorten the text, or have it cut on the right (\"truncate\": true)";
        let said = format!("`inputs` must have at most {max_tokens} tokens, given: {tokens}; {way_out}");
        return Err(Refusal::new(ErrorType::Validation, said));
    }
    let rows = bundle.tokenizer.vocabulary_size();
    if let Some(id) = encoding.ids.iter().find(|&&id| id as usize >= rows) {
        let said = format!("token id {id} is past the vocabulary of {rows}: use the tokenizer of `{}`", bundle.name);
        return Err(Refusal::new(ErrorType::Tokenizer, said));
    }
    Ok(())
}

fn from_ids(ids: &[u32], max_tokens: usize, truncation: Truncation) -> Encoding {
    let kept = match truncation {
        Truncation { truncates: false, .. } => ids,
        Truncation { direction: TruncationDirection::Right, .. } => &ids[..ids.len().min(max_tokens)],
        Truncation { direction: TruncationDirection::Left, .. } => &ids[ids.len().saturating_sub(max_tokens)..],
    };
    Encoding { ids: kept.to_vec(), types: vec![0; kept.len()] }
}

fn from_text(
    tokenizer: &Tokenizer,
    text: &str,
    pair: Option<&str>,
    max_tokens: usize,
    truncation: Truncation,
) -> Result<Encoding, Refusal> {
    let refused = |error: EncodeError| Refusal::new(ErrorType::Tokenizer, error.to_string());
    match truncation {
        Truncation { truncates: false, .. } => tokenizer.encode(text, pair, Limit::unlimited()).map_err(refused),
        Truncation { direction: TruncationDirection::Right, .. } => {
            tokenizer.encode(text, pair, Limit::new(max_tokens)).map_err(refused)
        }
        Truncation { direction: TruncationDirection::Left, .. } => {
            let located = tokenizer.encode_located(text, pair, Limit::unlimited()).map_err(refused)?;
            let text_of =
                |place: &Option<_>| place.as_ref().map(|place: &attar_text::tokenizer::TokenPlace| place.text);
            let texts: Vec<Option<usize>> = located.places.iter().map(text_of).collect();
            Ok(without_beginnings(located.encoding, &texts, max_tokens))
        }
    }
}

/// Leaves out the first tokens of the longer text, again and again, until so many are left. `texts` says of which text
/// each token is; special tokens are of none and stay.
fn without_beginnings(encoding: Encoding, texts: &[Option<usize>], max_tokens: usize) -> Encoding {
    let count = |text: usize| texts.iter().filter(|&&of| of == Some(text)).count();
    let mut left = [count(0), count(1)];
    for _ in max_tokens..encoding.len() {
        let longer = usize::from(left[1] > left[0]);
        left[longer] = left[longer].saturating_sub(1);
    }
    let mut out = [count(0) - left[0], count(1) - left[1]];
    let mut kept = Encoding::default();
    for ((&id, &kind), text) in encoding.ids.iter().zip(&encoding.types).zip(texts) {
        if let Some(out) = text.and_then(|text| out.get_mut(text)).filter(|out| **out > 0) {
            *out -= 1;
            continue;
        }
        kept.ids.push(id);
        kept.types.push(kind);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_left_out_and_special_tokens_stay() {
        let encoding = |ids: &[u32]| Encoding { ids: ids.to_vec(), types: vec![0; ids.len()] };
        let (text, none) = (Some(0), None);
        let single = [none, text, text, text, none];
        assert_eq!(without_beginnings(encoding(&[1, 5, 6, 7, 2]), &single, 4).ids, [1, 6, 7, 2]);
        assert_eq!(without_beginnings(encoding(&[1, 5, 6, 7, 2]), &single, 9).ids, [1, 5, 6, 7, 2]);
        let pair = [none, text, text, text, none, Some(1), Some(1), none];
        assert_eq!(
            without_beginnings(encoding(&[1, 5, 6, 7, 2, 8, 9, 2]), &pair, 6).ids,
            [1, 7, 2, 8, 9, 2][..].to_vec()
        );
    }

    #[test]
    fn ids_are_cut_at_either_end() {
        let cut = |truncates, direction| from_ids(&[1, 2, 3, 4], 3, Truncation { truncates, direction }).ids;
        assert_eq!(cut(true, TruncationDirection::Right), [1, 2, 3]);
        assert_eq!(cut(true, TruncationDirection::Left), [2, 3, 4]);
        assert_eq!(cut(false, TruncationDirection::Left), [1, 2, 3, 4]);
    }
}
