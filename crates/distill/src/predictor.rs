//! A model directory ready to answer: text in, logits or vectors out.

use std::path::Path;

use attar_model::{Bundle, EncoderConfig, Head, Pooling, PoolingMode, Target as Answer};
use attar_text::labelled::Target;
use attar_text::tokenizer::{Encoding, Limit, Tokenizer};
use burn::tensor::Device;

use crate::engine::{Encoder, Parameters, Values};
use crate::objectives::{mean_pool, normalise};
use crate::{Error, evaluate, labels, model_directory};

/// A text, or a pair of texts.
pub type Text<'a> = (&'a str, Option<&'a str>);

/// A model with its tokenizer on a device.
#[derive(Debug)]
pub struct Predictor {
    encoder: Encoder,
    values: Values,
    tokenizer: Tokenizer,
    pooling: Option<Pooling>,
    limit: Limit,
    device: Device,
}

impl Predictor {
    /// Reads a model directory, or that of a run.
    ///
    /// # Errors
    /// If there is none, it is damaged, or its tokenizer has more tokens than its embedding table rows.
    pub fn load(path: &Path, device: &Device) -> Result<Predictor, Error> {
        let directory = model_directory::locate(path);
        let bundle = Bundle::read(&directory)?;
        let tokenizer = Tokenizer::from_dir(&directory)?;
        Predictor::new(bundle, tokenizer, device)
    }

    /// As [`Predictor::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Predictor::load`].
    pub fn load_encoder(path: &Path, device: &Device) -> Result<Predictor, Error> {
        let directory = model_directory::locate(path);
        let mut bundle = Bundle::read(&directory)?;
        bundle.config = bundle.config.with_head(Head::None);
        let tokenizer = Tokenizer::from_dir(&directory)?;
        Predictor::new(bundle, tokenizer, device)
    }

    fn new(bundle: Bundle, tokenizer: Tokenizer, device: &Device) -> Result<Predictor, Error> {
        let (rows, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        if tokens > rows {
            let expected = format!("a vocabulary of at most {rows} tokens, the rows of its embedding table");
            return Err(Error::refused(
                "tokenizer",
                expected,
                format!("{tokens} tokens"),
                "use the tokenizer that belongs to the model",
            ));
        }
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(bundle.max_tokens.map_or(positions, |max| max.min(positions)));
        let encoder = Encoder::new(bundle.config);
        let mut parameters = Parameters::empty(device);
        parameters.load(encoder.slots(), &bundle.weights)?;
        let (values, pooling) = (parameters.values(), bundle.pooling);
        Ok(Predictor { encoder, values, tokenizer, pooling, limit, device: device.clone() })
    }

    /// Cuts texts to fewer tokens than the model could take.
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Predictor {
        self.limit.max_tokens = self.limit.max_tokens.min(max_tokens);
        self
    }

    /// The configuration.
    pub fn config(&self) -> &EncoderConfig {
        self.encoder.config()
    }

    /// What the head answers.
    ///
    /// # Errors
    /// If the model has no classification head.
    pub fn answer(&self) -> Result<&Answer, Error> {
        match &self.config().head {
            Head::Classification { target } => Ok(target),
            _ => Err(Error::refused(
                "model",
                "a classification or regression head",
                "none",
                "fine-tune it first (`attar finetune`)",
            )),
        }
    }

    /// For each class of the data the model's number for it, where the two differ.
    ///
    /// # Errors
    /// If the model answers something else than the data ask.
    pub fn classes(&self, name: &str, target: &Target, notes: &mut Vec<String>) -> Result<Option<Vec<usize>>, Error> {
        let refused = |expected: &str, got: &str| {
            Err(Error::refused(name, expected, got, "choose data or a model of the same kind"))
        };
        match (self.answer()?, target) {
            (Answer::Labels(theirs), Target::Classes(ours)) => labels::order(name, theirs, &ours.names, notes),
            (Answer::Regression, Target::Regression { .. }) => Ok(None),
            (Answer::Labels(_), Target::Regression { .. }) => refused("a model of scores", "a model of classes"),
            (Answer::Regression, Target::Classes(_)) => refused("a model of classes", "a model of scores"),
        }
    }

    /// Token ids of texts.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn encode(&self, texts: &[Text<'_>]) -> Result<Vec<Encoding>, Error> {
        Ok(self.tokenizer.encode_all(texts, self.limit)?)
    }

    /// Logits of each text, `[K]`. `progress` hears how many were done since it heard last.
    ///
    /// # Errors
    /// If a text cannot be encoded, the model has no classification head, or the device fails.
    pub fn logits(&self, texts: &[Text<'_>], progress: impl FnMut(usize)) -> Result<Vec<Vec<f32>>, Error> {
        self.answer()?;
        let encodings = self.encode(texts)?;
        evaluate::logits(&(&self.encoder, &self.values), &encodings, &self.device, progress)
    }

    /// How token states become a vector, unless the caller says otherwise.
    pub fn pooling(&self) -> Pooling {
        self.pooling.unwrap_or(Pooling { mode: PoolingMode::Mean, normalise: false })
    }

    /// A vector of each text, `[H]`.
    ///
    /// # Errors
    /// If a text cannot be encoded or the device fails.
    pub fn embed(
        &self,
        texts: &[Text<'_>],
        pooling: Pooling,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let encodings = self.encode(texts)?;
        let model = (&self.encoder, &self.values);
        evaluate::rows(
            &model,
            &encodings,
            &self.device,
            |trace, input| {
                let pooled = match pooling.mode {
                    PoolingMode::Mean => mean_pool(trace.last(), &input.geometry),
                    PoolingMode::Cls => input.first_rows(trace.last()),
                };
                if pooling.normalise { normalise(pooled) } else { pooled }
            },
            progress,
        )
    }
}
