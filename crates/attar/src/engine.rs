//! From flags to a model that answers.

use std::path::Path;

use attar_distill::model_directory;
use attar_model::quantised::QUANTISED_FILE;
use attar_runtime::{Error, Options, Pinning, Precision, Session};

use crate::cli::EngineArgs;

/// The model that a path means, with its head.
pub(crate) fn open(path: &Path, args: &EngineArgs, threads: Option<usize>) -> Result<Session, Error> {
    let dir = model_directory::locate(path);
    Session::load(&dir, &options(&dir, args, threads))
}

/// The model that a path means, without a head: for vectors.
pub(crate) fn open_headless(path: &Path, args: &EngineArgs, threads: Option<usize>) -> Result<Session, Error> {
    let dir = model_directory::locate(path);
    Session::load_headless(&dir, &options(&dir, args, threads))
}

fn options(dir: &Path, args: &EngineArgs, threads: Option<usize>) -> Options {
    let precision = match args.precision {
        Some(precision) => precision.precision(),
        None if dir.join(QUANTISED_FILE).exists() => Precision::Int8,
        None => Precision::F32,
    };
    let mut options = Options::all_threads(precision);
    if let Some(threads) = threads {
        options.threads = threads;
    }
    if !args.pin.is_empty() {
        options.pinning = Pinning::Processors(args.pin.clone());
    }
    options
}
