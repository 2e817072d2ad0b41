//! Models of every kind as files of other programs: graphs whose results are held against the model's own, directories, GGUF.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gguf;
mod hf;
mod onnx;
