//! The command line as it is typed.

pub(crate) mod augment;
pub(crate) mod bench;
pub(crate) mod contract;
pub(crate) mod data;
#[cfg(test)]
mod documented;
pub(crate) mod energy;
pub(crate) mod export;
pub(crate) mod glue;
mod models;
pub(crate) mod pretrain;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod training;
mod values;
pub(crate) mod vocab;
pub(crate) mod watch;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use data::{ClassNames, CorpusArgs, DataArgs, FormatArgs, ScoringArgs};
use training::{ClassArgs, ClassifierArg, EnergyArgs, MoreArgs, QualityArgs, RunArgs, ShapeArgs, TrainingArgs};
use values::{bytes_or_none, points};

/// Place of the flags of all commands in a help page: behind those of the command, before `--help`.
const GLOBAL_ORDER: usize = 900;

/// Distill BERT-class models into students of a few megabytes, and report what that cost.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "A model directory may also be given as hf:OWNER/NAME or hf:OWNER/NAME@REVISION, a model of the Hugging Face hub."
)]
pub(crate) struct Cli {
    /// Number of threads (default: one for each processor).
    #[arg(long, global = true, value_name = "N", display_order = GLOBAL_ORDER)]
    pub(crate) threads: Option<bench::Threads>,
    /// Print no notes and no progress on standard error.
    #[arg(short, long, global = true, display_order = GLOBAL_ORDER)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses the command line; exits on `--help` or a usage error.
    pub(crate) fn of_process() -> Cli {
        let mut command = takes_negative_numbers(Cli::command());
        let parsed =
            command.try_get_matches_from_mut(std::env::args_os()).and_then(|found| Cli::from_arg_matches(&found));
        parsed.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// The command with flags that read -3 as a value, which they can then refuse by name, and not as an unknown flag.
fn takes_negative_numbers(command: clap::Command) -> clap::Command {
    let of_flags = |arg: clap::Arg| {
        let takes_value = arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    };
    command.mut_args(of_flags).mut_subcommands(takes_negative_numbers)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a teacher and distill it, on a data set of attar's own: no download, under two minutes.
    Quickstart(QuickstartArgs),
    /// Fine-tune a model on labeled text.
    Finetune(FinetuneArgs),
    /// Distill a teacher into a smaller student.
    Distill(Box<DistillArgs>),
    /// Train an encoder on raw text: it guesses pieces that are hidden from it (masked language modeling).
    Pretrain(pretrain::PretrainArgs),
    /// Make new training rows by replacing words, for a teacher to label.
    Augment(augment::AugmentArgs),
    /// Make and score teachers and students of many tasks by several seeds: GLUE, or any known data sets.
    Glue(Box<glue::GlueArgs>),
    /// Fetch a model of the Hugging Face hub into the cache that it shares with Python, and print its directory.
    Pull(PullArgs),
    /// Estimate what a recipe will cost before it runs: sizes, FLOPs, time, energy.
    Plan(PlanArgs),
    /// Score models side by side on labeled text.
    Eval(EvalArgs),
    /// Classify or score texts, tag their words, or find answers in them.
    #[command(visible_alias = "tag")]
    Predict(PredictArgs),
    /// Turn texts into vectors.
    Embed(EmbedArgs),
    /// Serve models over HTTP, as text-embeddings-inference and OpenAI do, with a page to try them on.
    Serve(Box<serve::ServeArgs>),
    /// Find the confidence above which a student may answer in its teacher's place.
    Contract(Box<contract::ContractArgs>),
    /// Watch a run as it goes: stage, losses, score, watts, joules, time left.
    Watch(watch::WatchArgs),
    /// Show what runs found: one page with charts, the bill, mistakes and provenance.
    Report(report::ReportArgs),
    /// Show what a model directory holds.
    Inspect(InspectArgs),
    /// Quantize a model to int8 and int4, as far as its score allows.
    Quantize(QuantizeArgs),
    /// Write a model as files of other programs: ONNX, Hugging Face, GGUF, one file.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Train, trim and compare WordPiece vocabularies.
    #[command(subcommand)]
    Vocab(vocab::VocabCommand),
    /// Time models side by side: latency, throughput, first answer, memory, joules.
    #[command(after_help = "--threads takes several numbers here, as in 1,2, and compares them.")]
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
    /// Random seed.
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
    pub(crate) classes: ClassArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DistillArgs {
    /// Teacher: a fine-tuned model directory, the folder of a `finetune` run, or a bare encoder.
    ///
    /// A bare encoder is fine-tuned on the data first, for as long as its rules say (--steps and --rate are the student's), or teaches its states on raw text (`--corpus`).
    #[arg(long, required_unless_present = "recipe", help_heading = "Student")]
    pub(crate) teacher: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) corpus: CorpusArgs,
    #[command(flatten)]
    pub(crate) more: MoreArgs,
    #[command(flatten)]
    pub(crate) quality: QualityArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) classes: ClassArgs,
    /// Train on gold labels alone, as a comparison that shows what the teacher adds.
    #[arg(long, hide_short_help = true, help_heading = "Training")]
    pub(crate) gold_only: bool,
    /// Repeat the whole run with each of these seeds and print means and standard deviations, as in 1,2,3.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,M,…",
        conflicts_with_all = ["seed", "recipe", "corpus"],
        hide_short_help = true,
        help_heading = "Training"
    )]
    pub(crate) seeds: Vec<u64>,
    /// Maximum disk space for cached teacher outputs during the run, so that they are not recomputed; 0 disables the cache.
    #[arg(long, default_value = "1GB", value_name = "BYTES", value_parser = bytes_or_none, hide_short_help = true, help_heading = "Training")]
    pub(crate) trace_cache: usize,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Model of the hub, `main` where no branch, tag or commit is given.
    #[arg(value_name = "OWNER/NAME[@REVISION]")]
    pub(crate) model: String,
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
    /// Also train and score a linear model over n-grams.
    #[arg(long)]
    pub(crate) baseline: bool,
    /// A sentence encoder: with `--baseline`, also score a linear model over its vectors.
    #[arg(long, requires = "baseline", value_name = "DIR")]
    pub(crate) encoder: Option<PathBuf>,
    /// Rows to train the baselines on (default: the training part of a known data set, or the rows of the table that the
    /// models were trained on).
    #[arg(long, requires = "baseline", value_name = "PATH")]
    pub(crate) train: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Leave out the measurement of speed and energy.
    #[arg(long)]
    pub(crate) no_speed: bool,
    /// Seed of the bootstrap intervals.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) scoring: ScoringArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Texts, or questions (default: the lines of standard input).
    pub(crate) texts: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Answer the rows of this file instead (TSV, CSV or JSONL; - for standard input, with `--format`); its columns are kept
    /// and the answers added.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub(crate) data: Option<PathBuf>,
    /// File for the answered rows, instead of standard output; a `.jsonl` file gets objects whatever came in.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) out: Option<PathBuf>,
    /// Column of the text in the file: a name, or a number from 1 (default: `text`; `question` if the model answers questions).
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub(crate) text: Option<String>,
    /// Second text of a pair, or the context of a question; with `--data` a column (default: `context` if the model answers
    /// questions).
    #[arg(long, value_name = "TEXT|COLUMN")]
    pub(crate) pair: Option<String>,
    /// Names of the classes in the model's order, for a model that has none of its own; in quotation marks where a name has a
    /// comma.
    #[arg(long, value_name = "A,B,…")]
    pub(crate) labels: Option<ClassNames>,
    /// What to do about a text that cannot be answered, such as one that is not UTF-8.
    #[arg(long, value_enum, default_value = "stop")]
    pub(crate) on_error: OnErrorArg,
    /// Print a line of JSON for each text; rows of a file are answered in the file's own form.
    #[arg(long, conflicts_with = "data")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// Texts (default: the lines of standard input).
    pub(crate) texts: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// How token states become a vector (default: as the model's files say, or the mean).
    #[arg(long, value_enum)]
    pub(crate) pooling: Option<PoolingArg>,
    /// Scale vectors to length 1 (default: as the model's files say).
    #[arg(long, value_name = "BOOL")]
    pub(crate) normalize: Option<bool>,
    /// Put the model's prompt of this name before each text, as `query` (default: the model's default prompt, if it has one).
    #[arg(long, value_name = "NAME", conflicts_with = "prompt_text")]
    pub(crate) prompt: Option<String>,
    /// Put this before each text, in place of the model's default prompt; an empty one puts none.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt_text: Option<String>,
    /// Turn the rows of this file into vectors instead (TSV, CSV or JSONL; - for standard input, with `--format`); its
    /// columns are kept and a vector added.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub(crate) data: Option<PathBuf>,
    /// File for the vectors, instead of standard output: `.npy` for an array of numpy with a row for each text, and of
    /// `--data` also one in its own form, or `.jsonl`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Column of the text in the file: a name, or a number from 1.
    #[arg(long, default_value = "text", value_name = "COLUMN", requires = "data")]
    pub(crate) text: String,
    /// What to do about a text that cannot be answered, such as one that is not UTF-8.
    #[arg(long, value_enum, default_value = "stop")]
    pub(crate) on_error: OnErrorArg,
    /// Print a line of JSON for each text, with the text.
    #[arg(long, conflicts_with_all = ["data", "out"])]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// What one text without an answer means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnErrorArg {
    /// End there: standard output has the answers so far, a file of `--out` is not written.
    Stop,
    /// Say so in its place and go on.
    Skip,
}

/// How a model is run.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Precision of the matrix products (default: int8 where the directory has int8 weights).
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
    /// Rows to score on: folder of a known data set, or a TSV, CSV or JSONL file. Without it nothing is scored.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// File of texts, one a line, to choose scales on where nothing can be scored, as for a model that gives vectors.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) texts: Option<PathBuf>,
    /// Largest loss of score that is accepted, in points of 100.
    #[arg(long, default_value = "0.5", value_name = "POINTS", value_parser = points)]
    pub(crate) max_loss: f64,
    /// How embedding tables are stored; int4 and auto (int4 if the score allows, else int8) apply to word vectors only.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) embeddings: EmbeddingsArg,
    /// Part to keep in f32; may be given several times.
    #[arg(long, value_name = "PART")]
    pub(crate) keep: Vec<String>,
    /// Number of texts to choose scales on, drawn from the training rows or from `--texts`.
    #[arg(long, default_value = "128", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calibration_rows: u32,
    /// Write the quantized weights alone: the smallest directory, which only attar reads.
    #[arg(long)]
    pub(crate) without_f32: bool,
    /// Seed of the drawn texts and the bootstrap intervals.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) scoring: ScoringArgs,
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
    /// Folder for the pages; created if missing.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
