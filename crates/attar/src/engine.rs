//! From flags to a model that answers.

use std::path::Path;

use attar_distill::model_directory;
use attar_model::quantised::QUANTISED_FILE;
use attar_runtime::{Error, Options, Pinning, Precision, Session};

use crate::cli::{EngineArgs, PrecisionArg};

/// The model that a path means, with its head.
pub(crate) fn open(path: &Path, args: &EngineArgs) -> Result<Session, Error> {
    let dir = model_directory::locate(path);
    Session::load(&dir, &options(&dir, args))
}

/// The model that a path means, without a head: for vectors.
pub(crate) fn open_headless(path: &Path, args: &EngineArgs) -> Result<Session, Error> {
    let dir = model_directory::locate(path);
    Session::load_headless(&dir, &options(&dir, args))
}

fn options(dir: &Path, args: &EngineArgs) -> Options {
    let precision = match args.precision {
        Some(PrecisionArg::F32) => Precision::F32,
        Some(PrecisionArg::Int8) => Precision::Int8,
        None if dir.join(QUANTISED_FILE).exists() => Precision::Int8,
        None => Precision::F32,
    };
    let mut options = Options::all_threads(precision);
    if let Some(threads) = args.threads {
        options.threads = usize::from(threads);
    }
    if !args.pin.is_empty() {
        options.pinning = Pinning::Processors(args.pin.clone());
    }
    options
}
