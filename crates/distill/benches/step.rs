//! One whole training step: forward, objectives, backward, clip, AdamW, and the teacher where there is one.
//!
//! `cargo bench --bench step` prints medians. With `--serve` it runs one step for each number of a
//! case on standard input and answers with its milliseconds, so that another program can take turns
//! with it: `benches/peers/step.py` does, with PyTorch.

use std::io::{BufRead, Write};
use std::time::Instant;

use attar_distill::engine::{Dropout, Encoder, Input, Parameters, Trace};
use attar_distill::objectives::{
    Attention, BatchLabels, Embedding, Gold, Hidden, LayerMap, Objective, ProjectionSpec, Semantics,
};
use attar_distill::optimizer::{AdamW, AdamWOptions, Gradients};
use attar_distill::plan::initialize_missing;
use attar_distill::recipe::TeacherPrecision;
use attar_distill::train::{StageLoss, Teacher};
use attar_model::{Bundle, EncoderConfig, Head, Target, Tensor as Stored, Weights};
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

/// What a step learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teaching {
    /// Labels: a fine-tuning.
    Gold,
    /// A teacher's trace that is there already: embeddings, hidden states and attention scores, as TinyBERT learns
    /// from them.
    Kept,
    /// The same, computed in each step.
    Computed(TeacherPrecision),
}

/// A shape, what it learns from, and the lengths of the sequences of its batches, which steps take in turn.
struct Case {
    name: &'static str,
    config: EncoderConfig,
    teaching: Teaching,
    batches: Vec<Vec<u32>>,
}

fn shape(layers: usize, hidden: usize, heads: usize, feed_forward: usize) -> EncoderConfig {
    let labels = ["negative", "positive"].map(String::from).to_vec();
    EncoderConfig { layers, hidden, heads, feed_forward, ..EncoderConfig::bert_base() }
        .with_head(Head::Classification { target: Target::Labels(labels) })
}

/// 256 texts out of the training rows of SST-2 by length in word pieces: how many there are of each length.
const SST2: [(u32, usize); 38] = [
    (3, 8),
    (4, 19),
    (5, 23),
    (6, 18),
    (7, 16),
    (8, 15),
    (9, 22),
    (10, 13),
    (11, 13),
    (12, 14),
    (13, 17),
    (14, 3),
    (15, 5),
    (16, 4),
    (17, 7),
    (18, 4),
    (19, 6),
    (20, 6),
    (21, 4),
    (22, 2),
    (23, 5),
    (24, 7),
    (25, 3),
    (26, 1),
    (27, 3),
    (28, 1),
    (29, 3),
    (30, 1),
    (31, 1),
    (32, 2),
    (34, 1),
    (35, 1),
    (41, 1),
    (42, 1),
    (43, 1),
    (44, 3),
    (55, 1),
    (58, 1),
];

fn cases() -> Vec<Case> {
    // 3 to 65 tokens: what a batch looks like that is not sorted by length.
    let mixed: Vec<u32> = (0..32).map(|i| 3 + i * 2).collect();
    let lengths: Vec<u32> = SST2.into_iter().flat_map(|(length, count)| vec![length; count]).collect();
    let buckets: Vec<Vec<u32>> = lengths.chunks(32).map(<[u32]>::to_vec).collect();
    let case = |name, config, teaching, batches| Case { name, config, teaching, batches };
    let tiny = || shape(4, 312, 12, 1200);
    let computed = Teaching::Computed;
    let (f32, int8) = (TeacherPrecision::F32, TeacherPrecision::Int8);
    vec![
        case("6x384, 32 x 24, labels", shape(6, 384, 12, 1536), Teaching::Gold, vec![vec![24; 32]]),
        case("6x384, 32 x 3 to 65, labels", shape(6, 384, 12, 1536), Teaching::Gold, vec![mixed.clone()]),
        case("4x192, 32 x 24, labels", shape(4, 192, 12, 768), Teaching::Gold, vec![vec![24; 32]]),
        case("4x192, 32 x 3 to 65, labels", shape(4, 192, 12, 768), Teaching::Gold, vec![mixed]),
        case("4x312, 32 x 64, trace kept", tiny(), Teaching::Kept, vec![vec![64; 32]]),
        case("4x312, 32 x 64, f32 teacher", tiny(), computed(f32), vec![vec![64; 32]]),
        case("4x312, 32 x 64, int8 teacher", tiny(), computed(int8), vec![vec![64; 32]]),
        case("4x312, SST-2, f32 teacher", tiny(), computed(f32), buckets.clone()),
        case("4x312, SST-2, int8 teacher", tiny(), computed(int8), buckets),
    ]
}

/// A model that learns some batches over and over.
struct Bench {
    batches: Vec<(Batch, BatchLabels)>,
    /// A trace of each batch, where traces are kept.
    kept: Vec<Trace>,
    teacher: Option<Teacher>,
    stage: StageLoss,
    parameters: Parameters,
    optimizer: AdamW,
    streams: Streams,
    device: Device,
    step: u64,
}

impl Bench {
    fn new(case: &Case) -> Bench {
        let streams = Streams::new(1);
        let device = Device::flex();
        let mut stream = streams.stream("ids", &[]);
        let mut batch = |lengths: &Vec<u32>| {
            let tokens = lengths.iter().sum::<u32>() as usize;
            let ids: Vec<u32> = (0..tokens).map(|_| stream.below(case.config.vocabulary as u64) as u32).collect();
            let rows = (0..lengths.len() as u32).collect();
            let classes: Vec<i32> = (0..lengths.len() as i32).map(|row| row % 2).collect();
            let gold = Tensor::<1, Int>::from_data(TensorData::new(classes, [lengths.len()]), &device);
            (Batch { rows, ids, types: vec![0; tokens], lengths: lengths.clone() }, BatchLabels::Classes(gold))
        };
        let batches: Vec<(Batch, BatchLabels)> = case.batches.iter().map(&mut batch).collect();
        let weights = initialize_missing(&case.config, Weights::new(), &streams);
        let encoder = Encoder::new(case.config.clone());
        let semantics = Semantics::Clean;
        let (teacher, stage) = if case.teaching == Teaching::Gold {
            let objectives = vec![Objective::from(Gold { weight: 1.0 })];
            (None, StageLoss::new(encoder, objectives, semantics, ProjectionSpec::default(), None))
        } else {
            let config = shape(12, 768, 12, 3072);
            let bundle = Bundle::new(config.clone(), initialize_missing(&config, Weights::new(), &Streams::new(2)));
            let precision = match case.teaching {
                Teaching::Computed(precision) => precision,
                _ => TeacherPrecision::F32,
            };
            let teacher = Teacher::packed(&bundle, precision, None).expect("new weights are finite");
            let objectives = vec![
                Objective::from(Embedding { weight: 1.0 }),
                Objective::from(Hidden { weight: 1.0, map: LayerMap::default() }),
                Objective::from(Attention { weight: 1.0, map: LayerMap::default() }),
            ];
            (Some(teacher), StageLoss::new(encoder, objectives, semantics, ProjectionSpec::Shared, Some(768)))
        };
        let mut parameters = Parameters::empty(&device);
        parameters.load(stage.encoder().slots(), &weights).expect("new weights fit");
        let mut projections = Weights::new();
        for slot in stage.projection_slots() {
            let shape: Vec<usize> = slot.shape.iter().rev().copied().collect();
            let numbers = (0..slot.len()).map(|_| (stream.normal() * 0.02) as f32).collect();
            projections.insert(slot.name.clone(), Stored::new(shape, numbers));
        }
        parameters.load(stage.projection_slots(), &projections).expect("new projections fit");
        let optimizer = AdamW::new(AdamWOptions::default(), &parameters);
        let mut bench =
            Bench { batches, kept: Vec::new(), teacher, stage, parameters, optimizer, streams, device, step: 0 };
        if case.teaching == Teaching::Kept {
            bench.kept = (0..bench.batches.len()).filter_map(|batch| bench.trace(batch)).collect();
            bench.teacher = None;
        }
        bench
    }

    fn trace(&self, batch: usize) -> Option<Trace> {
        let teacher = self.teacher.as_ref()?;
        let config = teacher.encoder().config();
        let input = Input::ragged(&self.batches[batch].0, config, &self.device);
        Some(teacher.trace_required(&input, &self.stage.required_outputs(config.layers), None))
    }

    /// Milliseconds of one step.
    fn step(&mut self) -> f64 {
        let batch = self.step as usize % self.batches.len();
        let start = Instant::now();
        let trace = self.trace(batch).or_else(|| self.kept.get(batch).cloned());
        let (tokens, gold) = &self.batches[batch];
        let input = Input::ragged(tokens, self.stage.encoder().config(), &self.device);
        let dropout = Dropout::new(&self.streams, "dropout", [0, self.step, 0]);
        let leaves = self.parameters.leaves(&input);
        let loss = self.stage.loss(&leaves, &input, trace.as_ref().map(Into::into), Some(gold), Some(dropout));
        drop(trace);
        let tape = loss.total.backward();
        let gradients = Gradients::collect(leaves, input.ids(), tape).expect("the CPU hands out gradients");
        let norm = gradients.norm().expect("the CPU hands out gradients");
        let scale = (1.0 / (norm + 1e-6)).min(1.0);
        self.optimizer.step(&mut self.parameters, gradients, 5e-5, scale).expect("the CPU updates");
        self.step += 1;
        start.elapsed().as_secs_f64() * 1e3
    }

    /// Milliseconds of a step for each batch, on average.
    fn turn(&mut self) -> f64 {
        let batches = self.batches.len();
        (0..batches).map(|_| self.step()).sum::<f64>() / batches as f64
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> std::io::Result<()> {
    let cases = cases();
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("--serve") {
        let mut current: Option<(usize, Bench)> = None;
        let described: Vec<_> = cases
            .iter()
            .map(|case| {
                let c = &case.config;
                let teacher = match case.teaching {
                    Teaching::Gold => "none",
                    Teaching::Kept => "kept",
                    Teaching::Computed(_) => "computed",
                };
                json!({
                    "name": case.name, "layers": c.layers, "hidden": c.hidden, "heads": c.heads,
                    "feed_forward": c.feed_forward, "vocabulary": c.vocabulary, "batches": case.batches,
                    "teacher": teacher,
                })
            })
            .collect();
        println!("{}", json!({ "threads": rayon::current_num_threads(), "cases": described }));
        for line in std::io::stdin().lock().lines() {
            let case: usize = line?.trim().parse().map_err(std::io::Error::other)?;
            // One case at a time: together they would fill a memory.
            if current.as_ref().is_none_or(|(number, _)| *number != case) {
                drop(current.take());
            }
            let (_, bench) = current.get_or_insert_with(|| (case, Bench::new(&cases[case])));
            // In the pool, as the trainer does it.
            println!("{}", rayon::scope(|_| bench.turn()));
            std::io::stdout().flush()?;
        }
        return Ok(());
    }
    // Whatever `cargo bench` passes on, and perhaps a part of a name.
    let wanted = first.into_iter().chain(arguments).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("{} threads, medians of {COUNTED} turns through the batches", rayon::current_num_threads());
    for case in cases.iter().filter(|case| case.name.contains(&wanted)) {
        let mut bench = Bench::new(case);
        let mut turn = || rayon::scope(|_| bench.turn());
        for _ in 0..WARM {
            turn();
        }
        let mut times: Vec<f64> = (0..COUNTED).map(|_| turn()).collect();
        times.sort_by(f64::total_cmp);
        println!("{:<40} {:>8.1} ms", case.name, times[COUNTED / 2]);
    }
    Ok(())
}
