//! A hash of what a model computes, independent of its files.

use crate::config::{Activation, ClassifierInput, EncoderConfig, Family, Head, Target};
use crate::hash::Sha256Hex;
use crate::sorting::sort_by;
use crate::weights::{Tensor, Weights};

/// SHA-256 over a configuration and its weights, 64 hexadecimal digits.
///
/// Hashed are the fields of the configuration except [`extra`](EncoderConfig::extra), then the tensors in
/// alphabetical order: name, shape, and numbers as little-endian f32. The same model read from safetensors or
/// from PyTorch's files, whole or in shards, under any of its names, has the same fingerprint.
pub fn fingerprint(config: &EncoderConfig, weights: &Weights) -> String {
    let mut tensors: Vec<_> = weights.iter().collect();
    sort_by(&mut tensors, |(left, _), (right, _)| left.cmp(right));
    let mut hash = Fingerprint::new(config, tensors.len());
    for (name, tensor) in tensors {
        hash.tensor(name, tensor);
    }
    hash.finish()
}

/// A running [`fingerprint`], for weights that are not all in memory.
pub(crate) struct Fingerprint {
    hash: Sha256Hex,
    page: Vec<u8>,
}

impl Fingerprint {
    pub(crate) fn new(config: &EncoderConfig, tensors: usize) -> Self {
        let mut hash = Sha256Hex::new();
        hash.field(b"attar model 1");
        hash_config(&mut hash, config);
        hash.number(tensors as u64);
        Fingerprint { hash, page: Vec::with_capacity(PAGE * 4) }
    }

    /// Adds a tensor, in alphabetical order of canonical names.
    pub(crate) fn tensor(&mut self, name: &str, tensor: &Tensor) {
        self.begin(name, &tensor.shape);
        // A page at a time: hashing four bytes at a time is slow, and a copy of all weights is large.
        for numbers in tensor.data.chunks(PAGE) {
            self.page.clear();
            numbers.iter().for_each(|number| self.page.extend_from_slice(&number.to_le_bytes()));
            self.hash.update(&self.page);
        }
    }

    /// Begins a tensor whose numbers follow by [`bytes`](Self::bytes).
    pub(crate) fn begin(&mut self, name: &str, shape: &[usize]) {
        self.hash.field(name.as_bytes());
        self.hash.number(shape.len() as u64);
        shape.iter().for_each(|&length| self.hash.number(length as u64));
    }

    /// Adds numbers as little-endian f32.
    pub(crate) fn bytes(&mut self, numbers: &[u8]) {
        self.hash.update(numbers);
    }

    pub(crate) fn finish(self) -> String {
        self.hash.finish()
    }
}

const PAGE: usize = 1 << 14;

pub(crate) fn hash_config(hash: &mut Sha256Hex, config: &EncoderConfig) {
    // Every field by name, so that a new one cannot be forgotten.
    let EncoderConfig {
        family,
        layers,
        hidden,
        embedding,
        heads,
        feed_forward,
        vocabulary,
        positions,
        types,
        activation,
        layer_norm_eps,
        pad_id,
        hidden_dropout,
        attention_dropout,
        classifier_dropout: _,
        initializer_range,
        pooler,
        classifier_input,
        head,
        extra: _,
    } = config;
    hash.field(match family {
        Family::Bert => b"bert",
        Family::DistilBert => b"distilbert",
        Family::Roberta => b"roberta",
        Family::MpNet => b"mpnet",
        Family::Electra => b"electra",
    });
    for number in [layers, hidden, heads, feed_forward, vocabulary, positions, types] {
        hash.number(*number as u64);
    }
    if let Some(width) = embedding {
        hash.number(*width as u64);
    }
    hash.field(match activation {
        Activation::Gelu => b"gelu",
        Activation::GeluNew => b"gelu_new",
        Activation::Relu => b"relu",
    });
    hash.number(u64::from(*pad_id));
    hash.number(u64::from(*pooler));
    for number in [layer_norm_eps, hidden_dropout, attention_dropout, initializer_range] {
        hash.number(number.to_bits());
    }
    hash.number(config.classifier_dropout_rate().to_bits());
    hash.field(match head {
        Head::None => b"none",
        Head::Classification { .. } if *classifier_input == ClassifierInput::Cosine => b"cosine",
        Head::Classification { target: Target::Labels(_) } if *classifier_input == ClassifierInput::Mean => {
            b"classification of the mean"
        }
        Head::Classification { target: Target::MultiLabel(_) } if *classifier_input == ClassifierInput::Mean => {
            b"several labels of the mean"
        }
        Head::Classification { .. } if *classifier_input == ClassifierInput::Mean => b"regression of the mean",
        Head::Classification { target: Target::Labels(_) } => b"classification",
        Head::Classification { target: Target::MultiLabel(_) } => b"several labels",
        Head::Classification { target: Target::Regression } => b"regression",
        Head::TokenClassification { .. } => b"token classification",
        Head::QuestionAnswering => b"question answering",
        Head::MaskedLm => b"masked language model",
        Head::Pretraining => b"pretraining",
    });
    hash.number(head.labels().len() as u64);
    head.labels().iter().for_each(|label| hash.field(label.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::expected_shapes;
    use crate::weights::Tensor;

    #[test]
    fn it_follows_the_numbers_and_nothing_else() {
        let config = EncoderConfig {
            layers: 1,
            hidden: 4,
            heads: 2,
            feed_forward: 8,
            vocabulary: 10,
            positions: 6,
            ..EncoderConfig::bert_base()
        };
        let tensors = || expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape)));
        let weights: Weights = tensors().collect();
        let reference = fingerprint(&config, &weights);

        let backwards: Weights = tensors().collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(fingerprint(&config, &backwards), reference);
        let mut noted = config.clone();
        noted.extra.insert("transformers_version".into(), "5.0".into());
        noted.classifier_dropout = Some(noted.hidden_dropout);
        assert_eq!(fingerprint(&noted, &weights), reference);

        let mut negative = weights.clone();
        negative.get_mut("pooler.dense.bias").unwrap().data[0] = -0.0;
        let others = [
            fingerprint(&config, &negative),
            fingerprint(&EncoderConfig { layer_norm_eps: 1e-5, ..config.clone() }, &weights),
            fingerprint(&EncoderConfig { activation: Activation::GeluNew, ..config.clone() }, &weights),
        ];
        assert!(others.iter().all(|other| *other != reference));
    }
}
