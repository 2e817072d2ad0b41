//! A model directory that answers texts.

use std::path::Path;
use std::sync::Arc;

use attar_kernels::{Cpu, Pinning};
use attar_model::{Bundle, Head};

use crate::encoder::Encoder;
use crate::error::Error;
use crate::model::{Model, Precision};

/// How a model is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Precision of the linear layers.
    pub precision: Precision,
    /// Number of threads, the caller's among them.
    pub threads: usize,
    /// Where the threads run.
    pub pinning: Pinning,
    /// Instruction set; the fastest one unless a test forces another.
    pub cpu: Cpu,
}

impl Options {
    /// The fastest instruction set, threads left to the system.
    pub fn new(precision: Precision, threads: usize) -> Options {
        Options { precision, threads, pinning: Pinning::Free, cpu: Cpu::detect() }
    }
}

/// A model with its tokenizer.
#[derive(Debug)]
pub struct Session {
    encoder: Encoder,
}

impl Encoder {
    /// Packs a bundle.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a weight is not a number.
    pub fn from_bundle(bundle: &Bundle, options: &Options) -> Result<Encoder, Error> {
        let model = Model::new(options.cpu, bundle, options.precision)?;
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// Reads a model directory.
    ///
    /// # Errors
    /// As [`Bundle::read`] and [`Encoder::from_bundle`].
    pub fn load(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        Encoder::from_bundle(&Bundle::read(dir)?, options)
    }

    /// As [`Encoder::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Encoder::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        let mut bundle = Bundle::read(dir)?;
        bundle.config = bundle.config.with_head(Head::None);
        Encoder::from_bundle(&bundle, options)
    }
}
