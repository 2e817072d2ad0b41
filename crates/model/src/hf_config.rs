//! Hugging Face's `config.json`, for the five families.
//!
//! [`parse`] takes what `transformers` would take and refuses, with the key and the reason, what attar
//! does not compute. [`emit`] writes what `transformers` loads. Keys without meaning for attar are kept in
//! [`EncoderConfig::extra`](crate::EncoderConfig::extra) and are written back unchanged.
//!
//! Reading is as lenient as in `transformers`: sizes are required, everything else has the default of
//! the family's configuration class; without `id2label` and `num_labels` there are two classes; one class
//! means regression; a file without `model_type` (TinyBERT's own) is told by `architectures` or its keys.

mod labels;
mod read;
mod write;

pub use labels::are_default_labels;
pub use read::parse;
pub use write::emit;

use crate::config::{ClassifierInput, EncoderConfig, Family, Head};

/// Keys whose meaning lies in the fields of the configuration, by family.
struct SizeKeys {
    layers: &'static str,
    hidden: &'static str,
    heads: &'static str,
    feed_forward: &'static str,
    activation: &'static str,
    hidden_dropout: &'static str,
    attention_dropout: &'static str,
    classifier_dropout: &'static str,
}

impl SizeKeys {
    fn of(family: Family) -> Self {
        match family {
            Family::Bert | Family::Roberta | Family::MpNet | Family::Electra => SizeKeys {
                layers: "num_hidden_layers",
                hidden: "hidden_size",
                heads: "num_attention_heads",
                feed_forward: "intermediate_size",
                activation: "hidden_act",
                hidden_dropout: "hidden_dropout_prob",
                attention_dropout: "attention_probs_dropout_prob",
                classifier_dropout: "classifier_dropout",
            },
            Family::DistilBert => SizeKeys {
                layers: "n_layers",
                hidden: "dim",
                heads: "n_heads",
                feed_forward: "hidden_dim",
                activation: "activation",
                hidden_dropout: "dropout",
                attention_dropout: "attention_dropout",
                classifier_dropout: "seq_classif_dropout",
            },
        }
    }
}

/// Default of DistilBERT's `seq_classif_dropout`, where the other families follow the hidden states.
const DISTILBERT_CLASSIFIER_DROPOUT: f64 = 0.2;

/// Says that a bare BERT, RoBERTa or MPNet has no pooler. `transformers` has no key for that, only the argument
/// `add_pooling_layer` of the model, which a key of the same name would hide: without it, `transformers`
/// initializes a pooler and warns.
const POOLER: &str = "attar_pooler";

/// What a classification head reads where that is not the first token: `mean` or `cosine`. `transformers` has no class
/// for such a head over these encoders; it loads the encoder alone, and sentence-transformers loads head and all from
/// the modules that are written beside it.
const CLASSIFIER_INPUT: &str = "attar_classifier_input";

/// The classes attar reads: family, kind of head, name. Of several for a kind the first is written.
const ARCHITECTURES: [(Family, HeadKind, &str); 27] = [
    (Family::Bert, HeadKind::None, "BertModel"),
    (Family::Bert, HeadKind::Classification, "BertForSequenceClassification"),
    (Family::Bert, HeadKind::TokenClassification, "BertForTokenClassification"),
    (Family::Bert, HeadKind::QuestionAnswering, "BertForQuestionAnswering"),
    (Family::Bert, HeadKind::MaskedLm, "BertForMaskedLM"),
    (Family::Bert, HeadKind::Pretraining, "BertForPreTraining"),
    (Family::DistilBert, HeadKind::None, "DistilBertModel"),
    (Family::DistilBert, HeadKind::Classification, "DistilBertForSequenceClassification"),
    (Family::DistilBert, HeadKind::TokenClassification, "DistilBertForTokenClassification"),
    (Family::DistilBert, HeadKind::QuestionAnswering, "DistilBertForQuestionAnswering"),
    (Family::DistilBert, HeadKind::MaskedLm, "DistilBertForMaskedLM"),
    (Family::Roberta, HeadKind::None, "RobertaModel"),
    (Family::Roberta, HeadKind::Classification, "RobertaForSequenceClassification"),
    (Family::Roberta, HeadKind::TokenClassification, "RobertaForTokenClassification"),
    (Family::Roberta, HeadKind::QuestionAnswering, "RobertaForQuestionAnswering"),
    (Family::Roberta, HeadKind::MaskedLm, "RobertaForMaskedLM"),
    (Family::MpNet, HeadKind::None, "MPNetModel"),
    (Family::MpNet, HeadKind::Classification, "MPNetForSequenceClassification"),
    (Family::MpNet, HeadKind::TokenClassification, "MPNetForTokenClassification"),
    (Family::MpNet, HeadKind::QuestionAnswering, "MPNetForQuestionAnswering"),
    (Family::MpNet, HeadKind::MaskedLm, "MPNetForMaskedLM"),
    (Family::Electra, HeadKind::None, "ElectraModel"),
    // What tells replaced tokens from others in pre-training is of no use afterwards: the encoder is read.
    (Family::Electra, HeadKind::None, "ElectraForPreTraining"),
    (Family::Electra, HeadKind::Classification, "ElectraForSequenceClassification"),
    (Family::Electra, HeadKind::TokenClassification, "ElectraForTokenClassification"),
    (Family::Electra, HeadKind::QuestionAnswering, "ElectraForQuestionAnswering"),
    (Family::Electra, HeadKind::MaskedLm, "ElectraForMaskedLM"),
];

/// Rows of MPNet's table of biases. The library's code computes with 32, whatever stands here.
const RELATIVE_BUCKETS_KEY: &str = "relative_attention_num_buckets";

/// Width of ELECTRA's embeddings; the map from them is there if it is not that of the states.
const EMBEDDING_KEY: &str = "embedding_size";

#[derive(Clone, Copy, PartialEq, Eq)]
enum HeadKind {
    None,
    Classification,
    TokenClassification,
    QuestionAnswering,
    MaskedLm,
    Pretraining,
}

impl HeadKind {
    /// The kind of head of the class that `transformers` loads a configuration with.
    fn of(config: &EncoderConfig) -> Self {
        match &config.head {
            Head::None => HeadKind::None,
            Head::Classification { .. } if config.classifier_input != ClassifierInput::FirstToken => HeadKind::None,
            Head::Classification { .. } => HeadKind::Classification,
            Head::TokenClassification { .. } => HeadKind::TokenClassification,
            Head::QuestionAnswering => HeadKind::QuestionAnswering,
            Head::MaskedLm => HeadKind::MaskedLm,
            Head::Pretraining => HeadKind::Pretraining,
        }
    }
}

fn model_type(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert",
        Family::DistilBert => "distilbert",
        Family::Roberta => "roberta",
        Family::MpNet => "mpnet",
        Family::Electra => "electra",
    }
}
