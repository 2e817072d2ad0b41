//! The fixture models: read in every format, written, and read again.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{assert_same_bits, bin_dirs, config_json, model_dirs};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Target, WeightsFile, checkpoint, expected_shapes, hf_config};

#[test]
fn every_configuration_survives_a_round_trip() {
    for dir in model_dirs() {
        let json = config_json(&dir);
        let config = hf_config::parse(json.clone()).unwrap();
        let emitted = hf_config::emit(&config).unwrap();
        assert_eq!(emitted, json, "{}", dir.display());
        assert_eq!(hf_config::parse(emitted).unwrap(), config, "{}", dir.display());
    }
}

#[test]
fn heads_and_labels_are_those_of_the_fixtures() {
    for model in attar_testing::fixture_models() {
        let head = hf_config::parse(config_json(&model.dir)).unwrap().head;
        let count = model.spec()["labels"].as_u64().unwrap_or_default() as usize;
        let labels = || (0..count).map(|label| format!("LABEL_{label}")).collect::<Vec<_>>();
        let (_, task) = model.architecture.split_once("For").unwrap_or((&model.architecture, ""));
        let expected = match task {
            "" => Head::None,
            "SequenceClassification" if count == 1 => Head::Classification { target: Target::Regression },
            "SequenceClassification" => Head::Classification { target: Target::Labels(labels()) },
            "TokenClassification" => Head::TokenClassification { labels: labels() },
            "QuestionAnswering" => Head::QuestionAnswering,
            "MaskedLM" => Head::MaskedLm,
            // What tells replaced tokens from others is left out.
            "PreTraining" if model.architecture.starts_with("Electra") => Head::None,
            "PreTraining" => Head::Pretraining,
            other => panic!("{}: no head is known for {other}", model.name),
        };
        assert_eq!(head, expected, "{}", model.name);
    }
}

#[test]
fn all_weights_load_in_parameter_order_with_nothing_left_over() {
    for dir in model_dirs() {
        let loaded = checkpoint::load(&dir).unwrap();
        let nothing: [String; 0] = [];
        assert_eq!(loaded.missing, nothing, "{}", dir.display());
        assert_eq!(loaded.unexpected, nothing, "{}", dir.display());
        assert_eq!(loaded.ignored, nothing, "{}", dir.display());
        loaded.weights.check(&loaded.config).unwrap();
        let order: Vec<String> = expected_shapes(&loaded.config).into_iter().map(|(name, _)| name).collect();
        assert_eq!(loaded.weights.names().collect::<Vec<_>>(), order);

        // The numbers themselves, against another reader.
        let path = dir.join("model.safetensors");
        let mut reference: Vec<_> = attar_testing::tensors(&path).into_values().map(|array| array.f32()).collect();
        let mut ours: Vec<_> = loaded.weights.iter().map(|(_, tensor)| tensor.data.clone()).collect();
        for side in [&mut reference, &mut ours] {
            side.sort_by_key(|data| data.iter().map(|number| number.to_bits()).collect::<Vec<_>>());
        }
        assert_eq!(ours, reference);
        assert_eq!(loaded.sources.len(), 1);
        assert_eq!(loaded.sources[0].path, path);
        assert_eq!(loaded.sources[0].length as u64, fs::metadata(&path).unwrap().len());
        assert_eq!(loaded.sources[0].sha256.len(), 64);
    }
}

#[test]
fn the_pytorch_files_hold_the_same_bits() {
    for (format, bin, whole) in bin_dirs() {
        let (bin_loaded, whole_loaded) = (checkpoint::load(&bin).unwrap(), checkpoint::load(&whole.dir).unwrap());
        assert_same_bits(&bin_loaded.weights, &whole_loaded.weights);
        assert_eq!(bin_loaded.config, whole_loaded.config);
        assert!(bin_loaded.unexpected.is_empty() && bin_loaded.missing.is_empty(), "{}", bin.display());
        assert_eq!(
            attar_model::fingerprint(&bin_loaded.config, &bin_loaded.weights),
            attar_model::fingerprint(&whole_loaded.config, &whole_loaded.weights)
        );
        // What `torch.save` keeps and safetensors leaves out: the tied decoder, and a buffer of old versions.
        let mut expected = Vec::new();
        if format == "legacy_gamma" {
            expected.push("bert.embeddings.position_ids");
        }
        if matches!(bin_loaded.config.head, Head::MaskedLm | Head::Pretraining) {
            expected.extend(["cls.predictions.decoder.bias", "cls.predictions.decoder.weight"]);
        }
        assert_eq!(bin_loaded.ignored, expected, "{}", bin.display());
    }
}

#[test]
fn views_types_and_shared_storages_are_exact() {
    let dir = attar_testing::fixtures("forward/bin_storage");
    let expected = attar_testing::tensors(&dir.join("expected.safetensors"));
    let types = attar_testing::json(&dir.join("dtypes.json"));
    for name in ["zip.bin", "legacy.bin"] {
        let file = WeightsFile::read(&dir.join(name)).unwrap();
        let names: Vec<&str> = file.tensors().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names.len(), types.as_object().unwrap().len());
        for (tensor, array) in &expected {
            let stored = file.tensor(tensor).unwrap();
            assert_eq!(stored.shape(), array.shape, "{tensor}");
            let long_name = match stored.element_type().name() {
                "f32" => "float32",
                "f16" => "float16",
                "bf16" => "bfloat16",
                "f64" => "float64",
                "i64" => "int64",
                other => other,
            };
            assert_eq!(long_name, types[tensor], "{tensor}");
            if stored.element_type().is_float() {
                let got = file.floats(tensor).unwrap();
                let bits = |data: &[f32]| data.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&got.data), bits(&array.f32()), "{tensor}");
            } else {
                assert_eq!(file.integers(tensor).unwrap(), array.i64(), "{tensor}");
            }
        }
    }
}

#[test]
fn a_written_model_holds_the_original_names_numbers_and_configuration() {
    for dir in model_dirs() {
        let root = tempfile::tempdir().unwrap();
        let copy = root.path().join("copy");
        let bundle = Bundle::read(&dir).unwrap();
        bundle.write(&copy, WriteMode::New).unwrap();

        assert_eq!(config_json(&copy), config_json(&dir), "{}", dir.display());
        let arrays = |dir: &std::path::Path| -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
            let tensors = attar_testing::tensors(&dir.join("model.safetensors"));
            let bits = |array: attar_testing::Array| {
                let bits = array.f32().iter().map(|number| number.to_bits()).collect();
                (array.shape, bits)
            };
            tensors.into_iter().map(|(name, array)| (name, bits(array))).collect()
        };
        assert_eq!(arrays(&copy), arrays(&dir), "{}", dir.display());
        for name in ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            assert_eq!(fs::read(copy.join(name)).ok(), fs::read(dir.join(name)).ok(), "{name}");
        }

        let again = Bundle::read(&copy).unwrap();
        assert_same_bits(&again.weights, &bundle.weights);
        assert_eq!(again, bundle);
        assert_eq!(again.fingerprint(), bundle.fingerprint());
    }
}
