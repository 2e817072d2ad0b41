//! What models answer, without scripts.

use attar_model::ModelFiles;
use attar_model::atomic::WriteMode;
use attar_runtime::{Options, Precision, Session};
use attar_wasm::Model;

use crate::models::{all, file};

fn model(name: &str) -> Model {
    let (_, bundle) = all().iter().find(|(its, _)| *its == name).unwrap();
    Model::load(file(bundle)).unwrap()
}

#[test]
fn a_model_from_memory_answers_like_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let texts = [("the lights, please", None), ("", None), ("naïve café 中文", None)];
    for (name, bundle) in all() {
        let dir = root.path().join(name);
        bundle.write(&dir, WriteMode::New).unwrap();
        let precision = if bundle.quantized.is_some() { Precision::Int8 } else { Precision::F32 };
        let options = Options::new(precision, 1);
        let mut folder = Session::load(&dir, &options).unwrap();
        let bytes = file(bundle);
        let files = ModelFiles::from_bytes("a.attar".as_ref(), bytes).unwrap();
        let mut memory = Session::load_from(&files, &options).unwrap();
        let pooling = folder.pooling();
        assert_eq!(memory.pooling(), pooling, "{name}");
        assert_eq!(
            memory.embed(&texts, pooling, |_| ()).unwrap(),
            folder.embed(&texts, pooling, |_| ()).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn labels_come_with_their_probabilities() {
    for name in ["classes", "classes-int8"] {
        let mut model = model(name);
        let info = model.info();
        assert_eq!(
            (info.task, info.requires_pairs, &info.labels[..]),
            ("classify", false, &["no", "yes", "perhaps"].map(String::from)[..])
        );
        assert_eq!(info.precision, if name.ends_with("int8") { "int8" } else { "f32" });
        let texts = ["lights on", "what a day"];
        let (answers, logits) = (model.predict(&texts, None).unwrap(), model.logits(&texts, None).unwrap());
        for (answer, logits) in answers.iter().zip(&logits) {
            assert!((answer.iter().map(|label| label.score).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(answer.is_sorted_by(|a, b| a.score >= b.score));
            let best = (0..3).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(answer[0].label, info.labels[best], "{name}");
        }
        // One text's answer does not depend on the others.
        assert_eq!(model.predict(&texts[1..], None).unwrap()[0], answers[1]);
        assert_ne!(model.predict(&["a"], Some(&["b"])).unwrap(), model.predict(&["a"], None).unwrap());
    }
    let several = model("several-labels").predict(&["a button is red"], None).unwrap();
    assert!(several[0].iter().all(|label| (0.0..1.0).contains(&label.score)));
    assert!((several[0].iter().map(|label| label.score).sum::<f64>() - 1.0).abs() > 1e-3, "each by itself");
    let mut numbers = model("numbers");
    let logits = numbers.logits(&["a"], None).unwrap();
    let score = &numbers.predict(&["a"], None).unwrap()[0];
    assert_eq!((score.len(), score[0].label.as_str(), score[0].score), (1, "score", logits[0][0].into()));
    assert!(numbers.info().labels.is_empty());
}

#[test]
fn pairs_that_are_compared_need_both() {
    let mut alike = model("alike");
    assert!(alike.info().requires_pairs);
    let [same, other] =
        [("a cat", "a cat"), ("a cat", "12 trains")].map(|(a, b)| alike.predict(&[a], Some(&[b])).unwrap()[0][0].score);
    assert_ne!(same, other);
    assert!(alike.predict(&["a cat"], None).unwrap_err().to_string().contains("second text"));
}

#[test]
fn words_are_found_where_scripts_look_for_them() {
    let mut tags = model("tags");
    let texts = ["😀 Zoë lives in 東京 now", "Berlin"];
    let found = tags.tag(&texts).unwrap();
    assert!(found.iter().flatten().count() > 1, "{found:?}");
    for (text, entities) in texts.iter().zip(&found) {
        let units: Vec<u16> = text.encode_utf16().collect();
        for entity in entities {
            assert_eq!(String::from_utf16(&units[entity.start..entity.end]).unwrap(), entity.text);
            assert!(["PER", "LOC"].contains(&entity.label.as_str()), "{entity:?}");
        }
    }
    let mut answers = model("answers");
    let context = "😀 the tower was built in 1889 by engineers";
    let span = answers.answer("when was it built", context).unwrap().unwrap();
    let units: Vec<u16> = context.encode_utf16().collect();
    assert_eq!(String::from_utf16(&units[span.start..span.end]).unwrap(), span.text);
    assert!(!span.text.is_empty() && span.score > 0.0);
    assert_eq!(answers.answer("when", "").unwrap(), None);
}

#[test]
fn texts_are_cut_where_the_model_ends() {
    let mut classes = model("classes");
    let most = classes.info().max_tokens;
    let words = |count: usize| vec!["one"; count].join(" ");
    let fits = classes.tokenize(&words(most - 2), None).unwrap();
    assert_eq!((fits.ids.len(), fits.truncated), (most, false));
    let cut = classes.tokenize(&words(most - 1), None).unwrap();
    assert_eq!((cut.ids, cut.truncated), (fits.ids, true));
    let pair = classes.tokenize("one", Some("two")).unwrap();
    assert_eq!(pair.tokens, ["[CLS]", "one", "[SEP]", "two", "[SEP]"]);
    assert_eq!(pair.types, [0, 0, 0, 1, 1]);
}

#[test]
fn errors_say_what_to_do() {
    let told = |error: attar_runtime::Error| {
        let cause = std::error::Error::source(&error).map(|cause| cause.to_string()).unwrap_or_default();
        format!("{error}: {cause}")
    };
    let error = told(Model::load(b"<!doctype html>".to_vec()).unwrap_err());
    assert!(error.contains("attar export single"), "{error}");
    let mut vectors = model("vectors-int8");
    assert_eq!(vectors.info().task, "embed");
    assert_eq!(vectors.embed(&["a"]).unwrap()[0].len(), vectors.info().dimensions);
    let error = told(vectors.predict(&["a"], None).unwrap_err());
    assert!(error.contains("no classification") && error.contains("attar finetune"), "{error}");
    assert!(told(vectors.tag(&["a"]).unwrap_err()).contains("tags words"));
    assert!(told(vectors.answer("a", "b").unwrap_err()).contains("answers questions"));
}
