//! Sentences whose words have tags.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use super::load::named;
use super::{DataError, Dataset, Example, Label, LabelSet, Target, WordTag};
use crate::files;
use crate::metrics::TagScheme;
use crate::table::{self, Columnar, Format, TableError, TextEncoding, contents};

/// Line that stands between the documents of a CoNLL file.
const DOCUMENT: &str = "-DOCSTART-";
/// Keys of the words of a sentence in JSON lines.
const WORDS: [&str; 2] = ["tokens", "words"];
/// Keys of their tags.
const TAGS: [&str; 3] = ["tags", "ner_tags", "labels"];

/// A sentence whose tags have no numbers yet.
struct Sentence {
    line: usize,
    words: Vec<String>,
    tags: Vec<String>,
}

/// Reads sentences whose words have tags; the text of a sentence is its words with a space between them.
///
/// Two formats are told apart by the first character that is no space. JSON lines have objects with an array of strings `tokens`
/// (or `words`) and one as long, `tags` (or `ner_tags`, `labels`). Else it is CoNLL's format: a word a line, columns
/// separated by a tab or else by spaces, the word in the first and the tag in the last one; sentences end at blank lines; lines that
/// begin with `-DOCSTART-` are skipped. Parquet and Arrow files have the columns that JSON lines have keys for. Files may be packed by gzip or zstd.
///
/// `names` are the tags in order, and others are refused; without them they are found in the file: `O` first, then by kind
/// of entity, `B-` before `I-`.
///
/// # Errors
/// [`DataError`]: a file that cannot be read, no sentence, a line of another form, or a tag that is not among `names`.
pub fn read_tagged(path: &Path, names: Option<&[String]>) -> Result<Dataset, DataError> {
    let (body, sha256) = match Columnar::of(Format::Auto, path) {
        Some(kind) => (super::all_lines(kind, path)?, table::sha256(path)?),
        None => contents(path, TextEncoding::Auto)?,
    };
    let is_json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let sentences = if is_json { json_lines(path, &body)? } else { columns(path, &body)? };
    if sentences.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let labels = match names {
        Some(names) => named(names)?,
        None => LabelSet { names: found(&sentences) },
    };
    let classes: HashMap<&str, u32> = labels.names.iter().map(String::as_str).zip(0..).collect();
    let examples = sentences.iter().map(|sentence| example(sentence, &classes, &labels, path));
    let examples = examples.collect::<Result<Vec<Example>, DataError>>()?;
    let name = super::name_of(path);
    Ok(Dataset { examples, target: Target::Tags(labels), name, sha256, path: Some(path.to_owned()) })
}

fn example(
    sentence: &Sentence,
    classes: &HashMap<&str, u32>,
    labels: &LabelSet,
    path: &Path,
) -> Result<Example, DataError> {
    let mut text = String::new();
    let mut tags = Vec::with_capacity(sentence.words.len());
    for (word, tag) in sentence.words.iter().zip(&sentence.tags) {
        if !text.is_empty() {
            text.push(' ');
        }
        let start = text.len();
        text.push_str(word);
        let class = classes
            .get(tag.as_str())
            .ok_or_else(|| DataError::unknown_label(path.to_owned(), sentence.line, tag, &labels.names))?;
        tags.push(WordTag { bytes: start..text.len(), class: *class });
    }
    Ok(Example { text, pair: None, label: Label::Tags(tags) })
}

/// The tags that occur: `O`, then by kind, beginnings first.
fn found(sentences: &[Sentence]) -> Vec<String> {
    let names: BTreeSet<&str> = sentences.iter().flat_map(|sentence| &sentence.tags).map(String::as_str).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    // Stable: by name where kinds are equal, and `B` comes before `I`.
    names.sort_by_key(|name| (*name != TagScheme::OUTSIDE, name.split_once('-').map_or(*name, |(_, kind)| kind)));
    names.into_iter().map(str::to_owned).collect()
}

fn columns(path: &Path, body: &[u8]) -> Result<Vec<Sentence>, DataError> {
    let mut sentences: Vec<Sentence> = Vec::new();
    let mut is_open = false;
    for (index, bytes) in files::lines(body).enumerate() {
        let line = index + 1;
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 { path: path.to_owned(), line })?;
        let text = text.trim_end();
        if text.trim_start().is_empty() || text.starts_with(DOCUMENT) {
            is_open = false;
            continue;
        }
        let parts: Vec<&str> = match text.contains('\t') {
            true => text.split('\t').map(str::trim).collect(),
            false => text.split_whitespace().collect(),
        };
        let (Some(&word), Some(&tag)) = (parts.first(), parts.last().filter(|_| parts.len() > 1)) else {
            return Err(refused(path, line, "a word, and its tag in the last column", text));
        };
        if word.is_empty() || tag.is_empty() {
            return Err(refused(path, line, "a word, and its tag in the last column", text));
        }
        if !is_open {
            sentences.push(Sentence { line, words: Vec::new(), tags: Vec::new() });
            is_open = true;
        }
        if let Some(sentence) = sentences.last_mut() {
            sentence.words.push(word.to_owned());
            sentence.tags.push(tag.to_owned());
        }
    }
    Ok(sentences)
}

fn json_lines(path: &Path, body: &[u8]) -> Result<Vec<Sentence>, DataError> {
    let mut sentences = Vec::new();
    for (index, bytes) in files::lines(body).enumerate() {
        let line = index + 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 { path: path.to_owned(), line })?;
        let object: Value = serde_json::from_str(text).map_err(|error| {
            let reason = error.to_string();
            TableError::Json { path: path.to_owned(), line, reason }
        })?;
        let list = |keys: &[&str]| -> Option<Vec<String>> {
            let values = keys.iter().find_map(|key| object.get(key))?.as_array()?;
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        };
        let (Some(words), Some(tags)) = (list(&WORDS), list(&TAGS)) else {
            let expected =
                "an object with arrays of strings `tokens` and `tags`; tags that are numbers need their names";
            return Err(refused(path, line, expected, text));
        };
        if words.len() != tags.len() || words.is_empty() {
            let lengths = format!("{} words and {} tags", words.len(), tags.len());
            return Err(refused(path, line, "as many tags as words, and at least one", &lengths));
        }
        if words.iter().chain(&tags).any(|part| part.trim().is_empty()) {
            return Err(refused(path, line, "words and tags that are not empty", text));
        }
        sentences.push(Sentence { line, words, tags });
    }
    Ok(sentences)
}

/// Characters of a line that an error shows.
const SHOWN: usize = 60;

fn refused(path: &Path, line: usize, expected: &'static str, found: &str) -> DataError {
    DataError::Tagged { path: path.to_owned(), line, expected, found: found.chars().take(SHOWN).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, names: Option<&[String]>) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.train.conll");
        std::fs::write(&path, text).unwrap();
        read_tagged(&path, names)
    }

    const PEOPLE: &str =
        "-DOCSTART- -X- O O\n\nAda NNP B-PER\nLovelace NNP I-PER\nwrote VBD O\n\n\nin IN O\nLondon NNP B-LOC\n";

    #[test]
    fn words_keep_their_places() {
        let data = read(PEOPLE, None).unwrap();
        assert_eq!((data.name.as_str(), data.len()), ("people.train", 2));
        let Target::Tags(labels) = &data.target else { panic!("{:?}", data.target) };
        assert_eq!(labels.names, ["O", "B-LOC", "B-PER", "I-PER"]);
        let first = &data.examples[0];
        assert_eq!(first.text, "Ada Lovelace wrote");
        let Label::Tags(tags) = &first.label else { panic!("{:?}", first.label) };
        let words: Vec<(&str, u32)> = tags.iter().map(|tag| (&first.text[tag.bytes.clone()], tag.class)).collect();
        assert_eq!(words, [("Ada", 2), ("Lovelace", 3), ("wrote", 0)]);
        assert_eq!(data.tags(), Some(vec![vec![2, 3, 0], vec![0, 1]]));
        assert_eq!(data.class_counts(), [2, 1, 1, 1]);
    }

    #[test]
    fn json_lines_are_the_same_sentences() {
        let json = r#"{"tokens": ["Ada", "Lovelace", "wrote"], "ner_tags": ["B-PER", "I-PER", "O"], "id": 7}
            {"words": ["in", "London"], "tags": ["O", "B-LOC"]}"#;
        let (lines, columns) = (read(json, None).unwrap(), read(PEOPLE, None).unwrap());
        assert_eq!((lines.examples, lines.target), (columns.examples, columns.target));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| read(text, None).unwrap_err().to_string();
        assert!(
            error("Ada B-PER\nLovelace\n").contains("line 2: expected a word, and its tag"),
            "{}",
            error("Ada O\nX\n")
        );
        assert!(error("\n\n").contains("no examples"));
        assert!(error(r#"{"tokens": ["a", "b"], "tags": ["O"]}"#).contains("2 words and 1 tags"));
        assert!(error(r#"{"tokens": ["a"], "tags": [3]}"#).contains("tags that are numbers need their names"));
        let names = ["O", "B-PER", "I-PER"].map(str::to_owned);
        let error = read(PEOPLE, Some(&names)).unwrap_err().to_string();
        assert!(error.contains("line 8: unknown label \"B-LOC\""), "{error}");
    }
}
