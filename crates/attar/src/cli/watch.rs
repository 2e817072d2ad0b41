//! The command line of `attar watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::seconds;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Folder of a run: one that goes on, or one that has ended.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Time between two looks: 1s, 500ms.
    #[arg(long, value_parser = seconds, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Show what there is and end, even if the run goes on.
    #[arg(long)]
    pub(crate) once: bool,
}
