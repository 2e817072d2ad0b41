//! Answers about the words of a text: tags, and spans that answer questions.

use std::ops::Range;

use attar_runtime::Session;
use serde::Serialize;

use crate::progress::counting;
use crate::{console, tables};

/// The tags of one text.
#[derive(Serialize)]
struct Tagged<'a> {
    text: &'a str,
    words: Vec<Part<'a>>,
    entities: Vec<Part<'a>>,
}

/// Some words of a text.
#[derive(Serialize)]
struct Part<'a> {
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

pub(super) fn tag(session: &mut Session, texts: &[String], as_json: bool) -> anyhow::Result<()> {
    let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut bar = counting(rows.len(), "texts");
    let all = session.tag(&rows, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    let labels = session.config().head.labels();
    let mut table = tables::table(&["text", "words", "label", "probability"]);
    for (text, tags) in rows.into_iter().zip(&all) {
        let words = tags.iter().map(|tag| part(text, &tag.bytes, labels[tag.class].clone(), tag.probability));
        let entities = session.entities(tags);
        let entities = entities.iter().map(|e| part(text, &e.bytes, e.kind.clone(), e.probability));
        if as_json {
            console::json_line(&Tagged { text, words: words.collect(), entities: entities.collect() })?;
            continue;
        }
        for (index, entity) in entities.enumerate() {
            let shown = if index == 0 { text } else { "" };
            table.add_row([shown, entity.text, &entity.label, &format!("{:.3}", entity.probability)]);
        }
    }
    if !as_json {
        console::say(table.to_string())?;
    }
    Ok(())
}

pub(super) fn answer(
    session: &mut Session,
    questions: &[String],
    context: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let Some(context) = context else {
        anyhow::bail!("this model answers questions: give the text to look for answers in as --pair");
    };
    let rows: Vec<(&str, &str)> = questions.iter().map(|question| (question.as_str(), context)).collect();
    let mut bar = counting(rows.len(), "questions");
    let answers = session.answer(&rows, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    let mut table = tables::table(&["question", "answer", "probability", "no answer"]);
    for (question, span) in questions.iter().zip(&answers) {
        let bytes = span.as_ref().map(|span| span.bytes.clone());
        let answered = Answered {
            question,
            answer: bytes.clone().map(|bytes| &context[bytes]),
            probability: span.as_ref().map(|span| span.probability),
            no_answer: span.as_ref().map(|span| span.no_answer),
            start: bytes.clone().map(|bytes| characters(context, bytes.start)),
            end: bytes.map(|bytes| characters(context, bytes.end)),
        };
        if as_json {
            console::json_line(&answered)?;
            continue;
        }
        let number = |x: Option<f32>| x.map_or(String::new(), |x| format!("{x:.3}"));
        let [probability, no_answer] = [answered.probability, answered.no_answer].map(number);
        table.add_row([question, answered.answer.unwrap_or_default(), &probability, &no_answer]);
    }
    if !as_json {
        console::say(table.to_string())?;
    }
    Ok(())
}

fn part<'a>(text: &'a str, bytes: &Range<usize>, label: String, probability: f32) -> Part<'a> {
    let [start, end] = [bytes.start, bytes.end].map(|at| characters(text, at));
    Part { text: &text[bytes.clone()], label, probability, start, end }
}

fn characters(text: &str, bytes: usize) -> usize {
    text[..bytes].chars().count()
}
