//! `attar quantize`: a model in int8 and int4, as far as its score allows.

use std::path::Path;

use anyhow::ensure;
use attar_distill::data::LabeledData;
use attar_distill::model_directory;
use attar_distill::quantize::{
    Embeddings, Options, Progress, Report, RowsToScore, ScoredRows, Why, classifier, encode_texts, quantize,
};
use attar_model::atomic::WriteMode;
use attar_model::quantized::QUANTIZED_FILE;
use attar_model::{Bundle, WriteWeights};
use attar_text::labeled::Dataset;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encodings, Tokenizer};
use attar_text::unlabeled::{self, UnlabeledSpec};
use serde::Serialize;

use crate::cli::data::SplitArg;
use crate::cli::{EmbeddingsArg, QuantizeArgs};
use crate::held_out::divide;
use crate::progress::{counting, waiting};
use crate::{console, rows, tables};

pub(crate) fn run(args: &QuantizeArgs) -> anyhow::Result<()> {
    let report = make(args)?;
    let directory = args.out.display().to_string();
    if args.json {
        let mut all = serde_json::json!(report);
        all["directory"] = directory.into();
        return console::json(&all);
    }
    print(&directory, &report)?;
    Ok(())
}

/// A student as it is shipped.
#[derive(Serialize)]
pub(crate) struct Shipped {
    /// Its directory.
    pub(crate) directory: String,
    /// Bytes of all its files that a user needs.
    pub(crate) bytes: u64,
    /// Points of the score lost to quantization; `None` where nothing was scored.
    loss: Option<f64>,
}

impl Shipped {
    /// The line that a person reads.
    pub(crate) fn summary(&self) -> String {
        let lost = match self.loss {
            None => "its score was not measured again".into(),
            Some(loss) if loss > 0.0 => format!("{loss:.2} points of the score lost"),
            Some(_) => "no loss of score".to_string(),
        };
        format!(
            "quantized (after the bill): {}, {} with its tokenizer; {lost}",
            self.directory,
            tables::bytes(self.bytes)
        )
    }
}

/// Dev rows below which a score cannot tell which parts hurt.
const FEW_DEV_ROWS: usize = 64;

/// Writes the student of a run in quantized form, scored on the run's own dev rows; an existing directory is left alone.
pub(crate) fn ship(run: &Path, out: &Path, data: LabeledData) -> anyhow::Result<Shipped> {
    let mut loss = None;
    if !out.exists() {
        let directory = model_directory::existing(run)?;
        let bundle = Bundle::read(&directory)?;
        let mut notes = Vec::new();
        let is_scored = data.dev.len() >= FEW_DEV_ROWS;
        let rows = is_scored.then(|| {
            let rows = RowsToScore {
                dev: data.dev,
                train: Some(data.train),
                calibration_rows: CALIBRATION_ROWS,
                metrics: data.metrics,
                max_tokens: None,
                model: model_directory::name(run),
            };
            ScoredRows::new(&bundle, &Tokenizer::from_dir(&directory)?, rows, &Streams::new(SEED), &mut notes)
        });
        let options = Options {
            name: model_directory::name(out),
            source: model_directory::name(run),
            max_loss: 0.5,
            embeddings: Embeddings::Auto,
            keep: Vec::new(),
            keeps_floats: false,
            texts: None,
            seed: SEED,
            threads: rayon::current_num_threads(),
        };
        let report = write(bundle, &options, rows.transpose()?.as_ref(), out)?;
        notes.iter().for_each(console::note);
        loss = report.gate.map(|gate| gate.loss);
    }
    let bytes = model_directory::shipped_bytes(out, true)?;
    Ok(Shipped { directory: out.display().to_string(), bytes, loss })
}

/// Texts that scales are chosen on.
const CALIBRATION_ROWS: usize = 128;
/// Seed of the texts drawn.
const SEED: u64 = 42;

/// Quantizes and writes as the arguments say.
fn make(args: &QuantizeArgs) -> anyhow::Result<Report> {
    ensure!(!args.out.exists(), "{} is there already: name a new folder", args.out.display());
    let directory = model_directory::existing(&args.model)?;
    let bundle = Bundle::read(&directory)?;
    bundle.notes.iter().for_each(console::note);
    let mut notes = Vec::new();
    let (mut rows, mut texts) = (None, None);
    match (&args.data, &args.texts) {
        (Some(path), _) => rows = Some(scored_rows(path, args, &directory, &bundle, &mut notes)?),
        (None, Some(path)) => texts = Some(calibration_texts(path, args, &directory, &bundle)?),
        (None, None) => {
            notes.push("nothing was scored: give rows with --data, and parts that hurt will be found".into());
        }
    }
    let options = Options {
        name: model_directory::name(&args.out),
        source: model_directory::name(&args.model),
        max_loss: args.max_loss,
        embeddings: match args.embeddings {
            EmbeddingsArg::Auto => Embeddings::Auto,
            EmbeddingsArg::Int8 => Embeddings::Int8,
            EmbeddingsArg::Int4 => Embeddings::Int4,
            EmbeddingsArg::F32 => Embeddings::F32,
        },
        keep: args.keep.clone(),
        keeps_floats: !args.without_f32,
        texts,
        seed: args.seed,
        threads: rayon::current_num_threads(),
    };
    let report = write(bundle, &options, rows.as_ref(), &args.out)?;
    notes.iter().for_each(console::note);
    Ok(report)
}

/// Quantizes a model and writes it to a new folder.
fn write(bundle: Bundle, options: &Options, rows: Option<&ScoredRows>, out: &Path) -> anyhow::Result<Report> {
    let weights = if options.keeps_floats { WriteWeights::All } else { WriteWeights::Quantized };
    let (bundle, report) = quantize(bundle, options, rows, &mut show())?;
    bundle.write_with(out, WriteMode::New, weights)?;
    Ok(report)
}

/// A bar for the parts, then a spinner for the scorings.
fn show() -> impl FnMut(Progress) {
    let (mut bar, mut spinner) = (None, None);
    move |progress| match progress {
        Progress::Alone { done, of } => {
            let bar = bar.get_or_insert_with(|| counting(of, "parts alone"));
            bar.inc(1);
            if done == of {
                bar.finish_and_clear();
            }
        }
        Progress::Scoring { .. } | Progress::Int4Words => {
            let spinner = spinner.get_or_insert_with(|| waiting("scoring"));
            spinner.set_message(match progress {
                Progress::Scoring { count, kept, of } => {
                    format!("score {count}: {kept} of {of} candidate parts in f32")
                }
                _ => "int4 words".to_string(),
            });
        }
    }
}

/// Some of the lines of `--texts`, as token ids, and what they are called.
fn calibration_texts(
    path: &Path,
    args: &QuantizeArgs,
    directory: &Path,
    bundle: &Bundle,
) -> anyhow::Result<(Encodings, String)> {
    let spec = UnlabeledSpec { most: args.calibration_rows as usize, ..UnlabeledSpec::new(path) };
    let texts = unlabeled::read(&spec, &[], &Streams::new(args.seed))?;
    let tokenizer = Tokenizer::from_dir(directory)?;
    let name = path.display().to_string();
    let encodings = encode_texts(bundle, &tokenizer, args.scoring.max_tokens, &texts.examples)?;
    Ok((encodings, format!("{} of {} texts of {name}", texts.examples.len(), texts.rows)))
}

/// Everything that `--data` names.
fn scored_rows(
    path: &Path,
    args: &QuantizeArgs,
    directory: &Path,
    bundle: &Bundle,
    notes: &mut Vec<String>,
) -> anyhow::Result<ScoredRows> {
    let (dev, metrics) = rows::labeled(path, &args.scoring, Some(classifier(bundle)?))?;
    rows::check_pairs(&args.model, &dev)?;
    if !args.scoring.all_rows {
        refuse_training_rows(bundle, &dev)?;
    }
    let (dev, train) = match path.is_dir() {
        // Without training rows the texts of the others calibrate.
        true if args.scoring.split == Some(SplitArg::Train) => (dev, None),
        true => (dev, rows::training(path, &args.scoring).ok()),
        false => {
            let division = divide(dev, std::slice::from_ref(&args.model), args.scoring.all_rows)?;
            (division.scored, division.rest)
        }
    };
    let rows = RowsToScore {
        dev,
        train,
        calibration_rows: args.calibration_rows as usize,
        metrics,
        max_tokens: args.scoring.max_tokens,
        model: directory.display().to_string(),
    };
    Ok(ScoredRows::new(bundle, &Tokenizer::from_dir(directory)?, rows, &Streams::new(args.seed), notes)?)
}

/// A model that was trained on the rows it is scored by loses less of them than of others.
fn refuse_training_rows(bundle: &Bundle, dev: &Dataset) -> anyhow::Result<()> {
    let trained_on = bundle.provenance.as_ref().and_then(|made| made.pointer("/manifest/train/sha256")?.as_str());
    ensure!(
        trained_on != Some(dev.content_hash().as_str()),
        "the model was trained on rows of {} (attar.json has the same hash): name rows that it has not seen, or \
         score them all the same with --all-rows",
        dev.name
    );
    Ok(())
}

fn print(directory: &str, report: &Report) -> std::io::Result<()> {
    let mut table = tables::table(&["part", "error alone", "stored as", "scales", ""]);
    for part in &report.parts {
        table.add_row([
            part.name.clone(),
            format!("{:.2} %", 100.0 * part.error_alone),
            part.stored_as.clone(),
            part.scales.unwrap_or("–").into(),
            part.why.map_or("", Why::as_str).into(),
        ]);
    }
    console::say(format!("{table}\n"))?;
    match &report.gate {
        Some(gate) => {
            let mut table = tables::table(&[&format!("on {}", gate.data.name), "f32", "quantized"]);
            for (exact, quantized) in gate.f32.iter().zip(&gate.quantized) {
                table.add_row([exact.metric.name().into(), tables::score(exact), tables::score(quantized)]);
            }
            console::say(table.to_string())?;
            if let (Some(value), Some(i)) = (gate.difference.value, gate.difference.interval) {
                console::say(format!("quantized minus f32: {value:+.4} [{:+.4}, {:+.4}]", i.low, i.high))?;
            }
            let hurt: Vec<&str> =
                report.parts.iter().filter(|p| p.why == Some(Why::HurtsScore)).map(|p| p.name.as_str()).collect();
            console::say(format!(
                "{}; {}",
                match gate.loss {
                    gained @ ..=-0.005 =>
                        format!("{:.2} points gained (a loss of {:.2} is allowed)", -gained, gate.max_loss),
                    loss => format!("{:.2} points lost of the {:.2} allowed", loss.max(0.0), gate.max_loss),
                },
                if hurt.is_empty() {
                    "no part had to stay in f32 for it".to_string()
                } else {
                    format!(
                        "with none kept in f32 {:.2} would be lost; kept: {}",
                        gate.loss_without_floats,
                        hurt.join(", ")
                    )
                }
            ))?;
        }
        None if report.calibration.is_some() => {
            console::say("not scored: errors are those of the answers to the texts")?
        }
        None => console::say("not scored: errors are those of the weights alone")?,
    }
    if let Some(texts) = &report.calibration {
        console::say(format!("scales chosen on {texts}"))?;
    }
    console::say(format!(
        "\n{}: {QUANTIZED_FILE} {}, {:.1} times smaller than {} as f32",
        directory,
        tables::bytes(report.bytes_quantized as u64),
        report.bytes_f32 as f64 / report.bytes_quantized.max(1) as f64,
        tables::bytes(report.bytes_f32 as u64),
    ))
}
