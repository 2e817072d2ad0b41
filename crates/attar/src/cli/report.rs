//! The command line of `attar report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs, of a quickstart, or of a suite (`attar glue`).
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// File to write (default: report.html for a page; other formats go to standard output).
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Format of the report.
    #[arg(long, value_enum, default_value = "html")]
    pub(crate) format: ReportFormat,
    /// Title (default: the names of the runs).
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Run no model: scores as the run wrote them down, and no calibration, mistakes or attention.
    #[arg(long, conflicts_with_all = ["no_speed", "encoder", "sentence"])]
    pub(crate) no_predictions: bool,
    /// Leave out the measurement of speed and energy.
    #[arg(long)]
    pub(crate) no_speed: bool,
    /// A sentence encoder: also score a linear model over its vectors (default: the model that the teacher was made from).
    #[arg(long, value_name = "DIR")]
    pub(crate) encoder: Option<PathBuf>,
    /// Text on which the attention of teacher and student is shown (default: a held-out row).
    #[arg(long, value_name = "TEXT")]
    pub(crate) sentence: Option<String>,
    /// Seed of the bootstrap intervals.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A page of one file, without script and without network.
    Html,
    /// Markdown, with a sentence in place of each chart.
    Md,
    /// Everything as data.
    Json,
    /// A bill of materials with a model card and its energy: CycloneDX 1.6, of one run.
    Cyclonedx,
    /// The energy as BoAmps has it, of one run.
    Boamps,
}
