//! Configurations that lie about the weights beside them.

use attar_model::{Bundle, Error, checkpoint};
use attar_testing::{FixtureModel, fixture_models};
use serde_json::json;

use crate::assert_memory_is_bounded;

#[test]
fn sizes_that_cannot_be_are_refused_before_anything_is_made_of_them() {
    let classifies = |model: &FixtureModel| model.architecture == "BertForSequenceClassification";
    let model = fixture_models().into_iter().find(classifies).expect("a classifier among the fixtures");
    let honest = attar_testing::json(&model.dir.join("config.json"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(model.dir.join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    let (mut refused, mut accepted) = (0, 0);
    for key in [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
        "num_labels",
    ] {
        for lie in [json!(0), json!(1), json!(1023), json!(1 << 17), json!(1u64 << 40), json!(u64::MAX), json!(-1)] {
            let mut config = honest.clone();
            config[key] = lie.clone();
            std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
            match checkpoint::load(dir.path()) {
                Err(Error::Config { .. } | Error::Shape { .. } | Error::NoEncoder { .. }) => refused += 1,
                Err(other) => panic!("{key} {lie}: {other:?}"),
                // One head instead of three has the same shapes, and one layer of two can be read.
                Ok(_) => {
                    let fits = ["num_attention_heads", "num_hidden_layers"].contains(&key) && lie == 1;
                    assert!(fits || lie == honest[key], "{key} {lie}");
                    accepted += 1;
                }
            }
        }
    }
    assert!(refused > 10 * accepted, "{refused} refused, {accepted} accepted");
    assert_memory_is_bounded();
}

#[test]
fn deep_json_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), "[".repeat(1 << 20)).unwrap();
    assert!(matches!(checkpoint::load(dir.path()), Err(Error::Json { .. })));
    std::fs::write(dir.path().join("modules.json"), "{\"a\":".repeat(1 << 18)).unwrap();
    assert!(matches!(Bundle::read(dir.path()), Err(Error::Json { .. })));
    assert_memory_is_bounded();
}

#[test]
fn text_files_of_unlikely_length_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    // Sparse: it claims a terabyte and holds nothing.
    let file = std::fs::File::create(dir.path().join("config.json")).unwrap();
    if file.set_len(1 << 40).is_ok() {
        assert!(matches!(checkpoint::load(dir.path()), Err(Error::TooLong { .. })));
    }
    assert_memory_is_bounded();
}
