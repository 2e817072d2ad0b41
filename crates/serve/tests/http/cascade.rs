//! A student that answers where it is sure, and its teacher where it is not.

use std::sync::{Arc, Mutex};

use attar_model::{ClassifierInput, Head, Target};
use attar_runtime::{Text, confidence};
use attar_serve::{Cascade, Event, NamedBundle, ReadTerms, ServeError, ServeOptions, Terms};
use serde_json::{Value, json};

use crate::client::{Running, meter, wait_for};
use crate::models::{bundle, options, session, write};

/// Texts that the models have something to say of.
fn texts() -> Vec<String> {
    let words = ["Ada", "wrote", "London", "notes", "engine", "built", "Charles", "never"];
    (0..40).map(|i| format!("{} {} {}", words[i % 8], words[i * 3 % 7], words[i * 5 % 6])).collect()
}

/// A model with the labels of `intents` in another order, and other weights.
fn write_teacher(folder: &std::path::Path, seed: u32) {
    let labels = ["weather", "lights", "music"].map(str::to_owned).to_vec();
    write(folder, Head::Classification { target: Target::Labels(labels) }, ClassifierInput::FirstToken, seed);
}

fn teacher(folder: &std::path::Path) -> NamedBundle {
    write_teacher(folder, 21);
    NamedBundle { name: "teacher".into(), dir: folder.into(), options: options() }
}

fn terms(threshold: f64, audit_share: f64) -> Cascade {
    let terms = Terms { threshold, min_agreement: 0.99 };
    Cascade { student: "intents".into(), teacher: "teacher".into(), terms, audit_share, read_terms: None }
}

/// Labels by their scores, as the route gives them.
fn best(answer: &Value) -> Vec<String> {
    answer.as_array().unwrap().iter().map(|all| all[0]["label"].as_str().unwrap().to_owned()).collect()
}

fn counted(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or(0.0)
}

#[test]
fn who_is_not_sure_asks_the_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = teacher(folder.path());
    let texts = texts();
    let rows: Vec<Text<'_>> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let mut own = session("intents");
    let target = own.target().unwrap().clone();
    let sure: Vec<f64> =
        own.logits(&rows, |_| ()).unwrap().iter().map(|row| confidence(&target, row).unwrap()).collect();
    let mut sorted = sure.clone();
    sorted.sort_by(f64::total_cmp);
    let threshold = sorted[15];
    let asked = json!({ "inputs": texts.iter().map(|text| [text]).collect::<Vec<_>>() });

    let alone = Running::new(vec![bundle("intents"), teacher.clone()], |_| ());
    let by_student = best(&alone.post("/predict", &asked).ok());
    let by_teacher = best(&alone.post("/models/teacher/predict", &asked).ok());
    let differ = by_student.iter().zip(&by_teacher).filter(|(a, b)| a != b).count();
    assert!(differ > 5, "the models answer alike: nothing is tested");

    let server =
        Running::new(vec![bundle("intents"), teacher], |options| options.cascades = vec![terms(threshold, 0.0)]);
    let answers = best(&server.post("/predict", &asked).ok());
    for (row, answer) in answers.iter().enumerate() {
        let expected = if sure[row] >= threshold { &by_student[row] } else { &by_teacher[row] };
        assert_eq!(answer, expected, "{}", texts[row]);
    }
    // Asked by its own name the teacher answers as ever.
    assert_eq!(best(&server.post("/models/teacher/predict", &asked).ok()), by_teacher);
    let text = server.get("/metrics").body;
    let unsure = sure.iter().filter(|&&sure| sure < threshold).count() as f64;
    let inputs =
        |by: &str| counted(&text, &format!("attar_cascade_inputs_total{{student=\"intents\",answered_by=\"{by}\"}}"));
    assert_eq!((inputs("intents"), inputs("teacher")), (40.0 - unsure, unsure), "{text}");
}

#[test]
fn an_input_is_counted_once_whoever_computes_it() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = teacher(folder.path());
    let asked = json!({ "inputs": texts().iter().map(|text| [text]).collect::<Vec<_>>() });
    let alone = Running::new(vec![bundle("intents")], |_| ());
    let tokens = alone.post("/predict", &asked).headers["x-compute-tokens"].clone();
    // All are put to the teacher too: as audits, or because the student is sure of nothing.
    for threshold in [0.0, 2.0] {
        let cascades = vec![terms(threshold, 1.0)];
        let server = Running::new(vec![bundle("intents"), teacher.clone()], |options| options.cascades = cascades);
        let answer = server.post("/predict", &asked);
        assert_eq!(answer.headers["x-compute-tokens"], tokens, "{threshold}");
        let computed = |text: &str, bundle: &str| counted(text, &format!("attar_texts_total{{bundle=\"{bundle}\"}}"));
        wait_for(|| computed(&server.get("/metrics").body, "teacher") == 40.0);
        let text = server.get("/metrics").body;
        assert_eq!(computed(&text, "intents"), 40.0);
        let once =
            ["te_predict_count", "te_predict_success", "te_predict_duration_count", "te_request_input_length_count"];
        for name in once {
            assert_eq!(counted(&text, name), 40.0, "{name} at {threshold} in\n{text}");
        }
    }
}

#[test]
fn answers_that_the_teacher_refuses_are_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = teacher(folder.path());
    // Fewer tokens than the student takes.
    std::fs::write(folder.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 4}"#).unwrap();
    let server = Running::new(vec![bundle("intents"), teacher], |options| options.cascades = vec![terms(2.0, 0.0)]);
    let asked = json!({ "inputs": "Ada wrote notes on the engine", "truncate": false });
    assert_eq!(server.post("/predict", &asked).status, 413);
    let text = server.get("/metrics").body;
    assert!(!text.contains("attar_cascade_inputs_total{"), "{text}");
    assert_eq!((counted(&text, "te_predict_count"), counted(&text, "te_predict_success")), (1.0, 0.0), "{text}");
}

#[test]
fn audits_do_not_change_answers_and_tell_drift() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = teacher(folder.path());
    let texts = texts();
    let asked = json!({ "inputs": texts.iter().map(|text| [text]).collect::<Vec<_>>() });
    // Sure of everything, and audited always.
    let server = Running::new(vec![bundle("intents"), teacher], |options| options.cascades = vec![terms(0.0, 1.0)]);
    let alone = Running::new(vec![bundle("intents")], |_| ());
    let by_student = alone.post("/predict", &asked).ok();
    for _ in 0..5 {
        assert_eq!(server.post("/predict", &asked).ok(), by_student);
    }
    // They are made beside the requests.
    let audits = |agrees: bool| {
        let text = server.get("/metrics").body;
        counted(&text, &format!("attar_cascade_audits_total{{student=\"intents\",agreed=\"{agrees}\"}}"))
    };
    wait_for(|| audits(true) + audits(false) == 200.0);
    assert!(audits(false) > 25.0);
    wait_for(|| server.events.lock().unwrap().iter().any(|event| matches!(event, Event::Drift { .. })));
    let events = server.events.lock().unwrap();
    let drift = events.iter().find(|event| matches!(event, Event::Drift { .. })).unwrap();
    let Event::Drift { student, teacher, audits, min_agreement, .. } = drift else { unreachable!() };
    assert_eq!((student.as_str(), teacher.as_str(), *audits, *min_agreement), ("intents", "teacher", 100, 0.99));
}

#[test]
fn bundles_that_do_not_answer_alike_are_refused() {
    let refused_all = |bundles: Vec<NamedBundle>, pairs: &[[&str; 2]]| {
        let cascade = |[student, teacher]: &[&str; 2]| Cascade {
            student: (*student).to_owned(),
            teacher: (*teacher).to_owned(),
            ..terms(0.5, 0.0)
        };
        let cascades = pairs.iter().map(cascade).collect();
        let options = ServeOptions { cascades, ..ServeOptions::new(bundles) };
        let factors = attar_bill::Factors::new(attar_bill::Grid::world(), attar_bill::Tariff::own_machine());
        match attar_serve::Server::new(options, meter(), factors, std::sync::Arc::new(|_: &Event| ())) {
            Err(error @ ServeError::Cascade { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let refused = |bundles: Vec<NamedBundle>, student: &str, teacher: &str| refused_all(bundles, &[[student, teacher]]);
    let both = || vec![bundle("intents"), bundle("topics"), bundle("vectors")];
    assert!(refused(both(), "intents", "other").contains("no bundle is named `other`"));
    assert!(refused(both(), "intents", "intents").contains("itself"));
    assert!(refused(both(), "intents", "topics").contains("same question"));
    assert!(refused(both(), "vectors", "intents").contains("no classes"));
    let folder = tempfile::tempdir().unwrap();
    let three = vec![bundle("intents"), teacher(folder.path())];
    let twice = refused_all(three, &[["intents", "teacher"], ["intents", "teacher"]]);
    assert!(twice.contains("another teacher already"), "{twice}");
    let three = vec![bundle("intents"), teacher(folder.path())];
    let circle = refused_all(three, &[["intents", "teacher"], ["teacher", "intents"]]);
    assert!(circle.contains("itself"), "{circle}");
}

/// Copies the files of a model over those of another.
fn replace(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_models_of_a_cascade_are_replaced_together_with_their_contract() {
    let folder = tempfile::tempdir().unwrap();
    let [large, small, spare] = ["large", "small", "spare"].map(|name| folder.path().join(name));
    [&large, &small, &spare].iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let teacher = teacher(&large);
    replace(&bundle("intents").dir, &small);
    let student = NamedBundle { name: "intents".into(), dir: small.clone(), options: options() };
    // Sure of nothing: the teacher answers.
    let now: Arc<Mutex<Result<Terms, String>>> = Arc::new(Mutex::new(Ok(terms(2.0, 0.0).terms)));
    let read_terms = {
        let now = Arc::clone(&now);
        ReadTerms(Arc::new(move || now.lock().unwrap().clone()))
    };
    let cascade = Cascade { read_terms: Some(read_terms), ..terms(2.0, 0.0) };
    let server = Running::new(vec![student, teacher, bundle("topics")], |options| options.cascades = vec![cascade]);
    let asked = json!({ "inputs": texts().iter().map(|text| [text]).collect::<Vec<_>>() });
    let ask = || server.post("/predict", &asked).ok();
    let before = ask();
    assert_eq!(best(&before), best(&server.post("/models/teacher/predict", &asked).ok()));

    // A contract of other weights: both stay, and what is no part of the cascade is read again.
    *now.lock().unwrap() = Err("made for other weights".into());
    write_teacher(&spare, 99);
    replace(&spare, &large);
    let answer = server.ask("POST", "/admin/reload", &[], b"");
    assert_eq!(answer.status, 424, "{answer:?}");
    let outcome = |answer: &Value, name: &str| {
        let row = answer.as_array().unwrap().iter().find(|row| row["bundle"] == name).unwrap().clone();
        (row["outcome"].as_str().unwrap().to_owned(), row["error"].as_str().unwrap_or_default().to_owned())
    };
    let (refused, why) = outcome(&answer.json(), "intents");
    assert!(refused == "refused" && why.contains("made for other weights"), "{why}");
    assert_eq!(outcome(&answer.json(), "teacher").0, "refused");
    assert_eq!(outcome(&answer.json(), "topics").0, "accepted");
    assert_eq!(ask(), before);

    // One that fits: both are accepted, with its threshold.
    *now.lock().unwrap() = Ok(Terms { threshold: 2.0, min_agreement: 0.5 });
    let answer = server.ask("POST", "/admin/reload", &[], b"");
    assert_eq!((answer.status, outcome(&answer.json(), "teacher").0.as_str()), (200, "accepted"), "{answer:?}");
    let of_new = ask();
    assert_ne!(of_new, before);
    assert_eq!(of_new, server.post("/models/teacher/predict", &asked).ok());
    *now.lock().unwrap() = Ok(Terms { threshold: 0.0, min_agreement: 0.5 });
    server.ask("POST", "/admin/reload", &[], b"");
    let alone = Running::new(vec![bundle("intents")], |_| ());
    assert_eq!(ask(), alone.post("/predict", &asked).ok());

    // One of the two is broken: neither is accepted.
    std::fs::write(large.join("config.json"), "{").unwrap();
    let answer = server.ask("POST", "/admin/reload", &[], b"").json();
    assert_eq!((outcome(&answer, "intents").0, outcome(&answer, "teacher").0), ("refused".into(), "refused".into()));
    assert_eq!(ask(), alone.post("/predict", &asked).ok());
}

#[test]
fn without_a_way_to_renew_a_contract_its_models_stay() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = vec![bundle("intents"), teacher(folder.path()), bundle("topics")];
    let server = Running::new(bundles, |options| options.cascades = vec![terms(0.5, 0.0)]);
    let answer = server.ask("POST", "/admin/reload", &[], b"").json();
    assert!(answer[0]["error"].as_str().unwrap().contains("start the server again"), "{answer}");
    let outcomes: Vec<(&str, &str)> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["bundle"].as_str().unwrap(), row["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, [("intents", "refused"), ("teacher", "refused"), ("topics", "accepted")]);
}

/// Every counter that the dashboard and the guide for operators name is there once what it counts has happened.
#[test]
fn the_dashboard_and_the_guide_name_counters_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = vec![bundle("intents"), teacher(folder.path()), bundle("vectors")];
    let server = Running::new(bundles, |options| options.cascades = vec![terms(0.0, 1.0)]);
    server.post("/predict", &json!({ "inputs": "Ada wrote" })).ok();
    assert_eq!(server.post("/models/vectors/predict", &json!({ "inputs": "a" })).status, 424);
    server.ask("POST", "/admin/reload", &[], b"");
    let mut text = String::new();
    wait_for(|| {
        server.post("/embed", &json!({ "inputs": vec!["Ada wrote notes on the engine"; 64] })).ok();
        text = server.get("/metrics").body;
        text.contains("attar_cascade_audits_total") && text.contains("attar_served_energy_joules_total")
    });
    // It has a family where there is a certificate.
    text.push_str("attar_certificate_reloads_total");
    let mut names = std::collections::BTreeSet::new();
    for document in [include_str!("../../../../docs/grafana-serve.json"), include_str!("../../../../docs/serve.md")] {
        let words = document.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        names.extend(words.filter(|word| word.starts_with("te_") || word.starts_with("attar_")));
    }
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(text.contains(name), "{name} is named and not there:\n{text}");
    }
}
