//! The command line as it is typed.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod energy;
pub(crate) mod vocab;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use attar_distill::recipe::ClassWeights;
use data::{DataArgs, FormatArgs, ScoringArgs};

/// Distil BERT-class models into students of a few megabytes, and hand over the bill.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Threads that compute; all processors if left out. `bench` takes several, as in 1,2.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<bench::Threads>,
    /// No notes and no progress on standard error.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a teacher and distil it, on a data set of attar's own: no download, under two minutes.
    Quickstart(QuickstartArgs),
    /// Fine-tune a model on labelled text.
    Finetune(FinetuneArgs),
    /// Distil a teacher into a smaller student.
    Distill(DistillArgs),
    /// Say what a recipe will cost before it runs: sizes, FLOPs, time, energy.
    Plan(PlanArgs),
    /// Score models side by side on labelled text.
    Eval(EvalArgs),
    /// Classify or score texts.
    Predict(PredictArgs),
    /// Turn texts into vectors.
    Embed(EmbedArgs),
    /// Show what a model directory holds.
    Inspect(InspectArgs),
    /// Store a model as small integers, as far as its score allows.
    Quantize(QuantizeArgs),
    /// Make, trim and compare vocabularies of word pieces.
    #[command(subcommand)]
    Vocab(vocab::VocabCommand),
    /// Time models side by side: latency, throughput, first answer, memory, joules.
    Bench(bench::BenchArgs),
    /// Answer one text and say how much memory that took.
    #[command(hide = true)]
    FirstAnswer(bench::FirstAnswerArgs),
    /// Estimate, measure and report the energy, CO2e and cost of any program.
    #[command(subcommand)]
    Energy(energy::EnergyCommand),
    /// Print a script with which a shell completes commands and flags.
    Completions(CompletionsArgs),
    /// Write a manual page for each command.
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// Folder for teacher and student.
    #[arg(long, default_value = "runs/quickstart")]
    pub(crate) out: PathBuf,
    /// Decides every random number.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FinetuneArgs {
    /// Model directory, in the layout of Hugging Face; a bare encoder gets a new head.
    #[arg(required_unless_present = "recipe")]
    pub(crate) model: Option<PathBuf>,
    /// Replace a head that was made for other labels.
    #[arg(long, hide_short_help = true, help_heading = "Training")]
    pub(crate) new_head: bool,
    /// Input of a new classifier; auto follows the encoder's own pooling.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Training")]
    pub(crate) classifier: ClassifierArg,
    #[command(flatten)]
    pub(crate) quality: QualityArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DistillArgs {
    /// Teacher: a model directory fine-tuned on the labels, the folder of a `finetune` run, or a bare encoder, which is
    /// fine-tuned on the data first.
    #[arg(long, required_unless_present = "recipe", help_heading = "Student")]
    pub(crate) teacher: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) more: MoreArgs,
    #[command(flatten)]
    pub(crate) quality: QualityArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    /// Learn from gold labels alone: the comparison that shows what the teacher is worth.
    #[arg(long, hide_short_help = true, help_heading = "Training")]
    pub(crate) gold_only: bool,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How much time a model may take for its quality.
#[derive(Debug, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct QualityArgs {
    /// How many rows are seen: about a third of the usual, the usual, or up to three times that.
    #[arg(long, value_enum, default_value = "default")]
    pub(crate) effort: EffortArg,
    /// Time for the training, as in 90s, 10min or 1h (minutes without a unit): as many rows are seen as it allows, up to three times the usual.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) within: Option<f64>,
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

/// Rows beside the labeled ones, judged by the teacher.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct MoreArgs {
    /// Texts of the same kind without labels: a text a line (.txt), or a table with the columns of the data.
    #[arg(long, value_name = "FILE")]
    pub(crate) unlabeled: Vec<PathBuf>,
    /// Copies of each training row with words masked, replaced, swapped or left out.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) noisy_copies: Option<usize>,
}

/// Shape of a student.
#[derive(Debug, Args)]
#[command(next_help_heading = "Student")]
pub(crate) struct ShapeArgs {
    /// Where the student begins.
    #[arg(long, value_enum, default_value = "pruned", hide_short_help = true)]
    pub(crate) init: InitArg,
    /// Layers of the student; half of the teacher's and at most four if left out, evenly spaced.
    #[arg(long)]
    pub(crate) layers: Option<usize>,
    /// Hidden width of the student, a multiple of its heads; the teacher's if left out.
    #[arg(long)]
    pub(crate) hidden: Option<usize>,
    /// Attention heads of the student; as many as the teacher's if left out.
    #[arg(long, hide_short_help = true)]
    pub(crate) heads: Option<usize>,
    /// Feed-forward width of the student; if left out half the teacher's hidden width, with `--init layers` the teacher's own, with `--init random` the hidden width.
    #[arg(long, hide_short_help = true)]
    pub(crate) feed_forward: Option<usize>,
    /// Word pieces that the student keeps; else as many as its size allows.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) vocabulary: Option<usize>,
    /// Size of the student as shipped, as in 7MB; else a tenth of its teacher in 32-bit floats.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_bytes: Option<usize>,
}

/// How training goes. What is left out has the default of the command.
#[derive(Debug, Args)]
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
    /// How much the rows of each class count: `balanced`, so that all classes count alike, or weights such as rare=5.
    #[arg(long, value_name = "balanced|NAME=W,…")]
    pub(crate) class_weights: Option<ClassWeights>,
    /// Updates between two evaluations; once an epoch if left out.
    #[arg(long, default_value_t = 0, value_name = "N", hide_short_help = true)]
    pub(crate) evaluate_every: usize,
    /// Updates between two checkpoints.
    #[arg(long, default_value_t = 500, value_name = "N", hide_short_help = true)]
    pub(crate) checkpoint_every: usize,
    /// Keep the checkpoints of a run that has ended; else they are removed.
    #[arg(long, hide_short_help = true)]
    pub(crate) keep_checkpoints: bool,
    /// Decides every random number.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Where to compute: cpu, cuda, rocm, metal, vulkan or webgpu.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

/// How energy is read and billed.
#[derive(Debug, Args)]
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

/// What belongs to every run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunArgs {
    /// Take everything from this recipe instead of flags.
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    pub(crate) recipe: Option<PathBuf>,
    /// Folder of the run; the same command goes on where a run was broken off.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write the recipe that the flags mean to standard output and stop.
    #[arg(long, help_heading = "Recipe")]
    pub(crate) print_recipe: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The recipe.
    pub(crate) recipe: PathBuf,
    /// Updates of each stage to run for the estimate of time and energy; 0 for none.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub(crate) probe: usize,
    /// Print the plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Model directories or folders of runs; the first is what the others are compared with.
    #[arg(required = true)]
    pub(crate) models: Vec<PathBuf>,
    /// Folder of a known data set, or a TSV, CSV or JSONL file.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) scoring: ScoringArgs,
    /// Train a linear model over n-grams and score it too.
    #[arg(long)]
    pub(crate) baseline: bool,
    /// A sentence encoder: with `--baseline` a linear model over its vectors as they are, without training, is scored too.
    #[arg(long, requires = "baseline", value_name = "DIR")]
    pub(crate) encoder: Option<PathBuf>,
    /// Rows for the baselines to learn from; else the training part of a known data set, or the rows of the table that
    /// the models were trained on.
    #[arg(long, requires = "baseline", value_name = "PATH")]
    pub(crate) train: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Leave out the measurement of speed and energy.
    #[arg(long)]
    pub(crate) no_speed: bool,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    /// Decides the bootstrap.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Texts, or questions; lines of standard input if there are none.
    pub(crate) texts: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// File of rows to answer instead: TSV, CSV or JSONL. They go through as they are, with columns added.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub(crate) data: Option<PathBuf>,
    /// Where the answered rows go; else to standard output.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) out: Option<PathBuf>,
    /// Column of the text in the file: a name, or a number from 1.
    #[arg(long, default_value = "text", value_name = "COLUMN", requires = "data")]
    pub(crate) text: String,
    /// Second text of a pair, for a single text; where to look for the answers to questions; with `--data` a column.
    #[arg(long, value_name = "TEXT|COLUMN")]
    pub(crate) pair: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// Print a line of JSON for each text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Texts; lines of standard input if there are none.
    pub(crate) texts: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// How token states become a vector; else what the model says, or the mean.
    #[arg(long, value_enum)]
    pub(crate) pooling: Option<PoolingArg>,
    /// Scale vectors to length 1; else what the model says.
    #[arg(long, value_name = "BOOL")]
    pub(crate) normalise: Option<bool>,
    /// Print a line of JSON for each text, with the text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a model is run.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Precision of the matrix products; else bytes where the directory has weights in bytes.
    #[arg(long, value_enum)]
    pub(crate) precision: Option<bench::PrecisionArg>,
    /// Keep thread i on the ith of these processors, as in 0,1 (Linux).
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) pin: Vec<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PoolingArg {
    Mean,
    Cls,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Length of the text that FLOPs are counted for.
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub(crate) tokens: usize,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QuantizeArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Folder of the quantized model.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Rows to score by: folder of a known data set, or a TSV, CSV or JSONL file. Without, nothing is scored.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) scoring: ScoringArgs,
    /// Points of the score, of a hundred, that may be lost.
    #[arg(long, default_value = "0.5", value_name = "POINTS", value_parser = points)]
    pub(crate) max_loss: f64,
    /// How word vectors are stored; auto tries int4 and takes what holds the score.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) embeddings: EmbeddingsArg,
    /// Keep this part in f32 whatever the score says; may be given several times.
    #[arg(long, value_name = "PART")]
    pub(crate) keep: Vec<String>,
    /// Texts to choose scales by, drawn from the training rows.
    #[arg(long, default_value = "128", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calibration_rows: u32,
    /// Write the quantized weights alone: the smallest directory, for attar only.
    #[arg(long)]
    pub(crate) without_f32: bool,
    /// Decides the draw of texts and the bootstrap.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmbeddingsArg {
    Int8,
    Int4,
    F32,
    Auto,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to make it for.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages; made if there is none.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// Seconds of a time such as 90s, 10min or 1h; minutes without a unit.
fn duration(text: &str) -> Result<f64, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[end..] {
        "s" | "sec" => 1.0,
        "" | "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("`{other}` is no unit of time, expected s, min or h, as in 10min")),
    };
    match text[..end].trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number * unit),
        _ => Err("expected a time above 0, as in 10min".into()),
    }
}

/// A number of bytes such as 7MB, 900kB or 7000000.
fn bytes(text: &str) -> Result<usize, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match text[end..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        other => {
            return Err(format!("`{other}` is no unit of bytes, expected B, kB, MB, GB, KiB, MiB or GiB, as in 7MB"));
        }
    };
    match text[..end].trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number * unit >= 1.0 => Ok((number * unit) as usize),
        _ => Err("expected a number of bytes, as in 7MB".into()),
    }
}

/// A number of points, none or more.
fn points(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(points) if points.is_finite() && points >= 0.0 => Ok(points),
        _ => Err("expected a number from 0, in points of the score".into()),
    }
}
