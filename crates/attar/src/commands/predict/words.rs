//! Answers about the words of a text: tags, and spans that answer questions.

use std::io::Write;
use std::ops::Range;

use ::console::{Alignment, pad_str};
use attar_runtime::{Entity, Session, in_characters};
use serde::Serialize;

use crate::cli::PredictArgs;
use crate::commands::answers::{TextOutcome, answer_all};
use crate::commands::texts::Texts;
use crate::console;
use crate::tables::harmless;

/// The tags of one text.
#[derive(Serialize)]
struct Tagged<'a> {
    text: &'a str,
    words: Vec<TaggedPart<'a>>,
    entities: Vec<TaggedPart<'a>>,
}

/// Some words of a text.
#[derive(Serialize)]
pub(super) struct TaggedPart<'a> {
    text: &'a str,
    label: String,
    probability: f32,
    /// In characters, from the beginning of the text.
    start: usize,
    end: usize,
}

/// The answer to one question.
#[derive(Serialize)]
struct Answered<'a> {
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f32>,
    /// That the context has no answer, if the model knows such questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_answer: Option<f32>,
    /// In characters, from the beginning of the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<usize>,
}

pub(super) fn tag(session: &mut Session, texts: &mut Texts<'_>, args: &PredictArgs) -> anyhow::Result<()> {
    let labels = session.config().head.labels().to_vec();
    let mut has_head = args.json;
    answer_all(
        session,
        texts,
        args.on_error,
        |session, texts| {
            let all = session.tag(texts, |_| ())?;
            Ok(all.into_iter().map(|tags| (session.entities(&tags), tags)).collect())
        },
        |out, row| {
            if !std::mem::replace(&mut has_head, true) {
                write_tag(out, ["label", "probability", "words", "text"])?;
            }
            let (text, (entities, tags)) = match row {
                TextOutcome::Answered { text, answer, .. } => (text, answer),
                TextOutcome::Refused { place, unit, problem } if args.json => {
                    return console::write_refusal(out, unit, place, problem);
                }
                TextOutcome::Refused { place, unit, problem } => {
                    return write_tag(out, ["–", "–", "–", &format!("({unit} {place}: {problem})")]);
                }
            };
            let entities = entity_parts(text, &entities);
            if args.json {
                let words = tags.iter().map(|tag| (&tag.bytes, labels[tag.class].clone(), tag.probability));
                let words = Places::new(text).parts(words);
                return console::write_json_line(out, &Tagged { text, words, entities });
            }
            // A text in which nothing is named has a row too.
            if entities.is_empty() {
                return write_tag(out, ["–", "–", "–", text]);
            }
            for (index, entity) in entities.iter().enumerate() {
                let shown = if index == 0 { text } else { "" };
                write_tag(out, [&entity.label, &format!("{:.3}", entity.probability), entity.text, shown])?;
            }
            Ok(())
        },
    )
}

/// What is named in a text, with places in characters.
pub(super) fn entity_parts<'a>(text: &'a str, entities: &[Entity]) -> Vec<TaggedPart<'a>> {
    Places::new(text).parts(entities.iter().map(|e| (&e.bytes, e.kind.clone(), e.probability)))
}

pub(super) fn answer(session: &mut Session, texts: &mut Texts<'_>, args: &PredictArgs) -> anyhow::Result<()> {
    let Some(context) = args.pair.as_deref() else {
        anyhow::bail!("this model answers questions: give the text to look for answers in as --pair");
    };
    let mut has_head = args.json;
    answer_all(
        session,
        texts,
        args.on_error,
        |session, questions| {
            let rows: Vec<(&str, &str)> = questions.iter().map(|question| (*question, context)).collect();
            session.answer(&rows, |_| ())
        },
        |out, row| {
            if !std::mem::replace(&mut has_head, true) {
                write_answer(out, ["probability", "no answer", "answer", "question"])?;
            }
            let (question, span) = match row {
                TextOutcome::Answered { text, answer, .. } => (text, answer),
                TextOutcome::Refused { place, unit, problem } if args.json => {
                    return console::write_refusal(out, unit, place, problem);
                }
                TextOutcome::Refused { place, unit, problem } => {
                    return write_answer(out, ["–", "–", "–", &format!("({unit} {place}: {problem})")]);
                }
            };
            let bytes = span.as_ref().map(|span| &span.bytes);
            let places = bytes.map(|bytes| in_characters(context, bytes));
            let answered = Answered {
                question,
                answer: bytes.map(|bytes| &context[bytes.clone()]),
                probability: span.as_ref().map(|span| span.probability),
                no_answer: span.as_ref().map(|span| span.no_answer),
                start: places.map(|[start, _]| start),
                end: places.map(|[_, end]| end),
            };
            if args.json {
                return console::write_json_line(out, &answered);
            }
            let number = |x: Option<f32>| x.map_or("–".to_string(), |x| format!("{x:.3}"));
            let [probability, no_answer] = [answered.probability, answered.no_answer].map(number);
            write_answer(out, [&probability, &no_answer, answered.answer.unwrap_or_default(), question])
        },
    )
}

/// Counts characters up to places in a text that mostly ascend, so that a text is gone through once.
struct Places<'a> {
    text: &'a str,
    byte: usize,
    character: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Places<'a> {
        Places { text, byte: 0, character: 0 }
    }

    fn parts<'b>(mut self, parts: impl Iterator<Item = (&'b Range<usize>, String, f32)>) -> Vec<TaggedPart<'a>> {
        let part = |(bytes, label, probability): (&Range<usize>, String, f32)| {
            let [start, end] = [bytes.start, bytes.end].map(|byte| self.characters(byte));
            TaggedPart { text: &self.text[bytes.clone()], label, probability, start, end }
        };
        parts.map(part).collect()
    }

    fn characters(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.character) = (0, 0);
        }
        self.character += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.character
    }
}

fn write_tag(out: &mut dyn Write, cells: [&str; 4]) -> anyhow::Result<()> {
    let widths = [(12, Alignment::Left), (11, Alignment::Right), (24, Alignment::Left)];
    write_row(out, &widths, cells)
}

fn write_answer(out: &mut dyn Write, cells: [&str; 4]) -> anyhow::Result<()> {
    let widths = [(11, Alignment::Right), (9, Alignment::Right), (32, Alignment::Left)];
    write_row(out, &widths, cells)
}

/// A row whose last cell is as long as it is.
fn write_row(out: &mut dyn Write, widths: &[(usize, Alignment); 3], cells: [&str; 4]) -> anyhow::Result<()> {
    for (cell, (width, alignment)) in cells.iter().zip(widths) {
        write!(out, " {} ", pad_str(&harmless(cell), *width, *alignment, None))?;
    }
    Ok(writeln!(out, " {}", harmless(cells[3]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_in_any_order() {
        let mut places = Places::new("é turn ön");
        assert_eq!([3, 7, 8, 10, 3].map(|byte| places.characters(byte)), [2, 6, 7, 8, 2]);
    }
}
