//! `attar embed`: texts in, vectors out.

use attar_model::{Pooling, PoolingMode};
use attar_runtime::Text;
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
