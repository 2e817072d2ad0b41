//! One whole training step: forward, backward, clip, AdamW.
//!
//! `cargo bench --bench step` prints medians. With `--serve` it runs one step for each number of a
//! case on standard input and answers with its milliseconds, so that another program can take turns
//! with it: `benches/peers/step.py` does, with PyTorch.

use std::io::{BufRead, Write};
use std::time::Instant;

use attar_distill::engine::{Dropout, Encoder, Input, Parameters};
use attar_distill::objectives::{Gold, Objective, Semantics};
use attar_distill::optimiser::{AdamW, AdamWOptions, Gradients};
use attar_distill::plan::initialised;
use attar_distill::recipe::ProjectionSpec;
use attar_distill::train::Learning;
use attar_model::{EncoderConfig, Head, Target, Weights};
use attar_text::batch::Batch;
use attar_text::random::Streams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mimalloc::MiMalloc;
use serde_json::json;

// The allocator of the `attar` program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Steps that are run and not counted.
const WARM: usize = 3;
/// Steps of a median.
const COUNTED: usize = 15;

/// A shape and the lengths of the sequences of its batch.
struct Case {
    name: &'static str,
    config: EncoderConfig,
    lengths: Vec<u32>,
}

fn cases() -> Vec<Case> {
    let shape = |layers, hidden, heads, feed_forward| {
        let labels = ["negative", "positive"].map(String::from).to_vec();
        EncoderConfig { layers, hidden, heads, feed_forward, ..EncoderConfig::bert_base() }
            .with_head(Head::Classification { target: Target::Labels(labels) })
    };
    // 3 to 65 tokens: what a batch looks like that is not sorted by length.
    let mixed: Vec<u32> = (0..32).map(|i| 3 + i * 2).collect();
    vec![
        Case { name: "6x384, 32 texts of 24 tokens", config: shape(6, 384, 12, 1536), lengths: vec![24; 32] },
        Case { name: "6x384, 32 texts of 3 to 65 tokens", config: shape(6, 384, 12, 1536), lengths: mixed.clone() },
        Case { name: "4x192, 32 texts of 24 tokens", config: shape(4, 192, 12, 768), lengths: vec![24; 32] },
        Case { name: "4x192, 32 texts of 3 to 65 tokens", config: shape(4, 192, 12, 768), lengths: mixed },
    ]
}

/// A model that learns one batch over and over.
struct Bench {
    batch: Batch,
    learning: Learning,
    parameters: Parameters,
    optimiser: AdamW,
    streams: Streams,
    gold: Gold,
    device: Device,
    step: u64,
}

impl Bench {
    fn new(case: &Case) -> Bench {
        let streams = Streams::new(1);
        let device = Device::flex();
        let tokens = case.lengths.iter().sum::<u32>() as usize;
        let mut stream = streams.stream("ids", &[]);
        let ids: Vec<u32> = (0..tokens).map(|_| stream.below(case.config.vocabulary as u64) as u32).collect();
        let batch = Batch {
            rows: (0..case.lengths.len() as u32).collect(),
            ids,
            types: vec![0; tokens],
            lengths: case.lengths.clone(),
        };
        let classes: Vec<i32> = (0..batch.len() as i32).map(|row| row % 2).collect();
        let gold = Gold::Classes(Tensor::<1, Int>::from_data(TensorData::new(classes, [batch.len()]), &device));
        let weights = initialised(&case.config, Weights::new(), &streams);
        let objectives = vec![Objective::Gold { weight: 1.0 }];
        let encoder = Encoder::new(case.config.clone());
        let learning = Learning::new(encoder, objectives, Semantics::Clean, ProjectionSpec::default(), None);
        let mut parameters = Parameters::empty(&device);
        parameters.load(learning.encoder().slots(), &weights).expect("new weights fit");
        let optimiser = AdamW::new(AdamWOptions::default(), &parameters);
        Bench { batch, learning, parameters, optimiser, streams, gold, device, step: 0 }
    }

    /// Milliseconds of one step.
    fn step(&mut self) -> f64 {
        let start = Instant::now();
        let input = Input::ragged(&self.batch, self.learning.encoder().config(), &self.device);
        let dropout = Dropout::new(&self.streams, "dropout", [0, self.step, 0]);
        let leaves = self.parameters.leaves(&input);
        let loss = self.learning.loss(&leaves, &input, None, Some(&self.gold), Some(dropout));
        let tape = loss.total.backward();
        let gradients = Gradients::collect(leaves, input.ids(), tape).expect("the CPU hands out gradients");
        let norm = gradients.norm().expect("the CPU hands out gradients");
        let scale = (1.0 / (norm + 1e-6)).min(1.0);
        self.optimiser.step(&mut self.parameters, gradients, 5e-5, scale).expect("the CPU updates");
        self.step += 1;
        start.elapsed().as_secs_f64() * 1e3
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> std::io::Result<()> {
    let cases = cases();
    let mut benches: Vec<Bench> = cases.iter().map(Bench::new).collect();
    if std::env::args().any(|argument| argument == "--serve") {
        let described: Vec<_> = cases
            .iter()
            .map(|case| {
                let c = &case.config;
                json!({
                    "name": case.name, "layers": c.layers, "hidden": c.hidden, "heads": c.heads,
                    "feed_forward": c.feed_forward, "vocabulary": c.vocabulary, "lengths": case.lengths,
                })
            })
            .collect();
        println!("{}", json!({ "threads": rayon::current_num_threads(), "cases": described }));
        for line in std::io::stdin().lock().lines() {
            let case: usize = line?.trim().parse().map_err(std::io::Error::other)?;
            println!("{}", benches[case].step());
            std::io::stdout().flush()?;
        }
        return Ok(());
    }
    println!("{} threads, medians of {COUNTED} steps", rayon::current_num_threads());
    for (case, bench) in cases.iter().zip(&mut benches) {
        for _ in 0..WARM {
            bench.step();
        }
        let mut times: Vec<f64> = (0..COUNTED).map(|_| bench.step()).collect();
        times.sort_by(f64::total_cmp);
        println!("{:<40} {:>8.1} ms", case.name, times[COUNTED / 2]);
    }
    Ok(())
}
