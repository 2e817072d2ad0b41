//! A model that answers texts.

use std::path::Path;

use attar_model::{Head, ModelFiles, Target};
use attar_runtime::{Error, Options, Precision, Session, Text, probabilities};

use crate::answers::{Entity, LabelScore, ModelInfo, Span, Tokenization};
use crate::utf16;

/// What errors call the file.
const NAME: &str = "the model";

/// A model from the bytes of a single file.
#[derive(Debug)]
pub struct Model {
    session: Session,
    precision: Precision,
}

impl Model {
    /// Reads a single file (`attar export single`). The weights are the quantized ones if it holds any.
    ///
    /// # Errors
    /// If the bytes are no such file, or what they hold cannot be read.
    pub fn load(bytes: Vec<u8>) -> Result<Model, Error> {
        let files = ModelFiles::from_bytes(Path::new(NAME), bytes)?;
        let precision = if files.has_quantized()? { Precision::Int8 } else { Precision::F32 };
        let session = Session::load_from(&files, &Options::new(precision, 1))?;
        Ok(Model { session, precision })
    }

    /// What the model is.
    pub fn info(&mut self) -> ModelInfo {
        let bytes = self.session.encoder().weight_bytes();
        let session = &self.session;
        let config = session.config();
        let labels = match &config.head {
            Head::Classification { target: Target::Regression } => Vec::new(),
            head => head.labels().to_vec(),
        };
        ModelInfo {
            task: match &config.head {
                Head::Classification { target: Target::Labels(_) } => "classify",
                Head::Classification { target: Target::MultiLabel(_) } => "multi-label",
                Head::Classification { target: Target::Regression } => "score",
                Head::TokenClassification { .. } => "tag",
                Head::QuestionAnswering => "answer",
                Head::None | Head::MaskedLm | Head::Pretraining => "embed",
            },
            requires_pairs: session.compares() || config.head == Head::QuestionAnswering,
            labels,
            layers: config.layers,
            hidden: config.hidden,
            dimensions: session.dimensions(),
            max_tokens: session.limit().max_tokens,
            vocabulary: config.vocabulary,
            precision: match self.precision {
                Precision::F32 => "f32",
                Precision::Int8 => "int8",
            },
            bytes,
            notes: session.notes().to_vec(),
        }
    }

    /// Labels of each text with their probabilities, the most probable first. `pairs` are second texts, one for each.
    ///
    /// # Errors
    /// If the model does not classify, or a text cannot be encoded.
    ///
    /// # Panics
    /// If there are second texts, and not as many as first ones.
    #[track_caller]
    pub fn predict(&mut self, texts: &[&str], pairs: Option<&[&str]>) -> Result<Vec<Vec<LabelScore>>, Error> {
        let target = self.session.target()?.clone();
        let score = "score".to_owned();
        let labels = match &target {
            Target::Regression => std::slice::from_ref(&score),
            Target::Labels(labels) | Target::MultiLabel(labels) => labels,
        };
        let sorted = |logits: Vec<f32>| {
            let mut all: Vec<LabelScore> = labels
                .iter()
                .zip(probabilities(&target, &logits))
                .map(|(label, score)| LabelScore { label: label.clone(), score })
                .collect();
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            all
        };
        Ok(self.session.logits(&rows(texts, pairs), |_| ())?.into_iter().map(sorted).collect())
    }

    /// What the head gives for each text, `[K]`, by the ids of the labels.
    ///
    /// # Errors
    /// As [`Model::predict`].
    ///
    /// # Panics
    /// As [`Model::predict`].
    #[track_caller]
    pub fn logits(&mut self, texts: &[&str], pairs: Option<&[&str]>) -> Result<Vec<Vec<f32>>, Error> {
        self.session.logits(&rows(texts, pairs), |_| ())
    }

    /// A vector of each text.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let pooling = self.session.pooling();
        self.session.embed(&rows(texts, None), pooling, |_| ())
    }

    /// What the words of each text name.
    ///
    /// # Errors
    /// If the model does not tag, or a text cannot be encoded.
    pub fn tag(&mut self, texts: &[&str]) -> Result<Vec<Vec<Entity>>, Error> {
        let tags = self.session.tag(texts, |_| ())?;
        let found = |(text, tags): (&&str, Vec<_>)| {
            let entities = self.session.entities(&tags).into_iter().map(|entity| {
                let place = utf16::range(text, &entity.bytes);
                Entity {
                    label: entity.kind,
                    score: entity.probability,
                    text: text[entity.bytes].to_owned(),
                    start: place.start,
                    end: place.end,
                }
            });
            entities.collect()
        };
        Ok(texts.iter().zip(tags).map(found).collect())
    }

    /// The words of a context that answer a question; `None` where the context has no words.
    ///
    /// # Errors
    /// If the model does not answer questions, or a text cannot be encoded.
    pub fn answer(&mut self, question: &str, context: &str) -> Result<Option<Span>, Error> {
        let span = self.session.answer(&[(question, context)], |_| ())?.pop().flatten();
        Ok(span.map(|span| {
            let place = utf16::range(context, &span.bytes);
            Span {
                text: context[span.bytes].to_owned(),
                start: place.start,
                end: place.end,
                score: span.probability,
                no_answer: span.no_answer,
            }
        }))
    }

    /// A text or a pair as the model reads it.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn tokenize(&self, text: &str, pair: Option<&str>) -> Result<Tokenization, Error> {
        let (tokenizer, limit) = (self.session.tokenizer(), self.session.limit());
        let encoding = tokenizer.encode(text, pair, limit)?;
        let more = attar_runtime::Limit { max_tokens: limit.max_tokens.saturating_add(1), ..limit };
        let truncated =
            encoding.len() == limit.max_tokens && tokenizer.encode(text, pair, more)?.len() > encoding.len();
        let tokens = encoding.ids.iter().map(|&id| tokenizer.token(id).unwrap_or_default()).collect();
        Ok(Tokenization { ids: encoding.ids, types: encoding.types, tokens, truncated })
    }
}

fn rows<'a>(texts: &[&'a str], pairs: Option<&[&'a str]>) -> Vec<Text<'a>> {
    match pairs {
        None => texts.iter().map(|&text| (text, None)).collect(),
        Some(pairs) => {
            assert_eq!(texts.len(), pairs.len(), "second texts for first ones");
            texts.iter().zip(pairs).map(|(&text, &pair)| (text, Some(pair))).collect()
        }
    }
}
