//! Questions with a context that holds their answers, as SQuAD has them.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{DataError, Dataset, Example, Label, Target};
use crate::files;
use crate::table::{self, Columnar, Format, TextEncoding, contents};

/// A file in SQuAD's format; keys that are not read, such as titles, may be there.
#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<SquadQuestion>,
}

/// A question of a paragraph.
#[derive(Deserialize)]
struct SquadQuestion {
    question: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    answers: Option<Vec<GoldAnswer>>,
    #[serde(default)]
    is_impossible: bool,
}

/// A question with its context on a line of its own.
#[derive(Deserialize)]
struct QuestionLine {
    question: String,
    context: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    answers: Option<LineAnswers>,
    #[serde(default)]
    is_impossible: bool,
}

/// The ways in which a line states its answers.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected `answers` to be objects with `text` and `answer_start`, or an object with lists of both"
)]
enum LineAnswers {
    List(Vec<GoldAnswer>),
    Single(GoldAnswer),
    Columns { text: Vec<String>, answer_start: Vec<i64> },
}

#[derive(Deserialize)]
struct GoldAnswer {
    text: String,
    /// In characters from the beginning of the context.
    answer_start: i64,
}

/// Reads questions whose answers are parts of a context.
///
/// Three formats are told apart by the content. SQuAD's own JSON (versions 1.1 and 2.0) is one object with `data`, articles with
/// `paragraphs` and those with a `context` and its `qas`. JSON lines have a `question`, a `context` and `answers`, which are a list of
/// objects with `text` and `answer_start`, one such object, or an object with a list for each of the two keys. Parquet and Arrow files
/// have the columns that JSON lines have keys for. Files may be packed by gzip or zstd.
///
/// `answer_start` counts characters (Unicode code points) from 0, and the text has to stand there. A question may have several
/// right answers. An empty list says that the context has no answer; a question without the key `answers` has no label.
///
/// # Errors
/// [`DataError`]: a file that cannot be read or has another form, no question, or an answer that does not stand where it is said to;
/// the question is named by its `id`, or else by its place.
pub fn read_answers(path: &Path) -> Result<Dataset, DataError> {
    let (body, sha256) = match Columnar::of(Format::Auto, path) {
        Some(kind) => (super::all_lines(kind, path)?, table::sha256(path)?),
        None => contents(path, TextEncoding::Auto)?,
    };
    let examples = match is_lines(&body) {
        true => lines(path, &body)?,
        false => squad(path, &body)?,
    };
    if examples.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let has_unanswerable = examples.iter().any(|example| example.label == Label::Answers(Vec::new()));
    Ok(Dataset {
        examples,
        target: Target::Answers { has_unanswerable },
        name: super::name_of(path),
        sha256,
        path: Some(path.to_owned()),
    })
}

/// Whether the first line that is not blank is an object of its own, and not the beginning of SQuAD's one object.
fn is_lines(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Start {
        data: Option<IgnoredAny>,
        question: Option<IgnoredAny>,
    }
    let first = files::lines(body).find(|line| !line.trim_ascii().is_empty());
    // serde would read an array as the object's fields in order.
    let object = first.filter(|line| line.trim_ascii_start().starts_with(b"{"));
    let start = object.and_then(|line| serde_json::from_slice::<Start>(line).ok());
    start.is_some_and(|start| start.data.is_none() || start.question.is_some())
}

fn squad(path: &Path, body: &[u8]) -> Result<Vec<Example>, DataError> {
    let squad: Squad = serde_json::from_slice(body).map_err(|error| DataError::Json {
        path: path.to_owned(),
        reason: format!(
            "expected SQuAD's format, or JSON lines with `question`, `context` and `answers`; reading it as SQuAD's format failed: {error}"
        ),
    })?;
    let mut examples = Vec::new();
    let mut bytes = 0;
    for Paragraph { context, qas } in squad.data.into_iter().flat_map(|article| article.paragraphs) {
        let characters = Characters::of(&context);
        for SquadQuestion { question, id, answers, is_impossible } in qas {
            let place = match id {
                Some(id) => shown(&id),
                None => (examples.len() + 1).to_string(),
            };
            // Each question has its context, so that a short file may ask for much memory.
            bytes += context.len() as u64;
            if bytes > files::MOST_TABLE_BYTES {
                let source =
                    files::too_long("more bytes of contexts, each counted once per question", files::MOST_TABLE_BYTES);
                return Err(DataError::Io { path: path.to_owned(), source });
            }
            let question = Question { path, place, question, is_impossible };
            examples.push(question.example(&context, &characters, answers)?);
        }
    }
    Ok(examples)
}

fn lines(path: &Path, body: &[u8]) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    for (index, bytes) in files::lines(body).enumerate() {
        let line = index + 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let QuestionLine { question, context, id, answers, is_impossible } =
            serde_json::from_slice(bytes).map_err(|error| DataError::Json {
                path: path.to_owned(),
                reason: format!(
                    "line {line}: expected an object with strings `question` and `context`, and `answers` with `text` and \
                     `answer_start`: {error}"
                ),
            })?;
        let place = match id {
            Some(id) => format!("{} (line {line})", shown(&id)),
            None => format!("of line {line}"),
        };
        let question = Question { path, place, question, is_impossible };
        let answers = match answers {
            None => None,
            Some(LineAnswers::List(list)) => Some(list),
            Some(LineAnswers::Single(gold)) => Some(vec![gold]),
            Some(LineAnswers::Columns { text, answer_start }) if text.len() == answer_start.len() => {
                let pairs = text.into_iter().zip(answer_start);
                Some(pairs.map(|(text, answer_start)| GoldAnswer { text, answer_start }).collect())
            }
            Some(LineAnswers::Columns { text, answer_start }) => {
                let got = format!("{} texts and {} of `answer_start`", text.len(), answer_start.len());
                return Err(question.refused("as many `answer_start` values as texts", got));
            }
        };
        examples.push(question.example(&context, &Characters::of(&context), answers)?);
    }
    Ok(examples)
}

/// An id as errors show it, in quotes if it is a text.
fn shown(id: &Value) -> String {
    id.to_string()
}

/// A question, and what errors call it.
struct Question<'a> {
    path: &'a Path,
    place: String,
    question: String,
    is_impossible: bool,
}

impl Question<'_> {
    /// The question over its context; `answers` are `None` where nothing is said of them.
    fn example(
        self,
        context: &str,
        characters: &Characters,
        answers: Option<Vec<GoldAnswer>>,
    ) -> Result<Example, DataError> {
        if self.question.trim().is_empty() || context.trim().is_empty() {
            return Err(self.refused("a question and a context that are not empty", "an empty one".into()));
        }
        let label = match answers {
            None if self.is_impossible => Label::Answers(Vec::new()),
            None => Label::Absent,
            Some(answers) if self.is_impossible && !answers.is_empty() => {
                let got = format!("`is_impossible` and the answer {:?}", answers[0].text);
                return Err(self.refused("no answers to a question that has none", got));
            }
            Some(answers) => {
                let ranges = answers.iter().map(|gold| self.range(context, characters, gold));
                Label::Answers(ranges.collect::<Result<_, _>>()?)
            }
        };
        Ok(Example { text: self.question, pair: Some(context.to_owned()), label })
    }

    /// The bytes of an answer.
    fn range(&self, context: &str, characters: &Characters, gold: &GoldAnswer) -> Result<Range<usize>, DataError> {
        let GoldAnswer { text, answer_start } = gold;
        if text.trim().is_empty() {
            return Err(self.refused(
                "answers that are not empty (for a question without an answer, write an empty list)",
                format!("{text:?}"),
            ));
        }
        let start = usize::try_from(*answer_start).ok().and_then(|start| characters.byte(start));
        let rest = start.and_then(|start| context.get(start..)).unwrap_or_default();
        match start {
            Some(start) if rest.starts_with(text.as_str()) => Ok(start..start + text.len()),
            _ => {
                let found: String = rest.chars().take(text.chars().count()).collect();
                let expected = format!(
                    "{text:?} at character {answer_start} of its context, counted in Unicode code points from 0"
                );
                let found = if found.is_empty() { "nothing".into() } else { format!("{found:?}") };
                // The nearest one: places that count bytes or UTF-16 units miss by little.
                let places = context.match_indices(text.as_str()).filter_map(|(byte, _)| characters.at(byte));
                let elsewhere = places.min_by_key(|&at| answer_start.abs_diff(at as i64));
                let elsewhere = elsewhere.map(|at| format!(" (it stands at {at}; correct `answer_start`)"));
                Err(self.refused(&expected, found + &elsewhere.unwrap_or_default()))
            }
        }
    }

    fn refused(&self, expected: &str, found: String) -> DataError {
        let (path, question) = (self.path.to_owned(), self.place.clone());
        DataError::Answer { path, question, expected: expected.to_owned(), found }
    }
}

/// Where the characters of a text begin.
enum Characters {
    /// At every byte of so many.
    Ascii(usize),
    /// At these bytes.
    Bytes(Vec<usize>),
}

impl Characters {
    fn of(text: &str) -> Characters {
        match text.is_ascii() {
            true => Characters::Ascii(text.len()),
            false => Characters::Bytes(text.char_indices().map(|(byte, _)| byte).collect()),
        }
    }

    /// The character that begins at this byte.
    fn at(&self, byte: usize) -> Option<usize> {
        match self {
            Characters::Ascii(count) => (byte < *count).then_some(byte),
            Characters::Bytes(bytes) => bytes.binary_search(&byte).ok(),
        }
    }

    /// The byte at which this character begins.
    fn byte(&self, character: usize) -> Option<usize> {
        match self {
            Characters::Ascii(count) => (character < *count).then_some(character),
            Characters::Bytes(bytes) => bytes.get(character).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_answers(&path)
    }

    /// Version 2.0, with a question that has no answer, characters of several bytes, and keys that are not read.
    const SQUAD: &str = r#"{"version": "v2.0", "data": [{"title": "Zoë", "paragraphs": [
        {"context": "Zoë 😀 lives in Köln, in Köln.", "qas": [
            {"id": "q1", "question": "Where?", "is_impossible": false,
             "answers": [{"text": "Köln", "answer_start": 15}, {"text": "in Köln", "answer_start": 21}]},
            {"id": "q2", "question": "When?", "is_impossible": true, "answers": [],
             "plausible_answers": [{"text": "Köln", "answer_start": 15}]}]}]}]}"#;

    #[test]
    fn squad_is_read_by_characters() {
        let data = read("dev-v2.0.json", SQUAD).unwrap();
        assert_eq!((data.name.as_str(), data.len()), ("dev-v2.0", 2));
        assert_eq!(data.target, Target::Answers { has_unanswerable: true });
        let (question, context) = data.examples[0].texts();
        let Label::Answers(ranges) = &data.examples[0].label else { panic!("{:?}", data.examples[0]) };
        let found: Vec<&str> = ranges.iter().map(|range| &context.unwrap()[range.clone()]).collect();
        assert_eq!((question, found), ("Where?", vec!["Köln", "in Köln"]));
        assert_eq!(data.examples[1].label, Label::Answers(Vec::new()));
        assert_eq!(data.answers(), Some(vec![vec!["Köln".into(), "in Köln".into()], vec![]]));
    }

    #[test]
    fn lines_say_the_same_in_three_ways() {
        let start = r#"{"question": "Where?", "context": "Zoë 😀 lives in Köln, in Köln.", "answers": "#;
        let columns = r#"{"text": ["Köln", "in Köln"], "answer_start": [15, 21]}}"#;
        let list = r#"[{"text": "Köln", "answer_start": 15}, {"text": "in Köln", "answer_start": 21}]}"#;
        let squad = read("dev.json", SQUAD).unwrap();
        for answers in [columns, list] {
            let data = read("a.jsonl", &format!("\n{start}{answers}\n")).unwrap();
            assert_eq!(data.examples[0], squad.examples[0]);
            assert_eq!(data.target, Target::Answers { has_unanswerable: false });
        }
        // Keys that are not read may have any name.
        let more = start.replace('{', r#"{"data": "squad", "#);
        assert_eq!(read("a.jsonl", &format!("{more}{list}")).unwrap().examples[0], squad.examples[0]);
        let single = format!("{start}{{\"text\": \"lives\", \"answer_start\": 6}}}}\n{start}[]}}\n{start}null}}\n");
        let labels: Vec<Label> =
            read("a.jsonl", &single).unwrap().examples.into_iter().map(|example| example.label).collect();
        assert_eq!(
            labels,
            [Label::Answers(std::iter::once(10..15).collect()), Label::Answers(Vec::new()), Label::Absent]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_question() {
        let error = |text: &str| read("a.json", text).unwrap_err().to_string();
        let moved = error(&SQUAD.replace("\"answer_start\": 21", "\"answer_start\": 22"));
        assert!(moved.contains("question \"q1\": expected \"in Köln\" at character 22"), "{moved}");
        assert!(moved.contains("found \"n Köln.\" (it stands at 21; correct `answer_start`)"), "{moved}");
        for outside in ["-1", "4000"] {
            let moved = error(&SQUAD.replace("\"answer_start\": 21", &format!("\"answer_start\": {outside}")));
            assert!(moved.contains("found nothing"), "{moved}");
        }
        let both =
            error(&SQUAD.replace("\"answers\": [],", "\"answers\": [{\"text\": \"Köln\", \"answer_start\": 15}],"));
        assert!(both.contains("question \"q2\": expected no answers"), "{both}");
        let line = r#"{"id": 7, "question": "Where?", "context": "Here", "answers": ANSWERS}"#;
        let of = |answers: &str| error(&line.replace("ANSWERS", answers));
        assert!(of(r#"{"text": ["Here"], "answer_start": []}"#).contains("question 7 (line 1): expected as many"));
        assert!(
            of(r#"[{"text": " ", "answer_start": 0}]"#)
                .contains("for a question without an answer, write an empty list")
        );
        assert!(of("3").contains("line 1: expected an object"));
        assert!(error(&line.replace("Where?", " ").replace("ANSWERS", "[]")).contains("that are not empty"));
        assert!(error("[1, 2]").contains("expected SQuAD's format, or JSON lines"));
        assert!(error(r#"{"data": []}"#).contains("no examples"));
        assert!(error("").contains("expected SQuAD's format"));
    }
}
