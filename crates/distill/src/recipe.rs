//! The recipe: what the user wrote, as a TOML file.
//!
//! Every key has its meaning here and its default in [`Default`] or beside the field; an unknown key
//! is refused with the nearest known one. The resolved recipe, with every default written out, is
//! kept beside each run.

mod class_weights;
mod locate;
mod parse;
mod stage;
mod student;
mod table_format;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::objectives::Semantics;

pub use class_weights::{ClassWeightRule, ClassWeights, ClassWeightsError};
pub use parse::RecipeError;
pub use stage::{KeepWeights, StageLength, StageRows, StageSpec};
pub use student::{ClassifierChoice, EmbeddingStart, HeadStart, StudentSpec};
pub use table_format::{Delimiter, DelimiterError, TableEncoding, TableFormat, TableKind};

/// A whole recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// Random seed.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// Which arithmetic the objectives follow.
    #[serde(default)]
    pub semantics: Semantics,
    /// Where the run computes.
    #[serde(default)]
    pub device: DeviceChoice,
    /// What is learned from.
    pub data: DataSpec,
    /// Teacher model; left out when fine-tuning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherSpec>,
    /// The model that is trained.
    pub student: StudentSpec,
    /// Training stages in order.
    #[serde(rename = "stage")]
    pub stages: Vec<StageSpec>,
    /// Rows beside the labeled ones, which the teacher labels.
    #[serde(default, skip_serializing_if = "MoreSpec::is_empty")]
    pub more: MoreSpec,
    /// When the state of the run is written down.
    #[serde(default)]
    pub checkpoint: CheckpointSpec,
    /// How energy is read and billed.
    #[serde(default)]
    pub energy: EnergySpec,
    /// What the student's card says that no file can tell.
    #[serde(default, skip_serializing_if = "CardSpec::is_empty")]
    pub card: CardSpec,
}

/// A compute device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// The processor, through burn's `flex` engine.
    #[default]
    Cpu,
    /// An NVIDIA GPU; needs the cargo feature `cuda`.
    Cuda,
    /// An AMD GPU; needs the cargo feature `rocm`.
    Rocm,
    /// An Apple GPU; needs the cargo feature `metal`.
    Metal,
    /// Any GPU with a Vulkan driver; needs the cargo feature `vulkan`.
    Vulkan,
    /// Any GPU through WebGPU; needs the cargo feature `webgpu`.
    Webgpu,
}

impl DeviceChoice {
    /// The cargo feature that builds its engine in; the processor's is always there.
    pub fn feature(self) -> &'static str {
        match self {
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Cuda => "cuda",
            DeviceChoice::Rocm => "rocm",
            DeviceChoice::Metal => "metal",
            DeviceChoice::Vulkan => "vulkan",
            DeviceChoice::Webgpu => "webgpu",
        }
    }
}

/// Labeled text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum DataSpec {
    /// A data set whose files and columns are known by name, such as GLUE's SST-2.
    Known {
        /// Its name, such as `sst-2`.
        layout: String,
        /// The folder that holds its files.
        path: PathBuf,
        /// Share of the training rows held out to choose by, so that the dev rows stay unseen; they choose if it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev_share: Option<f64>,
        /// Longest sequence in tokens, special tokens included; longer texts are cut.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
        /// Use only this many training rows, drawn by the seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<usize>,
    },
    /// Tables of the user's own.
    Table {
        /// Training rows: TSV, CSV or JSONL.
        train: PathBuf,
        /// Rows to choose and score by; if left out, `dev-share` of the training rows is held out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev: Option<PathBuf>,
        /// Share of the training rows held out where there is no `dev` file.
        #[serde(default = "defaults::dev_share")]
        dev_share: f64,
        /// Column of the text: a name, or a number from 1.
        #[serde(default = "defaults::text")]
        text: String,
        /// Column of the second text of a pair.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pair: Option<String>,
        /// Column of the label.
        #[serde(default = "defaults::label")]
        label: String,
        /// Names of the classes in order; if left out they are found in the training rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<Vec<String>>,
        /// What stands between the labels of a cell, if a row may have several, or none. JSON arrays of strings need no word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multi_label: Option<String>,
        /// Lowest and highest score, if the label is a number to predict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regression: Option<[f32; 2]>,
        /// What the tables look like on disk.
        #[serde(default)]
        format: TableFormat,
        /// A second file with the label of each training row, one a line; `label` is not looked at then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label_file: Option<PathBuf>,
        /// The same for the `dev` file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev_label_file: Option<PathBuf>,
        /// Metric that chooses the best checkpoint; accuracy, micro-F1 of several labels, or the mean of Pearson and Spearman.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<String>,
        /// Longest sequence in tokens, special tokens included; longer texts are cut.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
        /// Use only this many training rows, drawn by the seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<usize>,
    },
    /// Sentences whose words have tags: CoNLL columns, or JSON lines with arrays `tokens` and `tags`.
    Tagged {
        /// Training sentences.
        train: PathBuf,
        /// Sentences to choose and score by; if left out, `dev-share` of the training sentences is held out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev: Option<PathBuf>,
        /// Share of the training sentences held out where there is no `dev` file.
        #[serde(default = "defaults::dev_share")]
        dev_share: f64,
        /// The tags in order; if left out they are found in the training sentences.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<Vec<String>>,
        /// Metric that chooses the best checkpoint; F1 of entities if tags name some, else the accuracy of words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<String>,
        /// Longest sequence in tokens, special tokens included; longer sentences are cut.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
        /// Use only this many training sentences, drawn by the seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<usize>,
    },
    /// Questions whose answers are parts of a context: SQuAD's JSON (1.1 or 2.0), or JSON lines with `question`, `context` and
    /// `answers`. A context longer than `max-tokens` is read in overlapping windows.
    Answers {
        /// Training questions.
        train: PathBuf,
        /// Questions to choose and score by; if left out, `dev-share` of the training questions is held out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev: Option<PathBuf>,
        /// Share of the training questions held out where there is no `dev` file; questions about one context stay together.
        #[serde(default = "defaults::dev_share")]
        dev_share: f64,
        /// Metric that chooses the best checkpoint; F1 of the answers' words if it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<String>,
        /// Longest window in tokens, the question and special tokens included. Windows overlap by 128 tokens, but no more than a
        /// quarter of this.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
        /// Use only this many training questions, drawn by the seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<usize>,
    },
    /// Rows that a program gives with the recipe ([`Inputs`](crate::plan::Inputs)); no file has them.
    Memory {
        /// Share of the training rows held out where the program gives no dev rows.
        #[serde(default = "defaults::dev_share")]
        dev_share: f64,
        /// Metric that chooses the best checkpoint, as in a table.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<String>,
        /// Longest sequence in tokens, special tokens included; longer texts are cut.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
    },
    /// Raw text without labels, for masked language modeling and for distilling a teacher before it knows a task.
    Corpus {
        /// Text files, also packed by gzip or zstd, read in this order.
        files: Vec<PathBuf>,
        /// How lines become sequences.
        #[serde(default)]
        layout: CorpusLayout,
        /// Sequences held out, drawn by the seed: the loss on them is reported.
        #[serde(default = "defaults::held_out")]
        held_out: usize,
        /// Longest sequence in tokens, special tokens included.
        #[serde(default = "defaults::max_tokens")]
        max_tokens: usize,
        /// Use only this many of the other sequences, drawn by the seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<usize>,
        /// A second vocabulary, by which some words are cut; the model that comes out reads it alone. Lines are then read in
        /// parts of half as many words as a sequence has tokens, whatever `layout` says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mix: Option<MixSpec>,
    },
    /// Commands to a home and a shop, made by attar's own grammars: no file is needed.
    Embedded {
        /// Training rows to make.
        #[serde(default = "defaults::embedded_rows")]
        rows: usize,
        /// Held-out rows to make.
        #[serde(default = "defaults::embedded_dev_rows")]
        dev_rows: usize,
        /// Longest sequence in tokens, special tokens included; longer texts are cut.
        #[serde(default = "defaults::embedded_max_tokens")]
        max_tokens: usize,
    },
}

/// A second vocabulary beside a model's own (dual training; Zhao et al., arXiv 1909.11687).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MixSpec {
    /// Directory of its tokenizer.
    pub tokenizer: PathBuf,
    /// Share of the words that it cuts at the beginning.
    #[serde(default = "defaults::half")]
    pub share: f64,
    /// Share at the end; between the two it changes evenly. As at the beginning if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_share: Option<f64>,
    /// Width of the second vocabulary's embeddings, which an affine map lifts to that of the model; the model's own width if left
    /// out. Narrow ones are written beside the model, for a student of that width to begin with (Zhao et al., EACL 2021, first
    /// stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
}

/// How the lines of a corpus become sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusLayout {
    /// The lines of a document joined and cut where a sequence is full; documents end at blank lines.
    #[default]
    Packed,
    /// Each line a sequence, what exceeds the limit dropped.
    Lines,
}

/// The teacher model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TeacherSpec {
    /// Model directory, or the directory of a run; left out where a program gives the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// In which numbers it computes its linear layers.
    #[serde(default)]
    pub precision: TeacherPrecision,
    /// Most bytes of what the teacher makes of training rows that are kept on disk while the run lasts, so that it reads a row
    /// once and not in each pass; 0 keeps nothing. States are kept, and then also used, as 16-bit floats.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trace_cache: u64,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// In which numbers a teacher computes its linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeacherPrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Bytes, with a scale for each row of weights and each token: about three times as fast, states off by about a
    /// hundredth. On the CPU alone.
    Int8,
}

/// Rows without labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MoreSpec {
    /// Files of texts from the user's domain: a text a line, or a table with the columns of the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unlabeled: Vec<PathBuf>,
    /// Most rows taken from these files, drawn by the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabeled_rows: Option<usize>,
    /// Copies of each training row with words masked, replaced, swapped or left out.
    pub noisy_copies: usize,
}

impl MoreSpec {
    /// True if there are no rows beside the labeled ones.
    pub fn is_empty(&self) -> bool {
        self.unlabeled.is_empty() && self.noisy_copies == 0
    }
}

/// What a card says that no file can tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CardSpec {
    /// The license of the student, by the hub's identifier, like `apache-2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Languages of the texts as ISO 639 codes, like `en`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The data sets by their identifiers on the hub, like `nyu-mll/glue`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<String>,
}

impl CardSpec {
    /// True if nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == CardSpec::default()
    }
}

/// When the state of a run is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CheckpointSpec {
    /// Updates between two checkpoints.
    pub every: usize,
    /// Checkpoints kept; older ones are removed once a newer one is complete.
    pub keep: usize,
    /// Whether all of them are removed once the student is written.
    pub clean: bool,
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        CheckpointSpec { every: 500, keep: 2, clean: true }
    }
}

/// How energy is read and billed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EnergySpec {
    /// Which source to trust.
    pub source: EnergySource,
    /// The machine's power in watts, for the source `fixed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    /// Country whose grid supplies the machine: a name or an ISO code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Power usage effectiveness of the building: a number, or a preset such as `aws`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pue: Option<String>,
    /// Price of a kilowatt-hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// Price of an hour of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_hour: Option<f64>,
    /// Currency of the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// A source of energy readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnergySource {
    /// Counters that prove themselves alive; the model for what has none.
    #[default]
    Auto,
    /// The model alone.
    Modeled,
    /// The user's own watts.
    Fixed,
    /// Nothing is read.
    Off,
}

mod defaults {
    pub(super) fn seed() -> u64 {
        42
    }
    pub(super) fn max_tokens() -> usize {
        128
    }
    pub(super) fn half() -> f64 {
        0.5
    }
    pub(super) fn held_out() -> usize {
        512
    }
    pub(super) fn dev_share() -> f64 {
        0.1
    }
    pub(super) fn text() -> String {
        "text".into()
    }
    pub(super) fn label() -> String {
        "label".into()
    }
    pub(super) fn embedded_rows() -> usize {
        4000
    }
    pub(super) fn embedded_dev_rows() -> usize {
        1000
    }
    pub(super) fn embedded_max_tokens() -> usize {
        32
    }
}
