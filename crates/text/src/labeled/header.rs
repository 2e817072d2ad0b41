//! Whether a first row, of which columns are asked for by number, names them.

use std::collections::BTreeMap;
use std::path::Path;

use super::DataError;
use crate::table::TableRow;

/// What people call columns of texts and labels, without case, punctuation and digits.
const USUAL: [&str; 28] = [
    "answer",
    "category",
    "class",
    "comment",
    "content",
    "document",
    "emotion",
    "gold",
    "intent",
    "label",
    "message",
    "premise",
    "hypothesis",
    "query",
    "question",
    "rating",
    "review",
    "score",
    "sentence",
    "sentiment",
    "similarity",
    "target",
    "text",
    "title",
    "topic",
    "tweet",
    "utterance",
    "y",
];

/// Whether the first of these rows, whose last values are the labels, is a header.
pub(super) fn is_first(path: &Path, rows: &[TableRow]) -> Result<bool, DataError> {
    let label = |row: &TableRow| row.values.last().map_or_else(String::new, |label| label.trim().to_owned());
    let (Some(first), [_, others @ ..]) = (rows.first(), rows) else { return Ok(false) };
    if others.is_empty() {
        return Ok(false);
    }
    let own = label(first);
    let number = |label: &str| label.parse::<f64>().is_ok();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    others.iter().for_each(|row| *counts.entry(label(row)).or_default() += 1);
    if counts.contains_key(&own) || number(&own) {
        return Ok(false);
    }
    if counts.keys().all(|label| number(label)) || first.values.iter().all(|name| is_usual(name)) {
        return Ok(true);
    }
    // Where many classes have a single row, one more says nothing.
    if counts.values().all(|&count| count > 1) {
        return Err(DataError::OpenHeader { path: path.to_owned(), label: own });
    }
    Ok(false)
}

fn is_usual(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    let singular = plain.strip_suffix('s').unwrap_or(&plain);
    USUAL.contains(&plain.as_str()) || USUAL.contains(&singular)
}
