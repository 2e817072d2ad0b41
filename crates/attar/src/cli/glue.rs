//! Flags of `attar glue`.

use std::path::PathBuf;

use clap::Args;

use super::training::{EffortArg, EnergyArgs, ShapeArgs};

#[derive(Debug, Args)]
pub(crate) struct GlueArgs {
    /// Recipe for the students; its data, teacher and seed are overridden for each task.
    ///
    /// `{task}` in the paths of its unlabeled files is replaced by the task's name, as in `sst-2`. Without a recipe, each
    /// student is what `attar distill` would make.
    pub(crate) recipe: Option<PathBuf>,
    /// Folder with one subfolder per task, as GLUE is distributed, or the folder of a single data set.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR", help_heading = "Data")]
    pub(crate) data: Vec<PathBuf>,
    /// Tasks to run, as in sst-2,cola (default: every task found that has training rows).
    #[arg(long, value_delimiter = ',', value_name = "A,B,…", help_heading = "Data")]
    pub(crate) tasks: Vec<String>,
    /// Use only N training rows per task, drawn by the seed; dev rows and their scoring stay whole.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<usize>,
    /// Longest text in tokens, special tokens included; longer ones are cut.
    #[arg(long, default_value_t = 128, value_name = "N", help_heading = "Data")]
    pub(crate) max_tokens: usize,
    /// Share of the training rows held out to choose checkpoints; scores are computed on the dev part, which is used for nothing else.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", help_heading = "Data")]
    pub(crate) dev_share: f64,
    /// Encoder that is fine-tuned on each task to be its teacher.
    #[arg(long, value_name = "DIR", required_unless_present = "teachers")]
    pub(crate) teacher: Option<PathBuf>,
    /// Folder of an earlier suite whose teachers are reused, matched by task and seed.
    #[arg(long, value_name = "DIR", conflicts_with = "teacher")]
    pub(crate) teachers: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Rows seen in training: about a third of the default, the default, or up to three times the default.
    #[arg(long, value_enum, default_value = "default", help_heading = "Training")]
    pub(crate) effort: EffortArg,
    /// Limit every training stage to N updates, for a trial run.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) steps: Option<usize>,
    /// Seeds; all models are trained once with each.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3", value_name = "N,M,…", help_heading = "Training")]
    pub(crate) seeds: Vec<u64>,
    /// Do not train students on gold labels alone.
    #[arg(long, help_heading = "Training")]
    pub(crate) no_gold: bool,
    /// Do not measure inference speed and energy.
    #[arg(long, help_heading = "Training")]
    pub(crate) no_speed: bool,
    /// Folder of the suite; the same command resumes an interrupted one.
    #[arg(long, default_value = "runs/glue", value_name = "DIR", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}
