//! The configuration of an encoder, which determines the shapes and the meaning of its weights.

mod error;
mod validate;

use serde_json::{Map, Value};

pub use error::ConfigError;
pub(crate) use validate::DISTILBERT_LAYER_NORM_EPS;

/// All properties of an encoder besides its weights.
///
/// Dimension letters: H hidden, E embedding, A heads, D = H / A head width, F feed-forward, V vocabulary, L layers.
///
/// The fields are public so that a student can be described with struct update syntax, which also
/// allows contradictions: [`validate`](Self::validate) detects them, and every reader and writer of this crate calls
/// it.
///
/// ```
/// use attar_model::EncoderConfig;
///
/// let tinybert4 = EncoderConfig { layers: 4, hidden: 312, feed_forward: 1200, ..EncoderConfig::bert_base() };
/// tinybert4.validate()?;
/// assert_eq!(tinybert4.head_width(), 26);
/// # Ok::<(), attar_model::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Which of the five architectures.
    pub family: Family,
    /// L, the number of Transformer layers.
    pub layers: usize,
    /// H, the width of a hidden state.
    pub hidden: usize,
    /// E, the width of the embeddings where it is not H: a linear map then takes them to H. ELECTRA only.
    pub embedding: Option<usize>,
    /// A, the number of attention heads; divides H.
    pub heads: usize,
    /// F, the inner width of the feed-forward block.
    pub feed_forward: usize,
    /// V, the number of word pieces.
    pub vocabulary: usize,
    /// Rows of the position table. RoBERTa and MPNet leave the first rows unused, see
    /// [`usable_positions`](Self::usable_positions).
    pub positions: usize,
    /// Rows of the token-type (segment) table; 0 in DistilBERT and MPNet, which have none.
    pub types: usize,
    /// The function inside the feed-forward block.
    pub activation: Activation,
    /// What layer normalization adds to the variance inside the root.
    pub layer_norm_eps: f64,
    /// Id of the padding piece.
    pub pad_id: u32,
    /// Dropout rate of embeddings and of each block's output, in training only.
    pub hidden_dropout: f64,
    /// Dropout rate of attention probabilities, in training only.
    pub attention_dropout: f64,
    /// Dropout rate before the classifier, in training only; `None` means that of the hidden states.
    pub classifier_dropout: Option<f64>,
    /// Standard deviation of freshly initialized weights.
    pub initializer_range: f64,
    /// Whether there is a dense layer over the state of the first token (`pooler.dense`).
    pub pooler: bool,
    /// The input of a classification head; meaningless for other heads.
    pub classifier_input: ClassifierInput,
    /// The head.
    pub head: Head,
    /// Keys of the user's `config.json` that attar does not use; they are written back unchanged.
    pub extra: Map<String, Value>,
}

/// One of the architectures attar reads. They share the encoder and differ in embeddings, heads and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// BERT (Devlin et al. 2019), and TinyBERT, MiniLM and others that use its code.
    Bert,
    /// DistilBERT (Sanh et al. 2019): no token types, no pooler.
    DistilBert,
    /// RoBERTa (Liu et al. 2019): positions counted from the padding id.
    Roberta,
    /// MPNet (Song et al. 2020): positions counted from the padding id, no token types, and a bias of attention scores
    /// by distance, see [`relative_bucket`](crate::relative_bucket).
    MpNet,
    /// ELECTRA (Clark et al. 2020): embeddings of a width of their own, no pooler, and a classifier whose dense layer ends in
    /// a GELU.
    Electra,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] = [Family::Bert, Family::DistilBert, Family::Roberta, Family::MpNet, Family::Electra];

    /// Whether there is a table of token types.
    pub fn has_token_types(self) -> bool {
        matches!(self, Family::Bert | Family::Roberta | Family::Electra)
    }

    /// Whether an encoder without a head can have a pooler; in the others a dense layer over the first token belongs to
    /// the classifier.
    pub fn has_bare_pooler(self) -> bool {
        !matches!(self, Family::DistilBert | Family::Electra)
    }

    /// Whether the first token has the position after the padding id, and padding the position of that id.
    pub fn counts_positions_from_padding(self) -> bool {
        matches!(self, Family::Roberta | Family::MpNet)
    }

    /// Whether attention scores get a bias by the distance from query to key.
    pub fn has_relative_bias(self) -> bool {
        self == Family::MpNet
    }
}

/// The activation of the feed-forward block. The two GELUs are different functions and never swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x/2 (1 + erf(x/√2))`.
    Gelu,
    /// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluNew,
    /// `max(x, 0)`.
    Relu,
}

/// The activation after the dense layer over the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolerActivation {
    /// BERT, RoBERTa and MPNet.
    Tanh,
    /// DistilBERT.
    Relu,
    /// ELECTRA: the erf GELU.
    Gelu,
}

/// The input of a classification head, computed from the last hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClassifierInput {
    /// The first token's state through `pooler.dense` and its activation, as BERT's own classes do: `[H]`.
    #[default]
    FirstToken,
    /// The mean over all real tokens, special ones included, as sentence encoders are trained: `[H]`.
    Mean,
    /// The cosine of two texts' means, each text read alone: `[1]`. For scores of pairs.
    Cosine,
}

/// The head of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// Nothing: hidden states, and the pooled vector where there is a pooler.
    None,
    /// A class or a number for the whole text: `classifier` of [`EncoderConfig::classifier_input`].
    Classification {
        /// What it predicts.
        target: Target,
    },
    /// A class for each token: `classifier(h_t)`.
    TokenClassification {
        /// Names of the classes, by id.
        labels: Vec<String>,
    },
    /// Where the answer to a question begins and where it ends: two scores for each token.
    QuestionAnswering,
    /// The masked-language-model head, its decoder tied to the word embeddings.
    MaskedLm,
    /// The masked-language-model head and the next-sentence head; BERT only.
    Pretraining,
}

/// What a classification head predicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One of these classes, by id.
    Labels(Vec<String>),
    /// Any of these labels, by id, also none or several: the sigmoid of each logit is its probability.
    MultiLabel(Vec<String>),
    /// One number.
    Regression,
}

impl EncoderConfig {
    /// BERT-base uncased without a head: 12 layers, 768 wide, 12 heads, 30,522 pieces, 512 positions.
    /// The starting point for other shapes by struct update.
    pub fn bert_base() -> Self {
        EncoderConfig {
            family: Family::Bert,
            layers: 12,
            hidden: 768,
            embedding: None,
            heads: 12,
            feed_forward: 3072,
            vocabulary: 30_522,
            positions: 512,
            types: 2,
            activation: Activation::Gelu,
            layer_norm_eps: 1e-12,
            pad_id: 0,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: None,
            initializer_range: 0.02,
            pooler: true,
            classifier_input: ClassifierInput::FirstToken,
            head: Head::None,
            extra: Map::new(),
        }
    }

    /// The same encoder with another head, with the pooler that head needs: a classification head over the first
    /// token has one, one over the mean or a cosine has none.
    ///
    /// A bare encoder keeps the pooler it has, except in DistilBERT and ELECTRA, where only the classifier has one.
    #[must_use]
    pub fn with_head(mut self, head: Head) -> Self {
        self.pooler = match head {
            Head::Classification { .. } => self.classifier_input == ClassifierInput::FirstToken,
            Head::Pretraining => true,
            Head::TokenClassification { .. } | Head::QuestionAnswering | Head::MaskedLm => false,
            Head::None => self.pooler && self.family.has_bare_pooler(),
        };
        self.head = head;
        self
    }

    /// This shape as an ELECTRA encoder with factorized embeddings of this width, or as a BERT encoder with embeddings as wide as
    /// the hidden states if `None`. The family changes accordingly.
    ///
    /// ```
    /// use attar_model::{EncoderConfig, Family};
    ///
    /// let narrow = EncoderConfig::bert_base().with_embedding_width(Some(128));
    /// assert_eq!((narrow.family, narrow.embedding_width()), (Family::Electra, 128));
    /// narrow.validate()?;
    /// assert_eq!(narrow.with_embedding_width(None).family, Family::Bert);
    /// # Ok::<(), attar_model::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_embedding_width(self, width: Option<usize>) -> Self {
        let family = if width.is_some() { Family::Electra } else { Family::Bert };
        let head = self.head.clone();
        EncoderConfig { family, embedding: width, types: self.types.max(1), ..self }.with_head(head)
    }

    /// E, the width of the embeddings: H unless they are factorized.
    pub fn embedding_width(&self) -> usize {
        self.embedding.unwrap_or(self.hidden)
    }

    /// D, the width of one attention head.
    pub fn head_width(&self) -> usize {
        self.hidden.checked_div(self.heads).unwrap_or(0)
    }

    /// Row of the position table that the first token uses: 0, or the padding id + 1 in RoBERTa and MPNet.
    pub fn position_offset(&self) -> usize {
        if self.family.counts_positions_from_padding() { self.pad_id as usize + 1 } else { 0 }
    }

    /// Most tokens a text may have, special tokens included.
    pub fn usable_positions(&self) -> usize {
        self.positions.saturating_sub(self.position_offset())
    }

    /// The activation after `pooler.dense`.
    pub fn pooler_activation(&self) -> PoolerActivation {
        match self.family {
            Family::Bert | Family::Roberta | Family::MpNet => PoolerActivation::Tanh,
            Family::DistilBert => PoolerActivation::Relu,
            Family::Electra => PoolerActivation::Gelu,
        }
    }

    /// The activation inside the masked-language-model head: that of the encoder, but always the erf
    /// GELU in RoBERTa, MPNet and ELECTRA.
    pub fn masked_lm_activation(&self) -> Activation {
        match self.family {
            Family::Bert | Family::DistilBert => self.activation,
            Family::Roberta | Family::MpNet | Family::Electra => Activation::Gelu,
        }
    }

    /// Dropout rate before the classifier, in training only.
    pub fn classifier_dropout_rate(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout)
    }

    /// Outputs of the classifier: classes, 1 for regression, 0 without a classifier.
    pub fn outputs(&self) -> usize {
        self.head.outputs()
    }

    /// Inputs of the classifier: H, or 1 where its input is a cosine.
    pub fn classifier_width(&self) -> usize {
        match (&self.head, self.classifier_input) {
            (Head::Classification { .. }, ClassifierInput::Cosine) => 1,
            _ => self.hidden,
        }
    }

    /// Whether a pair is encoded as two sequences, one for each text, rather than as one.
    pub fn encodes_pairs_separately(&self) -> bool {
        matches!(self.head, Head::Classification { .. }) && self.classifier_input == ClassifierInput::Cosine
    }
}

impl Head {
    /// Outputs of the classifier: classes, 1 for regression, 2 for start and end of an answer, 0 without a
    /// classifier.
    pub fn outputs(&self) -> usize {
        match self {
            Head::Classification { target: Target::Labels(labels) | Target::MultiLabel(labels) }
            | Head::TokenClassification { labels } => labels.len(),
            Head::Classification { target: Target::Regression } => 1,
            Head::QuestionAnswering => 2,
            Head::None | Head::MaskedLm | Head::Pretraining => 0,
        }
    }

    /// Names of the classes, by id; empty where there are none.
    pub fn labels(&self) -> &[String] {
        match self {
            Head::Classification { target: Target::Labels(labels) | Target::MultiLabel(labels) }
            | Head::TokenClassification { labels } => labels,
            _ => &[],
        }
    }

    /// Whether it has an output for each token.
    pub fn is_by_token(&self) -> bool {
        match self {
            Head::TokenClassification { .. } | Head::QuestionAnswering | Head::MaskedLm | Head::Pretraining => true,
            Head::None | Head::Classification { .. } => false,
        }
    }

    /// Whether this is a task head: classification, regression, tagging or question answering, as opposed to a pretraining head
    /// or none.
    pub fn is_task_head(&self) -> bool {
        matches!(self, Head::Classification { .. } | Head::TokenClassification { .. } | Head::QuestionAnswering)
    }

    /// Whether there is a masked-language-model head.
    pub fn has_masked_lm(&self) -> bool {
        matches!(self, Head::MaskedLm | Head::Pretraining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_start_after_the_padding_id_in_roberta_and_mpnet() {
        let bert = EncoderConfig::bert_base();
        assert_eq!((bert.position_offset(), bert.usable_positions()), (0, 512));
        let roberta = EncoderConfig { family: Family::Roberta, pad_id: 1, positions: 514, types: 1, ..bert };
        assert_eq!((roberta.position_offset(), roberta.usable_positions()), (2, 512));
        let mpnet = EncoderConfig { family: Family::MpNet, types: 0, ..roberta };
        assert_eq!((mpnet.position_offset(), mpnet.usable_positions()), (2, 512));
    }

    #[test]
    fn a_head_brings_the_pooler_it_needs() {
        let labels = || vec!["no".into(), "yes".into()];
        let bert = EncoderConfig::bert_base();
        assert!(bert.clone().with_head(Head::Pretraining).pooler);
        assert!(!bert.clone().with_head(Head::MaskedLm).pooler);
        let classifier = bert.with_head(Head::Classification { target: Target::Labels(labels()) });
        assert!(classifier.pooler && classifier.validate().is_ok());
        let tagger = classifier.with_head(Head::TokenClassification { labels: labels() });
        assert!(!tagger.pooler && tagger.validate().is_ok());
    }
}
