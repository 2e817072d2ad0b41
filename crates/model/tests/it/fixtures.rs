//! The fixture models: read in every format, written, and read again.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{assert_same_bits, bin_dirs, config_json, model_dirs};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Target, WeightsFile, checkpoint, expected_shapes, hf_config};

#[test]
fn every_configuration_survives_a_round_trip() {
    let Some(dirs) = model_dirs() else { return };
    for dir in dirs {
        let json = config_json(&dir);
        let config = hf_config::parse(json.clone()).unwrap();
        let emitted = hf_config::emit(&config).unwrap();
        assert_eq!(emitted, json, "{}", dir.display());
        assert_eq!(hf_config::parse(emitted).unwrap(), config, "{}", dir.display());
    }
}

#[test]
fn heads_and_labels_are_those_of_the_fixtures() {
    let Some(forward) = attar_testing::shared("fixtures/forward") else { return };
    let head = |name: &str| hf_config::parse(config_json(&forward.join(name))).unwrap().head;
    assert_eq!(head("base_h24"), Head::None);
    assert_eq!(
        head("cls2_h36"),
        Head::Classification { target: Target::Labels(vec!["LABEL_0".into(), "LABEL_1".into()]) }
    );
    assert_eq!(head("reg1_h17"), Head::Classification { target: Target::Regression });
    assert_eq!(head("tok7_h12").labels().len(), 7);
    assert_eq!(head("distil3_h28").outputs(), 3);
    assert_eq!(head("mlm_h20"), Head::MaskedLm);
    assert_eq!(head("pretrain_h27"), Head::Pretraining);
}

#[test]
fn all_weights_load_in_parameter_order_with_nothing_left_over() {
    let Some(dirs) = model_dirs() else { return };
    for dir in dirs {
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
    let Some(pairs) = bin_dirs() else { return };
    for (bin, whole) in pairs {
        let (bin_loaded, whole_loaded) = (checkpoint::load(&bin).unwrap(), checkpoint::load(&whole).unwrap());
        assert_same_bits(&bin_loaded.weights, &whole_loaded.weights);
        assert_eq!(bin_loaded.config, whole_loaded.config);
        assert!(bin_loaded.unexpected.is_empty() && bin_loaded.missing.is_empty(), "{}", bin.display());
        assert_eq!(
            attar_model::fingerprint(&bin_loaded.config, &bin_loaded.weights),
            attar_model::fingerprint(&whole_loaded.config, &whole_loaded.weights)
        );
        let is = |name: &str| bin.ends_with(name);
        let expected: &[&str] = if is("mlm_h20_bin_legacy") {
            &["cls.predictions.decoder.bias", "cls.predictions.decoder.weight"]
        } else if is("mlm_h20_bin_legacy_gamma") {
            &["bert.embeddings.position_ids", "cls.predictions.decoder.bias", "cls.predictions.decoder.weight"]
        } else {
            &[]
        };
        assert_eq!(bin_loaded.ignored, expected, "{}", bin.display());
    }
}

#[test]
fn views_types_and_shared_storages_are_exact() {
    let Some(dir) = attar_testing::shared("fixtures/forward/bin_storage") else { return };
    let expected = attar_testing::tensors(&dir.join("expected.safetensors"));
    let types = attar_testing::json(&dir.join("dtypes.json"));
    for name in ["zip.bin", "legacy.bin"] {
        let file = WeightsFile::read(&dir.join(name)).unwrap();
        let names: Vec<&str> = file.tensors().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names.len(), 12);
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
    let Some(dirs) = model_dirs() else { return };
    for dir in dirs {
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
