//! How a model is run.

use attar_kernels::{Cpu, Pinning};

use crate::precision::Precision;

/// Precision, threads and instruction set of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Precision of the linear layers.
    pub precision: Precision,
    /// Number of threads, the caller's among them.
    pub threads: usize,
    /// The processors that threads run on.
    pub pinning: Pinning,
    /// Instruction set; the fastest one, except in tests.
    pub cpu: Cpu,
}

impl Options {
    /// The fastest instruction set, threads not pinned.
    pub fn new(precision: Precision, threads: usize) -> Options {
        Options { precision, threads, pinning: Pinning::Free, cpu: Cpu::detect() }
    }

    /// As [`Options::new`] with a thread for each processor.
    pub fn all_threads(precision: Precision) -> Options {
        Options::new(precision, std::thread::available_parallelism().map_or(1, usize::from))
    }
}
