//! The command line of `attar export`: a subcommand for each format.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::bench::PrecisionArg;

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// An ONNX graph, with pooling and head inside, checked against the model itself.
    Onnx(OnnxArgs),
    /// A directory for `transformers` and sentence-transformers alone; of attar's own files it has only `attar.json`.
    Hf(HfArgs),
    /// A sentence encoder for llama.cpp, in its layout of BERT.
    Gguf(GgufArgs),
    /// One file with weights, tokenizer, labels and card, which `attar predict`, `embed`, `contract` and `serve` and the browser package read.
    Single(SingleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OnnxArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// File (`.onnx`), or a new folder that gets the tokenizer and the configuration too.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: PathBuf,
    /// Precision of the dense layers: f32, or int8 with dynamic activation scales.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: PrecisionArg,
    /// Version of ONNX's operators, 17 to 22.
    #[arg(long, value_name = "N", default_value_t = *attar_export::onnx::OPSETS.start())]
    pub(crate) opset: i64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HfArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// New folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How weights are stored.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: FloatArg,
}

#[derive(Debug, Args)]
pub(crate) struct GgufArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// File.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How matrices are stored.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: FloatArg,
}

#[derive(Debug, Args)]
pub(crate) struct SingleArgs {
    /// Model directory or folder of a run.
    pub(crate) model: PathBuf,
    /// File.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Which weights it holds (default: the quantized ones where the model has some).
    #[arg(long, value_enum)]
    pub(crate) precision: Option<PrecisionArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FloatArg {
    F32,
    F16,
}
