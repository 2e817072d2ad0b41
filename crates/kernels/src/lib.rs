//! CPU kernels of encoders: one file each, with a scalar reference as its specification.
//!
//! ```
//! let x = [-1.0, 0.0, 2.0];
//! let mut y = [0.0; 3];
//! attar_kernels::gelu(&x, &mut y);
//! assert!((y[2] - 1.954_499_7).abs() < 1e-6);
//! ```
//!
//! Kernels split their work into chunks of a fixed size, so that results do not depend on the number
//! of threads.
#![allow(unsafe_code, reason = "vector instructions; this is the one crate that may")]
#![allow(dead_code, missing_docs)]

mod adamw;
mod attention;
mod buffer;
mod cpu;
mod embedding;
mod gelu;
mod isa;
mod math;
mod matmul;
mod norm;
pub mod peak;
pub mod reference;
mod team;

pub use adamw::{AdamWUpdate, adamw, adamw_rows};
pub use attention::{AttentionScratch, attention, attention_scores, relations};
pub use buffer::{Buffer, Number, Rows, RowsMut};
pub use cpu::{Cpu, Level};
pub use embedding::{Table, gather, mean, normalise_length};
pub use gelu::{GELU_COARSE_ERROR, GELU_ERROR, GELU_SLOPE_ERROR, gelu, gelu_backward};
pub use matmul::{Finish, PackedBytes, PackedMatrix, QuantisedRows, quantise_rows};
pub use norm::{Bytes, Norm, layer_norm};
pub use team::{Pinning, Team};

/// Elements that one thread takes at a time: a few arrays of them fit into a core's second cache.
const CHUNK: usize = 1 << 14;
