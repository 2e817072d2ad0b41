//! A suite of tasks, each with a teacher and its students.

use std::path::Path;

use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use serde_json::Value;

use crate::common::{attar, fail, json, succeed, workshop, write};

/// Rows of the embedded data with their class in two or three parts.
fn rows(seed: u64, count: usize, split: Split) -> Vec<(String, usize)> {
    let data = synthetic::generate(&Streams::new(seed), count, split);
    let classes = data.classes().unwrap();
    data.examples.into_iter().zip(classes).map(|(row, class)| (row.text, class as usize)).collect()
}

/// A folder of two tasks, with the files that GLUE's have.
fn tasks(folder: &Path) {
    std::fs::create_dir_all(folder.join("SST-2")).unwrap();
    std::fs::create_dir_all(folder.join("MNLI")).unwrap();
    std::fs::create_dir_all(folder.join("notes")).unwrap();
    for (name, count, split) in [("train", 120, Split::Train), ("dev", 30, Split::Dev)] {
        let lines = rows(3, count, split).into_iter().map(|(text, class)| format!("{text}\t{}\n", class % 2));
        write(folder, &format!("SST-2/{name}.tsv"), &format!("sentence\tlabel\n{}", lines.collect::<String>()));
    }
    let lines = rows(4, 9, Split::Test).into_iter().enumerate().map(|(index, (text, _))| format!("{index}\t{text}\n"));
    write(folder, "SST-2/test.tsv", &format!("index\tsentence\n{}", lines.collect::<String>()));
    let names = ["entailment", "neutral", "contradiction"];
    let header = "index\tpromptID\tpairID\tgenre\tsentence1\tsentence2\tgold_label\n";
    for (name, seed, count, split) in [
        ("train", 5, 120, Split::Train),
        ("dev_matched", 6, 20, Split::Dev),
        ("dev_mismatched", 7, 25, Split::Dev),
        ("test_mismatched", 8, 5, Split::Test),
    ] {
        let line = |(text, class): (String, usize)| match name.starts_with("test") {
            true => format!("0\t1\t1e\tfiction\t{text}\t{text}\n"),
            false => format!("0\t1\t1e\tfiction\t{text}\t{text}\t{}\n", names[class % 3]),
        };
        let header = if name.starts_with("test") { header.replace("\tgold_label", "") } else { header.to_string() };
        let lines: String = rows(seed, count, split).into_iter().map(line).collect();
        write(folder, &format!("MNLI/{name}.tsv"), &(header + &lines));
    }
}

fn suite(folder: &Path, more: &[&str]) -> Value {
    let teacher = workshop().join("teacher").display().to_string();
    let fixed = ["glue", "--data", "data", "--teacher", &teacher, "--steps", "2", "--no-speed", "--energy", "off"];
    let out = ["--max-tokens", "24", "--out", "suite", "--json"];
    // A recipe has a shape of its own.
    let shape: &[&str] = if more.iter().any(|flag| flag.ends_with(".toml")) { &[] } else { &["--vocabulary", "200"] };
    json(&succeed(folder, &[&fixed[..], shape, &out, more].concat()))
}

/// A recipe that needs a file for each task, and that of SST-2.
fn recipe(folder: &Path) {
    write(folder, "more-sst-2.txt", "turn on the lamp\nbuy two apples\nis the door shut\n");
    let recipe = r#"
        data = { kind = "embedded" }
        more = { unlabeled = ["more-{task}.txt"] }
        student = { from = "teacher", layers = [1] }
        stage = [{ name = "answers", objective = [{ kind = "soft" }] }]
    "#;
    write(folder, "student.toml", recipe);
}

fn score(row: &Value) -> f64 {
    row["scores"][0]["value"].as_f64().unwrap()
}

#[test]
fn a_suite_scores_every_model_of_every_task() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tasks(&folder.join("data"));
    let made = suite(folder, &["--seeds", "1,2"]);
    let rows = made["rows"].as_array().unwrap();
    let of = |task: &str, part: Option<&str>, seed: u64| -> Vec<&Value> {
        let fits = |row: &&Value| row["task"] == task && row["part"].as_str() == part && row["seed"] == seed;
        rows.iter().filter(fits).collect()
    };
    for (task, part, count) in [("SST-2", None, 30), ("MNLI", Some("dev"), 20), ("MNLI", Some("mismatched dev"), 25)] {
        for seed in [1, 2] {
            let models: Vec<&str> = of(task, part, seed).iter().map(|row| row["model"].as_str().unwrap()).collect();
            let expected = ["teacher", "student", "student, quantized", "student, gold labels only", "word n-grams"];
            assert_eq!(models, expected, "{task}");
            let teacher = of(task, part, seed)[0];
            assert_eq!(teacher["scores"][0]["rows"], count);
            assert!(teacher["kept"].is_null());
            for row in of(task, part, seed).into_iter().skip(1).filter(|_| score(teacher) > 0.0) {
                let kept = row["kept"].as_f64().unwrap();
                assert!((kept - score(row) / score(teacher)).abs() < 1e-12, "{row}");
            }
        }
    }
    // Seeds make different models; their mean is in the summary.
    let lines = made["summary"]["lines"].as_array().unwrap();
    let student = lines.iter().find(|line| line["task"] == "SST-2" && line["model"] == "student").unwrap();
    let own: Vec<f64> = [1, 2].map(|seed| score(of("SST-2", None, seed)[1])).to_vec();
    assert!((student["score"]["mean"].as_f64().unwrap() - own.iter().sum::<f64>() / 2.0).abs() < 1e-12);
    assert_eq!(student["score"]["count"], 2);
    assert_eq!(made["summary"]["averages"][1]["tasks"], 2);
    let table = std::fs::read_to_string(folder.join("suite/suite.md")).unwrap();
    assert!(table.contains("| SST-2 (accuracy)") && table.contains("mean of 2 tasks"), "{table}");

    // The dev part was seen by no training: checkpoints were chosen by rows of the training part.
    let manifest = json(&std::fs::read_to_string(folder.join("suite/sst-2/seed-1/teacher/manifest.json")).unwrap());
    assert_eq!(manifest["train"]["rows"].as_u64().unwrap() + manifest["dev"]["rows"].as_u64().unwrap(), 120);

    // Answers to the rows without labels are those of the first seed's student.
    let answers = std::fs::read_to_string(folder.join("suite/submission/SST-2.tsv")).unwrap();
    let predicted = succeed(
        folder,
        &["predict", "suite/sst-2/seed-1/student", "--data", "data/SST-2/test.tsv", "--text", "sentence"],
    );
    let predicted: Vec<bool> =
        predicted.lines().skip(1).map(|line| line.split('\t').nth(2) == Some("positive")).collect();
    let expected: String = predicted.iter().enumerate().map(|(i, &p)| format!("{i}\t{}\n", u8::from(p))).collect();
    assert_eq!(answers, format!("index\tprediction\n{expected}"));
    let others: Vec<_> = std::fs::read_dir(folder.join("suite/submission")).unwrap().collect();
    assert_eq!(others.len(), 2);

    // A part of it asked for again leaves the table whole.
    suite(folder, &["--seeds", "2", "--tasks", "sst-2"]);
    let whole = json(&std::fs::read_to_string(folder.join("suite/suite.json")).unwrap());
    assert_eq!(whole["rows"].as_array().unwrap().len(), rows.len());
    // Again: everything is there already.
    let scores = folder.join("suite/mnli/seed-2/scores.json");
    let written = std::fs::metadata(&scores).unwrap().modified().unwrap();
    assert_eq!(suite(folder, &["--seeds", "1,2"])["rows"], made["rows"]);
    assert_eq!(std::fs::metadata(&scores).unwrap().modified().unwrap(), written);
}

#[test]
fn a_suite_takes_its_students_from_a_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tasks(&folder.join("data"));
    recipe(folder);
    let made = suite(folder, &["student.toml", "--seeds", "1", "--tasks", "sst-2", "--no-gold"]);
    let models: Vec<&str> = made["rows"].as_array().unwrap().iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["teacher", "student", "student, quantized", "word n-grams"]);
    // Another suite with the same teachers.
    let others = ["glue", "student.toml", "--data", "data", "--teachers", "suite", "--tasks", "sst-2", "--seeds", "1"];
    let more = [
        "--steps",
        "3",
        "--no-speed",
        "--energy",
        "off",
        "--no-gold",
        "--max-tokens",
        "24",
        "--out",
        "other",
        "--json",
    ];
    let other = json(&succeed(folder, &[&others[..], &more].concat()));
    assert_eq!(other["rows"][0]["scores"], made["rows"][0]["scores"]);
    assert!(other["rows"][0]["made"].is_null() && !folder.join("other/sst-2/seed-1/teacher").exists());

    let written = std::fs::read_to_string(folder.join("suite/sst-2/seed-1/student/recipe.toml")).unwrap();
    assert!(written.contains("more-sst-2.txt") && written.contains("layers = [1]"), "{written}");
}

#[test]
fn a_failed_task_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tasks(&folder.join("data"));
    // MNLI has no rows beside its own.
    recipe(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let fixed =
        ["glue", "student.toml", "--data", "data", "--teacher", &teacher, "--steps", "1", "--seeds", "1", "--no-speed"];
    let output =
        attar(folder, &[&fixed[..], &["--energy", "off", "--no-gold", "--out", "suite"]].concat()).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("SST-2 (accuracy)"), "{said}{errors}");
    assert!(errors.contains("failed: MNLI, seed 1"), "{errors}");
    // A set without one of the parts that are scored is left out before anything is trained.
    std::fs::remove_file(folder.join("data/MNLI/dev_mismatched.tsv")).unwrap();
    let error = fail(folder, &["glue", "--data", "data", "--teacher", &teacher, "--tasks", "mnli", "--out", "other"]);
    assert!(error.contains("MNLI is in none of the folders"), "{error}");
    let error = fail(folder, &["glue", "student.toml", "--data", "data", "--teacher", &teacher, "--layers", "1"]);
    assert!(error.contains("a recipe says what shape"), "{error}");
}

#[test]
fn a_suite_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tasks(&folder.join("data"));
    let teacher = workshop().join("teacher").display().to_string();
    let glue = |more: &[&str]| fail(folder, &[&["glue", "--teacher", &teacher], more].concat());
    let error = glue(&["--data", "data", "--tasks", "cola"]);
    assert!(error.contains("CoLA is in none of the folders") && error.contains("MNLI, SST-2"), "{error}");
    let error = glue(&["--data", "data", "--tasks", "sst3"]);
    assert!(error.contains("--tasks") && error.contains("SST-2"), "{error}");
    let error = glue(&["--data", "data/notes"]);
    assert!(error.contains("no known data set"), "{error}");
    let error = glue(&["--data", "data", "--seeds", "1,1"]);
    assert!(error.contains("names a seed twice"), "{error}");
    assert!(!folder.join("runs").exists());
}

#[test]
fn a_distillation_by_several_seeds_gives_means() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines = rows(3, 120, Split::Train).into_iter().map(|(text, class)| format!("{text}\t{}\n", class % 2));
    write(folder, "rows.tsv", &format!("text\tlabel\n{}", lines.collect::<String>()));
    // The encoder of a teacher of other classes: a recipe without its head would do, but its run is at hand.
    let teacher = workshop().join("teacher").display().to_string();
    succeed(
        folder,
        &[
            "finetune",
            &teacher,
            "--new-head",
            "--data",
            "rows.tsv",
            "--steps",
            "3",
            "--energy",
            "off",
            "--out",
            "teacher",
        ],
    );
    let fixed =
        ["distill", "--teacher", "teacher", "--data", "rows.tsv", "--steps", "2", "--energy", "off", "--out", "made"];
    let made = json(&succeed(folder, &[&fixed[..], &["--seeds", "1,2", "--vocabulary", "200", "--json"]].concat()));
    let lines = made["summary"]["lines"].as_array().unwrap();
    let names: Vec<&str> = lines.iter().map(|line| line["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "student", "student, quantized"]);
    let scores: Vec<f64> = made["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["student"]["scores"]["student"][0]["value"].as_f64().unwrap())
        .collect();
    assert_eq!(scores.len(), 2);
    // On the rows that each seed held out, where the runs scored themselves.
    assert!((lines[1]["score"]["mean"].as_f64().unwrap() - scores.iter().sum::<f64>() / 2.0).abs() < 1e-12, "{made}");
    assert!(lines[1]["score"]["deviation"].is_number());
    assert!(folder.join("made/seed-2/small/config.json").exists());
    let error = String::from_utf8(
        attar(folder, &[&fixed[..], &["--seeds", "1", "--seed", "3"]].concat()).output().unwrap().stderr,
    )
    .unwrap();
    assert!(error.contains("cannot be used with"), "{error}");
}
