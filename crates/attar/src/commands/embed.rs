//! `attar embed`: texts in, vectors out.

use anyhow::bail;
use attar_model::{Pooling, PoolingMode};
use attar_runtime::{Session, Text};
use serde::Serialize;

use super::answers::{Row, answer_all};
use super::texts::Texts;
use crate::cli::{EmbedArgs, PoolingArg};
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
    answer_all(
        &mut session,
        &mut Texts::new(&args.texts),
        args.on_error,
        |session, texts| {
            let rows: Vec<Text<'_>> = texts.iter().map(|text| (*text, None)).collect();
            session.embed(&rows, pooling, |_| ())
        },
        |out, row| match row {
            Row::Answered { text, answer, is_cut } if args.json => {
                console::write_json_line(out, &Embedding { text, vector: &answer, truncated: is_cut })
            }
            Row::Answered { answer, .. } => {
                let numbers: Vec<String> = answer.iter().map(f32::to_string).collect();
                Ok(writeln!(out, "{}", numbers.join(" "))?)
            }
            Row::Refused { place, unit, problem } if args.json => console::write_refusal(out, unit, place, problem),
            // A line for each text all the same.
            Row::Refused { .. } => Ok(writeln!(out)?),
        },
    )
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
