//! Models in one file, and what a student may answer in its teacher's place.

use std::path::Path;

use attar_model::single_file::{self, StoredWeights};
use attar_model::{Bundle, Tensor, atomic::WriteMode};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;

use crate::common::{fail, json, succeed, workshop, write};

fn teacher() -> std::path::PathBuf {
    workshop().join("teacher/student")
}

/// Rows that no model has seen.
pub(crate) fn rows(folder: &Path, count: usize) {
    let data = synthetic::generate(&Streams::new(77), count, Split::Dev);
    let names = &data.target.labels().unwrap().names;
    let classes = data.classes().unwrap();
    let mut text = String::from("text\tlabel\n");
    for (example, class) in data.examples.iter().zip(classes) {
        text += &format!("{}\t{}\n", example.text, names[class as usize]);
    }
    write(folder, "rows.tsv", &text);
}

#[test]
fn a_single_file_answers_like_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    single_file::write(&teacher(), &folder.path().join("intents.attar"), StoredWeights::F32).unwrap();
    let texts = ["turn on the lights", "order two lamps"];
    for command in ["predict", "embed"] {
        let [file, whole] = ["intents.attar", &teacher().display().to_string()]
            .map(|model| succeed(folder.path(), &[&[command, model][..], &texts].concat()));
        assert_eq!(file, whole, "{command}");
    }
    // The command writes the same bytes; what the model does not have is refused.
    let model = teacher().display().to_string();
    succeed(folder.path(), &["export", "single", &model, "--out", "by-command.attar"]);
    let [one, other] =
        ["intents.attar", "by-command.attar"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
    assert!(one == other, "{} and {} bytes", one.len(), other.len());
    let error = fail(folder.path(), &["export", "single", &model, "--out", "x.attar", "--precision", "int8"]);
    assert!(error.contains("quantize"), "{error}");
    write(folder.path(), "notes.txt", "hello\n");
    let error = fail(folder.path(), &["predict", "notes.txt", "a"]);
    assert!(error.contains("this is a file, and a model is a folder"), "{error}");
    let error = fail(folder.path(), &["finetune", "intents.attar", "--data", "notes.txt", "--out", "run"]);
    assert!(error.contains("unpack it"), "{error}");
}

#[test]
fn a_student_that_always_agrees_answers_everything() {
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path(), 900);
    single_file::write(&teacher(), &folder.path().join("small.attar"), StoredWeights::F32).unwrap();
    let teacher = teacher().display().to_string();
    let contract = |more: &[&str]| {
        let fixed = ["contract", "--teacher", &teacher, "--student", "small.attar", "--data", "rows.tsv", "--all-rows"];
        [&fixed[..], more].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<String>>()
    };
    let run = |more: &[&str]| {
        let words = contract(more);
        succeed(folder.path(), &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let found = json(&run(&["--energy", "fixed", "--watts", "10", "--price", "0.3", "--json"]));
    let tested = &found["threshold"]["test"];
    let [all, covered] = ["rows", "covered"].map(|key| tested[key].as_u64().unwrap());
    // Down to the least sure of the rows that the threshold was found by.
    assert!(covered <= all && covered + 20 > all, "{tested}");
    assert_eq!(tested["agreeing"], covered);
    let rows = found["threshold"]["selection"]["rows"].as_u64().unwrap() + tested["rows"].as_u64().unwrap();
    assert_eq!(rows, 900);
    assert!(found["threshold"]["agreement_lower_bound"].as_f64().unwrap() >= 0.99);
    // The same model twice saves nothing but the second asking.
    let saving = &found["saving"];
    let [whole, alone] = ["contract", "student"].map(|who| saving[who]["milliseconds"].as_f64().unwrap());
    assert!(whole >= alone && saving["time_saved"].as_f64().unwrap() < 0.5, "{saving}");
    assert!(saving["student"]["joules"].is_object() && saving["student"]["money"]["amount"].as_f64().unwrap() > 0.0);
    let written = std::fs::read_to_string(folder.path().join("small.contract.json")).unwrap();
    assert_eq!(json(&written), found);
    let shown = run(&["--no-speed"]);
    assert!(shown.contains("100.00 %, are the teacher's") && shown.contains("with 95 % confidence"), "{shown}");

    let error =
        fail(folder.path(), &contract(&["--min-agreement", "99"]).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("above 0 and below 1"), "{error}");
    // So few rows cannot show so much.
    let error =
        fail(folder.path(), &contract(&["--min-agreement", "0.9999"]).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("at least 29956 of them"), "{error}");
}

#[test]
fn a_student_that_knows_nothing_gets_no_contract() {
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path(), 1500);
    let mut bundle = Bundle::read(&teacher()).unwrap();
    let noise = bundle.weights.iter().map(|(name, tensor)| {
        let numbers = tensor
            .data
            .iter()
            .enumerate()
            .map(|(i, x)| if name.starts_with("classifier") { (i % 7) as f32 - 3.0 } else { *x });
        (name.to_owned(), Tensor::new(tensor.shape.clone(), numbers.collect()))
    });
    bundle.weights = noise.collect();
    bundle.write(&folder.path().join("student"), WriteMode::New).unwrap();
    let teacher = teacher().display().to_string();
    let error = fail(
        folder.path(),
        &["contract", "--teacher", &teacher, "--student", "student", "--data", "rows.tsv", "--all-rows", "--no-speed"],
    );
    assert!(error.contains("the teacher's answer 99 % of the time") && error.contains("--min-agreement"), "{error}");
    assert!(!folder.path().join("student/contract.json").exists());
}
