//! From a directory to a model that can run, and to its first answer.
//!
//! `cargo bench -p attar-runtime --bench load -- DIRECTORY…` prints the least and the median of milliseconds, the
//! directories taking turns.

use std::path::Path;
use std::time::Instant;

use attar_model::Bundle;
use attar_runtime::{Encoder, Options, Precision, Session};

/// Rounds of which the first is not counted.
const ROUNDS: usize = 22;

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directories: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    println!("{}, least and median in ms", attar_runtime::Cpu::detect());
    let steps = ["read", "encoder", "session", "first answer"];
    let mut cases = Vec::new();
    for directory in &directories {
        for precision in [Precision::F32, Precision::Int8] {
            cases.push((directory, precision, vec![Vec::new(); steps.len()]));
        }
    }
    for round in 0..ROUNDS {
        for (directory, precision, times) in &mut cases {
            let (dir, options) = (Path::new(directory.as_str()), Options::new(*precision, 1));
            let mut took = [0.0; 4];
            let mut start = Instant::now();
            let mut lap = || std::mem::replace(&mut start, Instant::now()).elapsed().as_secs_f64() * 1e3;
            drop(Bundle::read(dir)?);
            took[0] = lap();
            drop(Encoder::load(dir, &options)?);
            took[1] = lap();
            let mut session = Session::load(dir, &options)?;
            took[2] = lap();
            let pooling = session.pooling();
            session.embed(&[("a gorgeous, witty, seductive movie", None)], pooling, |_| ())?;
            took[3] = lap();
            if round > 0 {
                times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
            }
        }
    }
    for (directory, precision, times) in &mut cases {
        print!("{directory} {precision:?}:");
        for (step, times) in steps.iter().zip(times) {
            times.sort_by(f64::total_cmp);
            print!("  {step} {:.2} {:.2}", times[0], times[times.len() / 2]);
        }
        println!();
    }
    Ok(())
}
