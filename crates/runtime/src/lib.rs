//! Inference of BERT-class encoders on a CPU: text in, labels or vectors out, at the speed of the machine.
//!
//! Weights are packed once for the processor at hand ([`Cpu`]) and shared by threads; batches have no padding;
//! nothing is allocated once the buffers have grown. The same engine runs teachers and hands out their
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
//! - `linear`: a layer in floats or bytes; `model`: a bundle's weights, packed.
//! - `batch`: [`Input`], sequences one after the other. `encoder`: [`Encoder`], the forward pass, and how it is cut
//!   among threads; `head`: what comes after its last layer.
//! - `trace`: what a teacher leaves, in memory of the caller. `session`: [`Session`], the tokenizer in front of it all,
//!   and what is said of words ([`Tag`], [`Span`]) instead of whole texts.
//!
//! # What can be relied on
//! - A row's result is the same to the bit, whatever comes with it and however many threads compute it. It differs
//!   between instruction sets by rounding.
//! - In [`Precision::F32`] results are within 1e-5 of a computation in double precision on the models of the
//!   fixtures. In [`Precision::Int8`] they are as good as the quantisation of the weights: `attar quantize` measures it.
//! - Directories are read as hostile: an [`Error`] says what is wrong, and nothing panics.
//!
//! # Pitfalls
//! - A [`Session`] needs `&mut`: its buffers are its own. For several callers, [`Session::share`] the weights.
//! - Threads that wait do so actively for some tens of microseconds, so that a layer can be shared. More threads than
//!   processors make that a burden; ask for as many as there are.

mod batch;
mod encoder;
mod error;
mod head;
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
pub use session::{Entity, Options, Session, Span, Tag, Text};
pub use trace::{LayerBuffers, RelationBuffers, TraceBuffers};
