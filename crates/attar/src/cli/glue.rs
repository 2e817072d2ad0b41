//! Flags of `attar glue`.

use std::path::PathBuf;

use clap::Args;

use super::training::{EffortArg, EnergyArgs, ShapeArgs};

#[derive(Debug, Args)]
pub(crate) struct GlueArgs {
    /// Recipe of the students; its data, teacher and seed are replaced by those of each task.
    ///
    /// `{task}` in the names of its files of unlabeled rows stands for the task, as in `sst-2`. Without a recipe a student is
    /// what `attar distill` would make.
    pub(crate) recipe: Option<PathBuf>,
    /// Folder with a folder for each task, as GLUE is downloaded, or the folder of a single data set.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR", help_heading = "Data")]
    pub(crate) data: Vec<PathBuf>,
    /// Tasks to run, as in sst-2,cola (default: all that are found with training rows).
    #[arg(long, value_delimiter = ',', value_name = "A,B,…", help_heading = "Data")]
    pub(crate) tasks: Vec<String>,
    /// Use only this many training rows of each task, drawn by the seed.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<usize>,
    /// Longest text in tokens, special tokens included; longer ones are cut.
    #[arg(long, default_value_t = 128, value_name = "N", help_heading = "Data")]
    pub(crate) max_tokens: usize,
    /// Share of the training rows held out to choose checkpoints by; scores are those of the dev part, which nothing else sees.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", help_heading = "Data")]
    pub(crate) dev_share: f64,
    /// Encoder that is fine-tuned on each task to be its teacher.
    #[arg(long, value_name = "DIR", required_unless_present = "teachers")]
    pub(crate) teacher: Option<PathBuf>,
    /// Folder of another suite whose teachers are used, task by task and seed by seed, instead of making new ones.
    #[arg(long, value_name = "DIR", conflicts_with = "teacher")]
    pub(crate) teachers: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Rows seen in training: about a third of the default, the default, or up to three times the default.
    #[arg(long, value_enum, default_value = "default", help_heading = "Training")]
    pub(crate) effort: EffortArg,
    /// Updates of each stage of every training, to try a suite.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) steps: Option<usize>,
    /// Seeds: each makes all models anew.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3", value_name = "N,M,…", help_heading = "Training")]
    pub(crate) seeds: Vec<u64>,
    /// Leave out the students that learn from gold labels alone.
    #[arg(long, help_heading = "Training")]
    pub(crate) no_gold: bool,
    /// Leave out the measurement of speed and energy of answers.
    #[arg(long)]
    pub(crate) no_speed: bool,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
    /// Folder of the suite; the same command resumes an interrupted one.
    #[arg(long, default_value = "runs/glue", value_name = "DIR", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
