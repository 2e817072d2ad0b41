//! From a bundle or a model directory to an encoder.

use std::path::Path;
use std::sync::Arc;

use attar_model::{Bundle, Head};

use crate::encoder::Encoder;
use crate::error::Error;
use crate::model::Model;
use crate::options::Options;
use crate::word_embeddings::WordEmbeddings;

impl Encoder {
    /// Packs a bundle.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a weight is not a number.
    pub fn from_bundle(bundle: &Bundle, options: &Options) -> Result<Encoder, Error> {
        let words = WordEmbeddings::copy_from(bundle, options.precision);
        let model = Model::new(options.cpu, bundle, options.precision, words)?;
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// As [`Encoder::from_bundle`] without a copy of the word embeddings.
    pub(crate) fn consuming(mut bundle: Bundle, options: &Options) -> Result<Encoder, Error> {
        let words = WordEmbeddings::take_from(&mut bundle, options.precision);
        let model = Model::new(options.cpu, &bundle, options.precision, words)?;
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// Reads a model directory: the quantized weights, if there are any and the precision is int8, or else those in
    /// 32-bit floats.
    ///
    /// # Errors
    /// As [`Bundle::read_with`] and [`Encoder::from_bundle`].
    pub fn load(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        Encoder::consuming(Bundle::read_with(dir, options.precision.reads())?, options)
    }

    /// As [`Encoder::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Encoder::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        let mut bundle = Bundle::read_with(dir, options.precision.reads())?;
        bundle.config = bundle.config.with_head(Head::None);
        Encoder::consuming(bundle, options)
    }
}
