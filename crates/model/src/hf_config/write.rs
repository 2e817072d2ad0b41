//! From a configuration to `config.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::labels::{MULTI_LABEL, default_label};
use super::{
    ARCHITECTURES, CLASSIFIER_INPUT, EMBEDDING_KEY, HeadKind, POOLER, RELATIVE_BUCKETS_KEY, SizeKeys, model_type,
};
use crate::config::{Activation, ClassifierInput, ConfigError, EncoderConfig, Family, Head, Target};
use crate::relative_positions::RELATIVE_BUCKETS;

/// Writes the `config.json` of a configuration, keys in alphabetical order as `transformers` does.
///
/// A key attar writes itself wins over one of that name in [`EncoderConfig::extra`]. The two default classes
/// `LABEL_0`, `LABEL_1` are left out, as `transformers` leaves them out.
///
/// [`parse`](super::parse) reads the result back to an equal configuration, except where `extra` holds keys
/// that have a field of their own, and where a DistilBERT does not specify its classifier's dropout.
///
/// # Errors
/// [`ConfigError`] if the configuration contradicts itself.
pub fn emit(config: &EncoderConfig) -> Result<Value, ConfigError> {
    config.validate()?;
    let keys = SizeKeys::of(config.family);
    let mut own: BTreeMap<&str, Value> = BTreeMap::new();
    own.insert("model_type", json!(model_type(config.family)));
    own.insert("architectures", json!([architecture(config)]));
    own.insert(keys.layers, json!(config.layers));
    own.insert(keys.hidden, json!(config.hidden));
    own.insert(keys.heads, json!(config.heads));
    own.insert(keys.feed_forward, json!(config.feed_forward));
    own.insert("vocab_size", json!(config.vocabulary));
    own.insert("max_position_embeddings", json!(config.positions));
    own.insert(keys.activation, json!(activation(config.activation)));
    own.insert("pad_token_id", json!(config.pad_id));
    own.insert(keys.hidden_dropout, json!(config.hidden_dropout));
    own.insert(keys.attention_dropout, json!(config.attention_dropout));
    own.insert("initializer_range", json!(config.initializer_range));
    if config.family.has_token_types() {
        own.insert("type_vocab_size", json!(config.types));
    }
    if config.family != Family::DistilBert {
        own.insert("layer_norm_eps", json!(config.layer_norm_eps));
    }
    if config.family == Family::Electra {
        own.insert(EMBEDDING_KEY, json!(config.embedding_width()));
    }
    if config.family.has_relative_bias() {
        own.insert(RELATIVE_BUCKETS_KEY, json!(RELATIVE_BUCKETS));
    }
    if config.family == Family::DistilBert {
        own.insert(keys.classifier_dropout, json!(config.classifier_dropout_rate()));
    } else if let Some(rate) = config.classifier_dropout {
        own.insert(keys.classifier_dropout, json!(rate));
    }
    if config.head == Head::None && config.family.has_bare_pooler() && !config.pooler {
        own.insert(POOLER, json!(false));
    }
    if matches!(config.head, Head::Classification { .. }) {
        match config.classifier_input {
            ClassifierInput::FirstToken => {}
            ClassifierInput::Mean => _ = own.insert(CLASSIFIER_INPUT, json!("mean")),
            ClassifierInput::Cosine => _ = own.insert(CLASSIFIER_INPUT, json!("cosine")),
        }
    }
    write_labels(config, &mut own);

    let kept = config.extra.iter().filter(|(key, value)| still_holds(&config.head, key, value));
    let mut all: BTreeMap<&str, Value> = kept.map(|(key, value)| (key.as_str(), value.clone())).collect();
    all.append(&mut own);
    Ok(Value::Object(all.into_iter().map(|(key, value)| (key.to_string(), value)).collect::<Map<_, _>>()))
}

/// The class `transformers` loads the model with.
pub(crate) fn architecture(config: &EncoderConfig) -> &'static str {
    let kind = HeadKind::of(config);
    let class = ARCHITECTURES.iter().find(|(family, its, _)| *family == config.family && *its == kind);
    // The table lacks only the next-sentence head outside BERT, which `validate` refuses.
    class.map_or("BertForPreTraining", |(.., class)| class)
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluNew => "gelu_new",
        Activation::Relu => "relu",
    }
}

/// Whether a key of the user's file is still true with this head: keys about other classes, or about a pooler, are not.
fn still_holds(head: &Head, key: &str, value: &Value) -> bool {
    let names_classes = matches!(key, "id2label" | "label2id" | "num_labels");
    match head {
        _ if key == POOLER || key == CLASSIFIER_INPUT => false,
        Head::Classification { target: Target::Labels(_) } => {
            !names_classes && (key != "problem_type" || *value == "single_label_classification")
        }
        Head::Classification { target: Target::MultiLabel(_) } => !names_classes && key != "problem_type",
        Head::TokenClassification { .. } => !names_classes,
        Head::Classification { target: Target::Regression } => match key {
            "num_labels" => false,
            "id2label" | "label2id" => names_one_output(value),
            _ => true,
        },
        Head::None | Head::QuestionAnswering | Head::MaskedLm | Head::Pretraining => true,
    }
}

fn names_one_output(value: &Value) -> bool {
    value.as_object().is_some_and(|names| names.len() == 1)
}

fn write_labels(config: &EncoderConfig, own: &mut BTreeMap<&str, Value>) {
    let labels = match &config.head {
        Head::Classification { target: Target::Regression } => {
            own.insert("problem_type", json!("regression"));
            if config.extra.get("id2label").is_some_and(names_one_output) {
                return;
            }
            vec![default_label(0)]
        }
        head => head.labels().to_vec(),
    };
    if let Head::Classification { target: Target::MultiLabel(_) } = config.head {
        own.insert("problem_type", json!(MULTI_LABEL));
    }
    if labels.is_empty() || labels == [default_label(0), default_label(1)] {
        return;
    }
    let by_id: Map<String, Value> = labels.iter().enumerate().map(|(id, name)| (id.to_string(), json!(name))).collect();
    let by_name: Map<String, Value> = labels.iter().enumerate().map(|(id, name)| (name.clone(), json!(id))).collect();
    own.insert("id2label", Value::Object(by_id));
    own.insert("label2id", Value::Object(by_name));
}
