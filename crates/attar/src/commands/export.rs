//! `attar export`: a model as a file of other programs.

mod gguf;
mod hf;
mod onnx;
mod single;

use attar_export::hf::FloatType;

use crate::cli::export::{ExportCommand, FloatArg};

pub(crate) fn run(command: &ExportCommand) -> anyhow::Result<()> {
    match command {
        ExportCommand::Onnx(args) => onnx::run(args),
        ExportCommand::Hf(args) => hf::run(args),
        ExportCommand::Gguf(args) => gguf::run(args),
        ExportCommand::Single(args) => single::run(args),
    }
}

fn float_type(precision: FloatArg) -> FloatType {
    match precision {
        FloatArg::F32 => FloatType::F32,
        FloatArg::F16 => FloatType::F16,
    }
}
