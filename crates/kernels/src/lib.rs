//! CPU kernels of encoders: matrix products, attention and what lies between, on the vector instructions that the
//! processor has.
//!
//! ```
//! use attar_kernels::{Cpu, Finish, PackedMatrix, Rows, RowsMut};
//!
//! // y = GELU(x Wᵀ + b) for 2 rows, 3 inputs, 2 outputs.
//! let layer = PackedMatrix::new(Cpu::detect(), &[1.0, 0.0, 0.0, 0.0, 1.0, 1.0], &[0.5, -6.0], 3, 2);
//! let x = [0.5, 2.0, 4.0, -9.0, 2.0, 4.0];
//! let mut y = [0.0; 4];
//! layer.apply(Rows::new(&x, 2, 3, 3), RowsMut::new(&mut y, 2, 2, 2), Finish::Gelu);
//! for (y, expected) in y.iter().zip([0.841_345, 0.0, 0.0, 0.0]) {
//!     assert!((y - expected).abs() < 1e-5);
//! }
//! ```
//!
//! # The tour
//! - [`Cpu`] is a token: proof that the processor has an instruction set. It is asked for once and handed to kernels;
//!   [`Cpu::all`] lets tests and benches run every set that is there.
//! - [`Buffer`] is aligned memory, [`Rows`] and [`RowsMut`] are matrices as views of memory with a stride, which check
//!   their bounds once so that kernels need not.
//! - [`PackedMatrix`] and [`PackedBytes`] are the weights of a linear layer, in floats and in bytes, packed for one
//!   instruction set and shared by threads; [`Finish`] is what becomes of a sum while it is at hand. [`quantise_rows`]
//!   makes bytes of activations, [`layer_norm`] both at once.
//! - [`attention()`] is scores, softmax and weighted sum of one sequence without padding; [`attention_scores`] and
//!   [`relations`] are what a teacher shows a student.
//! - [`gather`], [`mean`] and [`normalise_length`] are the first and the last layer; [`gelu()`], [`gelu_backward`] and
//!   [`adamw()`] serve training.
//! - [`Team`] is threads that stand ready; [`peak`] measures what the machine could do at most.
//! - [`reference`](mod@reference) says in double precision what each kernel computes. Every kernel states how far it may be
//!   off, and `tests/it` holds it to that on every instruction set, at sizes around every edge.
//!
//! # How a kernel is written
//! Once: as a function over the private trait `Isa`, whose implementations are AVX2, AVX-512 (both with and without
//! VNNI), NEON (with and without dot product), WebAssembly's SIMD and plain loops. `Cpu::run` enters a function that is
//! compiled for the set, and all below is inlined into it. Not by `std::simd`, which is not stable and has neither
//! products of bytes nor loads of a part of a vector; nor by a crate of general vectors, which lack the same.
//!
//! The pitfalls of it:
//! - What is not inlined is compiled without the instruction set, and slow: no closures in inner loops, `Function`
//!   types instead, and `#[inline(always)]` down to the last operation.
//! - Multiplications and additions are fused where the set can, so that results differ between sets by roundings. On
//!   one set they are the same to the bit however rows are cut among calls and threads.
//! - `min` and `max` give the second argument if one is NaN, as x86 does; the order of arguments decides whether NaN
//!   survives, and tests say where it must.
//!
//! All unsafe code of the project is here. Arguments that do not fit are errors of the program and panic; nothing here
//! reads files or knows models.
#![expect(unsafe_code, reason = "vector instructions; this is the one crate that may")]

mod adamw;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it have one reason")]
mod attention;
mod buffer;
mod cpu;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it have one reason")]
mod embedding;
mod gelu;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it have one reason")]
mod isa;
mod math;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it have one reason")]
mod matmul;
mod norm;
pub mod peak;
pub mod reference;
mod team;
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "an address and the access to it have one reason")]
pub mod train;

pub use adamw::{AdamWUpdate, adamw, adamw_rows};
pub use attention::{AttentionScratch, Softmax, attention, attention_scores, relations};
pub use buffer::{Buffer, Number, Rows, RowsMut};
pub use cpu::{Cpu, Level};
pub use embedding::{Table, gather, mean, normalise_length};
pub use gelu::{GELU_COARSE_ERROR, GELU_ERROR, GELU_SLOPE_ERROR, gelu, gelu_backward};
pub use math::{GELU_TANH_ERROR, TANH_ERROR};
pub use matmul::{Finish, PackedBytes, PackedMatrix, QuantisedRows, quantise_rows};
pub use norm::{Bytes, Norm, layer_norm};
pub use team::{Pinning, Team};

/// Elements that one thread takes at a time: a few arrays of them fit into a core's second cache.
const CHUNK: usize = 1 << 14;
