//! From `config.json` to a configuration.

use serde_json::{Map, Value};

use super::labels::{read_target, read_token_labels};
use super::{
    ARCHITECTURES, CLASSIFIER_INPUT, DISTILBERT_CLASSIFIER_DROPOUT, EMBEDDING_KEY, HeadKind, POOLER,
    RELATIVE_BUCKETS_KEY, SizeKeys, model_type,
};
use crate::config::{Activation, ClassifierInput, ConfigError, DISTILBERT_LAYER_NORM_EPS, EncoderConfig, Family, Head};
use crate::files::describe;
use crate::relative_positions::RELATIVE_BUCKETS;

/// Reads a parsed `config.json`.
///
/// ```
/// use attar_model::{Head, hf_config};
///
/// let json = serde_json::json!({
///     "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 30522, "hidden_size": 312,
///     "num_hidden_layers": 4, "num_attention_heads": 12, "intermediate_size": 1200,
///     "max_position_embeddings": 512, "cell": {},
/// });
/// let config = hf_config::parse(json)?;
/// assert_eq!((config.layers, config.head), (4, Head::None));
/// assert!(config.extra.contains_key("cell"));
/// # Ok::<(), attar_model::ConfigError>(())
/// ```
///
/// # Errors
/// [`ConfigError`] naming the key, what it holds and what attar reads instead.
pub fn parse(json: Value) -> Result<EncoderConfig, ConfigError> {
    let Value::Object(map) = json else {
        return Err(ConfigError::NotAnObject { got: describe(&json) });
    };
    let mut keys = Keys(map);
    let architecture = keys.architecture()?;
    let family = keys.family(architecture.as_deref())?;
    let classifier_input = keys.classifier_input()?;
    let kind = match classifier_input {
        ClassifierInput::FirstToken => head_kind(family, architecture.as_deref())?,
        ClassifierInput::Mean | ClassifierInput::Cosine => HeadKind::Classification,
    };
    keys.refuse_unsupported(kind)?;
    if family.has_relative_bias() {
        keys.relative_buckets()?;
    }
    keys.drop_element_type();

    let names = SizeKeys::of(family);
    let classifier_dropout = match (family, keys.number(names.classifier_dropout)?) {
        (Family::DistilBert, None) => Some(DISTILBERT_CLASSIFIER_DROPOUT),
        (_, given) => given,
    };
    let head = match kind {
        HeadKind::None => Head::None,
        HeadKind::Classification => Head::Classification { target: read_target(&mut keys.0)? },
        HeadKind::TokenClassification => Head::TokenClassification { labels: read_token_labels(&mut keys.0)? },
        HeadKind::QuestionAnswering => Head::QuestionAnswering,
        HeadKind::MaskedLm => Head::MaskedLm,
        HeadKind::Pretraining => Head::Pretraining,
    };
    let hidden = keys.size(names.hidden)?;
    let embedding = match family {
        Family::Electra => Some(keys.size(EMBEDDING_KEY)?).filter(|&width| width != hidden),
        Family::Bert | Family::DistilBert | Family::Roberta | Family::MpNet => None,
    };
    let config = EncoderConfig {
        family,
        layers: keys.size(names.layers)?,
        hidden,
        embedding,
        heads: keys.size(names.heads)?,
        feed_forward: keys.size(names.feed_forward)?,
        vocabulary: keys.size("vocab_size")?,
        positions: keys.size("max_position_embeddings")?,
        types: if family.has_token_types() { keys.optional_size("type_vocab_size")?.unwrap_or(2) } else { 0 },
        activation: keys.activation(names.activation)?,
        layer_norm_eps: match family {
            Family::DistilBert => DISTILBERT_LAYER_NORM_EPS,
            Family::Bert | Family::Roberta | Family::MpNet | Family::Electra => {
                keys.number("layer_norm_eps")?.unwrap_or(1e-12)
            }
        },
        pad_id: keys.pad_id(family)?,
        hidden_dropout: keys.number(names.hidden_dropout)?.unwrap_or(0.1),
        attention_dropout: keys.number(names.attention_dropout)?.unwrap_or(0.1),
        classifier_dropout,
        initializer_range: keys.number("initializer_range")?.unwrap_or(0.02),
        pooler: classifier_input == ClassifierInput::FirstToken && keys.pooler(family, kind)?,
        classifier_input,
        head,
        extra: keys.0,
    };
    config.validate()?;
    Ok(config)
}

fn head_kind(family: Family, architecture: Option<&str>) -> Result<HeadKind, ConfigError> {
    let Some(name) = architecture else { return Ok(HeadKind::None) };
    match ARCHITECTURES.iter().find(|(its, _, class)| *its == family && *class == name) {
        Some((_, kind, _)) => Ok(*kind),
        None => {
            let ours = ARCHITECTURES.iter().filter(|(its, ..)| *its == family).map(|(.., class)| *class);
            let supported = ours.collect::<Vec<_>>().join(", ");
            Err(ConfigError::Architecture { got: name.into(), supported })
        }
    }
}

/// The keys not yet understood. Each reader takes its own out; what is left at the end is extra.
struct Keys(Map<String, Value>);

impl Keys {
    /// Takes a key out. A null counts as absent, as it does for `transformers`.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(key).filter(|value| !value.is_null())
    }

    fn size(&mut self, key: &'static str) -> Result<usize, ConfigError> {
        self.optional_size(key)?.ok_or(ConfigError::MissingKey { key })
    }

    fn optional_size(&mut self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(ConfigError::Key { key, expected: "a whole number from 0", got: describe(&value) }),
        }
    }

    fn number(&mut self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(ConfigError::Key { key, expected: "a number", got: describe(&value) }),
        }
    }

    fn pad_id(&mut self, family: Family) -> Result<u32, ConfigError> {
        let default = if family.counts_positions_from_padding() { 1 } else { 0 };
        let key = "pad_token_id";
        match self.optional_size(key)? {
            None => Ok(default),
            Some(id) => u32::try_from(id).map_err(|_| ConfigError::Key {
                key,
                expected: "an id below 2^32",
                got: id.to_string(),
            }),
        }
    }

    fn activation(&mut self, key: &'static str) -> Result<Activation, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(Activation::Gelu) };
        match value.as_str() {
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluNew),
            Some("relu") => Ok(Activation::Relu),
            Some(other) => Err(ConfigError::Activation { key, got: other.chars().take(60).collect() }),
            None => Err(ConfigError::Key { key, expected: "a name", got: describe(&value) }),
        }
    }

    /// The first class of `architectures`.
    fn architecture(&mut self) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.take("architectures") else { return Ok(None) };
        let error = |got| ConfigError::Key { key: "architectures", expected: "an array of class names", got };
        let Value::Array(classes) = &value else { return Err(error(describe(&value))) };
        match classes.first() {
            None => Ok(None),
            Some(Value::String(class)) => Ok(Some(class.clone())),
            Some(other) => Err(error(format!("an array with {}", describe(other)))),
        }
    }

    fn family(&mut self, architecture: Option<&str>) -> Result<Family, ConfigError> {
        if let Some(value) = self.take("model_type") {
            let Some(name) = value.as_str() else {
                return Err(ConfigError::Key { key: "model_type", expected: "a name", got: describe(&value) });
            };
            return Family::ALL
                .into_iter()
                .find(|&family| model_type(family) == name)
                .ok_or_else(|| ConfigError::ModelType { got: name.chars().take(60).collect() });
        }
        if let Some(class) = architecture {
            // Longest prefix first: all names of DistilBERT's classes hold "Bert" too.
            let prefixes = [
                ("DistilBert", Family::DistilBert),
                ("Roberta", Family::Roberta),
                ("MPNet", Family::MpNet),
                ("Electra", Family::Electra),
                ("Bert", Family::Bert),
            ];
            return prefixes
                .into_iter()
                .find(|(prefix, _)| class.starts_with(prefix))
                .map(|(_, family)| family)
                .ok_or_else(|| ConfigError::ModelType { got: class.chars().take(60).collect() });
        }
        if self.0.contains_key("hidden_size") && self.0.contains_key("num_hidden_layers") {
            Ok(Family::Bert)
        } else if self.0.contains_key("dim") && self.0.contains_key("n_layers") {
            Ok(Family::DistilBert)
        } else {
            Err(ConfigError::NoModelType)
        }
    }

    /// Refuses a table of biases by distance of another length than the library's code expects.
    fn relative_buckets(&mut self) -> Result<(), ConfigError> {
        match self.optional_size(RELATIVE_BUCKETS_KEY)? {
            None | Some(RELATIVE_BUCKETS) => Ok(()),
            Some(other) => Err(ConfigError::Unsupported {
                key: RELATIVE_BUCKETS_KEY,
                got: other.to_string(),
                reason: "MPNet is computed with 32 buckets of distances, whatever its configuration says",
            }),
        }
    }

    fn classifier_input(&mut self) -> Result<ClassifierInput, ConfigError> {
        let key = CLASSIFIER_INPUT;
        let Some(value) = self.take(key) else { return Ok(ClassifierInput::FirstToken) };
        match value.as_str() {
            Some("mean") => Ok(ClassifierInput::Mean),
            Some("cosine") => Ok(ClassifierInput::Cosine),
            _ => Err(ConfigError::Key { key, expected: "\"mean\" or \"cosine\"", got: describe(&value) }),
        }
    }

    fn pooler(&mut self, family: Family, kind: HeadKind) -> Result<bool, ConfigError> {
        match kind {
            HeadKind::Classification | HeadKind::Pretraining => Ok(true),
            HeadKind::TokenClassification | HeadKind::QuestionAnswering | HeadKind::MaskedLm => Ok(false),
            HeadKind::None if !family.has_bare_pooler() => Ok(false),
            HeadKind::None => match self.take(POOLER) {
                None => Ok(true),
                Some(Value::Bool(pooler)) => Ok(pooler),
                Some(other) => Err(ConfigError::Key { key: POOLER, expected: "true or false", got: describe(&other) }),
            },
        }
    }

    /// Refuses what changes the computation in a way attar does not follow. The keys stay.
    fn refuse_unsupported(&self, kind: HeadKind) -> Result<(), ConfigError> {
        let given = |key: &str| self.0.get(key).filter(|value| !value.is_null());
        if let Some(value) = given("position_embedding_type")
            && value.as_str() != Some("absolute")
        {
            let reason = "attar computes absolute positions only";
            return Err(ConfigError::Unsupported { key: "position_embedding_type", got: describe(value), reason });
        }
        for key in ["is_decoder", "add_cross_attention", "is_encoder_decoder"] {
            if let Some(value) = given(key)
                && value.as_bool() != Some(false)
            {
                let reason = "attar computes encoders, which see the text in both directions";
                return Err(ConfigError::Unsupported { key, got: describe(value), reason });
            }
        }
        let has_masked_lm = matches!(kind, HeadKind::MaskedLm | HeadKind::Pretraining);
        if let Some(value) = given("tie_word_embeddings")
            && has_masked_lm
            && value.as_bool() != Some(true)
        {
            let reason = "attar's masked-language-model head shares its decoder with the word embeddings";
            return Err(ConfigError::Unsupported { key: "tie_word_embeddings", got: describe(value), reason });
        }
        Ok(())
    }

    /// Forgets that the weights were stored in another type than f32: attar writes f32, and `transformers`
    /// would round it to the type named here.
    fn drop_element_type(&mut self) {
        for key in ["dtype", "torch_dtype"] {
            if self.0.get(key).is_some_and(|value| value.as_str() != Some("float32")) {
                self.0.shift_remove(key);
            }
        }
    }
}
