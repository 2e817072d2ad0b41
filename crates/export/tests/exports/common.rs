//! Small models of every kind.

use attar_model::{Bundle, EncoderConfig, Family, Head, Target, Tensor, Weights, expected_shapes};

pub(crate) fn config(family: Family, head: Head) -> EncoderConfig {
    let (pad_id, positions) = if family.counts_positions_from_padding() { (1, 26) } else { (0, 24) };
    let types = if family.has_token_types() { 2 } else { 0 };
    EncoderConfig {
        family,
        layers: 2,
        hidden: 24,
        embedding: (family == Family::Electra).then_some(10),
        heads: 4,
        feed_forward: 40,
        vocabulary: 50,
        positions,
        types,
        pad_id,
        ..EncoderConfig::bert_base()
    }
    .with_head(head)
}

pub(crate) fn numbers(shape: &[usize], seed: usize, scale: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |i: usize| (((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5) * scale;
    Tensor::new(shape.to_vec(), (0..count).map(number).collect())
}

pub(crate) fn bundle(config: EncoderConfig) -> Bundle {
    config.validate().unwrap();
    let tensor = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let tensor = numbers(&shape, at, 0.7);
        (name, tensor)
    };
    let weights: Weights = expected_shapes(&config).into_iter().enumerate().map(tensor).collect();
    Bundle::new(config, weights)
}

pub(crate) fn labels(head: fn(Vec<String>) -> Target) -> Head {
    Head::Classification { target: head(vec!["no".into(), "yes".into(), "perhaps".into()]) }
}
