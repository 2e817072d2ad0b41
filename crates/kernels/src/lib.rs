//! CPU kernels of encoders: one file each, with a scalar reference as its specification.
//!
//! So far what training on a CPU loses most time with in a general tensor engine: the erf GELU with its
//! exact derivative, and AdamW as one pass over memory.
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

mod adamw;
mod gelu;
pub mod reference;

pub use adamw::{AdamWUpdate, adamw, adamw_rows};
pub use gelu::{GELU_ERROR, GELU_SLOPE_ERROR, gelu, gelu_backward};

/// Elements that one thread takes at a time: a few arrays of them fit into a core's second cache.
const CHUNK: usize = 1 << 14;
