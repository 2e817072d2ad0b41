//! `attar embed`: texts in, vectors out.

use anyhow::{bail, ensure};
use attar_model::{Pooling, PoolingMode};
use attar_runtime::{Error, Session, Text};
use serde::Serialize;
use serde_json::Value;

use super::answers::{TextOutcome, answer_all};
use super::row_files::{self, Answers, Form, NpyFile, RowFile};
use super::texts::Texts;
use crate::cli::{EmbedArgs, PoolingArg};
use crate::overwriting::refuse_overwriting_input;
use crate::{console, engine};

#[derive(Serialize)]
struct Embedding<'a> {
    text: &'a str,
    vector: &'a [f32],
    /// Whether the model has seen a part of the text only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

pub(crate) fn run(args: &EmbedArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let mut session = engine::open_headless(&args.model, &args.engine, threads)?;
    set_prompt(&mut session, args)?;
    let own = session.pooling();
    let pooling = Pooling {
        mode: match args.pooling {
            None => own.mode,
            Some(PoolingArg::Mean) => PoolingMode::Mean,
            Some(PoolingArg::Cls) => PoolingMode::Cls,
        },
        normalize: args.normalize.unwrap_or(own.normalize),
    };
    if let Some(data) = &args.data {
        let (text, format, on_error) = (args.text.as_str(), &args.format, args.on_error);
        let (out, model) = (args.out.as_deref(), args.model.as_path());
        let file = RowFile { data, out, model, text, pair: None, format, on_error };
        return row_files::run(&mut session, &Vectors(pooling), file);
    }
    match &args.out {
        None => lines(&mut session, args, pooling, None),
        Some(out) => {
            ensure!(
                row_files::extension(out).as_deref() == Some("npy"),
                "{}: without --data only a .npy file is written: name one, or redirect standard output",
                out.display()
            );
            refuse_overwriting_input(out, [args.model.as_path()])?;
            let mut file = NpyFile::new(out)?;
            lines(&mut session, args, pooling, Some(&mut file))?;
            file.finish()
        }
    }
}

/// Vectors of single texts: to a file of numpy, or a line each.
fn lines(
    session: &mut Session,
    args: &EmbedArgs,
    pooling: Pooling,
    mut file: Option<&mut NpyFile>,
) -> anyhow::Result<()> {
    answer_all(
        session,
        &mut Texts::new(&args.texts),
        args.on_error,
        |session, texts| {
            let rows: Vec<Text<'_>> = texts.iter().map(|text| (*text, None)).collect();
            session.embed(&rows, pooling, |_| ())
        },
        |out, row| match (&mut file, row) {
            (Some(file), TextOutcome::Answered { answer, .. }) => file.push(&answer),
            (Some(file), TextOutcome::Refused { .. }) => file.push_missing(),
            (None, TextOutcome::Answered { text, answer, is_cut }) if args.json => {
                console::write_json_line(out, &Embedding { text, vector: &answer, truncated: is_cut })
            }
            (None, TextOutcome::Answered { answer, .. }) => Ok(writeln!(out, "{}", spaced(&answer))?),
            (None, TextOutcome::Refused { place, unit, problem }) if args.json => {
                console::write_refusal(out, unit, place, problem)
            }
            // A line for each text all the same.
            (None, TextOutcome::Refused { .. }) => Ok(writeln!(out)?),
        },
    )
}

/// The vector of a row.
struct Vectors(Pooling);

impl Answers for Vectors {
    type Answer = Vec<f32>;

    fn columns(&self) -> &'static [&'static str] {
        &["vector"]
    }

    fn answer(&self, session: &mut Session, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        session.embed(texts, self.0, |_| ())
    }

    /// An array in JSON, else the numbers with spaces between them.
    fn values(&self, _: Text<'_>, vector: &Vec<f32>, form: Form) -> Vec<Value> {
        vec![match form {
            Form::Json => vector.iter().map(|&number| short(number)).collect(),
            Form::Separated { .. } => spaced(vector).into(),
        }]
    }

    fn vector<'a>(&self, vector: &'a Vec<f32>) -> Option<&'a [f32]> {
        Some(vector)
    }
}

/// The number with no more digits than tell it from its neighbors.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn spaced(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    numbers.join(" ")
}

/// Takes the prompt that the flags name, if they name one.
fn set_prompt(session: &mut Session, args: &EmbedArgs) -> anyhow::Result<()> {
    let prompt = match (&args.prompt, &args.prompt_text) {
        (Some(name), _) => {
            let named = &session.prompts().named;
            let Some(text) = named.get(name) else {
                let known: Vec<&str> = named.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                bail!(
                    "{} has no prompt {name:?}, it has {known}: choose one of these, or give the words with --prompt-text",
                    args.model.display()
                );
            };
            text.clone()
        }
        (None, Some(text)) => text.clone(),
        (None, None) => return Ok(()),
    };
    Ok(session.set_prompt(&prompt)?)
}
