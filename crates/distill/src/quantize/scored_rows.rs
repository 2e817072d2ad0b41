//! The rows that a quantized model is scored on, and the texts that its scales are chosen on.

use attar_model::{Bundle, Head};
use attar_text::labeled::{Dataset, Example};
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{Encodings, Limit, Tokenizer};

use crate::Error;
use crate::encoded_rows::{EncodedRows, PredictionUnit, Reading};
use crate::labels::{self, ClassOrder};
use crate::score::{Answers, Truth};

/// Labeled rows, encoded for one model.
#[derive(Debug)]
pub struct ScoredRows {
    /// The rows to score on.
    pub(super) dev: Dataset,
    /// The same as token ids.
    pub(super) dev_texts: Encodings,
    /// Texts to choose scales on.
    pub(super) calibration: Encodings,
    /// Where these come from.
    pub(super) calibration_name: String,
    /// The metric that decides, then the others that are reported.
    pub(super) metrics: Vec<Metric>,
    pub(super) truth: Truth,
    /// Which tokens of the rows to score predictions are read from.
    prediction_unit: PredictionUnit,
    /// For each class of the data the model's number, where they differ.
    order: Option<Vec<usize>>,
}

/// Rows to score a model on and how they are read.
#[derive(Debug)]
pub struct RowsToScore {
    /// The rows.
    pub dev: Dataset,
    /// Rows to draw calibration texts from; if `None`, they are drawn from the others.
    pub train: Option<Dataset>,
    /// Number of calibration texts.
    pub calibration_rows: usize,
    /// The metric that decides, then the others that are reported.
    pub metrics: Vec<Metric>,
    /// Longest sequence in tokens, if below the model's own limit.
    pub max_tokens: Option<usize>,
    /// What errors and notes call the model.
    pub model: String,
}

impl ScoredRows {
    /// Encodes rows for a model.
    ///
    /// # Errors
    /// If the model has no classifier, or another one than the rows ask for, or its table is smaller than the
    /// tokenizer's vocabulary; if a row has no label; or as [`EncodedRows::of_target`].
    pub fn new(
        bundle: &Bundle,
        tokenizer: &Tokenizer,
        rows: RowsToScore,
        streams: &Streams,
        notes: &mut Vec<String>,
    ) -> Result<ScoredRows, Error> {
        let RowsToScore { dev, train, calibration_rows, metrics, max_tokens, model } = rows;
        let order = labels::classes(&model, classifier(bundle)?, &dev.target, ClassOrder::Stated, notes)?;
        let truth = Truth::of(&dev).ok_or_else(|| {
            let out = "leave the rows without one out, or quantize by the error of the weights";
            Error::refused(&dev.name, "a label on every row", "rows without", out)
        })?;
        let (calibration, calibration_name) = calibration(&dev, train, calibration_rows, streams, notes);
        let reader = Reader::new(bundle, tokenizer, max_tokens, &model)?;
        let rows = EncodedRows::of_target(&dev.examples, tokenizer, reader.limit, reader.reading, &dev.target)?;
        let (dev_texts, prediction_unit) = rows.into_encodings();
        let calibration = reader.encode(&calibration.examples)?;
        Ok(ScoredRows { dev, dev_texts, calibration, calibration_name, metrics, truth, prediction_unit, order })
    }

    /// What logits `[rows, K]` answer, or `[tokens, K]` of a model that tags words or answers questions.
    pub(super) fn answers(&self, logits: &[f32], width: usize) -> Answers {
        let row = |row: &[f32]| match &self.order {
            Some(order) => order.iter().map(|&class| row[class]).collect(),
            None => row.to_vec(),
        };
        let rows = || logits.chunks_exact(width.max(1)).map(row).collect::<Vec<Vec<f32>>>();
        let by_row = match &self.prediction_unit {
            PredictionUnit::Row => rows(),
            PredictionUnit::Words(words) => {
                let all: Vec<u32> = (0..self.dev.len() as u32).collect();
                let (tokens, counts) = words.of_batch(&all, &self.dev_texts.lengths);
                let (mut tokens, rows) = (tokens.as_slice(), rows());
                let by_row = counts.into_iter().enumerate().map(|(row, count)| {
                    let (own, rest) = tokens.split_at(count);
                    tokens = rest;
                    let known: Vec<f32> = own.iter().flat_map(|&token| rows[token as usize].iter().copied()).collect();
                    words.complete(row, &known, width)
                });
                by_row.collect()
            }
            PredictionUnit::Windows(windows) => {
                let mut rest = logits;
                let by_window = self.dev_texts.lengths.iter().map(|&length| {
                    let (own, others) = rest.split_at(length as usize * width);
                    rest = others;
                    own
                });
                return windows.answers(by_window, &self.dev);
            }
        };
        Answers::from_logits(&by_row, &self.dev.target)
    }
}

/// The head of a model whose answers can be scored.
///
/// # Errors
/// If it has none.
pub fn classifier(bundle: &Bundle) -> Result<&Head, Error> {
    let head = &bundle.config.head;
    if !head.is_task_head() {
        return Err(Error::refused(
            "the model",
            "a head of classes, scores, tags or answers to score",
            "none",
            "leave out the rows (`--data`) and quantize by the error of the weights, or fine-tune it first \
             (`attar finetune`)",
        ));
    }
    Ok(head)
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
                "{leaked} of the {} rows of {} occur among the training rows: scores will be inflated",
                dev.len(),
                dev.name
            ));
        }
        let drawn = train.take(rows, streams);
        let new = drawn.rows_not_in(dev);
        if !new.is_empty() {
            let name = format!("{} rows of {}", new.len(), train.name);
            return (drawn.subset(&new), name);
        }
    }
    let drawn = dev.take(rows, streams);
    let name = format!("{} rows of {}", drawn.len(), dev.name);
    notes.push(format!("scales were chosen on {name}, the scored rows themselves: no other rows are available"));
    (drawn, name)
}

/// Texts as token ids of a model, of which `max_tokens` are read at most.
///
/// # Errors
/// If the model's table is smaller than the tokenizer's vocabulary, or the model compares two texts and there is one.
pub fn encode_texts(
    bundle: &Bundle,
    tokenizer: &Tokenizer,
    max_tokens: Option<usize>,
    texts: &[Example],
) -> Result<Encodings, Error> {
    Reader::new(bundle, tokenizer, max_tokens, "the model")?.encode(texts)
}

/// How a model reads texts.
struct Reader<'a> {
    tokenizer: &'a Tokenizer,
    limit: Limit,
    reading: Reading,
}

impl Reader<'_> {
    fn new<'a>(
        bundle: &Bundle,
        tokenizer: &'a Tokenizer,
        max_tokens: Option<usize>,
        model: &str,
    ) -> Result<Reader<'a>, Error> {
        let (table, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        if tokens > table {
            let out = "use the tokenizer that belongs to the model";
            let expected = format!("a vocabulary of at most {table} tokens, the rows of its embedding table");
            return Err(Error::refused(model, expected, format!("{tokens} tokens"), out));
        }
        let most = [bundle.max_tokens, max_tokens].into_iter().flatten().min();
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(most.map_or(positions, |most| most.min(positions)));
        Ok(Reader { tokenizer, limit, reading: Reading::of(&bundle.config) })
    }

    fn encode(&self, rows: &[Example]) -> Result<Encodings, Error> {
        Ok(EncodedRows::new(rows, self.tokenizer, self.limit, self.reading)?.into_encodings().0)
    }
}
