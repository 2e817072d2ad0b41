//! What an encoder is: configuration, named weights, model directories, size and FLOPs.
//!
//! This crate knows what a BERT-class model *is* and nothing of how anything is computed. It reads the
//! directories of the Hugging Face hub, in every format they come in, and writes directories that
//! `transformers` and sentence-transformers load as they are.
//!
//! ```
//! use attar_model::{Bundle, EncoderConfig, Size, Tensor, Weights, expected_shapes, flops};
//! use attar_model::atomic::WriteMode;
//!
//! // A student, described by what differs from BERT-base.
//! let config = EncoderConfig {
//!     layers: 2, hidden: 24, heads: 4, feed_forward: 96, vocabulary: 100, positions: 32,
//!     ..EncoderConfig::bert_base()
//! };
//! config.validate()?;
//! println!("{} parameters, {} FLOPs", Size::of(&config).parameters(), flops(&config, 16).total());
//!
//! // Its weights, in the parameter order of the project.
//! let weights: Weights =
//!     expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect();
//!
//! // Written as a directory that is complete or absent, and read back to the same bits.
//! # let root = tempfile::tempdir()?;
//! let dir = root.path().join("student");
//! let bundle = Bundle::new(config, weights);
//! bundle.write(&dir, WriteMode::New)?;
//! assert_eq!(Bundle::read(&dir)?.fingerprint(), bundle.fingerprint());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The parts, from the inside out:
//!
//! - [`EncoderConfig`]: the sizes and choices, for BERT, DistilBERT, RoBERTa, MPNet and ELECTRA; [`hf_config`] reads and
//!   writes `config.json`.
//! - [`Weights`]: tensors by canonical name. [`expected_shapes`] gives their order, which everything that visits
//!   parameters follows; [`family_name`] gives the name in a family's files.
//! - [`WeightsFile`]: one safetensors or PyTorch file. PyTorch's files are programs; here nothing of them is ever
//!   run.
//! - [`checkpoint`]: a directory as it comes from elsewhere, with a list of what was ignored, unexpected or
//!   missing.
//! - [`Bundle`]: a finished model with tokenizer, pooling, provenance and [`card`].
//! - [`quantized`]: the same model as small integers with scales, in a file of its own.
//! - [`single_file`]: a bundle in one file, and [`ModelFiles`], through which a folder and such a file are read alike.
//! - [`keep_pieces`]: the same model with a trimmed vocabulary.
//! - [`Size`] and [`flops`]: its size, and the cost of a text.
//! - [`atomic`]: writing files and directories completely or not at all.
//!
//! Every reader treats its file as hostile: lengths are checked before memory is allocated, recursion is bounded, nothing
//! panics, and an [`Error`] names the file, the location, what was expected and what was found. Reading a bundle from
//! safetensors takes the memory of its weights; from PyTorch's files, or with hashes, that of its largest file in
//! addition.

pub mod atomic;
mod bundle;
pub mod card;
pub mod checkpoint;
mod config;
mod error;
mod family_names;
mod files;
mod fingerprint;
mod finite;
mod hash;
pub mod hf_config;
mod names;
pub mod quantized;
mod relative_positions;
pub mod safetensors_file;
mod sentence_transformers;
mod shards;
pub mod single_file;
mod size;
mod sorting;
mod stored;
mod tensor_stream;
mod torch_file;
mod trim;
mod weights;
mod weights_file;

pub use bundle::{Bundle, ReadWeights, TOKENIZER_FILES, WriteWeights};
pub use config::{Activation, ClassifierInput, ConfigError, EncoderConfig, Family, Head, PoolerActivation, Target};
pub use error::Error;
pub use family_names::family_name;
pub use files::ModelFiles;
pub use fingerprint::fingerprint;
pub use finite::first_not_finite;
pub use names::{EMBEDDING_PROJECTION, expected_shapes};
pub use relative_positions::{RELATIVE_BIAS, RELATIVE_BUCKETS, bias_by_distance, relative_bucket};
pub use sentence_transformers::{Pooling, PoolingMode, Projection, ProjectionActivation, Prompts, encoder_directory};
pub use size::{Flops, Size, flops};
pub use stored::{ElementType, StoredTensor};
pub use torch_file::TorchError;
pub use trim::{TrimError, keep_pieces};
pub use weights::{Tensor, Weights, WeightsError};
pub use weights_file::WeightsFile;
