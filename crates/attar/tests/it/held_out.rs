//! Rows that a model was trained on are not what it is scored by.

use std::path::Path;

use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use serde_json::Value;

use crate::common::{attar, fail, json, workshop, write};

/// Rows in the file.
const ROWS: usize = 200;

fn rows(folder: &Path, name: &str, count: usize, split: Split) {
    let data = synthetic::generate(&Streams::new(5), count, split);
    let names = &data.target.labels().unwrap().names;
    let classes = data.classes().unwrap();
    let lines = data.examples.iter().zip(classes).map(|(e, class)| format!("{}\t{}\n", e.text, names[class as usize]));
    write(folder, name, &format!("text\tlabel\n{}", lines.collect::<String>()));
}

/// What a call that succeeds prints, and what it says beside.
fn both(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let output = attar(folder, arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    (json(&String::from_utf8(output.stdout).unwrap()), errors)
}

#[test]
fn a_model_is_scored_by_what_was_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, "rows.tsv", ROWS, Split::Train);
    rows(folder, "new.tsv", 30, Split::Test);
    let teacher = workshop().join("teacher").display().to_string();
    let tune = ["finetune", &teacher, "--new-head", "--data", "rows.tsv", "--steps", "3", "--energy", "off"];
    let (exported, _) = both(folder, &[&tune[..], &["--out", "tuned", "--json"]].concat());
    let held_out = exported["scores"]["student"][0]["rows"].as_u64().unwrap();
    assert!(held_out > 0 && held_out < ROWS as u64 / 4, "{exported}");

    let eval = |more: &[&str]| both(folder, &[&["eval", "tuned", "--no-speed", "--json"], more].concat());
    let (scored, said) = eval(&["--data", "rows.tsv"]);
    assert_eq!(scored["rows"], held_out);
    // The same rows as at the end of the training, so the same score.
    assert_eq!(scored["models"][0]["scores"][0]["value"], exported["scores"]["student"][0]["value"]);
    assert_eq!(scored["models"][0]["classes"], exported["scores"]["classes"]);
    assert!(said.contains("held out") && said.contains("--all-rows") && !said.contains("inflated"), "{said}");
    let (scored, said) = eval(&["--data", "rows.tsv", "--all-rows"]);
    assert_eq!(scored["rows"], ROWS);
    assert!(said.contains("warning: tuned was trained on about") && said.contains("inflated"), "{said}");
    let (scored, said) = eval(&["--data", "new.tsv"]);
    assert_eq!(scored["rows"], 30);
    assert!(!said.contains("inflated"), "{said}");

    // The rest of the file is what a baseline learns from; another file may be named.
    let (scored, said) = eval(&["--data", "rows.tsv", "--baseline"]);
    assert!(said.contains("learns from the other"), "{said}");
    assert_eq!(scored["models"][1]["scores"][0]["rows"], held_out);
    let (scored, said) = eval(&["--data", "rows.tsv", "--baseline", "--train", "rows.tsv"]);
    assert!(said.contains("the baseline leaves out"), "{said}");
    assert!(scored["models"][1]["scores"][0]["value"].as_f64().is_some());
    let complaint = fail(folder, &["eval", "tuned", "--no-speed", "--data", "new.tsv", "--baseline"]);
    assert!(complaint.contains("--train"), "{complaint}");

    let (report, said) = both(folder, &["quantize", "tuned", "--out", "small", "--data", "rows.tsv", "--json"]);
    assert_eq!(report["gate"]["data"]["rows"], held_out);
    assert!(said.contains("held out") && !said.contains("the scored rows themselves"), "{said}");
    // What was known of rows goes with the model.
    let (scored, _) = both(folder, &["eval", "small", "--no-speed", "--json", "--data", "rows.tsv"]);
    assert_eq!(scored["rows"], held_out);
    let files = ["config.json", "model.int8.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"];
    let others = ["special_tokens_map.json", "added_tokens.json"];
    let length = |name: &&str| std::fs::metadata(folder.join("small").join(name)).map_or(0, |file| file.len());
    let shipped: u64 = files.iter().chain(&others).map(length).sum();
    assert_eq!(scored["models"][0]["bytes"], shipped);

    let bench = ["--rounds", "1", "--seconds", "0.001", "--lengths", "8", "--batch", "1", "--starts", "0"];
    let texts = ["bench", "tuned", "--data", "rows.tsv", "--energy", "off", "--precision", "f32", "--json"];
    let (report, said) = both(folder, &[&texts[..], &bench].concat());
    assert_eq!(report["texts"]["rows"], held_out);
    assert!(said.contains("held out"), "{said}");
}

#[test]
fn files_are_read_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, "rows.tsv", 40, Split::Test);
    let plain = std::fs::read_to_string(folder.join("rows.tsv")).unwrap();
    let columns: Vec<(&str, &str)> = plain.lines().skip(1).map(|line| line.split_once('\t').unwrap()).collect();
    let file = |name: &str, line: &dyn Fn(&(&str, &str)) -> String| {
        write(folder, name, &columns.iter().map(line).collect::<String>());
    };
    file("semicolons.rows", &|(text, label)| format!("{text};{label}\n"));
    file("texts.txt", &|(text, _)| format!("{text}\n"));
    file("labels.txt", &|(_, label)| format!("{label}\n"));
    file("first.txt", &|(text, label)| format!("{label}:{text}\n"));
    let wide: Vec<u8> = format!("\u{feff}{plain}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(folder.join("wide.tsv"), wide).unwrap();
    let teacher = workshop().join("teacher").display().to_string();
    let scores = |more: &[&str]| {
        both(folder, &[&["eval", &teacher, "--no-speed", "--json"], more].concat()).0["models"][0]["scores"].clone()
    };
    let expected = scores(&["--data", "rows.tsv"]);
    assert_eq!(expected[0]["rows"], 40);
    let separated = ["--data", "semicolons.rows", "--format", "csv", "--delimiter", ";", "--text", "1", "--label", "2"];
    assert_eq!(scores(&[&separated[..], &["--header", "false"]].concat()), expected);
    assert_eq!(scores(&["--data", "texts.txt", "--format", "lines", "--label-file", "labels.txt"]), expected);
    assert_eq!(scores(&["--data", "first.txt", "--format", "label-first"]), expected);
    assert_eq!(scores(&["--data", "wide.tsv"]), expected);
}

#[test]
fn what_cannot_be_scored_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, "rows.tsv", 60, Split::Test);
    let teacher = workshop().join("teacher").display().to_string();
    let eval = |more: &[&str]| fail(folder, &[&["eval", &teacher, "--no-speed", "--data", "rows.tsv"], more].concat());
    let complaint = eval(&["--split", "test"]);
    assert!(complaint.contains("--split") && complaint.contains("single table"), "{complaint}");
    let complaint = eval(&["--metric", "f1"]);
    assert!(complaint.contains("18") && complaint.contains("macro_f1"), "{complaint}");
    let tune = ["finetune", &teacher, "--data", "rows.tsv", "--metric", "f1", "--out", "run"];
    let complaint = fail(folder, &tune);
    assert!(complaint.contains("macro_f1") && complaint.contains("nothing was computed"), "{complaint}");
    assert!(!folder.join("run").exists());
}

/// Texts and labels in files of their own: the quantized student is scored on the dev rows with the labels of those.
#[test]
fn a_second_file_of_labels_goes_with_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let halves = |name: &str, seed: u64, count: usize, split: Split| {
        let data = synthetic::generate(&Streams::new(seed), count, split);
        let names = &data.target.labels().unwrap().names;
        let labels = data.classes().unwrap().into_iter().map(|class| format!("{}\n", names[class as usize]));
        write(
            folder,
            &format!("{name}.txt"),
            &data.examples.iter().map(|e| format!("{}\n", e.text)).collect::<String>(),
        );
        write(folder, &format!("{name}.labels"), &labels.collect::<String>());
    };
    halves("train", 5, ROWS, Split::Train);
    halves("dev", 6, 90, Split::Dev);
    let teacher = workshop().join("teacher").display().to_string();
    let files =
        ["--data", "train.txt", "--label-file", "train.labels", "--dev", "dev.txt", "--dev-label-file", "dev.labels"];
    let distill = ["distill", "--teacher", &teacher, "--format", "lines", "--steps", "2", "--noisy-copies", "0"];
    let end = ["--energy", "off", "--out", "run", "--json"];
    let (made, _) = both(folder, &[&distill[..], &files[..], &end[..]].concat());
    assert_eq!(made["scores"]["student"][0]["rows"], 90);
    assert!(made["small"]["loss"].is_number(), "{made}");
    let gate = json(&std::fs::read_to_string(folder.join("run/small/attar.json")).unwrap());
    let f32 = &gate["quantized"]["gate"]["f32"][0]["value"];
    assert_eq!(f32, &made["scores"]["student"][0]["value"], "the same rows with the same labels");
}
