//! The tensors of an encoder: canonical names, shapes, and their order.
//!
//! Canonical names are BERT's own without the prefix `bert.`, for all families. In each of them the class logits are
//! `classifier(act(pooler.dense(h_0)))` unless the configuration says otherwise, so DistilBERT's `pre_classifier` and
//! the `classifier.dense` of RoBERTa, MPNet and ELECTRA are called `pooler.dense` here, and their `classifier.out_proj` is
//! `classifier`, as are the `qa_outputs` of a question-answering head. MPNet's `attention.attn.q` is
//! `attention.self.query`, and its one table of biases by distance, which all layers share, stands before the layers. So does
//! the map from ELECTRA's embeddings to its states.
//! A `weight` of a dense layer is `[out, in]`.

use crate::config::{EncoderConfig, Head};
use crate::relative_positions::{RELATIVE_BIAS, RELATIVE_BUCKETS};

/// Names and shapes of all tensors of an encoder, in the parameter order of the project: embeddings, layers
/// from the first, pooler, head; a weight before its bias.
///
/// Training visits parameters in this order and files, hashes and random streams are keyed by it.
///
/// The decoder of a masked-language-model head is the word embedding matrix and has no entry of its own.
///
/// ```
/// use attar_model::{EncoderConfig, expected_shapes};
///
/// let shapes = expected_shapes(&EncoderConfig::bert_base());
/// assert_eq!(shapes[0], ("embeddings.word_embeddings.weight".to_string(), vec![30_522, 768]));
/// assert_eq!(shapes.len(), 5 + 12 * 16 + 2);
/// ```
pub fn expected_shapes(config: &EncoderConfig) -> Vec<(String, Vec<usize>)> {
    let (h, e) = (config.hidden, config.embedding_width());
    let mut shapes = Shapes(Vec::new());
    shapes.push("embeddings.word_embeddings.weight", vec![config.vocabulary, e]);
    shapes.push("embeddings.position_embeddings.weight", vec![config.positions, e]);
    if config.family.has_token_types() {
        shapes.push("embeddings.token_type_embeddings.weight", vec![config.types, e]);
    }
    shapes.layer_norm("embeddings.LayerNorm", e);
    if config.embedding.is_some() {
        shapes.dense(EMBEDDING_PROJECTION, h, e);
    }
    if config.family.has_relative_bias() {
        shapes.push(RELATIVE_BIAS, vec![RELATIVE_BUCKETS, config.heads]);
    }
    for layer in 0..config.layers {
        let at = |part: &str| format!("encoder.layer.{layer}.{part}");
        for projection in ["query", "key", "value"] {
            shapes.dense(&at(&format!("attention.self.{projection}")), h, h);
        }
        shapes.dense(&at("attention.output.dense"), h, h);
        shapes.layer_norm(&at("attention.output.LayerNorm"), h);
        shapes.dense(&at("intermediate.dense"), config.feed_forward, h);
        shapes.dense(&at("output.dense"), h, config.feed_forward);
        shapes.layer_norm(&at("output.LayerNorm"), h);
    }
    if config.pooler {
        shapes.dense("pooler.dense", h, h);
    }
    match &config.head {
        Head::None => {}
        Head::Classification { .. } | Head::TokenClassification { .. } | Head::QuestionAnswering => {
            shapes.dense("classifier", config.head.outputs(), config.classifier_width());
        }
        Head::MaskedLm => shapes.masked_lm(config),
        Head::Pretraining => {
            shapes.masked_lm(config);
            shapes.dense("cls.seq_relationship", 2, h);
        }
    }
    shapes.0
}

/// The dense layer from factorized embeddings, after their normalization, to the width of the hidden states.
pub const EMBEDDING_PROJECTION: &str = "embeddings_project";

/// Whether this is a tensor of the encoder itself. The others belong to pooler and head and can be newly
/// initialized.
pub(crate) fn is_encoder(name: &str) -> bool {
    ["embeddings.", EMBEDDING_PROJECTION, "encoder."].iter().any(|start| name.starts_with(start))
}

struct Shapes(Vec<(String, Vec<usize>)>);

impl Shapes {
    fn push(&mut self, name: impl Into<String>, shape: Vec<usize>) {
        self.0.push((name.into(), shape));
    }

    fn dense(&mut self, name: &str, out: usize, input: usize) {
        self.push(format!("{name}.weight"), vec![out, input]);
        self.push(format!("{name}.bias"), vec![out]);
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.push(format!("{name}.weight"), vec![width]);
        self.push(format!("{name}.bias"), vec![width]);
    }

    fn masked_lm(&mut self, config: &EncoderConfig) {
        self.dense("cls.predictions.transform.dense", config.embedding_width(), config.hidden);
        self.layer_norm("cls.predictions.transform.LayerNorm", config.embedding_width());
        self.push("cls.predictions.bias", vec![config.vocabulary]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Family, Target};

    #[test]
    fn the_order_is_fixed() {
        let config = EncoderConfig { layers: 1, ..EncoderConfig::bert_base() }.with_head(Head::Pretraining);
        let names: Vec<String> = expected_shapes(&config).into_iter().map(|(name, _)| name).collect();
        let expected = "embeddings.word_embeddings.weight embeddings.position_embeddings.weight \
            embeddings.token_type_embeddings.weight embeddings.LayerNorm.weight embeddings.LayerNorm.bias \
            encoder.layer.0.attention.self.query.weight encoder.layer.0.attention.self.query.bias \
            encoder.layer.0.attention.self.key.weight encoder.layer.0.attention.self.key.bias \
            encoder.layer.0.attention.self.value.weight encoder.layer.0.attention.self.value.bias \
            encoder.layer.0.attention.output.dense.weight encoder.layer.0.attention.output.dense.bias \
            encoder.layer.0.attention.output.LayerNorm.weight encoder.layer.0.attention.output.LayerNorm.bias \
            encoder.layer.0.intermediate.dense.weight encoder.layer.0.intermediate.dense.bias \
            encoder.layer.0.output.dense.weight encoder.layer.0.output.dense.bias \
            encoder.layer.0.output.LayerNorm.weight encoder.layer.0.output.LayerNorm.bias \
            pooler.dense.weight pooler.dense.bias \
            cls.predictions.transform.dense.weight cls.predictions.transform.dense.bias \
            cls.predictions.transform.LayerNorm.weight cls.predictions.transform.LayerNorm.bias \
            cls.predictions.bias cls.seq_relationship.weight cls.seq_relationship.bias";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn distilbert_has_no_token_types() {
        let config = EncoderConfig { family: Family::DistilBert, types: 0, ..EncoderConfig::bert_base() }
            .with_head(Head::Classification { target: Target::Regression });
        let shapes = expected_shapes(&config);
        assert!(!shapes.iter().any(|(name, _)| name.contains("token_type")));
        assert_eq!(shapes.last().unwrap().1, [1]);
    }

    #[test]
    fn factorized_embeddings_have_their_width_up_to_the_map() {
        let config = EncoderConfig { family: Family::Electra, embedding: Some(128), ..EncoderConfig::bert_base() };
        let shapes = expected_shapes(&config.with_head(Head::MaskedLm));
        let of = |name: &str| shapes.iter().find(|(its, _)| its == name).map(|(_, shape)| shape.clone()).unwrap();
        assert_eq!(of("embeddings.word_embeddings.weight"), [30_522, 128]);
        assert_eq!(of("embeddings.LayerNorm.bias"), [128]);
        assert_eq!(shapes[5], ("embeddings_project.weight".to_string(), vec![768, 128]));
        assert_eq!(of("encoder.layer.0.attention.self.query.weight"), [768, 768]);
        // The decoder is the table, so what it reads is as wide.
        assert_eq!(of("cls.predictions.transform.dense.weight"), [128, 768]);
        assert!(is_encoder("embeddings_project.bias"));
    }

    #[test]
    fn mpnet_has_a_table_of_biases_before_its_layers() {
        let config = EncoderConfig { family: Family::MpNet, types: 0, pad_id: 1, ..EncoderConfig::bert_base() };
        let shapes = expected_shapes(&config);
        assert_eq!(shapes[4], (RELATIVE_BIAS.to_string(), vec![32, 12]));
        assert_eq!(shapes[5].0, "encoder.layer.0.attention.self.query.weight");
        assert!(!shapes.iter().any(|(name, _)| name.contains("token_type")));
    }
}
