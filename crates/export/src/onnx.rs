//! A model as a graph of ONNX.
//!
//! # Inputs and outputs
//! As exports of Hugging Face name them. Inputs are `input_ids`, `attention_mask` (1 for real tokens, 0 for padding) and,
//! where the model has several token types, `token_type_ids`, all `[batch, tokens]` of 64-bit integers; both dimensions
//! are open. Outputs, in f32:
//!
//! | head | outputs |
//! |---|---|
//! | classes, labels or a score of a text, also over the mean | `logits` `[batch, K]` |
//! | classes of tokens | `logits` `[batch, tokens, K]` |
//! | answers to questions | `start_logits`, `end_logits` `[batch, tokens]` |
//! | masked language model | `logits` (with a next-sentence head `prediction_logits` and `seq_relationship_logits`) |
//! | none, or a cosine of two texts | `last_hidden_state` `[batch, tokens, H]`, and `sentence_embedding` `[batch, H]`: pooled, projected and normalized as the model's files say; without a pooling `pooler_output`, if there is a pooler |
//!
//! # Precision
//! In [`Precision::Int8`] each dense layer of the encoder is a `MatMulInteger` of 8-bit levels and signed 8-bit weights with a scale for
//! each output, chosen so that products side by side never exceed 16 bits: the fastest instructions of every processor are
//! exact. Weights of a [quantized](attar_model::quantized) bundle keep the scales of their columns. Normalized rows and the results of
//! attention have one scale, found while the graph runs; what the activation function lets through has one for each token.
//!
//! So onnxruntime fuses most of what is around a product. One scale for the activations too would lose twice as much; a scale for
//! each token everywhere, as in attar's own engine, would lose half as much and take a sixth longer. The crate's README has
//! figures. An answer depends a little on its batch. Not the pairs of `QuantizeLinear` and `DequantizeLinear` (QDQ): with fixed
//! scales they need rows to choose them on and meet others; with scales found while the graph runs, onnxruntime
//! computes them in floats.
//!
//! # Checks
//! The bytes are read back and run, operator by operator, on a padded batch; every output is held against
//! [`attar_runtime`]'s.

mod build;
mod encoder;
mod evaluate;
mod graph;
mod heads;
mod int8;
mod metadata;
mod proto;
mod verify;

use std::path::{Path, PathBuf};

use attar_model::atomic::{WriteMode, write_dir};
use attar_model::{Bundle, hf_config};
use prost::Message;

use crate::error::Error;
use build::Build;
use proto::{ModelProto, OperatorSetIdProto};

/// The versions of the operators that are written: layer normalization is one from 17 on.
pub const OPSETS: std::ops::RangeInclusive<i64> = 17..=22;

/// What a graph is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// Dense layers of the encoder in 8-bit integers, and word vectors that are stored in small integers too.
    Int8,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What the graph is computed in.
    pub precision: Precision,
    /// The version of the operators, one of [`OPSETS`].
    pub opset: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options { precision: Precision::F32, opset: *OPSETS.start() }
    }
}

/// A graph that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The file.
    pub bytes: Vec<u8>,
    /// How far each output is from the model's own.
    pub checks: Vec<Check>,
}

/// How far an output of the graph is from what the runtime gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name.
    pub output: String,
    /// In f32 the largest difference over all elements, over the largest magnitude where that is more than 1; in int8 the
    /// Euclidean norm of the difference over that of what was expected.
    pub difference: f64,
}

/// Makes the graph of a model and checks it.
///
/// # Errors
/// [`Error::Opset`], [`Error::TooLarge`]; [`Error::Graph`] or [`Error::Differs`] if the check fails, and
/// [`Error::Runtime`] if the model itself cannot be run.
///
/// # Panics
/// If the bundle lacks a tensor of its configuration; one that was read has all.
pub fn export(bundle: &Bundle, options: &Options) -> Result<File, Error> {
    if !OPSETS.contains(&options.opset) {
        return Err(Error::Opset { got: options.opset, first: *OPSETS.start(), last: *OPSETS.end() });
    }
    let mut build = Build::new(bundle, options.precision, options.opset);
    let config = build.config();
    let gives_states = heads::gives_states(&config.head, config.classifier_input);
    let states = encoder::states(&mut build, if gives_states { heads::STATES } else { "states" });
    heads::results(&mut build, &states);
    let model = ModelProto {
        ir_version: Some(ir_version(options.opset)),
        producer_name: Some("attar".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        metadata_props: metadata::of(bundle),
        graph: Some(build.graph.finish()),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(options.opset) }],
    };
    let bytes = model.encoded_len();
    if bytes >= 1 << 31 {
        return Err(Error::TooLarge { bytes });
    }
    let bytes = model.encode_to_vec();
    drop(model);
    let checks = verify::against_runtime(&bytes, bundle, options.precision)?;
    Ok(File { bytes, checks })
}

/// Writes a new directory with the graph as `model.onnx`, the configuration and the files of the tokenizer, as programs over
/// `transformers` expect it, complete or not at all. Returns the path of the graph.
///
/// # Errors
/// [`Error::Model`] if it exists already or cannot be written.
pub fn write_directory(file: &File, bundle: &Bundle, dir: &Path) -> Result<PathBuf, Error> {
    let write = |path: PathBuf, bytes: &[u8]| {
        std::fs::write(&path, bytes).map_err(|source| attar_model::Error::Write { path, source })
    };
    let config = hf_config::emit(&bundle.config)
        .map_err(|source| attar_model::Error::Config { path: dir.join("config.json"), source: source.into() })?;
    write_dir(dir, WriteMode::New, |dir| {
        write(dir.join("model.onnx"), &file.bytes)?;
        write(dir.join("config.json"), format!("{config:#}\n").as_bytes())?;
        let mut files = bundle.tokenizer_files.iter();
        files.try_for_each(|(name, bytes)| write(dir.join(name), bytes))
    })?;
    Ok(dir.join("model.onnx"))
}

/// The version of the file format that came with a version of the operators.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..19 => 8,
        19 | 20 => 9,
        _ => 10,
    }
}
