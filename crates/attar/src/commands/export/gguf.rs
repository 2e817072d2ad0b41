//! `attar export gguf`: a file for llama.cpp.

use attar_distill::model_directory;
use attar_export::gguf;
use attar_model::atomic::write_file;
use attar_model::{Bundle, ReadWeights};

use super::float_type;
use crate::cli::export::GgufArgs;
use crate::overwriting::refuse_overwriting_other_kind;
use crate::{console, tables};

pub(super) fn run(args: &GgufArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    refuse_overwriting_other_kind(&args.out, "a GGUF file", |beginning| beginning.starts_with(b"GGUF"))?;
    let bundle = Bundle::read_with(&directory, ReadWeights::F32)?;
    bundle.notes.iter().for_each(console::note);
    let bytes = gguf::export(&bundle, &model_directory::name(&args.model), float_type(args.precision))?;
    write_file(&args.out, &bytes)?;
    console::say(format!("{}, {}", args.out.display(), tables::bytes(bytes.len() as u64)))?;
    Ok(())
}
