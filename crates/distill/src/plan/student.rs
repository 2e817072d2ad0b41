//! The student as it begins.

use std::path::Path;

use attar_meter::FreeMemory;
use attar_model::{
    Bundle, ClassifierInput, EMBEDDING_PROJECTION, EncoderConfig, Family, Head, PoolerActivation, Pooling, PoolingMode,
    ReadWeights, Tensor, Weights, expected_shapes,
};
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use super::from_teacher::{EmbeddingSource, layers_of, refuse_growth, refuse_layers};
use super::head::{HeadReuse, reorder, reuse};
use super::memory;
use super::second_vocabulary::narrow_embeddings;
use super::teacher::note_prompt;
use super::{FirstVocabulary, Model, PlannedTeacher};
use crate::labels::ClassOrder;
use crate::recipe::{ClassifierChoice, HeadStart, StudentSpec};
use crate::{Error, model_directory};

/// The student before its first step.
#[derive(Debug)]
pub struct PlannedStudent {
    /// Its shape and head.
    pub config: EncoderConfig,
    /// Its first weights; none where the run makes them.
    pub weights: Weights,
    /// What the run does to them before the first update.
    pub beginning: Beginning,
    /// What a card names as the model it came from.
    pub base: Option<String>,
    /// How its vectors are made of its states.
    pub pooling: Option<Pooling>,
    /// The vocabulary that it has beside the one with which it is written, while it learns the latter.
    pub first_vocabulary: Option<FirstVocabulary>,
}

/// What a run does before the first update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing: the weights are used as given.
    Given,
    /// A linear model over what the encoder gives becomes the classifier.
    FrozenHead,
    /// Parts of the teacher are chosen by importance measured on training text, in these layers, counted from 1; embeddings
    /// are factorized.
    Pruned(Vec<usize>),
}

/// What a student is to be, whatever it begins with.
pub(super) struct Wanted<'a> {
    /// Its head.
    pub head: Head,
    /// The tokenizer whose pieces it has.
    pub tokenizer: &'a Tokenizer,
    /// Tokens of its longest text.
    pub max_tokens: usize,
    /// How the order of the data's classes came about.
    pub class_order: ClassOrder,
}

/// What a student can begin with.
#[derive(Debug)]
pub(super) struct StudentSources<'a> {
    /// The model to train further, where a program gives it.
    pub base: Option<Model>,
    /// The teacher, if there is one.
    pub teacher: Option<&'a PlannedTeacher>,
    /// What the student's embeddings are made of.
    pub embeddings: &'a EmbeddingSource,
}

impl PlannedStudent {
    pub(super) fn new(
        spec: &StudentSpec,
        sources: StudentSources<'_>,
        wanted: Wanted<'_>,
        streams: &Streams,
        notes: &mut Vec<String>,
    ) -> Result<PlannedStudent, Error> {
        let Wanted { head, tokenizer, max_tokens, class_order } = wanted;
        let teachers_pooling = sources.teacher.and_then(|teacher| teacher.bundle.pooling);
        match spec {
            StudentSpec::Model { path, new_head, classifier, head: begins } => {
                let base = match (path, sources.base) {
                    (_, Some(model)) => {
                        let reuse =
                            reuse(*new_head, &model.name, &model.bundle.config.head, &head, class_order, notes)?;
                        Base::given(model, reuse)
                    }
                    (Some(path), None) => {
                        let dir = model_directory::locate(path);
                        let theirs = Bundle::read_config(&dir)?.head;
                        let reuse = reuse(*new_head, &dir.display().to_string(), &theirs, &head, class_order, notes)?;
                        Base::read(path, reuse)?
                    }
                    (None, None) => unreachable!("the caller checked that there is a model"),
                };
                notes.extend(base.bundle.notes.iter().cloned());
                note_prompt(&base.name, &base.bundle, notes);
                base.student(*classifier, *begins, head, streams)
            }
            StudentSpec::Shape {
                layers, hidden, embedding_width, heads, feed_forward, embeddings, classifier, ..
            } => {
                let like = like(sources.teacher.map(|teacher| &teacher.bundle.config), tokenizer, max_tokens);
                let shape = EncoderConfig {
                    layers: *layers,
                    hidden: *hidden,
                    heads: *heads,
                    feed_forward: *feed_forward,
                    initializer_range: deviation(*hidden),
                    classifier_input: chosen(*classifier, like.classifier_input),
                    ..like
                };
                let shape = with_embedding_width(shape, *embedding_width)?;
                let config = checked(shape.with_head(head))?;
                let mut given = Weights::new();
                if let Some(path) = embeddings {
                    given.insert("embeddings.word_embeddings.weight", narrow_embeddings(path, &config, tokenizer)?);
                }
                let weights = initialize_missing(&config, given, streams);
                let pooling = pooling(&config, teachers_pooling);
                Ok(PlannedStudent {
                    config,
                    weights,
                    beginning: Beginning::Given,
                    base: None,
                    pooling,
                    first_vocabulary: None,
                })
            }
            StudentSpec::Teacher { layers, hidden, embedding_width, heads, feed_forward, .. } => {
                let Some(PlannedTeacher { bundle, classes, .. }) = sources.teacher else {
                    let out = "add `[teacher]` with its `path`";
                    return Err(Error::refused("student", "a teacher to begin from", "none", out));
                };
                let whole = &bundle.config;
                refuse_layers(layers, whole.layers)?;
                if whole.family.has_relative_bias() {
                    notes.push(
                        "the student has positions and no bias by distance: its teacher's biases are left out".into(),
                    );
                }
                let hidden = hidden.unwrap_or(whole.hidden);
                let shape = EncoderConfig {
                    layers: layers.len(),
                    hidden,
                    heads: heads.unwrap_or(whole.heads),
                    feed_forward: feed_forward.unwrap_or(whole.feed_forward),
                    initializer_range: deviation(hidden),
                    ..like(Some(whole), tokenizer, max_tokens)
                };
                let shape = with_embedding_width(shape, embedding_width.or(whole.embedding))?;
                let config = checked(shape.with_head(head))?;
                note_pooler_activation(&config, whole, notes);
                let same = (config.hidden, config.embedding, config.heads, config.feed_forward)
                    == (whole.hidden, whole.embedding, whole.heads, whole.feed_forward);
                let (weights, beginning) = if same {
                    let given = layers_of(bundle, layers, sources.embeddings, &config, classes.as_deref());
                    (initialize_missing(&config, given, streams), Beginning::Given)
                } else {
                    refuse_growth(&config, whole)?;
                    (Weights::new(), Beginning::Pruned(layers.clone()))
                };
                let pooling = pooling(&config, teachers_pooling);
                Ok(PlannedStudent { config, weights, beginning, base: None, pooling, first_vocabulary: None })
            }
        }
    }
}

/// What the model that a student is made from is called, and its configuration, if it is made from one.
///
/// # Errors
/// If there is no such model.
pub(super) fn base_config(spec: &StudentSpec, given: Option<&Model>) -> Result<Option<(String, EncoderConfig)>, Error> {
    Ok(match (spec, given) {
        (StudentSpec::Model { .. }, Some(model)) => Some((model.name.clone(), model.bundle.config.clone())),
        (StudentSpec::Model { path: Some(path), .. }, None) => {
            let config = Bundle::read_config(&model_directory::existing(path)?)?;
            Some((model_directory::name(path), config))
        }
        _ => None,
    })
}

/// A model that is trained further.
struct Base {
    name: String,
    /// Without its head where that is replaced.
    bundle: Bundle,
    head: HeadReuse,
}

impl Base {
    fn read(path: &Path, head: HeadReuse) -> Result<Base, Error> {
        let dir = model_directory::locate(path);
        let bundle = match head {
            HeadReuse::New => Bundle::read_headless(&dir)?,
            HeadReuse::Kept | HeadReuse::Reordered(_) => Bundle::read_with(&dir, ReadWeights::F32)?,
        };
        Ok(Base { name: model_directory::name(path), bundle, head })
    }

    fn given(model: Model, head: HeadReuse) -> Base {
        let Model { name, mut bundle, .. } = model;
        if head == HeadReuse::New {
            let config = EncoderConfig { head: Head::None, ..bundle.config.clone() };
            let mut encoder = Weights::new();
            for (name, _) in expected_shapes(&config) {
                if let Some(tensor) = bundle.weights.remove(&name) {
                    encoder.insert(name, tensor);
                }
            }
            bundle.weights = encoder;
        }
        Base { name, bundle, head }
    }

    /// The student, with the classifier that the data ask for.
    fn student(
        self,
        classifier: ClassifierChoice,
        begins: HeadStart,
        head: Head,
        streams: &Streams,
    ) -> Result<PlannedStudent, Error> {
        let Base { name, mut bundle, head: reuse } = self;
        if let HeadReuse::Reordered(order) = &reuse {
            reorder(&mut bundle.weights, order);
        }
        let keeps_head = reuse != HeadReuse::New;
        let made_for = match &bundle.pooling {
            Some(Pooling { mode: PoolingMode::Mean, .. }) => ClassifierInput::Mean,
            _ => ClassifierInput::FirstToken,
        };
        let input = if keeps_head { bundle.config.classifier_input } else { chosen(classifier, made_for) };
        let config = checked(EncoderConfig { classifier_input: input, ..bundle.config }.with_head(head))?;
        let classifies = matches!(config.head, Head::Classification { .. } | Head::TokenClassification { .. });
        let beginning = match begins {
            HeadStart::Frozen if classifies && !keeps_head => Beginning::FrozenHead,
            HeadStart::Frozen | HeadStart::Random => Beginning::Given,
        };
        let weights = initialize_missing(&config, bundle.weights, streams);
        let pooling = pooling(&config, bundle.pooling);
        Ok(PlannedStudent { config, weights, beginning, base: Some(name), pooling, first_vocabulary: None })
    }
}

/// How vectors are made of a student's states: as its classifier reads them, or else as the model that it comes from
/// does.
fn pooling(config: &EncoderConfig, from: Option<Pooling>) -> Option<Pooling> {
    match (&config.head, config.classifier_input) {
        (Head::Classification { .. }, ClassifierInput::FirstToken) => None,
        (Head::Classification { .. }, ClassifierInput::Mean) => {
            Some(Pooling { mode: PoolingMode::Mean, normalize: false })
        }
        (Head::Classification { .. }, ClassifierInput::Cosine) => {
            Some(Pooling { mode: PoolingMode::Mean, normalize: true })
        }
        _ => from,
    }
}

/// What a classifier reads, if the recipe leaves that to the encoder.
fn chosen(choice: ClassifierChoice, made_for: ClassifierInput) -> ClassifierInput {
    match choice {
        ClassifierChoice::Auto => made_for,
        ClassifierChoice::FirstToken => ClassifierInput::FirstToken,
        ClassifierChoice::Mean => ClassifierInput::Mean,
        ClassifierChoice::Cosine => ClassifierInput::Cosine,
    }
}

fn checked(config: EncoderConfig) -> Result<EncoderConfig, Error> {
    match config.validate() {
        Ok(()) => memory::check_student(&config, FreeMemory::here().as_ref()).map(|()| config),
        Err(error) => {
            let out = shape_hint(&config).unwrap_or_else(|| "change the shape in the recipe".into());
            Err(Error::refused("student", "a valid shape", error.to_string(), out))
        }
    }
}

/// A shape whose embeddings are factorized, if a width is given.
fn with_embedding_width(shape: EncoderConfig, width: Option<usize>) -> Result<EncoderConfig, Error> {
    match width {
        None => Ok(shape),
        Some(width) if width < shape.hidden => Ok(shape.with_embedding_width(Some(width))),
        Some(width) => {
            let expected = format!(
                "an `embedding-width` (`--embedding-width`) below the hidden width of {}: embeddings as wide as the states, or \
                 wider, only add a map to what they would take without one",
                shape.hidden
            );
            // A factorized teacher's width holds where none is given.
            Err(Error::refused("student", expected, width.to_string(), "give a smaller one"))
        }
    }
}

/// Tells where a classifier that is taken over reads another function of its dense layer than it was trained with.
fn note_pooler_activation(ours: &EncoderConfig, theirs: &EncoderConfig, notes: &mut Vec<String>) {
    let [own, learned] = [ours, theirs].map(|config| match config.pooler_activation() {
        PoolerActivation::Tanh => "tanh",
        PoolerActivation::Relu => "ReLU",
        PoolerActivation::Gelu => "GELU",
    });
    let is_classifier = matches!(ours.head, Head::Classification { .. });
    if is_classifier && ours.pooler && theirs.pooler && own != learned {
        notes.push(format!(
            "the student's classifier has a {own} after its dense layer, its teacher's a {learned}: it begins with its teacher's \
             weights, whose answers differ until it is trained"
        ));
    }
}

/// Widths and heads that fit, where a width is no multiple of its heads.
fn shape_hint(config: &EncoderConfig) -> Option<String> {
    let (hidden, heads) = (config.hidden, config.heads);
    if heads == 0 || hidden == 0 || hidden.is_multiple_of(heads) {
        return None;
    }
    let [below, above] = [hidden / heads * heads, hidden.next_multiple_of(heads)];
    let fewer = (1..heads).rev().find(|&fewer| hidden.is_multiple_of(fewer))?;
    let widths = if below == 0 { above.to_string() } else { format!("{below} or {above}") };
    Some(format!("set the hidden width to {widths}, or the heads to {fewer}"))
}

/// What a new student takes from its teacher besides the shape: the vocabulary, functions, what its classifier reads; and
/// as many positions as its texts have tokens.
fn like(teacher: Option<&EncoderConfig>, tokenizer: &Tokenizer, max_tokens: usize) -> EncoderConfig {
    let (vocabulary, pad_id) = (tokenizer.vocabulary_size(), tokenizer.pad_id().unwrap_or(0));
    match teacher {
        // One family for all new students, unless their embeddings are factorized.
        Some(teacher) => EncoderConfig {
            family: Family::Bert,
            vocabulary,
            positions: teacher.usable_positions().min(max_tokens),
            types: if teacher.family.has_token_types() {
                teacher.types
            } else {
                1 + usize::from(tokenizer.gives_types())
            },
            pad_id,
            activation: teacher.activation,
            layer_norm_eps: teacher.layer_norm_eps,
            classifier_input: teacher.classifier_input,
            ..EncoderConfig::bert_base()
        },
        None => EncoderConfig { vocabulary, pad_id, ..EncoderConfig::bert_base() },
    }
}

/// Standard deviation of a new student's weights: BERT's 0.02 at its width of 768, and at other widths
/// what gives sums over the width the same variance. At 0.02 narrow students learn several times more
/// slowly (experiments/first-light).
fn deviation(hidden: usize) -> f64 {
    let bert = EncoderConfig::bert_base();
    bert.initializer_range * (bert.hidden as f64 / hidden as f64).sqrt()
}

/// Weights with every tensor that is missing drawn anew: normal with the config's deviation, gains 1,
/// biases 0 (Devlin et al., arXiv 1810.04805, released code). The map of factorized embeddings has the deviation `1/√E`, so that
/// states begin with the variance 1 that the normalization before it gives.
pub fn initialize_missing(config: &EncoderConfig, mut given: Weights, streams: &Streams) -> Weights {
    let mut weights = Weights::new();
    for (index, (name, shape)) in expected_shapes(config).into_iter().enumerate() {
        let tensor = given.remove(&name).unwrap_or_else(|| {
            if name.ends_with(".bias") {
                return Tensor::zeros(shape);
            }
            let count: usize = shape.iter().product();
            if name.contains("LayerNorm") {
                return Tensor::new(shape, vec![1.0; count]);
            }
            let mut stream = streams.stream("initialisation", &[index as u64]);
            let deviation = match name.starts_with(EMBEDDING_PROJECTION) {
                true => 1.0 / (config.embedding_width() as f64).sqrt(),
                false => config.initializer_range,
            };
            let data = (0..count).map(|_| (stream.normal() * deviation) as f32).collect();
            Tensor::new(shape, data)
        });
        weights.insert(name, tensor);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_model::Target as Answer;

    #[test]
    fn new_weights_have_the_config_s_deviation() {
        let config = EncoderConfig {
            layers: 1,
            hidden: 64,
            heads: 4,
            feed_forward: 256,
            vocabulary: 500,
            ..EncoderConfig::bert_base()
        };
        let weights = initialize_missing(&config, Weights::new(), &Streams::new(3));
        assert_eq!(
            weights.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(),
            expected_shapes(&config).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        let words = &weights.get("embeddings.word_embeddings.weight").unwrap().data;
        let deviation = (words.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / words.len() as f64).sqrt();
        // Four standard errors of a deviation over 32,000 draws.
        assert!((deviation / 0.02 - 1.0).abs() < 4.0 / (2.0 * words.len() as f64).sqrt(), "{deviation}");
        assert_eq!(weights.get("embeddings.LayerNorm.weight").unwrap().data, [1.0; 64]);
        assert_eq!(weights.get("pooler.dense.bias").unwrap().data, [0.0; 64]);
        assert_eq!(weights, initialize_missing(&config, Weights::new(), &Streams::new(3)));
        assert_ne!(weights, initialize_missing(&config, Weights::new(), &Streams::new(4)));
    }

    #[test]
    fn a_classifier_with_another_function_is_told() {
        let head = || Head::Classification { target: Answer::Regression };
        let config = |family, classifier_input| {
            EncoderConfig { family, classifier_input, ..EncoderConfig::bert_base() }.with_head(head())
        };
        let told = |ours: &EncoderConfig, theirs: &EncoderConfig| {
            let mut notes = Vec::new();
            note_pooler_activation(ours, theirs, &mut notes);
            notes.join("\n")
        };
        let [bert, electra, distilbert] = [Family::Bert, Family::Electra, Family::DistilBert]
            .map(|family| config(family, ClassifierInput::FirstToken));
        assert!(told(&electra, &bert).contains("has a GELU after its dense layer, its teacher's a tanh"));
        assert!(told(&bert, &distilbert).contains("a tanh after its dense layer, its teacher's a ReLU"));
        assert_eq!(told(&electra, &electra), "");
        // Over the mean there is no dense layer, and a new one has nothing of its teacher's.
        assert_eq!(told(&config(Family::Electra, ClassifierInput::Mean), &bert), "");
        assert_eq!(told(&electra, &config(Family::Bert, ClassifierInput::Mean)), "");
    }
}
