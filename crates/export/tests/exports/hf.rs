//! Directories for Hugging Face's libraries.

use attar_export::Error;
use attar_export::hf::{self, FloatType};
use attar_model::{
    Bundle, ClassifierInput, Family, Head, Pooling, PoolingMode, Projection, ProjectionActivation, Target,
};

use crate::common::{bundle, config, labels, numbers};

fn written(bundle: &Bundle, floats: FloatType) -> (Bundle, Vec<String>, Vec<String>) {
    let (bundle, _, files, notes) = written_with_config(bundle, floats);
    (bundle, files, notes)
}

fn written_with_config(bundle: &Bundle, floats: FloatType) -> (Bundle, serde_json::Value, Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let notes = hf::write(bundle, &dir, floats).unwrap();
    let mut files: Vec<String> =
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let config = attar_testing::json(&dir.join("config.json"));
    (Bundle::read(&dir).unwrap(), config, files, notes)
}

#[test]
fn a_classifier_is_as_it_was() {
    let mut bundle = bundle(config(Family::Roberta, labels(Target::Labels)));
    bundle.provenance = Some(serde_json::json!({"seed": 1}));
    let (read, files, notes) = written(&bundle, FloatType::F32);
    assert_eq!((&read.config, &read.weights), (&bundle.config, &bundle.weights));
    // The card points to the hashes and scores in the first.
    assert_eq!(files, ["attar.json", "config.json", "model.safetensors"]);
    assert!(notes[0].contains("RobertaForSequenceClassification"), "{notes:?}");
}

#[test]
fn halves_are_rounded_and_said_to_be_so() {
    let bundle = bundle(config(Family::Bert, labels(Target::Labels)));
    let (read, config, ..) = written_with_config(&bundle, FloatType::F16);
    assert_eq!(config["torch_dtype"], "float16");
    let name = "encoder.layer.1.output.dense.weight";
    let pairs = read.weights.get(name).unwrap().data.iter().zip(&bundle.weights.get(name).unwrap().data);
    let rounded = pairs.map(|(half, whole)| {
        assert!((half - whole).abs() <= whole.abs() / 2048.0, "{half} for {whole}");
        half != whole
    });
    assert!(rounded.filter(|differs| *differs).count() > 100);
    let mut large = bundle;
    large.weights.get_mut("classifier.bias").unwrap().data[0] = 1e6;
    let folder = tempfile::tempdir().unwrap();
    let error = hf::write(&large, &folder.path().join("x"), FloatType::F16).unwrap_err().to_string();
    assert!(error.contains("`classifier.bias` contains 1000000") && error.contains("f32"), "{error}");
    assert!(!folder.path().join("x").exists());
}

#[test]
fn what_has_no_class_there_is_written_for_sentence_transformers() {
    let over = |input, target| {
        let head = Head::Classification { target };
        bundle(
            attar_model::EncoderConfig { classifier_input: input, ..config(Family::Bert, Head::None) }.with_head(head),
        )
    };
    let mean = over(ClassifierInput::Mean, Target::Labels(vec!["a".into(), "b".into()]));
    let (read, files, notes) = written(&mean, FloatType::F32);
    assert_eq!(read.config.head, mean.config.head);
    assert!(files.contains(&"2_Classifier".to_owned()) && files.contains(&"modules.json".to_owned()), "{files:?}");
    assert!(notes[0].contains("SentenceTransformer(DIR)"), "{notes:?}");
    let folder = tempfile::tempdir().unwrap();
    let error = hf::write(&mean, &folder.path().join("x"), FloatType::F16).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");

    let mut cosine = over(ClassifierInput::Cosine, Target::Regression);
    cosine.weights.get_mut("classifier.weight").unwrap().data[0] = 2.5;
    let (read, _, notes) = written(&cosine, FloatType::F16);
    assert_eq!(
        (read.config.head, read.pooling),
        (Head::None, Some(Pooling { mode: PoolingMode::Mean, normalize: true }))
    );
    assert!(notes[0].contains("2.5 times"), "{notes:?}");

    let mut vectors = bundle(config(Family::MpNet, Head::None));
    vectors.pooling = Some(Pooling { mode: PoolingMode::Cls, normalize: true });
    vectors.projections = vec![Projection {
        normalized_input: false,
        weight: numbers(&[5, 24], 3, 0.9),
        bias: None,
        activation: ProjectionActivation::Tanh,
    }];
    let (read, ..) = written(&vectors, FloatType::F32);
    assert_eq!((read.pooling, &read.projections), (vectors.pooling, &vectors.projections));
}
