//! `attar export single`: a model in one file.

use attar_distill::model_directory;
use attar_model::quantized::QUANTIZED_FILE;
use attar_model::single_file::{self, Precision};

use crate::cli::bench::PrecisionArg;
use crate::cli::export::SingleArgs;
use crate::overwriting::check_kind_is_kept;
use crate::{console, tables};

pub(super) fn run(args: &SingleArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    let precision = match args.precision {
        Some(PrecisionArg::F32) => Precision::F32,
        Some(PrecisionArg::Int8) => Precision::Int8,
        None if directory.join(QUANTIZED_FILE).exists() => Precision::Int8,
        None => Precision::F32,
    };
    // PyTorch's weights are archives too.
    let is_weights = args.out.extension().is_some_and(|extension| extension == "bin" || extension == "pt");
    check_kind_is_kept(&args.out, "a model in one file", |beginning| beginning.starts_with(b"PK") && !is_weights)?;
    let bytes = single_file::write(&directory, &args.out, precision)?;
    console::say(format!("{}, {}", args.out.display(), tables::bytes(bytes)))?;
    Ok(())
}
