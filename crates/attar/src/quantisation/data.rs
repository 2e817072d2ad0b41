//! The rows that a quantised model is scored by, and the texts that its scales are chosen on.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::labels;
use attar_distill::score::{Answers, Truth};
use attar_model::{Bundle, EncoderConfig, Head, Target};
use attar_text::labelled::Dataset;
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encodings, Limit, Tokenizer};

use crate::cli::QuantizeArgs;
use crate::cli::data::SplitArg;
use crate::held_out::divide;
use crate::rows;

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
        let (dev, metrics) = rows::labelled(path, &args.scoring, Some(answer))?;
        // Without training rows the texts of the others calibrate.
        let is_apart = args.scoring.split != Some(SplitArg::Train);
        let train = if is_apart { rows::training(path, &args.scoring).ok() } else { None };
        if !args.scoring.all_rows {
            refuse_training_rows(bundle, &dev)?;
        }
        let dev = match path.is_dir() {
            true => dev,
            false => divide(dev, std::slice::from_ref(&args.model), args.scoring.all_rows)?.scored,
        };
        let order = labels::classes(&dir.display().to_string(), answer, &dev.target, notes)?;
        let truth = Truth::of(&dev).with_context(|| format!("{} has rows without labels", dev.name))?;
        let (calibration, calibration_name) = calibration(&dev, train, args.calibration_rows as usize, streams, notes);

        let tokenizer = Tokenizer::from_dir(dir)?;
        let (rows, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        ensure!(
            tokens <= rows,
            "{}: a tokenizer of {tokens} tokens for an embedding table of {rows} rows",
            dir.display()
        );
        let most = [bundle.max_tokens, args.scoring.max_tokens].into_iter().flatten().min();
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(most.map_or(positions, |most| most.min(positions)));
        let dev_texts = encode(&dev, &tokenizer, limit, bundle.config.encodes_pairs_separately())?;
        let calibration = encode(&calibration, &tokenizer, limit, bundle.config.encodes_pairs_separately())?;
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

/// Rows as token ids; `apart` makes two sequences of a pair.
fn encode(data: &Dataset, tokenizer: &Tokenizer, limit: Limit, apart: bool) -> anyhow::Result<Encodings> {
    let mut encodings = Encodings::default();
    for (row, example) in data.examples.iter().enumerate() {
        let failed = || format!("row {row} of {} cannot be encoded", data.name);
        let texts = match (&example.pair, apart) {
            (Some(pair), true) => vec![(example.text.as_str(), None), (pair.as_str(), None)],
            (None, true) => bail!("row {row} of {} has one text, and the model compares two: name --pair", data.name),
            (pair, false) => vec![(example.text.as_str(), pair.as_deref())],
        };
        for (text, pair) in texts {
            encodings.push(tokenizer, text, pair, limit).with_context(failed)?;
        }
    }
    Ok(encodings)
}
