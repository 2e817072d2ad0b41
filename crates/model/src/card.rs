//! The model card: `README.md` with the metadata that the Hugging Face hub reads.
//!
//! The metadata stands at the top between two lines `---` as YAML; its keys are those of
//! <https://huggingface.co/docs/hub/model-cards>, `co2_eq_emissions` and `model-index` included. Below it the same
//! is said to people. A card is made of plain strings and numbers; where they come from is not its business.

mod body;
mod front_matter;
mod yaml;

/// Everything a card says. What is empty or `None` is left out.
///
/// ```
/// use attar_model::card::{Card, Origin, Relation};
///
/// let card = Card {
///     title: "sst2-small".into(),
///     summary: "Tells whether a film review is kind.".into(),
///     license: Some("apache-2.0".into()),
///     origin: Some(Origin { relation: Relation::Distilled, model: "bert-base-uncased".into() }),
///     ..Card::default()
/// };
/// let text = card.to_markdown();
/// assert!(text.starts_with("---\nlicense: \"apache-2.0\"\n"));
/// assert!(text.contains("\n# sst2-small\n"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Card {
    /// Name of the model.
    pub title: String,
    /// What it is and does, in Markdown.
    pub summary: String,
    /// Licence identifier of the hub, like `apache-2.0`.
    pub license: Option<String>,
    /// Languages as ISO 639 codes.
    pub language: Vec<String>,
    /// The library that loads it: `transformers` or `sentence-transformers`.
    pub library_name: Option<String>,
    /// The hub's task, like `text-classification`.
    pub pipeline_tag: Option<String>,
    /// Tags to be found by.
    pub tags: Vec<String>,
    /// The model it was made from.
    pub origin: Option<Origin>,
    /// Training data, as hub ids.
    pub datasets: Vec<String>,
    /// Metrics reported, by the hub's names.
    pub metrics: Vec<String>,
    /// Scores.
    pub results: Vec<Score>,
    /// Emissions of the making.
    pub emissions: Option<Emissions>,
    /// Sizes to be compared: the model first, then its teacher, say.
    pub sizes: Vec<SizeRow>,
    /// How to use it.
    pub usage: Vec<Snippet>,
    /// What making and using it cost.
    pub bill: Vec<BillLine>,
    /// What the bill leaves out and how it was measured, in Markdown.
    pub bill_note: Option<String>,
    /// Further sections, in Markdown.
    pub sections: Vec<Section>,
}

/// The model that another was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// How.
    pub relation: Relation,
    /// Which: a hub id or a short name.
    pub model: String,
}

/// How a model was made from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The other one taught it.
    Distilled,
    /// It began with the other one's weights.
    FineTuned,
    /// It has the other one's weights in small integers.
    Quantized,
}

/// A score on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The hub's task, like `text-classification`.
    pub task: String,
    /// The data set, as a hub id or a short name.
    pub dataset: String,
    /// The data set's name for people.
    pub dataset_name: String,
    /// Which part of it, like `validation`.
    pub split: Option<String>,
    /// The metric, by the hub's name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its confidence interval.
    pub interval: Option<Interval>,
    /// Number of rows it was computed on.
    pub rows: usize,
}

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How likely such an interval holds the true value, like 0.95.
    pub level: f64,
}

/// Emissions of training, in the hub's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Emissions {
    /// Grams of CO2 equivalent.
    pub grams: f64,
    /// How they were found: the tool, measured or modeled.
    pub source: Option<String>,
    /// `pre-training` or `fine-tuning`.
    pub training_type: Option<String>,
    /// Where the machine stands.
    pub geographical_location: Option<String>,
    /// The machine.
    pub hardware_used: Option<String>,
}

/// The size of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeRow {
    /// Its name.
    pub model: String,
    /// Number of parameters.
    pub parameters: usize,
    /// Bytes on disk.
    pub bytes: usize,
    /// Floating-point operations for a text of [`tokens`](Self::tokens) tokens.
    pub flops: f64,
    /// Length of the text the operations are counted for.
    pub tokens: usize,
}

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// What it is for.
    pub title: String,
    /// Its language, like `python` or `sh`.
    pub language: String,
    /// The code.
    pub code: String,
}

/// One line of the bill.
#[derive(Debug, Clone, PartialEq)]
pub struct BillLine {
    /// What was paid for, like `training` or `1,000 uses`.
    pub what: String,
    /// Energy in kWh.
    pub energy_kwh: f64,
    /// Grams of CO2 equivalent, if the grid is known.
    pub co2e_grams: Option<f64>,
    /// Amount and currency, if the tariff is known.
    pub money: Option<(f64, String)>,
    /// How it was found: measured, apportioned or modeled.
    pub method: String,
}

/// A section with a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The title.
    pub title: String,
    /// The text, in Markdown.
    pub text: String,
}

impl Card {
    /// The whole `README.md`.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        front_matter::write(self, &mut text);
        body::write(self, &mut text);
        text
    }
}
