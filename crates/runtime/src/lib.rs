//! Inference of BERT-class encoders on a CPU.
#![allow(missing_docs)]

mod batch;
mod encoder;
mod error;
mod linear;
mod model;
mod session;
mod source;
mod trace;

pub use attar_kernels::{Cpu, Level, Pinning};
pub use batch::Input;
pub use encoder::{Encoder, Output};
pub use error::{Error, InputError};
pub use model::Precision;
pub use session::{Options, Session, Text};
pub use trace::{LayerBuffers, RelationBuffers, TraceBuffers};
