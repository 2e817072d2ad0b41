//! A model as a directory of Hugging Face alone: what `transformers` and sentence-transformers load. Of attar's own files it
//! has `attar.json` alone, which the card points to.
//!
//! A bundle is such a directory already. This writes one from what is shipped in small integers too, in 16-bit floats if
//! wanted, with vectors where attar's head has no class of theirs, and says what they do with it.

use std::borrow::Cow;
use std::path::Path;

use attar_model::atomic::{WriteMode, write_dir};
use attar_model::{Bundle, ClassifierInput, Head, Pooling, PoolingMode, Tensor, Weights, WeightsFile, family_name};
use half::f16;
use safetensors::{Dtype, View};

use crate::error::Error;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, half the bytes: each number is rounded to 11 bits.
    F16,
}

/// Writes a new directory, complete or not at all. Returns sentences for the user: how the model is loaded, and what is
/// not in it.
///
/// # Errors
/// [`Error::Unsupported`] if numbers are too large for 16-bit floats or a dense layer over the vector would have another type
/// than it, [`Error::Model`] if the directory exists or cannot be written.
pub fn write(bundle: &Bundle, dir: &Path, floats: FloatType) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    let mut bundle = Bundle { quantized: None, notes: Vec::new(), ..bundle.clone() };
    match (&bundle.config.head, bundle.config.classifier_input) {
        (Head::Classification { .. }, ClassifierInput::Mean) => {
            // The mean is what the library's own classifier stands on; without a pooling nothing would read it.
            bundle.pooling.get_or_insert(Pooling { mode: PoolingMode::Mean, normalize: false });
            notes.push(
                "no class of transformers has a classifier over the mean: AutoModel loads the encoder alone, and \
                 SentenceTransformer(DIR).encode(texts) gives the logits; `attar export onnx` puts both into one graph"
                    .into(),
            );
        }
        (Head::Classification { .. }, ClassifierInput::Cosine) => {
            let number = |name: &str| bundle.weights.get(name).and_then(|tensor| tensor.data.first().copied());
            let [scale, offset] = ["classifier.weight", "classifier.bias"].map(|name| number(name).unwrap_or_default());
            notes.push(format!(
                "SentenceTransformer(DIR).encode(texts) gives vectors of length 1; the score of a pair is {scale} times their \
                 product plus {offset}"
            ));
            let config = bundle.config.clone().with_head(Head::None);
            let kept: Weights = attar_model::expected_shapes(&config)
                .into_iter()
                .filter_map(|(name, _)| Some((name.clone(), bundle.weights.get(&name)?.clone())))
                .collect();
            (bundle.config, bundle.weights) = (config, kept);
            bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
        }
        (Head::None, _) if bundle.pooling.is_some() => {
            notes.push("SentenceTransformer(DIR).encode(texts) gives the vectors, AutoModel the states".into());
        }
        _ => {
            let class = attar_model::hf_config::emit(&bundle.config).ok();
            let class = class.as_ref().and_then(|config| config["architectures"][0].as_str()).unwrap_or("AutoModel");
            notes.push(format!("transformers loads it as {class}"));
        }
    }
    if floats == FloatType::F32 {
        bundle.write(dir, WriteMode::New)?;
        return Ok(notes);
    }
    let has_dense = !bundle.projections.is_empty() || reads_mean(&bundle);
    if has_dense && bundle.pooling.is_some() {
        return Err(Error::Unsupported {
            format: "sentence-transformers in 16-bit floats",
            what: "a dense layer over the vector, which it keeps in 32 bits".into(),
            way_out: "export in f32",
        });
    }
    if let Some((name, number)) = first_beyond(&bundle.weights) {
        return Err(Error::TooLargeForHalf { name: name.to_owned(), number });
    }
    bundle.config.extra.insert("torch_dtype".into(), "float16".into());
    let named: Vec<(String, Half<'_>)> =
        bundle.weights.iter().map(|(name, tensor)| (family_name(&bundle.config, name), Half(tensor))).collect();
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(named, Some(metadata)).map_err(|error| Error::Unsupported {
        format: "a safetensors file",
        what: error.to_string(),
        way_out: "export in f32",
    })?;
    // The same directory, its weights replaced before anybody sees it.
    write_dir(dir, WriteMode::New, |dir| -> Result<(), Error> {
        bundle.write(dir, WriteMode::New)?;
        let path = dir.join("model.safetensors");
        std::fs::write(&path, &bytes).map_err(|source| attar_model::Error::Write { path: path.clone(), source })?;
        // What cannot be read back was not written.
        WeightsFile::read(&path)?;
        Ok(())
    })?;
    Ok(notes)
}

fn reads_mean(bundle: &Bundle) -> bool {
    matches!(bundle.config.head, Head::Classification { .. }) && bundle.config.classifier_input == ClassifierInput::Mean
}

fn first_beyond(weights: &Weights) -> Option<(&str, f32)> {
    weights.iter().find_map(|(name, tensor)| {
        let number = tensor.data.iter().copied().find(|number| !f16::from_f32(*number).is_finite())?;
        Some((name, number))
    })
}

/// A tensor that is written in 16-bit floats.
struct Half<'a>(&'a Tensor);

impl View for Half<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.data.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        2 * self.0.data.len()
    }
}
