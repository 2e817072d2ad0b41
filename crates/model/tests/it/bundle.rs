//! A model directory with all that belongs to it.

use std::fs;

use attar_model::atomic::WriteMode;
use attar_model::{
    Bundle, ClassifierInput, EncoderConfig, Error, Head, Pooling, PoolingMode, Prompts, Target, Tensor, Weights,
    WeightsError, WeightsFile, checkpoint, expected_shapes, fingerprint,
};
use serde_json::json;

use crate::common::{assert_same_bits, bin_dirs, model_dirs, tiny};

fn bundle() -> Bundle {
    let config = tiny(1);
    let weights: Weights =
        expected_shapes(&config).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect();
    Bundle {
        tokenizer_files: vec![("tokenizer.json".into(), b"{}".to_vec()), ("vocab.txt".into(), b"[PAD]\n".to_vec())],
        pooling: Some(Pooling { mode: PoolingMode::Mean, normalize: true }),
        prompts: Prompts {
            named: [("query".to_owned(), "find: ".to_owned())].into(),
            default: Some("query".into()),
            pooled: false,
        },
        max_tokens: Some(5),
        provenance: Some(json!({"recipe": "abc", "scores": [0.5]})),
        card: Some("---\n---\n\n# x\n".into()),
        ..Bundle::new(config, weights)
    }
}

#[test]
fn everything_is_written_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    let bundle = bundle();
    bundle.write(&dir, WriteMode::New).unwrap();
    assert_eq!(Bundle::read(&dir).unwrap(), bundle);

    let mut names: Vec<String> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "1_Pooling",
            "2_Normalize",
            "README.md",
            "attar.json",
            "config.json",
            "config_sentence_transformers.json",
            "model.safetensors",
            "modules.json",
            "sentence_bert_config.json",
            "tokenizer.json",
            "vocab.txt"
        ]
    );

    // Without the extras, none of their files.
    let bare = Bundle::new(bundle.config.clone(), bundle.weights.clone());
    bare.write(&dir, WriteMode::Replace).unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    assert_eq!(Bundle::read(&dir).unwrap(), bare);
    assert_eq!(bare.fingerprint(), bundle.fingerprint());
}

#[test]
fn the_longest_text_is_that_of_the_tokenizer_unless_said_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let max_tokens = |name: &str, tokenizer: &str, max_tokens: Option<usize>| {
        let mut bundle = Bundle { max_tokens, ..bundle() };
        bundle.tokenizer_files.push(("tokenizer_config.json".into(), tokenizer.into()));
        let dir = root.path().join(name);
        bundle.write(&dir, WriteMode::New).unwrap();
        Bundle::read(&dir).unwrap().max_tokens
    };
    assert_eq!(max_tokens("tokenizer", r#"{"model_max_length": 6}"#, None), Some(6));
    assert_eq!(max_tokens("said", r#"{"model_max_length": 6}"#, Some(5)), Some(5));
    // The table has 7 rows, so these are no limits.
    assert_eq!(max_tokens("table", r#"{"model_max_length": 7}"#, None), None);
    assert_eq!(max_tokens("huge", r#"{"model_max_length": 1000000000000000019884624838656}"#, None), None);
    assert_eq!(max_tokens("none", "{}", None), None);
}

#[test]
fn parts_that_do_not_fit_are_not_written() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    let refused = |bundle: Bundle| bundle.write(&dir, WriteMode::New).unwrap_err();

    let mut bent = bundle();
    bent.config.heads = 4;
    assert!(matches!(refused(bent), Error::Config { .. }));
    let mut short = bundle();
    short.weights.remove("pooler.dense.bias");
    assert!(matches!(refused(short), Error::Weights { source, .. } if matches!(*source, WeightsError::Missing { .. })));
    for name in ["../up", "/root", "a/b", "config.json", "1_Pooling", "", ".."] {
        let mut named = bundle();
        named.tokenizer_files.push((name.into(), Vec::new()));
        assert!(matches!(refused(named), Error::FileName { name: its } if its == name), "{name}");
    }
    let mut twice = bundle();
    twice.tokenizer_files.push(("vocab.txt".into(), Vec::new()));
    assert!(matches!(refused(twice), Error::FileName { .. }));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_bundle() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    let old = bundle();
    old.write(&dir, WriteMode::New).unwrap();
    assert!(matches!(old.write(&dir, WriteMode::New), Err(Error::Exists { .. })));

    let mut new = bundle();
    new.provenance = None;
    // Longer than any file system takes: the error comes after configuration and weights are written.
    new.tokenizer_files.push(("x".repeat(300), Vec::new()));
    match new.write(&dir, WriteMode::Replace) {
        Err(Error::Write { path, .. }) => assert!(path.ends_with("x".repeat(300))),
        other => panic!("{other:?}"),
    }
    assert_eq!(Bundle::read(&dir).unwrap(), old);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_a_model_is_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("documents");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("letter.txt"), "dear").unwrap();
    assert!(matches!(bundle().write(&dir, WriteMode::Replace), Err(Error::NotAModel { path }) if path == dir));
    assert_eq!(fs::read(dir.join("letter.txt")).unwrap(), b"dear");
    fs::remove_file(dir.join("letter.txt")).unwrap();
    bundle().write(&dir, WriteMode::Replace).unwrap();
    bundle().write(&dir, WriteMode::Replace).unwrap();
}

#[test]
fn broken_side_files_are_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    bundle().write(&dir, WriteMode::New).unwrap();
    for (name, content) in [
        ("attar.json", &b"{"[..]),
        ("README.md", &[0xff]),
        ("modules.json", b"null"),
        ("1_Pooling/config.json", b"[]"),
        ("sentence_bert_config.json", b"nonsense"),
    ] {
        let path = dir.join(name);
        let good = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let error = Bundle::read(&dir).unwrap_err().to_string();
        assert!(error.contains(name), "expected `{name}` in `{error}`");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_bundle_has_the_weights_that_a_checkpoint_has() {
    for dir in model_dirs().into_iter().chain(bin_dirs().into_iter().map(|(_, bin, _)| bin)) {
        let (bundle, loaded) = (Bundle::read(&dir).unwrap(), checkpoint::load(&dir).unwrap());
        assert_same_bits(&bundle.weights, &loaded.weights);
        assert_eq!(bundle.config, loaded.config, "{}", dir.display());
    }
}

#[test]
fn pytorch_bytes_are_told_by_their_beginning_not_their_name() {
    for (_, bin, whole) in bin_dirs() {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(bin.join("config.json"), dir.path().join("config.json")).unwrap();
        fs::copy(bin.join("pytorch_model.bin"), dir.path().join("model.safetensors")).unwrap();
        assert_same_bits(&Bundle::read(dir.path()).unwrap().weights, &Bundle::read(&whole.dir).unwrap().weights);
    }
}

/// A classifier over what sentence encoders are made for, which no class of `transformers` has.
fn over_states(input: ClassifierInput, target: Target) -> Bundle {
    let config =
        EncoderConfig { classifier_input: input, ..bundle().config }.with_head(Head::Classification { target });
    let numbered = |(index, (name, shape)): (usize, (String, Vec<usize>))| {
        let count: usize = shape.iter().product();
        (name, Tensor::new(shape, vec![index as f32; count]))
    };
    let weights: Weights = expected_shapes(&config).into_iter().enumerate().map(numbered).collect();
    let pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: input == ClassifierInput::Cosine });
    Bundle { pooling, ..Bundle::new(config, weights) }
}

#[test]
fn a_classifier_over_the_mean_is_a_dense_module_too() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("mean");
    let labels = ["no", "perhaps", "yes"].map(String::from).to_vec();
    let bundle = over_states(ClassifierInput::Mean, Target::Labels(labels));
    bundle.write(&dir, WriteMode::New).unwrap();
    assert_eq!(Bundle::read(&dir).unwrap(), bundle);

    // `transformers` loads the encoder alone: bare names, the bare class.
    let config: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["BertModel"]));
    assert_eq!(config["id2label"]["1"], "perhaps");
    let file = WeightsFile::read(&dir.join("model.safetensors")).unwrap().all_floats().unwrap();
    assert!(file.get("embeddings.LayerNorm.bias").is_some() && file.get("pooler.dense.bias").is_none());

    // sentence-transformers gives logits.
    let modules: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("modules.json")).unwrap()).unwrap();
    let kinds: Vec<&str> =
        modules.as_array().unwrap().iter().map(|m| m["type"].as_str().unwrap().rsplit('.').next().unwrap()).collect();
    assert_eq!(kinds, ["Transformer", "Pooling", "Dense"]);
    let dense = WeightsFile::read(&dir.join("2_Classifier/model.safetensors")).unwrap().all_floats().unwrap();
    assert_eq!(dense.get("linear.weight"), bundle.weights.get("classifier.weight"));
    assert_eq!(dense.get("linear.bias"), bundle.weights.get("classifier.bias"));

    // Without its configuration the module would be an answer that nobody knows of.
    let mut bare = config;
    bare.as_object_mut().unwrap().remove("attar_classifier_input");
    fs::write(dir.join("config.json"), bare.to_string()).unwrap();
    let error = Bundle::read(&dir).unwrap_err().to_string();
    assert!(error.contains("a classifier that config.json does not name"), "{error}");
}

#[test]
fn a_cosine_of_two_texts_is_a_model_of_scores() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("cosine");
    let bundle = over_states(ClassifierInput::Cosine, Target::Regression);
    assert_eq!(bundle.weights.get("classifier.weight").unwrap().shape, [1, 1]);
    assert!(bundle.config.encodes_pairs_separately());
    bundle.write(&dir, WriteMode::New).unwrap();
    let read = Bundle::read(&dir).unwrap();
    assert_eq!(read, bundle);
    let mean = over_states(ClassifierInput::Mean, Target::Regression);
    assert_ne!(fingerprint(&read.config, &Weights::new()), fingerprint(&mean.config, &Weights::new()));
    // The encoder can be read without its head.
    let headless = Bundle::read_headless(&dir).unwrap();
    assert_eq!(headless.config.head, Head::None);
    assert!(headless.weights.get("classifier.weight").is_none());
}
