//! `attar embed`: texts in, vectors out.

use attar_distill::recipe::DeviceChoice;
use attar_distill::{Predictor, Text, device};
use attar_model::{Pooling, PoolingMode};
use serde::Serialize;

use crate::cli::{EmbedArgs, PoolingArg};
use crate::console;
use crate::progress::counting;

use super::texts;

#[derive(Serialize)]
struct Embedding<'a> {
    text: &'a str,
    vector: &'a [f32],
}

pub(crate) fn run(args: &EmbedArgs) -> anyhow::Result<()> {
    let predictor = Predictor::load_encoder(&args.model, &device::open(DeviceChoice::Cpu)?)?;
    let own = predictor.pooling();
    let pooling = Pooling {
        mode: match args.pooling {
            None => own.mode,
            Some(PoolingArg::Mean) => PoolingMode::Mean,
            Some(PoolingArg::Cls) => PoolingMode::Cls,
        },
        normalise: args.normalise.unwrap_or(own.normalise),
    };
    let given = texts::given(&args.texts)?;
    let rows: Vec<Text<'_>> = given.iter().map(|text| (text.as_str(), None)).collect();
    let bar = counting(rows.len(), "texts");
    let vectors = predictor.embed(&rows, pooling, |done| bar.inc(done as u64))?;
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
