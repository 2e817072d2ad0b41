//! `attar embed`: texts in, vectors out.

use attar_model::{Pooling, PoolingMode};
use attar_runtime::Text;
use serde::Serialize;

use crate::cli::{EmbedArgs, PoolingArg};
use crate::progress::counting;
use crate::{console, engine};

use super::texts;

#[derive(Serialize)]
struct Embedding<'a> {
    text: &'a str,
    vector: &'a [f32],
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
    let given = texts::given(&args.texts)?;
    let rows: Vec<Text<'_>> = given.iter().map(|text| (text.as_str(), None)).collect();
    let mut bar = counting(rows.len(), "texts");
    let vectors = session.embed(&rows, pooling, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    for (text, vector) in given.iter().zip(&vectors) {
        if args.json {
            console::json_line(&Embedding { text, vector })?;
        } else {
            let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
            console::say(numbers.join(" "))?;
        }
    }
    Ok(())
}
