//! Graphs of ONNX. `export` refuses one that computes something else, so that it returns is most of each test.

use attar_export::Error;
use attar_export::onnx::{self, Options, Precision};
use attar_model::quantized::{QuantizedWeights, ScaleChoice, Storage};
use attar_model::{
    Activation, Bundle, ClassifierInput, EncoderConfig, Family, Head, Pooling, PoolingMode, Projection,
    ProjectionActivation, Target, checkpoint,
};
use attar_testing::fixture_models;

use crate::common::{bundle, config, labels, numbers};

/// The outputs of an export in f32, which `export` has checked.
fn outputs(bundle: &Bundle, options: Options) -> Vec<String> {
    let file = onnx::export(bundle, &options).unwrap();
    file.checks.into_iter().map(|check| check.output).collect()
}

#[test]
fn every_family_and_head_is_what_the_runtime_computes() {
    for opset in [17, 18, 22] {
        for model in fixture_models() {
            let loaded = checkpoint::load(&model.dir).unwrap();
            let outputs = outputs(&Bundle::new(loaded.config, loaded.weights), Options { opset, ..Options::default() });
            assert!(!outputs.is_empty(), "{}", model.name);
        }
    }
    let names = |head: Head| outputs(&bundle(config(Family::Bert, head)), Options::default());
    assert_eq!(names(labels(Target::Labels)), ["logits"]);
    assert_eq!(names(labels(Target::MultiLabel)), ["logits"]);
    assert_eq!(names(Head::TokenClassification { labels: vec!["O".into(), "B".into()] }), ["logits"]);
    assert_eq!(names(Head::QuestionAnswering), ["end_logits", "start_logits"]);
    assert_eq!(names(Head::MaskedLm), ["logits"]);
    assert_eq!(names(Head::Pretraining), ["prediction_logits", "seq_relationship_logits"]);
    assert_eq!(names(Head::None), ["last_hidden_state", "pooler_output"]);
    for family in Family::ALL {
        for head in [labels(Target::Labels), Head::MaskedLm, Head::None] {
            for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu] {
                outputs(&bundle(EncoderConfig { activation, ..config(family, head.clone()) }), Options::default());
            }
        }
    }
}

#[test]
fn classifiers_over_the_mean_and_cosines_are_inside() {
    for (input, expected) in [
        (ClassifierInput::Mean, &["logits"][..]),
        (ClassifierInput::Cosine, &["last_hidden_state", "sentence_embedding"]),
    ] {
        let target = if input == ClassifierInput::Cosine {
            Target::Regression
        } else {
            Target::Labels(vec!["a".into(), "b".into()])
        };
        let head = Head::Classification { target };
        let config = EncoderConfig { classifier_input: input, ..config(Family::Bert, Head::None) }.with_head(head);
        let bundle = bundle(config);
        assert_eq!(outputs(&bundle, Options::default()), expected);
        let file = onnx::export(&bundle, &Options::default()).unwrap();
        let says = |text: &str| file.bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert_eq!(says("cosine_scale"), input == ClassifierInput::Cosine);
        assert_eq!(says("[\"a\",\"b\"]"), input == ClassifierInput::Mean);
    }
}

#[test]
fn vectors_are_pooled_projected_and_normalized_inside() {
    let modes =
        [PoolingMode::Cls, PoolingMode::Mean, PoolingMode::Max, PoolingMode::MeanSqrtLength, PoolingMode::LastToken];
    let projection = |normalized_input, activation, bias| Projection {
        normalized_input,
        weight: numbers(&[16, 24], 3, 0.9),
        bias: if bias { Some(numbers(&[16], 4, 0.9)) } else { None },
        activation,
    };
    let all = [
        vec![],
        vec![projection(true, ProjectionActivation::Tanh, true)],
        vec![
            projection(false, ProjectionActivation::Relu, false),
            Projection {
                weight: numbers(&[5, 16], 5, 0.9),
                ..projection(false, ProjectionActivation::Identity, false)
            },
        ],
    ];
    for opset in [17, 18] {
        for mode in modes {
            for normalize in [false, true] {
                for projections in &all {
                    let mut bundle = bundle(config(Family::MpNet, Head::None));
                    bundle.pooling = Some(Pooling { mode, normalize });
                    bundle.projections = projections.clone();
                    let outputs = outputs(&bundle, Options { opset, ..Options::default() });
                    assert_eq!(outputs, ["last_hidden_state", "sentence_embedding"]);
                }
            }
        }
    }
}

#[test]
fn int8_is_smaller_and_close() {
    let mut bundle = bundle(EncoderConfig { vocabulary: 2000, ..config(Family::Bert, labels(Target::Labels)) });
    let options = Options { precision: Precision::Int8, ..Options::default() };
    let whole = onnx::export(&bundle, &Options::default()).unwrap();
    let rounded = onnx::export(&bundle, &options).unwrap();
    assert!(rounded.checks[0].difference > 0.0, "it is computed in integers: {:?}", rounded.checks);
    // Tables become small where the model's own are.
    let kept = |name: &str| match name {
        "encoder.layer.0.attention.self.key.weight" => Storage::F32,
        _ => Storage::int8_matrices(name),
    };
    let quantized = QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::MaxAbs, kept).unwrap();
    bundle.quantized = Some(quantized);
    let small = onnx::export(&bundle, &options).unwrap();
    assert!(2 * small.bytes.len() < rounded.bytes.len() && rounded.bytes.len() < whole.bytes.len());
    // One of query, key and value in floats leaves all three so.
    let count =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    assert_eq!(count(&small.bytes, "MatMulInteger:layer.0.query"), 0);
    assert!(count(&small.bytes, "MatMulInteger:layer.1.query") > 0);
}

#[test]
fn versions_that_are_not_written_are_refused() {
    let bundle = bundle(config(Family::Bert, Head::None));
    for opset in [16, 23] {
        let error = onnx::export(&bundle, &Options { opset, ..Options::default() }).unwrap_err();
        assert!(matches!(error, Error::Opset { .. }), "{error}");
        assert!(error.to_string().contains("17 to 22"), "{error}");
    }
}

#[test]
fn a_directory_has_what_other_programs_read_texts_by() {
    let folder = tempfile::tempdir().unwrap();
    let mut bundle = bundle(config(Family::Bert, labels(Target::Labels)));
    bundle.tokenizer_files = vec![("vocab.txt".into(), b"[PAD]\n".to_vec())];
    let file = onnx::export(&bundle, &Options::default()).unwrap();
    let path = onnx::write_directory(&file, &bundle, &folder.path().join("out")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), file.bytes);
    let config = attar_testing::json(&folder.path().join("out/config.json"));
    assert_eq!(config["id2label"]["1"], "yes");
    assert_eq!(std::fs::read(folder.path().join("out/vocab.txt")).unwrap(), b"[PAD]\n");
    assert!(onnx::write_directory(&file, &bundle, &folder.path().join("out")).is_err(), "it exists");
}
