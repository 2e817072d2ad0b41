//! `attar contract` as it is typed.

use std::path::PathBuf;

use clap::Args;

use super::EngineArgs;
use super::data::ScoringArgs;
use super::training::EnergyArgs;

#[derive(Debug, Args)]
pub(crate) struct ContractArgs {
    /// The model whose answers count: a model directory, the folder of a run, or a single file.
    #[arg(long, value_name = "MODEL")]
    pub(crate) teacher: PathBuf,
    /// The model that answers in its place where it is sure.
    #[arg(long, value_name = "MODEL")]
    pub(crate) student: PathBuf,
    /// Folder of a known data set, or a TSV, CSV or JSONL file: rows like those that will be asked, which neither was
    /// trained on.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,
    /// Share of the student's answers that have to be the teacher's.
    #[arg(long, default_value_t = 0.99, value_name = "SHARE")]
    pub(crate) min_agreement: f64,
    /// Confidence level of the lower bound on that share.
    #[arg(long, default_value_t = 0.95, value_name = "LEVEL")]
    pub(crate) confidence_level: f64,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Leave out the measurement of speed and energy.
    #[arg(long)]
    pub(crate) no_speed: bool,
    /// File for the contract (default: contract.json in the student's folder, or NAME.contract.json beside a single file).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print the contract as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) scoring: ScoringArgs,
    #[command(flatten)]
    pub(crate) energy: EnergyArgs,
}
