//! Answers to the rows of a file: classes, tags and spans as columns.

use std::path::Path;

use attar_model::{Head, Target};
use attar_runtime::{Entity, Error, Session, Span, Text, in_characters};
use serde_json::{Value, json};

use super::prediction;
use super::words::entity_parts;
use crate::cli::PredictArgs;
use crate::commands::row_files::{self, Answers, Form, RowFile};

/// Answers every row of a file as the model's head says. `target` is that of a classification head.
pub(super) fn run(
    session: &mut Session,
    target: Option<&Target>,
    data: &Path,
    args: &PredictArgs,
) -> anyhow::Result<()> {
    let (text, pair) = match session.config().head {
        Head::QuestionAnswering => ("question", Some("context")),
        _ => ("text", None),
    };
    let (text, pair) = (args.text.as_deref().unwrap_or(text), args.pair.as_deref().or(pair));
    let (out, model) = (args.out.as_deref(), args.model.as_path());
    let file = RowFile { data, out, model, text, pair, format: &args.format, on_error: args.on_error };
    match (&session.config().head, target) {
        (_, Some(target)) => row_files::run(session, &Classes(target), file),
        (Head::QuestionAnswering, None) => row_files::run(session, &Spans, file),
        _ => row_files::run(session, &Tags(session.config().head.labels().to_vec()), file),
    }
}

/// The class of a text, its labels or its score.
struct Classes<'a>(&'a Target);

impl Answers for Classes<'_> {
    type Answer = Vec<f32>;

    fn columns(&self) -> &'static [&'static str] {
        match self.0 {
            Target::Labels(_) => &["predicted_label", "predicted_probability"],
            Target::MultiLabel(_) => &["predicted_labels", "predicted_probabilities"],
            Target::Regression => &["predicted_score"],
        }
    }

    fn answer(&self, session: &mut Session, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        session.logits(texts, |_| ())
    }

    fn values(&self, _: Text<'_>, logits: &Vec<f32>, form: Form) -> Vec<Value> {
        let answer = prediction("", None, self.0, logits);
        if let Some(labels) = &answer.labels {
            let chances: Vec<f64> = answer.likely().map(|(_, probability)| rounded(probability)).collect();
            return vec![several(labels, form), several(&chances, form)];
        }
        let best = answer.probabilities.iter().find(|(name, _)| Some(*name) == answer.label);
        match (answer.label, best, answer.score) {
            (Some(label), Some((_, probability)), _) => vec![Value::from(label), Value::from(rounded(*probability))],
            (.., score) => vec![Value::from(score)],
        }
    }

    fn words(&self) -> &[String] {
        match self.0 {
            Target::Labels(names) | Target::MultiLabel(names) => names,
            Target::Regression => &[],
        }
    }
}

/// What is named in a text. The labels are those of the head.
struct Tags(Vec<String>);

impl Answers for Tags {
    type Answer = Vec<Entity>;

    fn columns(&self) -> &'static [&'static str] {
        &["predicted_entities"]
    }

    fn answer(&self, session: &mut Session, texts: &[Text<'_>]) -> Result<Vec<Vec<Entity>>, Error> {
        let texts: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        let all = session.tag(&texts, |_| ())?;
        Ok(all.iter().map(|tags| session.entities(tags)).collect())
    }

    /// A list of objects, in tables as JSON too: nothing else has room for a list of spans.
    fn values(&self, (text, _): Text<'_>, entities: &Vec<Entity>, form: Form) -> Vec<Value> {
        let list = json!(entity_parts(text, entities));
        vec![if form == Form::Json { list } else { list.to_string().into() }]
    }

    fn are_json(&self) -> bool {
        true
    }

    fn words(&self) -> &[String] {
        &self.0
    }
}

/// The answer to a question, a part of the second text.
struct Spans;

impl Answers for Spans {
    type Answer = Option<Span>;

    fn columns(&self) -> &'static [&'static str] {
        &["predicted_answer", "predicted_probability", "predicted_no_answer", "predicted_start", "predicted_end"]
    }

    fn answer(&self, session: &mut Session, texts: &[Text<'_>]) -> Result<Vec<Option<Span>>, Error> {
        let rows: Vec<(&str, &str)> = texts.iter().map(|(text, pair)| (*text, pair.unwrap_or_default())).collect();
        session.answer(&rows, |_| ())
    }

    fn values(&self, (_, context): Text<'_>, span: &Option<Span>, form: Form) -> Vec<Value> {
        let nothing = if form == Form::Json { Value::Null } else { Value::from("") };
        match (span, context) {
            (Some(span), Some(context)) => {
                let answer = &context[span.bytes.clone()];
                // A table that knows no quotation has no room for line ends and separators.
                let answer = match form {
                    Form::Separated { by, quoted: false } => answer.replace([char::from(by), '\n', '\r'], " "),
                    _ => answer.to_owned(),
                };
                let [start, end] = in_characters(context, &span.bytes);
                let [probability, no_answer] = [span.probability, span.no_answer].map(|p| rounded(p.into()));
                vec![answer.into(), probability.into(), no_answer.into(), start.into(), end.into()]
            }
            _ => vec![nothing; 5],
        }
    }
}

/// Six places: more are noise of 32-bit logits.
fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}

/// Several values of a row: an array in JSON, else with semicolons between them, or bars where semicolons part columns.
fn several<T: serde::Serialize + ToString>(values: &[T], form: Form) -> Value {
    match form {
        Form::Json => json!(values),
        Form::Separated { by, .. } => {
            values.iter().map(T::to_string).collect::<Vec<_>>().join(if by == b';' { "|" } else { ";" }).into()
        }
    }
}
