//! Forward passes of encoders of the usual shapes, from token ids to logits.
//!
//! `cargo bench -p attar-runtime --bench forward` prints medians. With `--serve` it answers requests, one JSON object
//! a line, so that other programs can take turns with it: `benches/peers/runtime.py` and `text.py` do.
//!
//! - `{"load": DIRECTORY, "precision": "f32" | "int8", "threads": 1}` → `{"model": 0}`
//! - `{"model": 0, "lengths": [32, 32], "calls": 3}` → `{"milliseconds": [1.2, 1.1, 1.1]}`
//! - `{"model": 0, "ids": [[101, 102]]}` → `{"logits": [[0.1, 0.2]]}`
//! - `{"model": 0, "texts_file": FILE, "max_tokens": 128, "calls": 1}` → `{"milliseconds": [9.0], "texts": 872,
//!   "labels": [0, 1]}`: text in, labels out, a text a line
//! - `{"drop": 0}` → `{}`

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use attar_model::{Bundle, EncoderConfig, Head, Target, Tensor, Weights, expected_shapes};
use attar_runtime::{Encoder, Input, Options, Output, Precision, Session, Text};
use serde_json::{Value, json};

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == "--serve") {
        let mut models = Vec::new();
        for line in std::io::stdin().lock().lines() {
            println!("{}", answer(&mut models, &serde_json::from_str(&line?)?)?);
            std::io::stdout().flush()?;
        }
        return Ok(());
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    println!("{}, medians in ms", attar_runtime::Cpu::detect());
    println!("{:<24} {:>9} {:>9} {:>9} {:>9}", "shape", "f32 1", "int8 1", "f32 2", "int8 2");
    for (name, layers, hidden, feed_forward, cases) in [
        ("TinyBERT4", 4, 312, 1200, &[(1, 32), (1, 128), (32, 32), (32, 128)][..]),
        ("12x192", 12, 192, 768, &[(1, 32), (1, 128), (32, 32), (32, 128)]),
        ("12x48", 12, 48, 192, &[(1, 32), (1, 128), (32, 32), (32, 128)]),
        ("BERT-base", 12, 768, 3072, &[(1, 128)]),
    ] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let labels = ["negative", "positive"].map(String::from).to_vec();
        let config = EncoderConfig { layers, hidden, feed_forward, vocabulary: 4000, ..EncoderConfig::bert_base() }
            .with_head(Head::Classification { target: Target::Labels(labels) });
        let weights: Weights = expected_shapes(&config).into_iter().map(|(name, shape)| random(name, shape)).collect();
        let bundle = Bundle::new(config, weights);
        let mut encoders = Vec::new();
        for threads in [1, 2] {
            for precision in [Precision::F32, Precision::Int8] {
                encoders.push(Encoder::from_bundle(&bundle, &Options::new(precision, threads))?);
            }
        }
        for &(batch, tokens) in cases {
            let lengths = vec![tokens; batch];
            let calls = (20_000 / (batch * tokens as usize * hidden * layers / 100)).clamp(5, 200);
            let mut all = vec![Vec::new(); encoders.len()];
            for _ in 0..calls {
                for (encoder, all) in encoders.iter_mut().zip(&mut all) {
                    all.extend(time(encoder, &lengths, 1)?);
                }
            }
            print!("{:<24}", format!("{name} {batch}x{tokens}"));
            for times in &mut all {
                times.sort_by(f64::total_cmp);
                print!(" {:>9.3}", times[times.len() / 2]);
            }
            println!();
        }
    }
    Ok(())
}

/// Numbers between -1/16 and 1/16 from a fixed sequence.
fn random(name: String, shape: Vec<usize>) -> (String, Tensor) {
    let mut state = name.bytes().fold(1u64, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut tensor = Tensor::zeros(shape);
    for x in &mut tensor.data {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *x = ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) / 8.0;
    }
    (name, tensor)
}

/// Milliseconds of each of some forward passes.
fn time(encoder: &mut Encoder, lengths: &[u32], calls: usize) -> Result<Vec<f64>, attar_runtime::Error> {
    let tokens = lengths.iter().sum::<u32>();
    let vocabulary = encoder.config().vocabulary as u32;
    let ids: Vec<u32> = (0..tokens).map(|i| i.wrapping_mul(2_654_435_761) % vocabulary).collect();
    let input = Input::new(&ids, &[], lengths)?;
    let mut out = vec![0.0; encoder.rows(Output::Logits, input) * encoder.width(Output::Logits)?];
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        encoder.forward(input, Output::Logits, &mut out)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn answer(models: &mut Vec<Option<Session>>, request: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    if let Some(dir) = request["load"].as_str() {
        let precision = match request["precision"].as_str() {
            Some("int8") => Precision::Int8,
            _ => Precision::F32,
        };
        let threads = request["threads"].as_u64().unwrap_or(1) as usize;
        models.push(Some(Session::load(Path::new(dir), &Options::new(precision, threads))?));
        return Ok(json!({ "model": models.len() - 1 }));
    }
    if let Some(index) = request["drop"].as_u64() {
        models[index as usize] = None;
        return Ok(json!({}));
    }
    let index = request["model"].as_u64().ok_or("no model is named")? as usize;
    let session = models.get_mut(index).and_then(Option::as_mut).ok_or("no such model")?;
    let calls = request["calls"].as_u64().unwrap_or(1) as usize;
    if let Some(file) = request["texts_file"].as_str() {
        if let Some(max_tokens) = request["max_tokens"].as_u64() {
            session.truncate_to(max_tokens as usize);
        }
        return texts(session, &std::fs::read_to_string(file)?, calls);
    }
    let encoder = session.encoder();
    if let Some(rows) = request["ids"].as_array() {
        let rows: Vec<Vec<u32>> =
            rows.iter().map(|row| serde_json::from_value(row.clone())).collect::<Result<_, _>>()?;
        let lengths: Vec<u32> = rows.iter().map(|row| row.len() as u32).collect();
        let ids = rows.concat();
        let input = Input::new(&ids, &[], &lengths)?;
        let width = encoder.width(Output::Logits)?;
        let mut out = vec![0.0; encoder.rows(Output::Logits, input) * width];
        encoder.forward(input, Output::Logits, &mut out)?;
        return Ok(json!({ "logits": out.chunks(width).collect::<Vec<_>>() }));
    }
    let lengths: Vec<u32> = serde_json::from_value(request["lengths"].clone())?;
    time(encoder, &lengths, calls).map(|times| json!({ "milliseconds": times })).map_err(Into::into)
}

/// Times from texts to labels.
fn texts(session: &mut Session, texts: &str, calls: usize) -> Result<Value, Box<dyn std::error::Error>> {
    let rows: Vec<Text<'_>> = texts.lines().map(|text| (text, None)).collect();
    let (mut labels, mut times) = (vec![0; rows.len()], Vec::new());
    for _ in 0..calls {
        let start = Instant::now();
        let best =
            |row: &[f32]| (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        session.for_each_row(&rows, Output::Logits, |text, row| labels[text] = best(row), &mut |_| {})?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(json!({ "milliseconds": times, "texts": rows.len(), "labels": labels }))
}
