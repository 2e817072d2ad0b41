//! `attar export single`: a model in one file.

use attar_distill::model_directory;
use attar_model::quantized::QUANTIZED_FILE;
use attar_model::single_file::{self, StoredWeights};

use crate::cli::bench::PrecisionArg;
use crate::cli::export::SingleArgs;
use crate::overwriting::refuse_overwriting_other_kind;
use crate::{console, tables};

pub(super) fn run(args: &SingleArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    let precision = match args.precision {
        Some(PrecisionArg::F32) => StoredWeights::F32,
        Some(PrecisionArg::Int8) => StoredWeights::Int8,
        None if directory.join(QUANTIZED_FILE).exists() => StoredWeights::Int8,
        None => StoredWeights::F32,
    };
    refuse_overwriting_other_kind(&args.out, "a model in one file", single_file::is_beginning)?;
    let bytes = single_file::write(&directory, &args.out, precision)?;
    console::say(format!("{}, {}", args.out.display(), tables::bytes(bytes)))?;
    Ok(())
}
