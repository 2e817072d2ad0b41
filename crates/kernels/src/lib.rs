//! CPU kernels for encoders: matrix products, attention and everything in between, on the vector instructions of the
//! processor.
//!
//! ```
//! use attar_kernels::{Cpu, Epilogue, PackedMatrix, Rows, RowsMut};
//!
//! // y = GELU(x Wᵀ + b) for 2 rows, 3 inputs, 2 outputs.
//! let layer = PackedMatrix::new(Cpu::detect(), &[1.0, 0.0, 0.0, 0.0, 1.0, 1.0], &[0.5, -6.0], 3, 2);
//! let x = [0.5, 2.0, 4.0, -9.0, 2.0, 4.0];
//! let mut y = [0.0; 4];
//! layer.apply(Rows::new(&x, 2, 3, 3), RowsMut::new(&mut y, 2, 2, 2), Epilogue::Gelu);
//! for (y, expected) in y.iter().zip([0.841_345, 0.0, 0.0, 0.0]) {
//!     assert!((y - expected).abs() < 1e-5);
//! }
//! ```
//!
//! # The tour
//! - [`Cpu`] is a token: proof that the processor has an instruction set. It is detected once and passed to kernels;
//!   [`Cpu::all`] lets tests and benches run every available set.
//! - [`Buffer`] is aligned memory, [`Rows`] and [`RowsMut`] are matrices as views of memory with a stride, which check
//!   their bounds once so that kernels need not.
//! - [`PackedMatrix`] and [`PackedInt8`] are the weights of a linear layer, in f32 and in int8, packed for one
//!   instruction set and shared by threads; an [`Epilogue`] is applied to sums while they are in cache.
//!   [`quantize_rows`] quantizes activations, and [`layer_norm`] normalizes and quantizes at once.
//! - [`attention()`] is scores, softmax and weighted sum of one sequence without padding, with a [`RelativeBias`] or
//!   without; [`attention_scores`] and [`relations`] are what a student learns from its teacher.
//! - [`gather`], [`mean`] and [`normalize_length`] are the first and the last layer; [`gelu()`], [`gelu_backward`] and
//!   [`adamw()`] serve training.
//! - [`Team`] is a pool of threads; [`peak`] measures the machine's peak performance.
//! - [`reference`](mod@reference) defines in double precision what each kernel computes. Every kernel documents its
//!   error bound, and `tests/it` checks it on every instruction set, at sizes around every edge.
//!
//! # How a kernel is written
//! Once: as a function over the private trait `Isa`, whose implementations are AVX2, AVX-512 (both with and without
//! VNNI), NEON (with products of matrices of bytes, with their dot product, with neither), WebAssembly's SIMD and plain
//! loops. `Cpu::run` enters a function that is compiled for the set, and all below is inlined into it. `std::simd` is
//! not stable and has neither int8 dot products nor partial loads; crates of portable vectors lack the same.
//!
//! The pitfalls:
//! - What is not inlined is compiled without the instruction set, and slow: no closures in inner loops, `Function`
//!   types instead, and `#[inline(always)]` down to the last operation.
//! - Multiplications and additions are fused where the set can, so that results differ between sets by roundings. On
//!   one set they are bitwise identical however rows are split among calls and threads.
//! - `min` and `max` return the second argument if one is NaN, as x86 does; the order of arguments decides whether NaN
//!   survives, and tests check where it must.
//!
//! All unsafe code of the project is here. Arguments that do not match are bugs of the caller and panic; nothing here
//! reads files or knows models.
#![expect(unsafe_code, reason = "vector instructions; this is the one crate that may")]

mod adamw;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it share one reason")]
mod attention;
mod buffer;
mod cpu;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it share one reason")]
mod embedding;
mod gelu;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it share one reason")]
mod isa;
mod math;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it share one reason")]
mod matmul;
mod norm;
pub mod peak;
pub mod reference;
mod team;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it share one reason")]
pub mod train;

pub use adamw::{AdamWUpdate, adamw, adamw_rows};
pub use attention::{AttentionScratch, RelativeBias, Softmax, attention, attention_scores, relations};
pub use buffer::{Buffer, Number, Rows, RowsMut};
pub use cpu::{Cpu, Level};
pub use embedding::{EmbeddingTable, gather, mean, normalize_length};
pub use gelu::{GELU_COARSE_ERROR, GELU_ERROR, GELU_SLOPE_ERROR, gelu, gelu_backward};
pub use math::{GELU_TANH_ERROR, TANH_ERROR};
pub use matmul::{Epilogue, PackedInt8, PackedMatrix, QuantizedRows, QuantizedRowsMut, quantize_rows};
pub use norm::{Norm, layer_norm};
pub use team::{Pinning, Team};

/// Elements that one thread processes at a time: a few arrays of them fit into a core's second-level cache.
const CHUNK: usize = 1 << 14;
