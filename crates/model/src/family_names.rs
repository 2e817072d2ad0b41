//! Names of tensors in files, by family, and how they map to canonical names.
//!
//! A family's files differ in three ways: the names of the parts (DistilBERT, MPNet, RoBERTa's and ELECTRA's heads), the prefix
//! (`bert.` where a head stands on the encoder, none for a bare one; readers accept both) and age (`gamma` and
//! `beta` for `weight` and `bias` of a layer normalization).

use std::collections::BTreeMap;

use crate::config::{ClassifierInput, EncoderConfig, Family, Head};
use crate::names::{EMBEDDING_PROJECTION, expected_shapes};

/// The name a tensor has in the file that `transformers` loads with the class of this configuration.
///
/// ```
/// use attar_model::{EncoderConfig, Head, family_name};
///
/// let bare = EncoderConfig::bert_base();
/// assert_eq!(family_name(&bare, "pooler.dense.bias"), "pooler.dense.bias");
/// let language_model = bare.with_head(Head::MaskedLm);
/// assert_eq!(family_name(&language_model, "embeddings.LayerNorm.bias"), "bert.embeddings.LayerNorm.bias");
/// ```
pub fn family_name(config: &EncoderConfig, canonical: &str) -> String {
    let part = family_part(config, canonical);
    let under_head = config.head != Head::None && !reads_states(config) && is_inside_encoder(&part);
    if under_head { format!("{}{part}", prefix(config.family)) } else { part }
}

/// Whether a classifier reads token states rather than the pooler, which no class of `transformers` does: the file is
/// then that of the bare encoder, with the classifier's tensors beside it.
fn reads_states(config: &EncoderConfig) -> bool {
    matches!(config.head, Head::Classification { .. }) && config.classifier_input != ClassifierInput::FirstToken
}

/// What a name in a file means for a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The tensor of this canonical name.
    Tensor(String),
    /// A second name of this tensor, which shares its numbers: used if the first is absent.
    Alias(String),
    /// Known and not needed: buffers, optimizer state, projections of a distillation.
    Ignored,
    /// A tensor of a head or pooler that the configuration does not have.
    OtherHead,
    /// Not known.
    Unknown,
}

/// The meanings of names in files, for one configuration.
pub(crate) struct Names {
    family: Family,
    /// Canonical name by family name without prefix.
    canonical: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn of(config: &EncoderConfig) -> Self {
        let names = expected_shapes(config).into_iter().map(|(name, _)| (family_part(config, &name), name));
        Names { family: config.family, canonical: names.collect() }
    }

    /// What a name means, without the wrappers that it may be in.
    pub(crate) fn meaning(&self, file_name: &str) -> Meaning {
        let mut name = file_name;
        loop {
            let meaning = self.meaning_as_it_is(name);
            match WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
                Some(inner) if meaning == Meaning::Unknown => name = inner,
                _ => return meaning,
            }
        }
    }

    /// A name without the prefix of its family.
    pub(crate) fn part<'a>(&self, name: &'a str) -> &'a str {
        unprefixed(self.family, name)
    }

    fn meaning_as_it_is(&self, file_name: &str) -> Meaning {
        let part = modern(unprefixed(self.family, file_name));
        if let Some(name) = self.canonical.get(&part) {
            return Meaning::Tensor(name.clone());
        }
        if let Some(name) = alias(&part).filter(|name| self.canonical.values().any(|known| known == name)) {
            return Meaning::Alias(name.into());
        }
        if is_ignorable(&part) {
            Meaning::Ignored
        } else if HEADS.iter().any(|start| part.starts_with(start)) {
            Meaning::OtherHead
        } else {
            Meaning::Unknown
        }
    }
}

/// What training programs put before the names of the model that they wrap: data parallelism, `torch.compile`, and
/// modules that hold it.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// How names of heads and poolers begin.
const HEADS: [&str; 13] = [
    "pooler.dense.",
    "classifier.",
    "pre_classifier.",
    "qa_outputs.",
    "cls.predictions.",
    "cls.seq_relationship.",
    "lm_head.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "generator_predictions.",
    "generator_lm_head.",
    "discriminator_predictions.",
];

fn prefix(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert.",
        Family::DistilBert => "distilbert.",
        Family::Roberta => "roberta.",
        Family::MpNet => "mpnet.",
        Family::Electra => "electra.",
    }
}

/// Whether a name without prefix belongs to what the prefix is for.
fn is_inside_encoder(part: &str) -> bool {
    ["embeddings.", EMBEDDING_PROJECTION, "encoder.", "transformer.", "pooler."]
        .iter()
        .any(|start| part.starts_with(start))
}

fn unprefixed(family: Family, name: &str) -> &str {
    name.strip_prefix(prefix(family)).filter(|part| is_inside_encoder(part)).unwrap_or(name)
}

/// The name as it is written today.
fn modern(part: &str) -> String {
    match part.rsplit_once('.') {
        Some((start, "gamma")) => format!("{start}.weight"),
        Some((start, "beta")) => format!("{start}.bias"),
        _ => part.into(),
    }
}

/// The family's name of a canonical tensor, without prefix.
fn family_part(config: &EncoderConfig, canonical: &str) -> String {
    let renamed = |table: &[(&str, &str)]| renamed_part(table, canonical);
    if reads_states(config) && canonical.starts_with("classifier.") {
        return canonical.into();
    }
    if config.head == Head::QuestionAnswering && canonical.starts_with("classifier.") {
        return renamed(&[("classifier.", "qa_outputs.")]);
    }
    let layer_part = canonical.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.'));
    match config.family {
        Family::Bert => canonical.into(),
        Family::MpNet if layer_part.is_some() => {
            layer_part.map_or_else(String::new, |(layer, part)| mpnet_layer_part(layer, part))
        }
        Family::Roberta | Family::MpNet | Family::Electra if matches!(config.head, Head::Classification { .. }) => {
            renamed(&[("pooler.dense.", "classifier.dense."), ("classifier.", "classifier.out_proj.")])
        }
        Family::Roberta | Family::MpNet => renamed(&[
            ("cls.predictions.transform.dense.", "lm_head.dense."),
            ("cls.predictions.transform.LayerNorm.", "lm_head.layer_norm."),
            ("cls.predictions.", "lm_head."),
        ]),
        Family::Electra => renamed(&[
            ("cls.predictions.transform.", "generator_predictions."),
            ("cls.predictions.", "generator_lm_head."),
        ]),
        Family::DistilBert => match layer_part {
            Some((layer, part)) => distilbert_layer_part(layer, part),
            None => renamed(&[
                ("pooler.dense.", "pre_classifier."),
                ("cls.predictions.transform.dense.", "vocab_transform."),
                ("cls.predictions.transform.LayerNorm.", "vocab_layer_norm."),
                ("cls.predictions.", "vocab_projector."),
            ]),
        },
    }
}

fn distilbert_layer_part(layer: &str, part: &str) -> String {
    const PARTS: [(&str, &str); 8] = [
        ("attention.self.query.", "attention.q_lin."),
        ("attention.self.key.", "attention.k_lin."),
        ("attention.self.value.", "attention.v_lin."),
        ("attention.output.dense.", "attention.out_lin."),
        ("attention.output.LayerNorm.", "sa_layer_norm."),
        ("intermediate.dense.", "ffn.lin1."),
        ("output.dense.", "ffn.lin2."),
        ("output.LayerNorm.", "output_layer_norm."),
    ];
    format!("transformer.layer.{layer}.{}", renamed_part(&PARTS, part))
}

fn mpnet_layer_part(layer: &str, part: &str) -> String {
    const PARTS: [(&str, &str); 5] = [
        ("attention.self.query.", "attention.attn.q."),
        ("attention.self.key.", "attention.attn.k."),
        ("attention.self.value.", "attention.attn.v."),
        ("attention.output.dense.", "attention.attn.o."),
        ("attention.output.LayerNorm.", "attention.LayerNorm."),
    ];
    format!("encoder.layer.{layer}.{}", renamed_part(&PARTS, part))
}

/// A name whose beginning is replaced as the table says.
fn renamed_part(table: &[(&str, &str)], part: &str) -> String {
    let renamed = table.iter().find_map(|(from, to)| part.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    renamed.unwrap_or_else(|| part.into())
}

/// The tensor that shares its numbers with this one: the decoder of a masked-language-model head is the word
/// embedding matrix, and its bias stands under two names.
fn alias(part: &str) -> Option<&'static str> {
    match part {
        "cls.predictions.decoder.weight"
        | "lm_head.decoder.weight"
        | "vocab_projector.weight"
        | "generator_lm_head.weight" => Some("embeddings.word_embeddings.weight"),
        "cls.predictions.decoder.bias" | "lm_head.decoder.bias" => Some("cls.predictions.bias"),
        _ => None,
    }
}

fn is_ignorable(part: &str) -> bool {
    // Constants that old versions stored; projections of TinyBERT's general and task distillation.
    const ENDS: [&str; 2] = ["embeddings.position_ids", "embeddings.token_type_ids"];
    const STARTS: [&str; 2] = ["fit_dense.", "fit_denses."];
    // State of an optimizer, under the names of TensorFlow's and PyTorch's checkpoints.
    const OPTIMIZER: [&str; 3] = ["adam_m", "adam_v", "global_step"];
    let last = part.rsplit(['.', '/']).next().unwrap_or(part);
    ENDS.iter().any(|end| part.ends_with(end))
        || STARTS.iter().any(|start| part.starts_with(start))
        || part.starts_with("optimizer.")
        || last.starts_with("AdamWeightDecayOptimizer")
        || OPTIMIZER.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Target;

    fn config(family: Family, head: Head) -> EncoderConfig {
        let types = if family.has_token_types() { 2 } else { 0 };
        let embedding = (family == Family::Electra).then_some(64);
        EncoderConfig { family, types, embedding, pad_id: 1, layers: 2, ..EncoderConfig::bert_base() }.with_head(head)
    }

    fn labels() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    fn heads() -> Vec<Head> {
        vec![
            Head::None,
            Head::Classification { target: Target::Labels(labels()) },
            Head::TokenClassification { labels: labels() },
            Head::QuestionAnswering,
            Head::MaskedLm,
            Head::Pretraining,
        ]
    }

    #[test]
    fn every_written_name_is_read_back_with_and_without_its_prefix() {
        let mut checked = 0;
        for family in Family::ALL {
            for head in heads() {
                let config = config(family, head);
                if config.validate().is_err() {
                    continue;
                }
                let names = Names::of(&config);
                for (canonical, _) in expected_shapes(&config) {
                    let written = family_name(&config, &canonical);
                    assert_eq!(names.meaning(&written), Meaning::Tensor(canonical.clone()), "{written}");
                    let bare = unprefixed(family, &written);
                    assert_eq!(names.meaning(bare), Meaning::Tensor(canonical.clone()), "{bare}");
                    if is_inside_encoder(bare) {
                        let full = format!("{}{bare}", prefix(family));
                        assert_eq!(names.meaning(&full), Meaning::Tensor(canonical.clone()), "{full}");
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 23 * 30, "only {checked} names checked");
    }

    #[test]
    fn names_of_the_families() {
        let classifier = || Head::Classification { target: Target::Labels(labels()) };
        for (family, head, canonical, expected) in [
            (Family::Roberta, classifier(), "pooler.dense.weight", "classifier.dense.weight"),
            (Family::Roberta, classifier(), "classifier.bias", "classifier.out_proj.bias"),
            (Family::Roberta, Head::TokenClassification { labels: labels() }, "classifier.bias", "classifier.bias"),
            (Family::Roberta, Head::QuestionAnswering, "classifier.bias", "qa_outputs.bias"),
            (Family::Bert, Head::QuestionAnswering, "classifier.weight", "qa_outputs.weight"),
            (Family::Roberta, Head::None, "pooler.dense.weight", "pooler.dense.weight"),
            (Family::Roberta, Head::MaskedLm, "cls.predictions.bias", "lm_head.bias"),
            (
                Family::Roberta,
                Head::MaskedLm,
                "cls.predictions.transform.LayerNorm.weight",
                "lm_head.layer_norm.weight",
            ),
            (Family::MpNet, classifier(), "pooler.dense.bias", "classifier.dense.bias"),
            (Family::MpNet, Head::MaskedLm, "cls.predictions.transform.dense.bias", "lm_head.dense.bias"),
            (
                Family::MpNet,
                Head::MaskedLm,
                "encoder.layer.1.attention.output.LayerNorm.bias",
                "mpnet.encoder.layer.1.attention.LayerNorm.bias",
            ),
            (
                Family::MpNet,
                Head::None,
                "encoder.layer.0.attention.output.dense.weight",
                "encoder.layer.0.attention.attn.o.weight",
            ),
            (
                Family::MpNet,
                classifier(),
                "encoder.relative_attention_bias.weight",
                "mpnet.encoder.relative_attention_bias.weight",
            ),
            (Family::DistilBert, classifier(), "pooler.dense.weight", "pre_classifier.weight"),
            (Family::Electra, classifier(), "pooler.dense.weight", "classifier.dense.weight"),
            (Family::Electra, classifier(), "classifier.weight", "classifier.out_proj.weight"),
            (Family::Electra, classifier(), "embeddings_project.bias", "electra.embeddings_project.bias"),
            (Family::Electra, Head::None, "embeddings_project.weight", "embeddings_project.weight"),
            (Family::Electra, Head::TokenClassification { labels: labels() }, "classifier.bias", "classifier.bias"),
            (Family::Electra, Head::QuestionAnswering, "classifier.bias", "qa_outputs.bias"),
            (Family::Electra, Head::MaskedLm, "cls.predictions.bias", "generator_lm_head.bias"),
            (
                Family::Electra,
                Head::MaskedLm,
                "cls.predictions.transform.LayerNorm.bias",
                "generator_predictions.LayerNorm.bias",
            ),
            (Family::DistilBert, Head::MaskedLm, "cls.predictions.bias", "vocab_projector.bias"),
            (
                Family::DistilBert,
                Head::None,
                "encoder.layer.1.attention.output.LayerNorm.bias",
                "transformer.layer.1.sa_layer_norm.bias",
            ),
            (
                Family::DistilBert,
                Head::MaskedLm,
                "encoder.layer.0.output.dense.weight",
                "distilbert.transformer.layer.0.ffn.lin2.weight",
            ),
        ] {
            assert_eq!(family_name(&config(family, head), canonical), expected);
        }
    }

    #[test]
    fn old_names_aliases_and_leftovers() {
        let names = Names::of(&config(Family::Bert, Head::MaskedLm));
        let tensor = |name: &str| Meaning::Tensor(name.into());
        assert_eq!(names.meaning("bert.embeddings.LayerNorm.gamma"), tensor("embeddings.LayerNorm.weight"));
        assert_eq!(
            names.meaning("cls.predictions.transform.LayerNorm.beta"),
            tensor("cls.predictions.transform.LayerNorm.bias")
        );
        assert_eq!(
            names.meaning("cls.predictions.decoder.weight"),
            Meaning::Alias("embeddings.word_embeddings.weight".into())
        );
        for head in ["bert.pooler.dense.weight", "cls.seq_relationship.bias", "module.qa_outputs.bias"] {
            assert_eq!(names.meaning(head), Meaning::OtherHead, "{head}");
        }
        for wrapper in ["module.", "_orig_mod.module.", "model.", "model._orig_mod."] {
            let wrapped = |name: &str| names.meaning(&format!("{wrapper}{name}"));
            assert_eq!(wrapped("bert.embeddings.LayerNorm.gamma"), tensor("embeddings.LayerNorm.weight"), "{wrapper}");
            assert_eq!(wrapped("cls.predictions.bias"), tensor("cls.predictions.bias"), "{wrapper}");
        }
        for leftover in [
            "bert.embeddings.position_ids",
            "fit_dense.weight",
            "fit_denses.3.bias",
            "bert/encoder/layer_0/output/dense/kernel/adam_m",
        ] {
            assert_eq!(names.meaning(leftover), Meaning::Ignored, "{leftover}");
        }
        for stranger in ["bert.encoder.layer.2.output.dense.bias", "bert.cls.predictions.bias", "qa.bias", "cls.x", ""]
        {
            assert_eq!(names.meaning(stranger), Meaning::Unknown, "{stranger}");
        }
        // Without the head that uses it, the bias of the decoder is not needed under any name.
        let bare = Names::of(&config(Family::Bert, Head::None));
        assert_eq!(bare.meaning("cls.predictions.decoder.bias"), Meaning::OtherHead);
    }

    #[test]
    fn the_pooler_of_a_bare_roberta_is_not_its_classifier() {
        let names = Names::of(&config(Family::Roberta, Head::Classification { target: Target::Regression }));
        assert_eq!(names.meaning("roberta.pooler.dense.weight"), Meaning::OtherHead);
    }
}
