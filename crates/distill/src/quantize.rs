//! A model in int8 and int4, as far as its score allows.
//!
//! Each part of a model (a dense layer, an embedding table, or query, key and value together) is quantized alone to
//! see how much it changes the answers. Then all are, and as few as possible return to floats until the score falls by
//! no more than is allowed.

mod candidate;
mod card;
mod choice;
mod column_scales;
mod scored_rows;
mod search;
mod units;

use attar_model::quantized::QuantizedWeights;
use attar_model::{Bundle, Size};
use attar_text::metrics::{Difference, Score};
use attar_text::random::Streams;
use attar_text::tokenizer::Encodings;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{DataFacts, Error};

use candidate::Candidate;
use choice::Choice;
pub use scored_rows::{RowsToScore, ScoredRows, classifier, encode_texts};
use units::Unit;

/// Settings of a quantization.
#[derive(Debug, Clone)]
pub struct Options {
    /// What cards and errors call the quantized model.
    pub name: String,
    /// What they call the model that it is made from.
    pub source: String,
    /// Points of the score that may be lost.
    pub max_loss: f64,
    /// How embedding tables are stored.
    pub embeddings: Embeddings,
    /// Names of parts that stay in floats.
    pub keep: Vec<String>,
    /// Whether the weights in f32, which `transformers` reads, will lie beside the integers.
    pub keeps_floats: bool,
    /// Texts to choose scales on where no rows are scored, as token ids, and where they come from.
    pub texts: Option<(Encodings, String)>,
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
    /// Parts were quantized alone.
    Alone {
        /// Parts done.
        done: usize,
        /// All parts.
        of: usize,
    },
    /// A candidate is scored.
    Scoring {
        /// Scorings, this one included.
        count: usize,
        /// Parts that it keeps in floats.
        kept: usize,
        /// Parts that may be kept.
        of: usize,
    },
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
    /// Where the texts came from that scales were chosen on; `None` where it was by the weights alone.
    pub calibration: Option<String>,
    /// Each part of the model.
    pub parts: Vec<QuantizedPart>,
}

/// Scores before and after, held against the loss that is allowed.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// The rows.
    pub data: DataFacts,
    /// Points that may be lost.
    pub max_loss: f64,
    /// Points that were lost in the end.
    pub loss: f64,
    /// Points that would be lost if no part were kept in floats for the score.
    pub loss_without_floats: f64,
    /// Scores of the model in f32.
    pub f32: Vec<Score>,
    /// Scores of the quantized model.
    pub quantized: Vec<Score>,
    /// Quantized minus f32, paired by row, in the metric that decides.
    pub difference: Difference,
}

/// A part of the model.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizedPart {
    /// Its name.
    pub name: String,
    /// Error with this part alone quantized: of the answers to the calibration texts, or of the weights without texts.
    pub error_alone: f64,
    /// How it is stored.
    pub stored_as: String,
    /// How its scales were chosen.
    pub scales: Option<&'static str>,
    /// Why it is stored otherwise than the rest.
    pub why: Option<Why>,
}

/// Why a part is stored otherwise than the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Why {
    /// Requested by the user.
    Asked,
    /// The score would fall too far.
    HurtsScore,
    /// In int4 the score would fall too far.
    Int4HurtsScore,
}

impl From<Why> for &'static str {
    fn from(why: Why) -> &'static str {
        why.as_str()
    }
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

/// Quantizes a model; without rows to score, every part, with the scales that leave the smallest error of the answers to
/// [`Options::texts`], or of the weights without those.
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
        return Err(Error::refused(&options.source, expected, "other weights", out));
    }
    let units = Unit::all(&bundle.config);
    let asked = Unit::find(&units, &options.keep)?;
    let candidate = Candidate::new(bundle, options.threads)?;
    let calibration = match (rows, &options.texts) {
        (Some(rows), _) => Some(rows.calibration_name.clone()),
        (None, texts) => texts.as_ref().map(|(_, name)| name.clone()),
    };
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
        calibration,
        parts,
    };
    bundle.card = Some(card::card(&card::Facts {
        names: [&options.name, &options.source],
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
