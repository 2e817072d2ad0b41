//! The components of a `tokenizer.json` that can be run on any text.
//!
//! The library runs whatever a file asks for. Some components fail on every text, some never end, and some make a text
//! as long as they like. Only components whose behavior is known are accepted; the error names the first that is not.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::TokenizerError;

/// Longest word, in characters, that a file may have cut into pieces: the library's time grows with its square.
pub(super) const LONGEST_WORD: usize = 10_000;
/// Bytes that all normalizers together may make of one; those of published multilingual models can make 132.
const MOST_GROWTH: usize = 1024;
/// Components of one kind, nested ones included.
const MOST_COMPONENTS: usize = 64;
/// Bytes of a mark that is put before or after each piece.
const LONGEST_MARK: usize = 64;

/// What is looked at of a file.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    model: ModelSettings,
}

#[derive(Deserialize, Default)]
struct ModelSettings {
    #[serde(default)]
    max_input_chars_per_word: Value,
    #[serde(default)]
    continuing_subword_prefix: Value,
    #[serde(default)]
    end_of_word_suffix: Value,
}

/// A component by its type, and what is wrong with it.
struct Problem {
    component: String,
    problem: String,
}

/// Checks all components; returns how many bytes a byte of a text may become before it is cut.
pub(super) fn check(path: &Path, text: &[u8]) -> Result<usize, TokenizerError> {
    let file: File = serde_json::from_slice(text)
        .map_err(|e| TokenizerError::Json { path: path.to_owned(), reason: e.to_string() })?;
    components(&file).map_err(|Problem { component, problem }| TokenizerError::Component {
        path: path.to_owned(),
        component,
        problem,
    })
}

fn components(file: &File) -> Result<usize, Problem> {
    let mut growth = 1_usize;
    for normalizer in flat(&file.normalizer, "normalizers", "normalizer")? {
        growth = growth.saturating_mul(normalizer_growth(normalizer)?);
    }
    if growth > MOST_GROWTH {
        let problem = format!("can make a text {growth} times as long, at most {MOST_GROWTH} are taken");
        return Err(Problem { component: "normalizer".into(), problem });
    }
    for pre_tokenizer in flat(&file.pre_tokenizer, "pretokenizers", "pre_tokenizer")? {
        check_pre_tokenizer(pre_tokenizer)?;
    }
    let post_processors = flat(&file.post_processor, "processors", "post_processor")?;
    for &processor in &post_processors {
        known(processor, &["BertProcessing", "RobertaProcessing", "TemplateProcessing", "ByteLevel"])?;
    }
    let adders = post_processors.iter().filter(|processor| kind(processor) != Some("ByteLevel"));
    if adders.count() > 1 {
        let problem = "adds special tokens more than once, expected one component that does".into();
        return Err(Problem { component: "post_processor".into(), problem });
    }
    check_model(&file.model)?;
    Ok(growth)
}

/// The components of a sequence of sequences, or the one that there is.
fn flat<'a>(component: &'a Value, members: &str, name: &str) -> Result<Vec<&'a Value>, Problem> {
    let (mut waiting, mut found) = (vec![component], Vec::new());
    while let Some(component) = waiting.pop() {
        match (kind(component), component.get(members)) {
            (Some("Sequence"), Some(Value::Array(inner))) => waiting.extend(inner.iter().rev()),
            _ if component.is_null() => {}
            _ => found.push(component),
        }
        if found.len() + waiting.len() > MOST_COMPONENTS {
            let problem = format!("has more than {MOST_COMPONENTS} parts");
            return Err(Problem { component: name.into(), problem });
        }
    }
    Ok(found)
}

fn kind(component: &Value) -> Option<&str> {
    component.get("type").and_then(Value::as_str)
}

fn problem<T>(component: &Value, problem: impl Into<String>) -> Result<T, Problem> {
    let component = kind(component).unwrap_or("without a type").chars().take(40).collect();
    Err(Problem { component, problem: problem.into() })
}

fn known(component: &Value, kinds: &[&str]) -> Result<(), Problem> {
    match kind(component) {
        Some(kind) if kinds.contains(&kind) => Ok(()),
        _ => problem(component, "is of a kind that attar does not know"),
    }
}

/// Bytes that a normalizer may make of one, rounded to whole ones; what Unicode's own forms add is bounded and left out.
fn normalizer_growth(normalizer: &Value) -> Result<usize, Problem> {
    let text = |key: &str| normalizer.get(key).and_then(Value::as_str).unwrap_or_default();
    match kind(normalizer) {
        Some("Replace") => match pattern(normalizer)? {
            Pattern::Text(pattern) => Ok(text("content").len().div_ceil(pattern.len()).max(1)),
            Pattern::Regex => Ok(1 + text("content").len()),
        },
        Some("Prepend") => Ok(1 + text("prepend").len()),
        Some("Precompiled") => charsmap_growth(normalizer, text("precompiled_charsmap")),
        Some("ByteLevel") => Ok(2),
        _ => {
            let kinds = ["BertNormalizer", "Strip", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt"];
            known(normalizer, &kinds).map(|()| 1)
        }
    }
}

fn check_pre_tokenizer(pre_tokenizer: &Value) -> Result<(), Problem> {
    match kind(pre_tokenizer) {
        Some("Split") => pattern(pre_tokenizer).map(|_| ()),
        Some("FixedLength") if pre_tokenizer.get("length").is_some_and(|length| length == 0) => {
            problem(pre_tokenizer, "cuts words of 0 characters")
        }
        Some("FixedLength") => Ok(()),
        _ => {
            let kinds = [
                "BertPreTokenizer",
                "ByteLevel",
                "CharDelimiterSplit",
                "Delimiter",
                "Digits",
                "Metaspace",
                "Punctuation",
                "UnicodeScripts",
                "Whitespace",
                "WhitespaceSplit",
            ];
            known(pre_tokenizer, &kinds)
        }
    }
}

fn check_model(model: &ModelSettings) -> Result<(), Problem> {
    let refused = |problem: String| Err(Problem { component: "model".into(), problem });
    if let Some(longest) = model.max_input_chars_per_word.as_u64().filter(|&longest| longest > LONGEST_WORD as u64) {
        return refused(format!("cuts words of {longest} characters, at most {LONGEST_WORD} are taken"));
    }
    for mark in [&model.continuing_subword_prefix, &model.end_of_word_suffix] {
        let bytes = mark.as_str().unwrap_or_default().len();
        if bytes > LONGEST_MARK {
            return refused(format!("marks pieces by {bytes} bytes, at most {LONGEST_MARK} are taken"));
        }
    }
    Ok(())
}

/// What a component looks for.
enum Pattern<'a> {
    Text(&'a str),
    Regex,
}

fn pattern(component: &Value) -> Result<Pattern<'_>, Problem> {
    let pattern = component.get("pattern").unwrap_or(&Value::Null);
    // Older files have the text alone.
    let text = pattern.as_str().or_else(|| pattern.get("String")?.as_str());
    match (text, pattern.get("Regex").and_then(Value::as_str)) {
        (Some(""), _) | (_, Some("")) => problem(component, "has an empty pattern, which matches everywhere"),
        (Some(text), _) => Ok(Pattern::Text(text)),
        (None, Some(regex)) if repeats_repetitions(regex) => {
            problem(component, format!("repeats a repetition in {regex:?}, for which some texts take forever"))
        }
        (None, Some(_)) => Ok(Pattern::Regex),
        (None, None) => problem(component, "has no pattern"),
    }
}

/// Whether a group that repeats something is repeated itself, as in `(a+)+`.
fn repeats_repetitions(regex: &str) -> bool {
    // For each open group, whether something in it repeats.
    let mut open = vec![false];
    let mut in_class = false;
    let mut after_repeating_group = false;
    let mut characters = regex.chars().peekable();
    while let Some(character) = characters.next() {
        let ends_group = std::mem::take(&mut after_repeating_group);
        match character {
            '\\' => _ = characters.next(),
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => {
                open.push(false);
                // `(?` begins a group of a special kind and repeats nothing.
                _ = characters.next_if_eq(&'?');
            }
            ')' => {
                let repeats = open.pop().unwrap_or(false);
                after_repeating_group = repeats;
                match open.last_mut() {
                    Some(outer) => *outer |= repeats,
                    None => open.push(repeats),
                }
            }
            '*' | '+' | '{' if ends_group => return true,
            '*' | '+' | '{' => _ = open.last_mut().map(|repeats| *repeats = true),
            _ => {}
        }
    }
    false
}

/// The longest replacement of a table: the length of its index in bytes, the index, and texts that end at NUL.
fn charsmap_growth(normalizer: &Value, encoded: &str) -> Result<usize, Problem> {
    let Ok(bytes) = base64::decode(encoded) else { return problem(normalizer, "is not base64") };
    let index = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
    let texts = index.filter(|length| length % 4 == 0).and_then(|length| bytes.get(4..)?.get(length..));
    match texts {
        Some(texts) => Ok(texts.split(|&byte| byte == 0).map(<[u8]>::len).max().unwrap_or(0).max(1)),
        None => problem(normalizer, format!("has a malformed index in its {} bytes", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_of_repetitions_are_found() {
        for bad in ["(a+)+", "(?:x*y)*z", "((a|b+)c)+", "(a{2,})*", "[)](\\(+)+"] {
            assert!(repeats_repetitions(bad), "{bad}");
        }
        for good in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            "(ab)+",
            "(a+)?b",
            r"\(a+\)+",
            "[(a+)]+",
            " {2,}",
        ] {
            assert!(!repeats_repetitions(good), "{good}");
        }
    }
}
