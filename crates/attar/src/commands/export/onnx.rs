//! `attar export onnx`: a checked graph, alone or with what its texts are read by.

use attar_distill::model_directory;
use attar_export::onnx::{self, Check, Options, Precision};
use attar_model::{Bundle, ReadWeights};
use serde::Serialize;

use crate::cli::export::OnnxArgs;
use crate::{console, tables};

#[derive(Serialize)]
struct Exported {
    path: String,
    bytes: usize,
    opset: i64,
    /// Each output with its distance from the model's own.
    checks: Vec<(String, f64)>,
}

pub(super) fn run(args: &OnnxArgs) -> anyhow::Result<()> {
    let precision = match args.precision.precision() {
        attar_runtime::Precision::F32 => Precision::F32,
        attar_runtime::Precision::Int8 => Precision::Int8,
    };
    let directory = model_directory::existing(&args.model)?;
    let reads = match precision {
        Precision::F32 => ReadWeights::F32,
        Precision::Int8 => ReadWeights::QuantizedOrF32,
    };
    let bundle = Bundle::read_with(&directory, reads)?;
    bundle.notes.iter().for_each(console::note);
    let file = onnx::export(&bundle, &Options { precision, opset: args.opset })?;
    let path = if args.out.extension().is_some_and(|extension| extension == "onnx") {
        attar_model::atomic::write_file(&args.out, &file.bytes)?;
        args.out.clone()
    } else {
        onnx::write_directory(&file, &bundle, &args.out)?
    };
    let checks = file.checks.iter().map(|Check { output, difference }| (output.clone(), *difference)).collect();
    let exported = Exported { path: path.display().to_string(), bytes: file.bytes.len(), opset: args.opset, checks };
    if args.json {
        return console::json(&exported);
    }
    console::say(format!("{}, {}, opset {}", exported.path, tables::bytes(exported.bytes as u64), exported.opset))?;
    let off = match precision {
        Precision::F32 => "differs from the model by at most",
        Precision::Int8 => "differs from the model, as a share of its length, by",
    };
    for (output, difference) in &exported.checks {
        console::say(format!("{output} {off} {difference:.1e}"))?;
    }
    Ok(())
}
