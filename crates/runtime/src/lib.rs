//! Inference of BERT-class encoders on a CPU: text in, labels or vectors out, at the speed of the machine.
//!
//! Weights are packed once for this processor ([`Cpu`]) and shared by threads; batches have no padding;
//! nothing is allocated once the buffers have grown. The same engine runs teachers and returns their
//! [traces](TraceBuffers).
//!
//! ```no_run
//! use attar_runtime::{Options, Precision, Session};
//!
//! let mut session = Session::load("student".as_ref(), &Options::all_threads(Precision::Int8))?;
//! let logits = session.logits(&[("lights on please", None)], |_| ())?;
//! println!("{:?}", logits[0]);
//! # Ok::<(), attar_runtime::Error>(())
//! ```
//!
//! # The modules, from the inside out
//! - `linear`: a layer in f32 or int8; `model`: a bundle's weights, packed (`weight_source`, `word_embeddings`).
//! - `batch`: [`Input`], sequences one after the other. `layer`: one layer for some rows; `head`: what follows the last
//!   layer; `encoder`: [`Encoder`], the forward pass, and how it is split among threads (`partition`).
//! - `trace`: what a student learns from its teacher, in memory of the caller. `session`: [`Session`], an encoder with its
//!   tokenizer, with results for whole texts or words ([`Tag`], [`Span`]).
//!
//! # Guarantees
//! - A row's result is bitwise the same, whatever other rows and threads compute. It differs between instruction sets by
//!   rounding.
//! - In [`Precision::F32`] results are within 1e-5 of a computation in double precision on the models of the
//!   fixtures. In [`Precision::Int8`] they are as good as the quantization of the weights: `attar quantize` measures it.
//! - Directories are untrusted: an [`Error`] says what is wrong with them, and nothing panics.
//!
//! # Pitfalls
//! - A [`Session`] needs `&mut`, because it owns its buffers. For several callers, [`Session::share`] the weights.
//! - Waiting threads spin for some tens of microseconds, so that a layer can be shared. More threads than processors are
//!   therefore slower; use as many as there are.

mod batch;
mod encoder;
mod error;
mod head;
mod layer;
mod layer_norm;
mod linear;
mod load;
mod model;
mod options;
mod output;
mod partition;
mod pooling;
mod precision;
mod probabilities;
mod projection;
mod rows;
mod scratch;
mod session;
mod stored;
mod thread_count;
mod trace;
mod weight_source;
mod word_embeddings;

pub use attar_kernels::{Cpu, Level, Pinning};
pub use attar_text::tokenizer::Limit;
pub use batch::Input;
pub use encoder::Encoder;
pub use error::{Error, InputError};
pub use options::Options;
pub use output::Output;
pub use precision::Precision;
pub use probabilities::{confidence, probabilities, softmax};
pub use session::{Entity, Session, Span, Tag, Text, in_characters};
pub use trace::{LayerBuffers, RelationBuffers, TraceBuffers};
