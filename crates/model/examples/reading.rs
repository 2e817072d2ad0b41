//! Says how long it takes to read a model directory, first and again, in microseconds.
//!
//! Run with `cargo run --release -p attar-model --example reading -- DIRECTORY all|f32|quantized`. The first reading is
//! that of a cold start: fresh memory has to be given by the operating system, which costs about as much as copying
//! into it.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;
use std::time::Instant;

use attar_model::{Bundle, Error, ReadWeights};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1);
    let dir = arguments.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let choice = match arguments.next().as_deref().and_then(|choice| choice.to_str()) {
        Some("f32") => ReadWeights::F32,
        Some("quantized") => ReadWeights::Quantized,
        _ => ReadWeights::All,
    };
    let mut times = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        let bundle = Bundle::read_with(&dir, choice)?;
        times.push(start.elapsed().as_micros());
        assert_eq!(bundle.quantized.is_none(), choice == ReadWeights::F32);
    }
    println!("{} {}", times[0], times[1]);
    Ok(())
}
