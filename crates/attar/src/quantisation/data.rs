//! The rows that a quantised model is scored by, and the texts that its scales are chosen on.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::data::{default_metrics, table};
use attar_distill::labels;
use attar_distill::recipe::TableFormat;
use attar_distill::score::{Answers, Truth};
use attar_model::hf_config::are_default_labels;
use attar_model::{Bundle, EncoderConfig, Head, Target};
use attar_text::labelled::{Dataset, LabelledSpec, TargetSpec, load};
use attar_text::layout::{Layout, Split};
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encodings, Limit, Tokenizer};

use crate::cli::{QuantizeArgs, SplitArg};

/// Everything that `--data` names.
pub(crate) struct GateData {
    /// The rows to score by.
    pub(crate) dev: Dataset,
    /// The same as token ids.
    pub(crate) dev_texts: Encodings,
    /// Texts to choose scales by.
    pub(crate) calibration: Encodings,
    /// Where these come from.
    pub(crate) calibration_name: String,
    /// The metric that decides, then the others that are reported.
    pub(crate) metrics: Vec<Metric>,
    truth: Truth,
    /// For each class of the data the model's number, where they differ.
    order: Option<Vec<usize>>,
}

impl GateData {
    /// Reads and encodes the rows for a model.
    pub(crate) fn read(
        path: &Path,
        args: &QuantizeArgs,
        dir: &Path,
        bundle: &Bundle,
        streams: &Streams,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<GateData> {
        let answer = answer(&bundle.config)?;
        let (dev, train, usual) = if path.is_dir() {
            known(path, args)?
        } else {
            let dev = rows(path, args, answer)?;
            let usual = default_metrics(&dev.target);
            (dev, None, usual)
        };
        refuse_training_rows(bundle, &dev)?;
        let metrics = match &args.metric {
            Some(name) => vec![Metric::from_name(name)?],
            None => usual,
        };
        let order = labels::classes(&dir.display().to_string(), answer, &dev.target, notes)?;
        let truth = Truth::of(&dev).with_context(|| format!("{} has rows without labels", dev.name))?;
        let decides = *metrics.first().context("no metric was given")?;
        ensure!(
            decides.is_of_classes() == dev.target.labels().is_some(),
            "{decides} is no metric of {}: name another with --metric",
            dev.name
        );
        let (calibration, calibration_name) = calibration(&dev, train, args.calibration_rows as usize, streams, notes);

        let tokenizer = Tokenizer::from_dir(dir)?;
        let (rows, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        ensure!(
            tokens <= rows,
            "{}: a tokenizer of {tokens} tokens for an embedding table of {rows} rows",
            dir.display()
        );
        let most = [bundle.max_tokens, args.max_tokens].into_iter().flatten().min();
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(most.map_or(positions, |most| most.min(positions)));
        let dev_texts = encode(&dev, &tokenizer, limit)?;
        let calibration = encode(&calibration, &tokenizer, limit)?;
        Ok(GateData { dev, dev_texts, calibration, calibration_name, metrics, truth, order })
    }

    /// What logits `[rows, K]` answer.
    pub(crate) fn answers(&self, logits: &[f32], width: usize) -> Answers {
        let row = |row: &[f32]| match &self.order {
            Some(order) => order.iter().map(|&class| row[class]).collect(),
            None => row.to_vec(),
        };
        Answers::from_logits(&logits.chunks_exact(width.max(1)).map(row).collect::<Vec<_>>(), &self.dev.target)
    }

    pub(crate) fn truth(&self) -> &Truth {
        &self.truth
    }
}

fn answer(config: &EncoderConfig) -> anyhow::Result<&Target> {
    match &config.head {
        Head::Classification { target } => Ok(target),
        _ => bail!(
            "the model has no classification or regression head to score: leave out --data and quantise by the error \
             of the weights, or fine-tune it first (`attar finetune`)"
        ),
    }
}

/// Rows to score by and training rows of a data set that is known by name.
fn known(path: &Path, args: &QuantizeArgs) -> anyhow::Result<(Dataset, Option<Dataset>, Vec<Metric>)> {
    let layout = match &args.layout {
        Some(name) => Layout::from_name(name)?,
        None => Layout::detect(path)?,
    };
    let dev = match args.split {
        SplitArg::Train => layout.load(path, Split::Train)?,
        SplitArg::Dev => layout.load(path, Split::Dev)?,
        SplitArg::Test => layout.load(path, Split::TestLabelled).or_else(|_| layout.load(path, Split::Test))?,
    };
    // Without training rows the texts of the others calibrate.
    let train = if matches!(args.split, SplitArg::Train) { None } else { layout.load(path, Split::Train).ok() };
    Ok((dev, train, layout.metrics().to_vec()))
}

/// Rows of a table, their labels read as the model names them.
fn rows(path: &Path, args: &QuantizeArgs, answer: &Target) -> anyhow::Result<Dataset> {
    Ok(load(&LabelledSpec {
        table: table(path, TableFormat::default()),
        text: args.text.parse()?,
        pair: args.pair.as_ref().map(|pair| pair.parse()).transpose()?,
        label: Some(args.label.parse()?),
        target: match answer {
            Target::Regression => TargetSpec::Regression { low: f32::MIN, high: f32::MAX },
            Target::Labels(names) if !are_default_labels(names) => TargetSpec::Named(names.clone()),
            Target::Labels(_) => TargetSpec::Discover,
        },
    })?)
}

/// A model that was trained on the rows it is scored by loses less of them than of others.
fn refuse_training_rows(bundle: &Bundle, dev: &Dataset) -> anyhow::Result<()> {
    let trained_on = bundle.provenance.as_ref().and_then(|made| made.pointer("/manifest/train/sha256")?.as_str());
    ensure!(
        trained_on != Some(dev.content_hash().as_str()),
        "the model was trained on rows of {} (attar.json has the same hash): name rows that it has not seen",
        dev.name
    );
    Ok(())
}

/// Some training texts that are not among the rows to score by; where there are none, some of these.
fn calibration(
    dev: &Dataset,
    train: Option<Dataset>,
    rows: usize,
    streams: &Streams,
    notes: &mut Vec<String>,
) -> (Dataset, String) {
    if let Some(train) = train {
        let leaked = dev.duplicates_with(&train);
        if leaked > 0 {
            notes.push(format!(
                "{leaked} of the {} rows of {} occur among the training rows: scores are too good",
                dev.len(),
                dev.name
            ));
        }
        let drawn = train.take(rows, streams);
        let is_new = |&row: &usize| drawn.subset(&[row]).duplicates_with(dev) == 0;
        let new: Vec<usize> = (0..drawn.len()).filter(is_new).collect();
        if !new.is_empty() {
            let name = format!("{} rows of {}", new.len(), train.name);
            return (drawn.subset(&new), name);
        }
    }
    let drawn = dev.take(rows, streams);
    let name = format!("{} rows of {}", drawn.len(), dev.name);
    notes.push(format!("scales are chosen on {name} themselves, for there are no training rows beside them"));
    (drawn, name)
}

fn encode(data: &Dataset, tokenizer: &Tokenizer, limit: Limit) -> anyhow::Result<Encodings> {
    let mut encodings = Encodings::default();
    for (row, example) in data.examples.iter().enumerate() {
        encodings
            .push(tokenizer, &example.text, example.pair.as_deref(), limit)
            .with_context(|| format!("row {row} of {} cannot be encoded", data.name))?;
    }
    Ok(encodings)
}
