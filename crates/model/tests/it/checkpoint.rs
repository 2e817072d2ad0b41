//! Directories as they come: shards, old names, missing heads, wrong weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use attar_model::{
    EncoderConfig, Error, Family, Head, Target, Tensor, Weights, checkpoint, expected_shapes, family_name, hf_config,
    safetensors_file,
};
use serde_json::json;
use tempfile::TempDir;

use crate::common::{assert_same_bits, chain, tiny};

/// Weights whose every number is different.
fn numbered(config: &EncoderConfig) -> Weights {
    let mut next = 0.0;
    let mut fill = |shape: Vec<usize>| {
        let mut tensor = Tensor::zeros(shape);
        for number in &mut tensor.data {
            next += 1.0;
            *number = next;
        }
        tensor
    };
    expected_shapes(config).into_iter().map(|(name, shape)| (name, fill(shape))).collect()
}

/// Tensors under the names of the file.
fn named(config: &EncoderConfig, weights: &Weights) -> BTreeMap<String, Tensor> {
    weights.iter().map(|(name, tensor)| (family_name(config, name), tensor.clone())).collect()
}

fn directory(config: &EncoderConfig, tensors: &BTreeMap<String, Tensor>) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), config);
    fs::write(dir.path().join("model.safetensors"), safetensors_file::to_bytes(tensors)).unwrap();
    dir
}

fn write_config(dir: &Path, config: &EncoderConfig) {
    fs::write(dir.join("config.json"), hf_config::emit(config).unwrap().to_string()).unwrap();
}

fn classifier() -> Head {
    Head::Classification { target: Target::Labels(vec!["no".into(), "yes".into()]) }
}

#[test]
fn any_prefix_and_the_old_names_are_read() {
    let config = tiny(2).with_head(Head::Pretraining);
    let weights = numbered(&config);
    let renamed = |rename: fn(&str) -> String| -> BTreeMap<String, Tensor> {
        named(&config, &weights).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
    };
    for tensors in [
        renamed(str::to_string),
        renamed(|name| name.strip_prefix("bert.").unwrap_or(name).to_string()),
        renamed(|name| name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")),
    ] {
        let dir = directory(&config, &tensors);
        let loaded = checkpoint::load(dir.path()).unwrap();
        assert_same_bits(&loaded.weights, &weights);
        assert!(loaded.missing.is_empty() && loaded.unexpected.is_empty() && loaded.ignored.is_empty());
    }
}

#[test]
fn every_family_and_head_is_written_and_read() {
    let mut checked = 0;
    for family in Family::ALL {
        let base = match family {
            Family::Bert => tiny(2),
            Family::DistilBert => EncoderConfig { types: 0, classifier_dropout: Some(0.2), ..tiny(2) },
            Family::Roberta => EncoderConfig { types: 1, pad_id: 1, ..tiny(2) },
            Family::MpNet => EncoderConfig { types: 0, pad_id: 1, ..tiny(2) },
            Family::Electra => EncoderConfig { embedding: Some(4), ..tiny(2) },
        };
        for head in [
            Head::None,
            classifier(),
            Head::TokenClassification { labels: vec!["o".into()] },
            Head::MaskedLm,
            Head::Pretraining,
        ] {
            let config = EncoderConfig { family, ..base.clone() }.with_head(head);
            if config.validate().is_err() {
                continue;
            }
            let weights = numbered(&config);
            let loaded = checkpoint::load(directory(&config, &named(&config, &weights)).path()).unwrap();
            assert_same_bits(&loaded.weights, &weights);
            assert_eq!(loaded.config, config);
            checked += 1;
        }
    }
    assert_eq!(checked, 21);
}

#[test]
fn the_head_of_a_discriminator_is_ignored_and_told() {
    let config = EncoderConfig { family: Family::Electra, pooler: false, embedding: Some(4), ..tiny(2) };
    let mut tensors: std::collections::BTreeMap<_, _> = named(&config, &numbered(&config))
        .into_iter()
        .map(|(name, tensor)| (format!("electra.{name}"), tensor))
        .collect();
    for part in ["dense.weight", "dense_prediction.bias"] {
        tensors.insert(format!("discriminator_predictions.{part}"), Tensor::zeros(vec![3]));
    }
    let loaded = checkpoint::load(directory(&config, &tensors).path()).unwrap();
    assert_same_bits(&loaded.weights, &numbered(&config));
    assert_eq!(
        loaded.other_heads,
        ["discriminator_predictions.dense.weight", "discriminator_predictions.dense_prediction.bias"]
    );
    assert!(loaded.unexpected.is_empty() && loaded.missing.is_empty());
}

#[test]
fn leftovers_are_ignored_and_strangers_reported() {
    let config = tiny(2).with_head(classifier());
    let mut tensors = named(&config, &numbered(&config));
    for name in ["fit_dense.weight", "fit_denses.0.bias", "cls.predictions.bias", "bert.embeddings.position_ids"] {
        tensors.insert(name.into(), Tensor::zeros(vec![3]));
    }
    for name in ["bert.encoder.layer.2.output.dense.bias", "adapter.weight"] {
        tensors.insert(name.into(), Tensor::zeros(vec![3]));
    }
    let loaded = checkpoint::load(directory(&config, &tensors).path()).unwrap();
    assert_eq!(
        loaded.ignored,
        ["bert.embeddings.position_ids", "cls.predictions.bias", "fit_dense.weight", "fit_denses.0.bias"]
    );
    assert_eq!(loaded.unexpected, ["adapter.weight", "bert.encoder.layer.2.output.dense.bias"]);
    assert!(loaded.missing.is_empty());
}

#[test]
fn a_tensor_kept_only_under_its_second_name_is_found() {
    // Savers that drop shared tensors keep the alphabetically first name, which may be the decoder's.
    let config = tiny(2).with_head(Head::MaskedLm);
    let weights = numbered(&config);
    let mut tensors = named(&config, &weights);
    for (first, second) in [
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    ] {
        let tensor = tensors.remove(first).unwrap();
        tensors.insert(second.into(), tensor);
    }
    let loaded = checkpoint::load(directory(&config, &tensors).path()).unwrap();
    assert_same_bits(&loaded.weights, &weights);
    assert!(loaded.ignored.is_empty() && loaded.missing.is_empty());
}

#[test]
fn a_bare_encoder_loaded_under_a_head_lists_what_it_lacks() {
    let config = tiny(2);
    let dir = directory(&config, &named(&config, &numbered(&config)));
    let loaded = checkpoint::load_as(dir.path(), classifier()).unwrap();
    assert_eq!(loaded.missing, ["classifier.weight", "classifier.bias"]);
    assert_eq!(loaded.weights.len() + 2, expected_shapes(&loaded.config).len());
    let tagger = checkpoint::load_as(dir.path(), Head::TokenClassification { labels: vec!["o".into()] }).unwrap();
    assert_eq!(tagger.missing, ["classifier.weight", "classifier.bias"]);
    assert_eq!(tagger.ignored, ["pooler.dense.bias", "pooler.dense.weight"]);

    // A directory that names the head is no finished model either.
    let unfinished = config.with_head(classifier());
    write_config(dir.path(), &unfinished);
    let error = attar_model::Bundle::read(dir.path()).unwrap_err();
    assert!(error.to_string().contains("lack classifier.weight, classifier.bias: train the head first"), "{error}");
}

#[test]
fn a_bare_encoder_without_pooler_is_complete() {
    let config = EncoderConfig { pooler: false, ..tiny(2) };
    let dir = directory(&config, &named(&config, &numbered(&config)));
    // The file of another tool does not say that there is none.
    write_config(dir.path(), &tiny(2));
    let loaded = checkpoint::load(dir.path()).unwrap();
    assert!(loaded.missing.is_empty() && !loaded.config.pooler);
}

#[test]
fn shards_are_put_together() {
    let config = tiny(2).with_head(classifier());
    let weights = numbered(&config);
    let tensors = named(&config, &weights);
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &config);
    let (mut halves, mut map) = ([BTreeMap::new(), BTreeMap::new()], serde_json::Map::new());
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        map.insert(name.clone(), json!(format!("model-{}-of-2.safetensors", i % 2 + 1)));
        halves[i % 2].insert(name.clone(), tensor.clone());
    }
    halves[1].insert("stranger".into(), Tensor::zeros(vec![1]));
    let write_index = |map: &serde_json::Map<String, serde_json::Value>| {
        let index = json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
        fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    };
    let shard = |i: usize| dir.path().join(format!("model-{i}-of-2.safetensors"));
    write_index(&map);
    for (i, half) in halves.iter().enumerate() {
        fs::write(shard(i + 1), safetensors_file::to_bytes(half)).unwrap();
    }
    let loaded = checkpoint::load(dir.path()).unwrap();
    assert_same_bits(&loaded.weights, &weights);
    assert_eq!(loaded.unexpected, ["stranger"]);
    assert_eq!(loaded.sources.iter().map(|source| source.path.clone()).collect::<Vec<_>>(), [shard(1), shard(2)]);

    halves[1].remove("classifier.weight").or_else(|| halves[0].remove("classifier.weight")).unwrap();
    for (i, half) in halves.iter().enumerate() {
        fs::write(shard(i + 1), safetensors_file::to_bytes(half)).unwrap();
    }
    assert!(
        matches!(checkpoint::load(dir.path()), Err(Error::NotInShard { tensor, .. }) if tensor == "classifier.weight")
    );

    fs::remove_file(shard(2)).unwrap();
    assert!(
        matches!(checkpoint::load(dir.path()), Err(Error::NoShard { shard, .. }) if shard == "model-2-of-2.safetensors")
    );

    map.insert("classifier.bias".into(), json!("../secret.safetensors"));
    write_index(&map);
    assert!(
        matches!(checkpoint::load(dir.path()), Err(Error::ShardPath { tensor, .. }) if tensor == "classifier.bias")
    );

    for (index, text) in [
        (json!([]), "`weight_map` must be an object with a file for each tensor, got nothing"),
        (json!({"weight_map": 3}), "got 3"),
        (json!({"weight_map": {}}), "got an object"),
        (json!({"weight_map": {"a": 1}}), "`weight_map.a` must be a file name, got 1"),
    ] {
        fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        let error = checkpoint::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(text), "expected `{text}` in `{error}`");
    }
}

#[test]
fn weights_of_another_model_are_refused() {
    let config = tiny(2);
    let tensors = named(&config, &numbered(&config));
    for (changed, text) in [
        (
            EncoderConfig { vocabulary: 12, ..tiny(2) },
            "tensor `embeddings.word_embeddings.weight` has shape [11, 6], config.json says [12, 6]",
        ),
        (
            EncoderConfig { layers: 3, ..tiny(2) },
            "lacks 16 encoder tensors, the first is `encoder.layer.2.attention.self.query.weight`; \
             it holds names like `embeddings.LayerNorm.bias`",
        ),
        (EncoderConfig { family: Family::Roberta, pad_id: 1, ..tiny(2) }.with_head(classifier()), ""),
        (
            EncoderConfig { family: Family::DistilBert, types: 0, pooler: false, ..tiny(2) },
            "the first is `transformer.layer.0.attention.q_lin.weight`",
        ),
    ] {
        let dir = directory(&config, &tensors);
        write_config(dir.path(), &changed);
        match checkpoint::load(dir.path()) {
            Err(error) => {
                let error = error.to_string();
                assert!(!text.is_empty() && error.contains(text), "expected `{text}` in `{error}`");
                assert!(error.contains("model.safetensors"), "{error}");
            }
            // RoBERTa's encoder has BERT's names: what differs is the head.
            Ok(loaded) => {
                assert_eq!(text, "");
                assert_eq!(loaded.missing.len(), 4);
            }
        }
    }
}

#[test]
fn two_names_for_one_tensor_are_refused() {
    let config = tiny(2);
    let mut tensors = named(&config, &numbered(&config));
    tensors.insert("bert.embeddings.LayerNorm.gamma".into(), Tensor::zeros(vec![6]));
    let error = checkpoint::load(directory(&config, &tensors).path()).unwrap_err().to_string();
    let text = "`bert.embeddings.LayerNorm.gamma` and `embeddings.LayerNorm.weight` both name the tensor";
    assert!(error.contains(text), "{error}");
}

#[test]
fn an_incomplete_directory_says_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let error = checkpoint::load(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NoConfig { .. }));
    write_config(dir.path(), &tiny(2));
    let error = checkpoint::load(dir.path()).unwrap_err().to_string();
    let text = "looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin, \
                pytorch_model.bin.index.json";
    assert!(error.contains(text), "{error}");

    fs::write(dir.path().join("model.safetensors"), "version https://git-lfs.github.com/spec/v1\noid …").unwrap();
    assert!(matches!(checkpoint::load(dir.path()), Err(Error::LfsPointer { .. })));

    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    fs::create_dir(dir.path().join("model.safetensors")).unwrap();
    assert!(matches!(checkpoint::load(dir.path()), Err(Error::NotAFile { .. })));

    fs::write(dir.path().join("config.json"), "{").unwrap();
    assert!(chain(&checkpoint::load(dir.path()).unwrap_err()).contains("is not valid JSON: EOF while parsing"));
    fs::write(dir.path().join("config.json"), r#"{"model_type": "t5"}"#).unwrap();
    let error = chain(&checkpoint::load(dir.path()).unwrap_err());
    assert!(error.contains("config.json: unknown model_type `t5`: attar reads bert"), "{error}");
}
