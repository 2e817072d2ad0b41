//! `attar export hf`: a directory for Hugging Face's libraries.

use attar_distill::model_directory;
use attar_export::hf;
use attar_model::{Bundle, ReadWeights};

use super::float_type;
use crate::cli::export::HfArgs;
use crate::console;

pub(super) fn run(args: &HfArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    let bundle = Bundle::read_with(&directory, ReadWeights::F32)?;
    bundle.notes.iter().for_each(console::note);
    let notes = hf::write(&bundle, &args.out, float_type(args.precision))?;
    console::say(args.out.display().to_string())?;
    notes.iter().for_each(console::note);
    Ok(())
}
