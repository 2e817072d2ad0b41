//! What the file says beside the graph.

use attar_model::{Bundle, Head, PoolingMode, Target};

use super::proto::StringStringEntryProto;

/// Keys and values of the file's `metadata_props`: what a program has to know that the graph does not say.
pub(super) fn of(bundle: &Bundle) -> Vec<StringStringEntryProto> {
    let config = &bundle.config;
    let mut all: Vec<(&str, String)> = Vec::new();
    let labels = config.head.labels();
    if !labels.is_empty() {
        all.push(("labels", serde_json::json!(labels).to_string()));
    }
    if let Head::Classification { target } = &config.head {
        let kind = match target {
            Target::Labels(_) => "single_label_classification",
            Target::MultiLabel(_) => "multi_label_classification",
            Target::Regression => "regression",
        };
        all.push(("problem_type", kind.into()));
    }
    let first = |name: &str| {
        let found = bundle.weights.get(name).map(|tensor| tensor.data.first().copied());
        let quantized = || bundle.quantized.as_ref()?.get(name).map(|tensor| tensor.dequantize().data.first().copied());
        found.or_else(quantized).flatten()
    };
    if config.encodes_pairs_separately()
        && let (Some(scale), Some(offset)) = (first("classifier.weight"), first("classifier.bias"))
    {
        // The score of a pair is `scale · cos + offset` of its texts' vectors.
        all.push(("cosine_scale", scale.to_string()));
        all.push(("cosine_offset", offset.to_string()));
    }
    if let Some(pooling) = bundle.pooling.filter(|_| config.head == Head::None) {
        let mode = match pooling.mode {
            PoolingMode::Cls => "cls",
            PoolingMode::Mean => "mean",
            PoolingMode::Max => "max",
            PoolingMode::MeanSqrtLength => "mean_sqrt_len_tokens",
            PoolingMode::LastToken => "lasttoken",
        };
        all.push(("pooling", mode.into()));
        all.push(("normalize", pooling.normalize.to_string()));
        if !bundle.prompts.named.is_empty() {
            all.push(("prompts", serde_json::json!(bundle.prompts.named).to_string()));
        }
    }
    let max_tokens = bundle.max_tokens.unwrap_or(usize::MAX).min(config.usable_positions());
    all.push(("max_tokens", max_tokens.to_string()));
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    all.into_iter().map(entry).collect()
}
