//! From a bundle or a model directory to an encoder.

use std::path::Path;
use std::sync::Arc;

use attar_model::quantized::QuantizedTensor;
use attar_model::{Bundle, Head, first_not_finite};

use crate::encoder::Encoder;
use crate::error::Error;
use crate::model::PackedModel;
use crate::options::Options;
use crate::word_embeddings::WordEmbeddings;

impl Encoder {
    /// Packs a bundle.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a weight is not a number.
    pub fn from_bundle(bundle: &Bundle, options: &Options) -> Result<Encoder, Error> {
        check_finite(bundle)?;
        let words = WordEmbeddings::copy_from(bundle, options.precision);
        let model = PackedModel::new(options.cpu, bundle, options.precision, words);
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// As [`Encoder::from_bundle`] without a copy of the word embeddings, of a bundle that was read, and so checked.
    pub(crate) fn consuming(mut bundle: Bundle, options: &Options) -> Encoder {
        let words = WordEmbeddings::take_from(&mut bundle, options.precision);
        let model = PackedModel::new(options.cpu, &bundle, options.precision, words);
        Encoder::new(Arc::new(model), options.threads, &options.pinning)
    }

    /// Reads a model directory: the quantized weights, if there are any and the precision is int8, or else those in
    /// 32-bit floats.
    ///
    /// # Errors
    /// As [`Bundle::read_with`] and [`Encoder::from_bundle`].
    pub fn load(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        Ok(Encoder::consuming(Bundle::read_with(dir, options.precision.reads())?, options))
    }

    /// As [`Encoder::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Encoder::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        let mut bundle = Bundle::read_with(dir, options.precision.reads())?;
        bundle.config = bundle.config.with_head(Head::None);
        Ok(Encoder::consuming(bundle, options))
    }
}

/// Refuses weights that are infinite or not numbers. Scales are finite by construction.
fn check_finite(bundle: &Bundle) -> Result<(), Error> {
    let quantized =
        bundle.quantized.iter().flat_map(|weights| weights.iter()).filter_map(|(name, tensor)| match tensor {
            QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor) => Some((name, tensor)),
            QuantizedTensor::Int8(_) | QuantizedTensor::Int4(_) => None,
        });
    for (name, tensor) in bundle.weights.iter().chain(quantized) {
        if let Some(index) = first_not_finite(&tensor.data) {
            return Err(Error::NotFinite { tensor: name.to_owned(), index, value: tensor.data[index] });
        }
    }
    Ok(())
}
