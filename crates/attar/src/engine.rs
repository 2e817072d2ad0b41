//! From flags to a model that answers.

use std::path::Path;

use attar_distill::model_directory;
use attar_model::ModelFiles;
use attar_runtime::{Options, Pinning, Precision, Session};

use crate::cli::EngineArgs;
use crate::console;

/// A model run as its directory has it.
pub(crate) fn defaults() -> EngineArgs {
    EngineArgs { precision: None, pin: Vec::new() }
}

/// The model that a path means, with its head.
pub(crate) fn open(path: &Path, args: &EngineArgs, threads: Option<usize>) -> anyhow::Result<Session> {
    let dir = model_directory::answering(path)?;
    told(Session::load(&dir, &options(&dir, args, threads))?)
}

/// The model that a path means, without a head: for vectors.
pub(crate) fn open_headless(path: &Path, args: &EngineArgs, threads: Option<usize>) -> anyhow::Result<Session> {
    let dir = model_directory::answering(path)?;
    told(Session::load_headless(&dir, &options(&dir, args, threads))?)
}

/// A model, after what its user should know of it was said.
fn told(session: Session) -> anyhow::Result<Session> {
    session.notes().iter().for_each(console::note);
    Ok(session)
}

/// Refuses single texts for a model that has learned from pairs, and warns of pairs for one that has not.
pub(crate) fn check_pairs(model: &Path, has_pairs: bool, way_out: &str) -> anyhow::Result<()> {
    let name = model_directory::name(model);
    match model_directory::has_learned_pairs(&model_directory::locate(model))? {
        Some(true) if !has_pairs => anyhow::bail!("{name} has learned from pairs of texts: {way_out}"),
        Some(false) if has_pairs => {
            console::warning(format!("{name} has learned from single texts: what it says of pairs means little"));
        }
        _ => {}
    }
    Ok(())
}

/// Bytes of the files that the model of a path answers with: weights, configuration and tokenizer, as they lie there.
pub(crate) fn shipped(path: &Path, args: &EngineArgs) -> anyhow::Result<u64> {
    let dir = model_directory::locate(path);
    Ok(model_directory::shipped_bytes(&dir, precision(&dir, args) == Precision::Int8)?)
}

/// How the model in a directory is run.
pub(crate) fn options(dir: &Path, args: &EngineArgs, threads: Option<usize>) -> Options {
    let mut options = Options::all_threads(precision(dir, args));
    if let Some(threads) = threads {
        options.threads = threads;
    }
    if !args.pin.is_empty() {
        options.pinning = Pinning::Processors(args.pin.clone());
    }
    options
}

fn precision(dir: &Path, args: &EngineArgs) -> Precision {
    match args.precision {
        Some(precision) => precision.precision(),
        // What cannot be read at all is told by those who load it.
        None if ModelFiles::open(dir).and_then(|files| files.has_quantized()).unwrap_or(false) => Precision::Int8,
        None => Precision::F32,
    }
}
