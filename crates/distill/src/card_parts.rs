//! Parts that the cards of trained and of quantized models share.

use attar_model::card::{Interval, Score as CardScore, SizeRow};
use attar_model::{EncoderConfig, Size, flops};
use attar_text::metrics::Score;

/// Tokens of the text that FLOPs are stated for.
pub(crate) const FLOPS_TOKENS: usize = 128;

/// A score on a data set; `None` where it is undefined.
pub(crate) fn score(dataset: &str, score: &Score) -> Option<CardScore> {
    Some(CardScore {
        task: "text-classification".into(),
        dataset: dataset.into(),
        dataset_name: dataset.into(),
        split: None,
        metric: score.metric.name().into(),
        value: score.value?,
        interval: score.interval.map(|i| Interval { low: i.low, high: i.high, level: i.confidence }),
        rows: score.rows,
    })
}

/// The size of a model whose weights have so many bytes.
pub(crate) fn size(model: &str, config: &EncoderConfig, bytes: usize) -> SizeRow {
    SizeRow {
        model: model.into(),
        parameters: Size::of(config).parameters(),
        bytes,
        flops: flops(config, FLOPS_TOKENS).total(),
        tokens: FLOPS_TOKENS,
    }
}
