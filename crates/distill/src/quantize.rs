//! A model as small integers, as far as its score allows.
//!
//! Each part of a model (a dense layer, an embedding table, or query, key and value together) is quantized alone to
//! see how much it changes the answers. Then all are, and as few as possible return to floats until the score falls by
//! no more than is allowed.

mod candidate;
mod card;
mod scored_rows;
mod search;
mod units;

use std::collections::BTreeSet;

use attar_model::quantized::{Int4Group, QuantizedWeights, Storage};
use attar_model::{Bundle, Size};
use attar_runtime::Precision;
use attar_text::metrics::{Difference, Score};
use attar_text::random::Streams;
use serde::Serialize;
use serde_json::{Value, json};

use crate::score::Answers;
use crate::{DataFacts, Error};

use candidate::Candidate;
pub use scored_rows::{RowsToScore, ScoredRows, classifier};
use search::keep;
use units::{Form, Unit, WORDS, name_of};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the quantized model is called, and the one that it is made from.
    pub names: [String; 2],
    /// Points of the score that may be lost.
    pub max_loss: f64,
    /// How embedding tables are stored.
    pub embeddings: Embeddings,
    /// Names of parts that stay in floats.
    pub keep: Vec<String>,
    /// Whether the weights in f32, which `transformers` reads, will lie beside the integers.
    pub keeps_floats: bool,
    /// Seed of the intervals.
    pub seed: u64,
    /// Threads that compute.
    pub threads: usize,
}

/// How embedding tables are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embeddings {
    /// int8, and word vectors in int4 if the score allows.
    Auto,
    /// int8.
    Int8,
    /// int8, word vectors in int4.
    Int4,
    /// Floats.
    F32,
}

/// How far a quantization is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Parts that were tried alone, of all.
    Alone(usize, usize),
    /// Scorings so far, and the parts in floats, of all, that the next one has.
    Scoring(usize, usize, usize),
    /// Word vectors in int4 are scored.
    Int4Words,
}

/// What was decided, as `attar.json` records it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Bytes of the weights in f32.
    pub bytes_f32: usize,
    /// Bytes of the quantized weights.
    pub bytes_quantized: usize,
    /// SHA-256 of configuration and quantized weights.
    pub fingerprint: String,
    /// `None` where nothing was scored.
    pub gate: Option<Gate>,
    /// Each part of the model.
    pub parts: Vec<Part>,
}

/// What the score was, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// The rows.
    pub data: DataFacts,
    /// Where the texts came from that scales were chosen on.
    pub calibration: String,
    /// Points that may be lost.
    pub max_loss: f64,
    /// Points that were lost in the end.
    pub loss: f64,
    /// Points that would be lost with every part in int8 that may be.
    pub loss_of_all: f64,
    /// Scores of the model in f32.
    pub f32: Vec<Score>,
    /// Scores of the quantized model.
    pub quantized: Vec<Score>,
    /// Quantized minus f32, paired by row, in the metric that decides.
    pub difference: Difference,
}

/// A part of the model.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Error with this part alone quantized: of the answers to the calibration texts, or of the weights without texts.
    pub error_alone: f64,
    /// How it is stored.
    pub kept_as: String,
    /// How its scales were chosen.
    pub scales: Option<&'static str>,
    /// Why it is stored otherwise than the rest.
    pub why: Option<Why>,
}

/// Why a part is stored otherwise than the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Why {
    /// The user wants it.
    #[serde(rename = "as asked")]
    Asked,
    /// The score would fall too far.
    #[serde(rename = "hurts the score")]
    HurtsScore,
    /// In int4 the score would fall too far.
    #[serde(rename = "int4 hurts the score")]
    Int4HurtsScore,
}

impl Why {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Asked => "as asked",
            Why::HurtsScore => "hurts the score",
            Why::Int4HurtsScore => "int4 hurts the score",
        }
    }
}

/// Quantizes a model; without rows to score, every part, with the scales that leave the smallest error of the weights.
///
/// The bundle that is returned has the quantized weights beside the floats, and a card and a record of its own.
///
/// # Errors
/// If a part to keep is unknown, the model's floats are not those that its integers were made from, or the score falls
/// too far even with every part in f32 that may be.
pub fn quantize(
    bundle: Bundle,
    options: &Options,
    rows: Option<&ScoredRows>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Bundle, Report), Error> {
    if let Some(quantized) = &bundle.quantized
        && quantized.source() != bundle.fingerprint()
    {
        let out = "quantize the model that it comes from";
        let expected = "the f32 weights that its quantized ones were made from";
        return Err(Error::refused(&options.names[1], expected, "other weights", out));
    }
    let units = Unit::all(&bundle.config);
    let asked = Unit::find(&units, &options.keep)?;
    let candidate = Candidate::new(bundle, options.threads)?;
    let mut choice = Choice { candidate, units, asked, options, rows, streams: Streams::new(options.seed) };
    let (parts, gate) = choice.decide(progress)?;

    let mut bundle = choice.candidate.bundle;
    let quantized = bundle.quantized.as_ref();
    let report = Report {
        bytes_f32: Size::of(&bundle.config).bytes_f32(),
        bytes_quantized: quantized.map_or(Ok(0), |w| w.to_bytes(&bundle.config).map(|bytes| bytes.len()))?,
        fingerprint: quantized
            .map_or_else(String::new, |weights: &QuantizedWeights| weights.fingerprint(&bundle.config)),
        gate,
        parts,
    };
    bundle.card = Some(card::card(&card::Facts {
        names: [&options.names[0], &options.names[1]],
        config: &bundle.config,
        bytes: [report.bytes_quantized, report.bytes_f32],
        scored: report.gate.as_ref().map(|gate| (&gate.data, &gate.quantized[..])),
        has_floats: options.keeps_floats,
        provenance: bundle.provenance.as_ref(),
        source: bundle.card.as_deref(),
    }));
    record(&mut bundle, &report)?;
    Ok((bundle, report))
}

/// What is decided, and what it is decided by.
struct Choice<'a> {
    candidate: Candidate,
    units: Vec<Unit>,
    /// Units that the user keeps in floats.
    asked: Vec<usize>,
    options: &'a Options,
    rows: Option<&'a ScoredRows>,
    streams: Streams,
}

/// What becomes of each unit, and what the gate saw.
type Decision = (Vec<Part>, Option<Gate>);

impl Choice<'_> {
    /// Leaves the weights as they are to be written.
    fn decide(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Decision, Error> {
        let exact = match self.rows {
            Some(data) => Some((&data.calibration, self.candidate.outputs(Precision::F32, &data.calibration)?.0)),
            None => None,
        };
        let texts = exact.as_ref().map(|(texts, exact)| (*texts, &exact[..]));

        let (mut forms, mut parts, mut int4) = (Vec::new(), Vec::new(), None);
        for (place, unit) in self.units.iter().enumerate() {
            let is_asked =
                self.asked.contains(&place) || (unit.is_table() && self.options.embeddings == Embeddings::F32);
            let storage =
                if unit.name == WORDS && self.options.embeddings == Embeddings::Int4 { INT4 } else { Storage::Int8 };
            let (form, error_alone) = self.candidate.best_alone(unit, storage, texts)?;
            forms.push((!is_asked).then_some(form));
            if unit.name == WORDS && self.options.embeddings == Embeddings::Auto && self.rows.is_some() && !is_asked {
                int4 = Some((place, self.candidate.best_alone(unit, INT4, texts)?));
            }
            let why = is_asked.then_some(Why::Asked);
            let name = unit.name.clone();
            parts.push(Part { name, error_alone, kept_as: String::new(), scales: None, why });
            progress(Progress::Alone(place + 1, self.units.len()));
        }

        for (unit, form) in self.units.iter().zip(&forms) {
            self.candidate.store(unit, *form)?;
        }
        let mut gate = None;
        if let Some(data) = self.rows {
            let word_place = self.units.iter().position(|unit| unit.name == WORDS);
            let is_fixed = |place: &usize| {
                forms[*place].is_none() || (Some(*place) == word_place && self.options.embeddings != Embeddings::Auto)
            };
            let mut order: Vec<usize> = (0..self.units.len()).filter(|place| !is_fixed(place)).collect();
            order.sort_by(|&a, &b| parts[b].error_alone.total_cmp(&parts[a].error_alone));
            gate = Some(self.search(data, &order, &mut forms, &mut parts, int4, progress)?);
        }
        for ((part, unit), form) in parts.iter_mut().zip(&self.units).zip(&forms) {
            part.kept_as = self.candidate.storage(unit).to_string();
            part.scales = form.map(|form| name_of(form.scales));
        }
        Ok((parts, gate))
    }

    /// Keeps in floats what the score asks for, then tries the word table as int4, whose place, form and error alone
    /// are given.
    fn search(
        &mut self,
        rows: &ScoredRows,
        order: &[usize],
        forms: &mut [Option<Form>],
        parts: &mut [Part],
        int4: Option<(usize, (Form, f64))>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Gate, Error> {
        let decides = rows.metrics[0];
        let (logits, width) = self.candidate.outputs(Precision::F32, &rows.dev_texts)?;
        let exact = rows.answers(&logits, width);
        let value = |answers: &Answers| rows.truth.value(decides, answers);
        let best = value(&exact)?.ok_or_else(|| {
            let expected = format!("rows on which {decides} of the f32 model is defined");
            Error::refused(&rows.dev.name, expected, "others", "score other rows, or by another metric (`--metric`)")
        })?;
        let sign = if decides.higher_is_better() { 100.0 } else { -100.0 };
        // Differences of shares carry the rounding of doubles.
        let most = self.options.max_loss + 1e-9;
        let loss_of = |answers: &Answers| Ok::<_, Error>(value(answers)?.map_or(f64::INFINITY, |v| sign * (best - v)));

        let mut kept_now = BTreeSet::new();
        let (units, candidate) = (&self.units, &mut self.candidate);
        let mut set = |candidate: &mut Candidate, kept: &BTreeSet<usize>| -> Result<(), Error> {
            for &place in kept_now.symmetric_difference(kept) {
                candidate.store(&units[place], if kept.contains(&place) { None } else { forms[place] })?;
            }
            kept_now = kept.clone();
            Ok(())
        };
        let mut scored = 0;
        let found = keep(order, most, |kept| {
            scored += 1;
            progress(Progress::Scoring(scored, kept.len(), order.len()));
            set(candidate, kept)?;
            let (logits, width) = candidate.outputs(Precision::Int8, &rows.dev_texts)?;
            loss_of(&rows.answers(&logits, width))
        })?;
        let Some(found) = found else {
            return Err(Error::refused(
                "the score",
                format!("at most {} points of {decides} lost", self.options.max_loss),
                "more, with every part in f32 that may be",
                "leave the word vectors to `--embeddings auto`, or allow more with `--max-loss`",
            ));
        };
        set(candidate, &found.units)?;
        let mut loss = found.loss;
        for &place in &found.units {
            forms[place] = None;
            parts[place].why = Some(Why::HurtsScore);
        }

        if let Some((place, (form, error))) = int4.filter(|&(place, _)| forms[place].is_some()) {
            progress(Progress::Int4Words);
            let unit = &self.units[place];
            self.candidate.store(unit, Some(form))?;
            let (logits, width) = self.candidate.outputs(Precision::Int8, &rows.dev_texts)?;
            let lost = loss_of(&rows.answers(&logits, width))?;
            if lost <= most {
                (forms[place], loss) = (Some(form), lost);
                parts[place].error_alone = error;
            } else {
                self.candidate.store(unit, forms[place])?;
                parts[place].why = Some(Why::Int4HurtsScore);
            }
        }

        let (logits, width) = self.candidate.outputs(Precision::Int8, &rows.dev_texts)?;
        let quantized = rows.answers(&logits, width);
        let scores = |answers: &Answers| -> Result<Vec<Score>, Error> {
            rows.metrics.iter().map(|&metric| rows.truth.score(metric, answers, &self.streams)).collect()
        };
        Ok(Gate {
            data: DataFacts { name: rows.dev.name.clone(), rows: rows.dev.len(), sha256: rows.dev.content_hash() },
            calibration: rows.calibration_name.clone(),
            max_loss: self.options.max_loss,
            loss,
            loss_of_all: found.loss_of_none,
            f32: scores(&exact)?,
            quantized: scores(&quantized)?,
            difference: rows.truth.difference(decides, &quantized, &exact, &self.streams)?,
        })
    }
}

/// A scale for each 32 columns: a row of few columns has one.
const INT4: Storage = Storage::Int4(Int4Group::Columns32);

/// Adds the report to the record of the model's making.
fn record(bundle: &mut Bundle, report: &Report) -> Result<(), Error> {
    let mut entry = json!(report);
    if let Value::Object(entry) = &mut entry {
        entry.insert("attar".into(), env!("CARGO_PKG_VERSION").into());
    }
    match bundle.provenance.get_or_insert_with(|| json!({})) {
        Value::Object(provenance) => _ = provenance.insert("quantized".into(), entry),
        other => {
            let out = "remove the file";
            return Err(Error::refused("attar.json of the model", "an object", format!("{other:.40}"), out));
        }
    }
    Ok(())
}
