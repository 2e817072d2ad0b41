//! Models as files of other programs.
//!
//! A bundle becomes an ONNX graph, whose results are held against the model's own before anybody sees it:
//!
//! ```no_run
//! use attar_export::onnx;
//! use attar_model::Bundle;
//!
//! let bundle = Bundle::read("student".as_ref())?;
//! let options = onnx::Options { precision: onnx::Precision::Int8, ..onnx::Options::default() };
//! let file = onnx::export(&bundle, &options)?;
//! for check in &file.checks {
//!     println!("{}: off by {:.1e}", check.output, check.difference);
//! }
//! std::fs::write("student.onnx", &file.bytes)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The modules
//! - [`onnx`]: operators of version 17 and up, poolings and heads inside, in f32 or int8.
//! - [`hf`]: a directory for `transformers` and sentence-transformers alone. [`gguf`]: a sentence encoder for llama.cpp.

mod error;
pub mod gguf;
pub mod hf;
pub mod onnx;

pub use error::Error;
