//! Shared by the tests: where the fixture models are, and how weights are compared.
use std::path::{Path, PathBuf};

use attar_model::{EncoderConfig, Tensor, Weights};
use attar_testing::{FixtureModel, fixture_models, fixtures};
use serde_json::Value;

/// Directories of all fixture models that have a configuration and weights of their own, all of which attar reads.
pub(crate) fn model_dirs() -> Vec<PathBuf> {
    // Of a discriminator the encoder alone is read, and written as such.
    let forward = fixture_models().into_iter().filter(|model| model.architecture != "ElectraForPreTraining");
    let forward = forward.map(|model| model.dir);
    let trained = ["mlm/model", "seqcls/model", "tinybert/student", "tinybert/teacher"];
    let trained = trained.into_iter().map(|name| fixtures("gradients").join(name));
    forward.chain(trained).collect()
}

/// Pairs of a directory with only a `pytorch_model.bin` and the model whose weights it holds, with the format of the
/// file.
pub(crate) fn bin_dirs() -> Vec<(String, PathBuf, FixtureModel)> {
    let all: Vec<_> = fixture_models()
        .into_iter()
        .flat_map(|model| model.bins.clone().into_iter().map(move |(format, bin)| (format, bin, model.clone())))
        .collect();
    assert!(!all.is_empty(), "no model has a pytorch_model.bin beside it");
    all
}

/// An encoder of few numbers.
pub(crate) fn tiny(layers: usize) -> EncoderConfig {
    EncoderConfig {
        layers,
        hidden: 6,
        heads: 2,
        feed_forward: 8,
        vocabulary: 11,
        positions: 7,
        ..EncoderConfig::bert_base()
    }
}

pub(crate) fn config_json(dir: &Path) -> Value {
    attar_testing::json(&dir.join("config.json"))
}

/// Bits, so that NaN equals itself and 0 differs from -0.
pub(crate) fn bits(tensor: &Tensor) -> (&[usize], Vec<u32>) {
    (&tensor.shape, tensor.data.iter().map(|number| number.to_bits()).collect())
}

#[track_caller]
pub(crate) fn assert_same_bits(got: &Weights, expected: &Weights) {
    assert!(!expected.is_empty(), "nothing to compare");
    assert_eq!(got.names().collect::<Vec<_>>(), expected.names().collect::<Vec<_>>());
    for ((name, got), (_, expected)) in got.iter().zip(expected.iter()) {
        assert!(bits(got) == bits(expected), "{name} differs");
    }
}

/// An error and its causes in one line, as the program prints them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
