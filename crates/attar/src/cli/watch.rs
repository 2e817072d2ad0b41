//! The command line of `attar watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::seconds;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Folder of a run, running or finished.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Refresh interval: 1s, 500ms.
    #[arg(long, value_parser = seconds, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Show the current state and exit, even if the run is still going.
    #[arg(long)]
    pub(crate) once: bool,
}
