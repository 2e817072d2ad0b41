//! The error of everything that touches a file.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::quantized::{QUANTIZED_FILE, QuantizedError};
use crate::safetensors_file::SafetensorsError;
use crate::single_file::SingleFileError;
use crate::torch_file::TorchError;
use crate::weights::WeightsError;

/// Why a model directory, a weights file or a bundle could not be read or written.
///
/// The text of a variant names the file; its source, where there is one, says what was wrong inside. Large parts
/// are boxed, so that a result is cheap to pass on and other errors can hold this one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was being read.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or directory could not be written, made durable or moved into place.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A path that must be a regular file is a directory, a device or a pipe.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file that is read as text or JSON is longer than any legitimate one.
    #[error("{} has {bytes} bytes, more than the {limit} attar reads for such a file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The longest that is read.
        limit: u64,
    },
    /// A file is not the JSON it should be.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A JSON file lacks a key or holds another kind of value there.
    #[error("{}: `{key}` must be {expected}, got {got}", path.display())]
    JsonKey {
        /// The file.
        path: PathBuf,
        /// The key, as a path from the top.
        key: String,
        /// What is needed there.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// A text file is not UTF-8.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The directory holds no `config.json`.
    #[error("no config.json in {}: give a model directory as Hugging Face lays it out, or the folder of one run", dir.display())]
    NoConfig {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds none of the weights files.
    #[error("no weights in {}: looked for {}", dir.display(), looked_for.join(", "))]
    NoWeights {
        /// The directory.
        dir: PathBuf,
        /// The file names that would have been read, in order of preference.
        looked_for: &'static [&'static str],
    },
    /// The configuration does not describe a supported model.
    #[error("cannot use the configuration {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// The file is the text that Git LFS leaves in place of the real one.
    #[error("{} is a git-lfs pointer, not the file itself: fetch it with `git lfs pull`", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A model in one file is damaged, or no such file.
    #[error("cannot read {} as a model in one file", path.display())]
    SingleFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<SingleFileError>,
    },
    /// A safetensors file is broken.
    #[error("cannot read {} as safetensors", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafetensorsError,
    },
    /// A PyTorch file is broken, or uses features that a file of weights must not use.
    #[error("cannot read {} as PyTorch weights", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TorchError>,
    },
    /// The index of a sharded checkpoint names a shard outside its own directory.
    #[error("{}: shard `{shard}` of tensor `{tensor}` is not a file beside the index", path.display())]
    ShardPath {
        /// The index file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The file name the index gives for it.
        shard: String,
    },
    /// The index of a sharded checkpoint names a shard that is not there.
    #[error("{} names the shard `{shard}`, which is not there: download all shards", path.display())]
    NoShard {
        /// The index file.
        path: PathBuf,
        /// The missing file.
        shard: String,
    },
    /// A shard lacks a tensor its index promises.
    #[error("{} lacks the tensor `{tensor}`, which the index says it holds: download the shard again", path.display())]
    NotInShard {
        /// The shard.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{}: tensor `{tensor}` has shape {got:?}, config.json says {expected:?}: \
         the two do not belong together, take both from the same model", path.display()
    )]
    Shape {
        /// The weights file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: Box<str>,
        /// The shape by the configuration.
        expected: Box<[usize]>,
        /// The shape in the file.
        got: Box<[usize]>,
    },
    /// A tensor that must hold floats holds something else.
    #[error(
        "{}: tensor `{tensor}` holds {got}, expected f32, f16, bf16 or f64: \
         save the model unquantized", path.display()
    )]
    Element {
        /// The weights file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// The element type in the file.
        got: &'static str,
    },
    /// No tensor of that name.
    #[error("{} holds no tensor `{tensor}`", path.display())]
    NoTensor {
        /// The weights file.
        path: PathBuf,
        /// The name asked for.
        tensor: String,
    },
    /// Two names in a file refer to the same tensor.
    #[error("{}: `{first}` and `{second}` both name the tensor `{tensor}`: remove one", path.display())]
    Twice {
        /// The weights file or index.
        path: PathBuf,
        /// The canonical name.
        tensor: Box<str>,
        /// The first name in the file.
        first: Box<str>,
        /// The second name in the file.
        second: Box<str>,
    },
    /// Tensors without which there is no encoder are not in the file.
    #[error(
        "{} lacks {count} encoder tensors, the first is `{tensor}`; it holds names like `{example}`: {}",
        path.display(), encoder_hint(.prefix)
    )]
    NoEncoder {
        /// The weights file or index.
        path: PathBuf,
        /// The first missing tensor, by the name it would have in this family.
        tensor: Box<str>,
        /// How many are missing.
        count: usize,
        /// A name that is in the file.
        example: Box<str>,
        /// What a name in the file has before that of the missing tensor; empty if none ends like that.
        prefix: Box<str>,
    },
    /// A directory is read as a finished model but its head is not in the weights.
    #[error(
        "{} is not a finished model, its weights lack {}{}: train the head first, or load the directory \
         as a bare encoder", dir.display(), missing.join(", "), unexpected_hint(.unexpected)
    )]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// Canonical names of the missing tensors.
        missing: Vec<String>,
        /// Names in the files that attar does not know.
        unexpected: Vec<String>,
    },
    /// A weight that is infinite or not a number.
    #[error(
        "{}: tensor `{tensor}` holds {value} at {index}: the file is damaged, the numbers did not fit into half \
         precision, or the training diverged; take the weights from before that", path.display()
    )]
    NotFinite {
        /// The weights file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: Box<str>,
        /// Index in the flattened tensor.
        index: usize,
        /// The value, as f32.
        value: f32,
    },
    /// Tensors that share their numbers and together are far larger than the file.
    #[error(
        "{} has {length} bytes, but its tensors share numbers and take {bytes}: it is damaged, or made to exhaust \
         memory", path.display()
    )]
    Shared {
        /// The weights file.
        path: PathBuf,
        /// Bytes of the tensors as f32.
        bytes: u64,
        /// Bytes of the file.
        length: u64,
    },
    /// Quantized weights are broken, do not fit the configuration, or those beside them.
    #[error("cannot use the quantized weights {}", path.display())]
    Quantized {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<QuantizedError>,
    },
    /// Quantized weights were asked for and the directory has none.
    #[error("no {QUANTIZED_FILE} in {}: quantize the model, or read it as f32", dir.display())]
    NoQuantized {
        /// The directory.
        dir: PathBuf,
    },
    /// Weights that are to be written do not fit the configuration beside them.
    #[error("cannot write {}: weights and configuration disagree", path.display())]
    Weights {
        /// Where they were to be written.
        path: PathBuf,
        /// How they disagree.
        source: Box<WeightsError>,
    },
    /// A file name inside a bundle has a directory in it or belongs to another part of the bundle.
    #[error("`{name}` cannot be the name of a tokenizer file: use a plain name that no other file of a bundle has")]
    FileName {
        /// The name.
        name: String,
    },
    /// A sentence-transformers directory does something that attar does not support.
    #[error("{}: {what} is not supported: {way_out}", path.display())]
    SentenceTransformers {
        /// The file that asks for it.
        path: PathBuf,
        /// What it asks for.
        what: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The target of a new directory exists and holds something.
    #[error("{} exists and is not empty: choose another path, or replace it explicitly", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// A directory that is to be replaced by a model is not a model.
    #[error("{} holds no config.json, so it is not a model and is not replaced: choose another path", path.display())]
    NotAModel {
        /// The target.
        path: PathBuf,
    },
    /// The target of a directory is a file.
    #[error("{} is a file, not a directory: choose another path", path.display())]
    NotADirectory {
        /// The target.
        path: PathBuf,
    },
    /// The old directory was moved aside, but the new one could not be moved into place, nor the old one back.
    #[error("cannot write {}, and the previous directory is now at {}: move it back", path.display(), old.display())]
    Stranded {
        /// The target, now absent.
        path: PathBuf,
        /// The directory that was there, complete.
        old: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The new directory is in place, but the one it replaced could not be removed.
    #[error("wrote {}, but could not remove the old one, now at {}", path.display(), old.display())]
    Leftover {
        /// The new directory, complete.
        path: PathBuf,
        /// The directory it replaced.
        old: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn encoder_hint(prefix: &str) -> String {
    if prefix.is_empty() {
        return "check that config.json and weights belong together".to_owned();
    }
    format!("save the weights without the prefix `{prefix}`, under the names that `transformers` gives them")
}

fn unexpected_hint(unexpected: &[String]) -> String {
    match unexpected.first() {
        None => String::new(),
        Some(first) => format!(" and hold {} unknown names, the first is `{first}`", unexpected.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<Error>() <= 88, "{} bytes", size_of::<Error>());
    }
}
