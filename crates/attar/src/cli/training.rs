//! Flags of the commands that train.

use std::path::PathBuf;
use std::time::Duration;

use attar_distill::recipe::ClassWeights;
use clap::{Args, ValueEnum};

use super::values::{bytes, minutes};

/// How much training a model gets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct QualityArgs {
    /// Rows seen in training: about a third of the default, the default, or up to three times the default.
    #[arg(long, value_enum, default_value = "default")]
    pub(crate) effort: EffortArg,
    /// Time for training, as in 90s, 10min or 1h (minutes without a unit): as many rows are seen as fit, up to three times the default.
    ///
    /// A teacher that is made first has half of it. Preparing and scoring the models and quantizing the student are not counted.
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    pub(crate) within: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EffortArg {
    Quick,
    Default,
    Best,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassifierArg {
    Auto,
    FirstToken,
    Mean,
    Cosine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InitArg {
    /// Random weights.
    Random,
    /// Some layers of the teacher.
    Layers,
    /// Some layers of the teacher, with the feed-forward units that matter most.
    Pruned,
}

/// Rows beside the labeled ones, labeled by the teacher.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct MoreArgs {
    /// Texts of the same kind without labels: a text a line (.txt), or a table with the columns of the data.
    #[arg(long, value_name = "FILE")]
    pub(crate) unlabeled: Vec<PathBuf>,
    /// Number of noisy copies of each training row: words masked, replaced, swapped or left out.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) noisy_copies: Option<usize>,
}

/// Shape of a student.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Student")]
pub(crate) struct ShapeArgs {
    /// Model directory that the student begins with.
    ///
    /// Such as one from `distill --corpus`; by default a student is cut out of the teacher.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["init", "layers", "hidden", "embedding_width", "heads", "feed_forward", "tokenizer", "own_pieces", "vocabulary",
            "max_bytes"]
    )]
    pub(crate) student: Option<PathBuf>,
    /// What the student's weights start from.
    #[arg(long, value_enum, default_value = "pruned", hide_short_help = true)]
    pub(crate) init: InitArg,
    /// Layers of the student (default: half of the teacher's, at most four).
    ///
    /// They are taken from the teacher evenly spaced.
    #[arg(long)]
    pub(crate) layers: Option<usize>,
    /// Hidden width of the student (default: the teacher's).
    ///
    /// A multiple of its heads.
    #[arg(long)]
    pub(crate) hidden: Option<usize>,
    /// Width of the student's embeddings, smaller than its hidden width: a linear map widens them, and each word
    /// piece takes fewer bytes (default: the hidden width).
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) embedding_width: Option<usize>,
    /// Attention heads of the student (default: as many as the teacher's).
    #[arg(long, hide_short_help = true)]
    pub(crate) heads: Option<usize>,
    /// Feed-forward width of the student (default: half the teacher's hidden width; with `--init layers` the teacher's own,
    /// with `--init random` the hidden width).
    #[arg(long, hide_short_help = true)]
    pub(crate) feed_forward: Option<usize>,
    /// Directory with a tokenizer of the student's own, as `attar vocab train` makes it; teacher and student are then
    /// compared word by word (default: the student has a part of the teacher's pieces).
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Train a vocabulary of the student's own on these texts, a text a line (without a file: on the rows of the data); its
    /// size, and widths that are not given, follow from `--max-bytes`.
    #[arg(long, value_name = "FILE", num_args = 0.., conflicts_with = "tokenizer", hide_short_help = true)]
    pub(crate) own_pieces: Option<Vec<PathBuf>>,
    /// Word pieces that the student keeps (default: as many as its size allows).
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) vocabulary: Option<usize>,
    /// Size of the student as shipped, as in 7MB (default: a tenth of its teacher in 32-bit floats).
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_bytes: Option<usize>,
}

impl ShapeArgs {
    /// Whether no flag of a shape was given.
    pub(crate) fn is_default(&self) -> bool {
        let ShapeArgs {
            student,
            init,
            layers,
            hidden,
            embedding_width,
            heads,
            feed_forward,
            tokenizer,
            own_pieces,
            vocabulary,
            max_bytes,
        } = self;
        let numbers = [layers, hidden, embedding_width, heads, feed_forward, vocabulary, max_bytes];
        let names = [student.is_none(), tokenizer.is_none(), own_pieces.is_none()];
        *init == InitArg::Pruned && names == [true; 3] && numbers.iter().all(|n| n.is_none())
    }
}

/// How much classes count.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct ClassArgs {
    /// How much the rows of each class count: `balanced`, so that all classes count alike, or weights such as rare=5.
    #[arg(long, value_name = "balanced|NAME=W,…")]
    pub(crate) class_weights: Option<ClassWeights>,
}

/// Settings of training; the defaults are those of the command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct TrainingArgs {
    /// Passes over the training rows (of each stage).
    #[arg(long, value_name = "N", conflicts_with = "steps")]
    pub(crate) epochs: Option<usize>,
    /// Updates (of each stage).
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) steps: Option<usize>,
    /// Rows of a batch.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) batch_rows: Option<usize>,
    /// Most tokens of a batch.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) batch_tokens: Option<usize>,
    /// Highest learning rate (of each stage).
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<f64>,
    /// Updates between two evaluations (0: once an epoch).
    #[arg(long, default_value_t = 0, value_name = "N", hide_short_help = true)]
    pub(crate) evaluate_every: usize,
    /// Updates between two checkpoints.
    #[arg(long, default_value_t = 500, value_name = "N", hide_short_help = true)]
    pub(crate) checkpoint_every: usize,
    /// Keep the checkpoints of a finished run instead of removing them.
    #[arg(long, hide_short_help = true)]
    pub(crate) keep_checkpoints: bool,
    /// Random seed.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Where to compute: cpu, cuda, rocm, metal, vulkan or webgpu.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// License of the model for its card, by the hub's identifier, as in apache-2.0 (default: none is named).
    #[arg(long, value_name = "ID", hide_short_help = true, help_heading = "Card")]
    pub(crate) license: Option<String>,
    /// Languages of the texts for the model's card, as ISO 639 codes such as en.
    #[arg(long, value_delimiter = ',', value_name = "CODE,…", hide_short_help = true, help_heading = "Card")]
    pub(crate) language: Vec<String>,
    /// Identifiers on the hub of the data sets, for the model's card, as in nyu-mll/glue.
    #[arg(long, value_delimiter = ',', value_name = "ID,…", hide_short_help = true, help_heading = "Card")]
    pub(crate) hub_data: Vec<String>,
}

/// How energy is read and billed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Energy")]
pub(crate) struct EnergyArgs {
    /// Source of energy readings: auto, modeled, fixed or off.
    #[arg(long, default_value = "auto", value_name = "SOURCE")]
    pub(crate) energy: String,
    /// The machine's power, for `--energy fixed`.
    #[arg(long, hide_short_help = true)]
    pub(crate) watts: Option<f64>,
    /// Country whose grid supplies the machine: a name or an ISO code.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Power usage effectiveness of the building: a number or a preset such as aws.
    #[arg(long, hide_short_help = true)]
    pub(crate) pue: Option<String>,
    /// Price of a kilowatt-hour.
    #[arg(long)]
    pub(crate) price: Option<f64>,
    /// Price of an hour of the machine.
    #[arg(long, hide_short_help = true)]
    pub(crate) machine_hour: Option<f64>,
    /// Currency of the prices.
    #[arg(long, hide_short_help = true)]
    pub(crate) currency: Option<String>,
}

/// Flags of every run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunArgs {
    /// Take everything from this recipe instead of flags.
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    pub(crate) recipe: Option<PathBuf>,
    /// Folder of the run (default: in `runs`, named after command and data); the same command resumes an interrupted run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the recipe that the flags stand for, and stop.
    #[arg(long, help_heading = "Recipe")]
    pub(crate) print_recipe: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
