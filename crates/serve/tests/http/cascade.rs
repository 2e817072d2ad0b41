//! A student that answers where it is sure, and its teacher where it is not.

use attar_model::{ClassifierInput, Head, Target};
use attar_runtime::{Text, confidence};
use attar_serve::{Cascade, Event, NamedBundle, ServeError, ServeOptions};
use serde_json::{Value, json};

use crate::client::{Running, meter, wait_for};
use crate::models::{bundle, options, session, write};

/// Texts that the models have something to say of.
fn texts() -> Vec<String> {
    let words = ["Ada", "wrote", "London", "notes", "engine", "built", "Charles", "never"];
    (0..40).map(|i| format!("{} {} {}", words[i % 8], words[i * 3 % 7], words[i * 5 % 6])).collect()
}

/// A model with the labels of `intents` in another order, and other weights.
fn teacher(folder: &std::path::Path) -> NamedBundle {
    let labels = ["weather", "lights", "music"].map(str::to_owned).to_vec();
    write(folder, Head::Classification { target: Target::Labels(labels) }, ClassifierInput::FirstToken, 21);
    NamedBundle { name: "teacher".into(), dir: folder.into(), options: options() }
}

fn terms(threshold: f64, audit_share: f64) -> Cascade {
    Cascade { student: "intents".into(), teacher: "teacher".into(), threshold, promised: 0.99, audit_share }
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
    let Event::Drift { student, teacher, audits, expected, .. } = drift else { unreachable!() };
    assert_eq!((student.as_str(), teacher.as_str(), *audits, *expected), ("intents", "teacher", 100, 0.99));
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
}

#[test]
fn what_a_contract_is_about_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = vec![bundle("intents"), teacher(folder.path()), bundle("topics")];
    let server = Running::new(bundles, |options| options.cascades = vec![terms(0.5, 0.0)]);
    server.ask("POST", "/admin/reload", &[], b"");
    wait_for(|| {
        let events = server.events.lock().unwrap();
        events.iter().filter(|event| matches!(event, Event::ReloadRefused { .. })).count() == 2
            && events.iter().any(|event| matches!(event, Event::Reloaded { bundle } if bundle == "topics"))
    });
}
