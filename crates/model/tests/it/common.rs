//! Shared by the tests: where the fixture models are, and how weights are compared.
use std::path::{Path, PathBuf};

use attar_model::{Tensor, Weights};
use serde_json::Value;

/// Directories of all fixture models that have a configuration and weights of their own.
pub(crate) fn model_dirs() -> Option<Vec<PathBuf>> {
    let root = attar_testing::shared("fixtures")?;
    let index = attar_testing::json(&root.join("forward/index.json"));
    let names = index.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
    let forward: Vec<PathBuf> = names.map(|name| root.join("forward").join(name)).collect();
    assert_eq!(forward.len(), 9);
    let trained = ["mlm/model", "seqcls/model", "tinybert/student", "tinybert/teacher"];
    let trained = trained.into_iter().map(|name| root.join("gradients").join(name));
    Some(forward.into_iter().chain(trained).collect())
}

/// Directories with only a `pytorch_model.bin`, and the model whose weights they hold.
pub(crate) fn bin_dirs() -> Option<Vec<(PathBuf, PathBuf)>> {
    let forward = attar_testing::shared("fixtures/forward")?;
    let pair = |bin: &str, whole: &str| (forward.join(bin), forward.join(whole));
    Some(vec![
        pair("cls2_h36_bin_zip", "cls2_h36"),
        pair("mlm_h20_bin_legacy", "mlm_h20"),
        pair("mlm_h20_bin_legacy_gamma", "mlm_h20"),
    ])
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
