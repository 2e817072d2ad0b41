//! Weights as people publish them: wrapped names, numbers that are none, dense layers, stale copies.

use std::fs;
use std::path::Path;

use attar_model::atomic::WriteMode;
use attar_model::quantized::{QUANTIZED_FILE, QuantizedWeights, ScaleChoice, Storage};
use attar_model::safetensors_file::to_bytes;
use attar_model::{
    Bundle, EncoderConfig, Head, Pooling, PoolingMode, Projection, ProjectionActivation, ReadWeights, Target, Tensor,
    Weights, encoder_directory, expected_shapes, family_name,
};
use serde_json::json;
use tempfile::TempDir;

use crate::common::{chain, tiny};

fn config() -> EncoderConfig {
    tiny(1).with_head(Head::Classification { target: Target::Labels(vec!["no".into(), "yes".into()]) })
}

/// Numbers that differ from place to place and from seed to seed.
fn weights(config: &EncoderConfig, seed: usize) -> Weights {
    let tensor = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        let data = (0..count).map(|i| ((i * 7 + at * 3 + seed * 5) % 23) as f32 / 23.0 - 0.5).collect();
        (name, Tensor::new(shape, data))
    };
    expected_shapes(config).into_iter().enumerate().map(tensor).collect()
}

/// A directory whose tensors have other names, and perhaps some more of them.
fn renamed(rename: impl Fn(&str) -> Option<String>, more: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let (config, dir) = (config(), root.path().join("model"));
    let bundle = Bundle::new(config.clone(), weights(&config, 0));
    bundle.write(&dir, WriteMode::New).unwrap();
    let extra = Tensor::zeros(vec![2]);
    let named = bundle.weights.iter().filter_map(|(name, tensor)| Some((rename(&family_name(&config, name))?, tensor)));
    let mut named: Vec<(String, &Tensor)> = named.chain(more.iter().map(|&name| (name.to_owned(), &extra))).collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    fs::write(dir.join("model.safetensors"), to_bytes(named)).unwrap();
    root
}

fn read(root: &TempDir) -> Result<Bundle, String> {
    let dir = root.path().join("model");
    Bundle::read(&dir).map_err(|error| chain(&error).replace(&dir.display().to_string(), "DIR"))
}

#[test]
fn wrappers_of_names_are_taken_off() {
    let expected = weights(&config(), 0);
    for wrapper in ["module.", "_orig_mod.", "module._orig_mod.", "model."] {
        let bundle = read(&renamed(|name| Some(format!("{wrapper}{name}")), &[])).unwrap();
        assert_eq!((bundle.weights, bundle.notes), (expected.clone(), vec![]), "{wrapper}");
        // The head alone wrapped.
        let wrapped =
            |name: &str| if name.starts_with("classifier") { format!("{wrapper}{name}") } else { name.into() };
        assert_eq!(read(&renamed(|name| Some(wrapped(name)), &[])).unwrap().weights, expected, "{wrapper}");
    }
}

#[test]
fn unknown_prefixes_and_missing_heads_are_refused_by_name() {
    let error = read(&renamed(|name| Some(format!("student.{name}")), &[])).unwrap_err();
    assert!(error.contains("save the weights without the prefix `student.bert.`"), "{error}");
    let head = |name: &str| if name.starts_with("classifier") { format!("top.{name}") } else { name.to_owned() };
    let error = read(&renamed(|name| Some(head(name)), &[])).unwrap_err();
    assert!(error.contains("lack classifier.weight, classifier.bias and hold 2 unknown names"), "{error}");
    assert!(error.contains("the first is `top.classifier.bias`"), "{error}");
}

#[test]
fn pointers_are_named_whatever_file_they_stand_for() {
    for name in ["config.json", "model.safetensors", "tokenizer_config.json", "sentence_bert_config.json"] {
        let root = renamed(|name| Some(name.into()), &[]);
        let path = root.path().join("model").join(name);
        fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n").unwrap();
        let expected = format!("DIR/{name} is a git-lfs pointer, not the file itself: fetch it with `git lfs pull`");
        assert_eq!(read(&root).unwrap_err(), expected);
    }
}

#[test]
fn what_is_not_used_is_told() {
    assert!(read(&renamed(|name| Some(name.into()), &["bert.embeddings.position_ids"])).unwrap().notes.is_empty());
    let more = ["cls.predictions.bias", "adapter.0.down.weight"];
    let bundle = read(&renamed(|name| Some(name.into()), &more)).unwrap();
    let expected = "2 tensors of the weights file are not used: `adapter.0.down.weight`, `cls.predictions.bias`";
    assert_eq!(bundle.notes, [expected]);
    let headless = |root: &TempDir| Bundle::read_headless(&root.path().join("model")).unwrap();
    let bundle = headless(&renamed(|name| Some(name.into()), &["a", "b", "c"]));
    assert_eq!(
        bundle.notes[0],
        "5 tensors of the weights file are not used: `a`, `b`, `c`, `classifier.bias` and 1 more"
    );
}

#[test]
fn numbers_that_are_none_are_refused_when_they_are_read() {
    for (value, at) in [(f32::NAN, 5), (f32::INFINITY, 65), (f32::NEG_INFINITY, 0)] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("model");
        let mut bundle = Bundle::new(config(), weights(&config(), 0));
        let mut words = bundle.weights.get("embeddings.word_embeddings.weight").unwrap().clone();
        words.data[at] = value;
        bundle.weights.insert("embeddings.word_embeddings.weight".to_owned(), words);
        bundle.write(&dir, WriteMode::New).unwrap();
        let expected =
            format!("DIR/model.safetensors: tensor `bert.embeddings.word_embeddings.weight` holds {value} at {at}");
        for error in [
            Bundle::read(&dir).map(|_| ()),
            Bundle::read_headless(&dir).map(|_| ()),
            Bundle::read_with(&dir, ReadWeights::QuantizedOrF32).map(|_| ()),
            attar_model::checkpoint::load(&dir).map(|_| ()),
        ] {
            let error = error.unwrap_err().to_string().replace(&dir.display().to_string(), "DIR");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

fn quantized(bundle: &Bundle) -> QuantizedWeights {
    let storage = |name: &str| if name.ends_with("query.weight") { Storage::Int8 } else { Storage::F32 };
    QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::MaxAbs, storage).unwrap()
}

#[test]
fn stale_quantized_weights_are_told_by_their_hash() {
    let root = tempfile::tempdir().unwrap();
    let [dir, other] = ["model", "other"].map(|name| root.path().join(name));
    let mut bundle = Bundle::new(config(), weights(&config(), 0));
    bundle.quantized = Some(quantized(&bundle));
    bundle.write(&dir, WriteMode::New).unwrap();
    Bundle::new(config(), weights(&config(), 1)).write(&other, WriteMode::New).unwrap();
    let choices = [ReadWeights::All, ReadWeights::Quantized, ReadWeights::QuantizedOrF32];
    for choice in choices {
        assert!(Bundle::read_with(&dir, choice).unwrap().quantized.is_some());
    }
    // As after training on: the weights change, the quantized ones stay.
    fs::copy(other.join("model.safetensors"), dir.join("model.safetensors")).unwrap();
    let all = Bundle::read(&dir).unwrap();
    assert!(all.quantized.is_none() && all.notes[0].contains("was made from other weights"), "{:?}", all.notes);
    for choice in [ReadWeights::Quantized, ReadWeights::QuantizedOrF32] {
        let error = chain(&Bundle::read_with(&dir, choice).unwrap_err());
        assert!(error.contains(QUANTIZED_FILE) && error.contains("quantize"), "{error}");
    }
    assert!(Bundle::read_with(&dir, ReadWeights::F32).is_ok());
    fs::remove_file(dir.join("model.safetensors")).unwrap();
    assert!(Bundle::read_with(&dir, ReadWeights::QuantizedOrF32).is_ok());
}

fn sentence_encoder(projections: Vec<Projection>, normalize: bool) -> Bundle {
    let config = config().with_head(Head::None);
    let weights = weights(&config, 0);
    let pooling = Some(Pooling { mode: PoolingMode::MeanSqrtLength, normalize });
    Bundle { pooling, projections, ..Bundle::new(config, weights) }
}

fn projection(inputs: usize, outputs: usize, normalized_input: bool) -> Projection {
    Projection {
        normalized_input,
        weight: Tensor::new(vec![outputs, inputs], (0..inputs * outputs).map(|i| i as f32 / 8.0).collect()),
        bias: normalized_input.then(|| Tensor::zeros(vec![outputs])),
        activation: if normalized_input { ProjectionActivation::Identity } else { ProjectionActivation::Tanh },
    }
}

#[test]
fn dense_layers_over_a_vector_are_written_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    for (at, (projections, normalize)) in [
        (vec![projection(6, 4, false)], true),
        (vec![projection(6, 4, true)], false),
        (vec![projection(6, 9, false), projection(9, 3, true)], true),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = root.path().join(at.to_string());
        let bundle = sentence_encoder(projections, normalize);
        bundle.write(&dir, WriteMode::New).unwrap();
        assert_eq!(Bundle::read(&dir).unwrap(), bundle);
    }
    let dir = root.path().join("wrong");
    sentence_encoder(vec![projection(5, 4, false)], true).write(&dir, WriteMode::New).unwrap();
    let error = Bundle::read(&dir).unwrap_err().to_string();
    assert!(error.contains("a Dense module of 5 inputs after a vector of 6"), "{error}");
}

/// Moves the encoder of a sentence encoder into a folder of its own.
fn with_inner_folder(dir: &Path) {
    let inner = dir.join("0_Transformer");
    fs::create_dir(&inner).unwrap();
    for name in ["config.json", "model.safetensors", "sentence_bert_config.json"] {
        fs::rename(dir.join(name), inner.join(name)).unwrap();
    }
    let path = dir.join("modules.json");
    let mut modules: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    modules[0]["path"] = json!("0_Transformer");
    fs::write(path, modules.to_string()).unwrap();
}

#[test]
fn an_inner_folder_is_the_same_model() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    let bundle = sentence_encoder(vec![projection(6, 4, false)], true);
    bundle.write(&dir, WriteMode::New).unwrap();
    with_inner_folder(&dir);
    assert_eq!(encoder_directory(&dir).unwrap(), dir.join("0_Transformer"));
    for path in [dir.clone(), dir.join("0_Transformer")] {
        let read = Bundle::read(&path).unwrap();
        assert_eq!((read.pooling, &read.projections), (bundle.pooling, &bundle.projections), "{}", path.display());
        assert_eq!(Bundle::read_pooling(&path).unwrap(), bundle.pooling);
        assert_eq!(Bundle::read_config(&path).unwrap(), bundle.config);
    }
}

#[test]
fn a_sentence_encoder_that_names_a_language_model_has_no_head() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    let whole = config().with_head(Head::MaskedLm);
    let bare = whole.clone().with_head(Head::None);
    let pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    let named_as_language_model = || {
        let text = fs::read_to_string(dir.join("config.json")).unwrap();
        fs::write(dir.join("config.json"), text.replace("BertModel", "BertForMaskedLM")).unwrap();
    };
    let encoder = Bundle { pooling, ..Bundle::new(bare.clone(), weights(&bare, 0)) };
    encoder.write(&dir, WriteMode::New).unwrap();
    named_as_language_model();
    assert_eq!(read(&root).unwrap().config.head, Head::None);
    assert_eq!(Bundle::read_config(&dir).unwrap().head, Head::None);
    // With the head it is what it says, and without a pooling the head is missed.
    let language_model = Bundle { pooling, ..Bundle::new(whole.clone(), weights(&whole, 0)) };
    language_model.write(&dir, WriteMode::Replace).unwrap();
    assert_eq!(read(&root).unwrap().config.head, Head::MaskedLm);
    Bundle { pooling: None, ..encoder }.write(&dir, WriteMode::Replace).unwrap();
    named_as_language_model();
    assert!(read(&root).unwrap_err().contains("lack cls.predictions."));
}
