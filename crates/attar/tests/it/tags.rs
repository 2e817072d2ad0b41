//! Tags of words, from a file in CoNLL's format to a small tagger and its answers.

use std::path::Path;

use crate::common::{fail, json, succeed, workshop, write};

/// Sentences whose words say which tags they have; the names of rooms have two words.
fn sentences(folder: &Path) {
    let (things, rooms) = (["lights", "music", "milk", "alarm"], [["living", "room"], ["back", "garden"]]);
    let mut text = "-DOCSTART- -X- O\n\n".to_owned();
    for number in 0..160 {
        let (thing, room) = (things[number % 4], rooms[number / 4 % 2]);
        text += &format!("please X O\n{thing} X B-THING\n");
        if number % 3 > 0 {
            text += &format!("in X O\nthe X O\n{} X B-ROOM\n{} X I-ROOM\n", room[0], room[1]);
        }
        text += &format!("number X O\n{number} X O\n\n");
    }
    write(folder, "rows.conll", &text);
}

#[test]
fn a_tagger_goes_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sentences(folder);
    let encoder = workshop().join("teacher").display().to_string();
    let tune = ["finetune", &encoder, "--data", "rows.conll", "--epochs", "12", "--rate", "2e-3", "--dev-share", "0.4"];
    let tuned = json(&succeed(folder, &[&tune[..], &["--energy", "off", "--out", "tuned", "--json"]].concat()));
    let scores = tuned["scores"]["student"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["entity_f1", "accuracy"]);
    assert!(scores[0]["value"].as_f64().unwrap() > 0.9, "{tuned}");
    let config = json(&std::fs::read_to_string(folder.join("tuned/student/config.json")).unwrap());
    assert_eq!(config["architectures"][0], "BertForTokenClassification");
    assert_eq!((&config["id2label"]["0"], &config["id2label"]["2"]), (&"O".into(), &"I-ROOM".into()));

    // Scored by another path, which cuts texts into windows, on the rows that were held out.
    let eval = ["eval", "tuned", "--data", "rows.conll", "--no-speed", "--json"];
    let scored = json(&succeed(folder, &eval));
    assert_eq!((&scored["rows"], &scored["models"][0]["scores"]), (&scores[0]["rows"], &tuned["scores"]["student"]));
    assert_eq!(scored["models"][0]["classes"]["classes"][3]["name"], "B-THING");
    let complaint = fail(folder, &[&eval[..5], &["--baseline"]].concat());
    assert!(complaint.contains("a tag for each word") || complaint.contains("words have tags"), "{complaint}");

    // Its student learns from its answers, and from those to sentences without tags.
    write(folder, "more.txt", "milk in the back garden\nplease music in the living room now\n");
    let distill = ["distill", "--teacher", "tuned", "--data", "rows.conll", "--epochs", "8", "--rate", "2e-3"];
    let flags = ["--dev-share", "0.4", "--unlabeled", "more.txt", "--energy", "off", "--out", "student", "--json"];
    let student = json(&succeed(folder, &[&distill[..], &flags].concat()));
    assert!(student["scores"]["student"][0]["value"].as_f64().unwrap() > 0.9, "{student}");
    assert_eq!(student["scores"]["teacher"]["scores"], tuned["scores"]["student"]);
    assert!(student["scores"]["teacher"]["agreement"]["value"].as_f64().unwrap() > 0.9, "{student}");

    // The shipped integers were held against the score, and answer.
    let small = json(&std::fs::read_to_string(folder.join("student/small/attar.json")).unwrap());
    assert_eq!(small["quantized"]["gate"]["quantized"][0]["metric"], "entity_f1");
    let words = json(succeed(folder, &["predict", "student/small", "please milk in the back garden", "--json"]).trim());
    let entities = words["entities"].as_array().unwrap();
    let found: Vec<(&str, &str)> =
        entities.iter().map(|e| (e["label"].as_str().unwrap(), e["text"].as_str().unwrap())).collect();
    assert_eq!(found, [("THING", "milk"), ("ROOM", "back garden")], "{words}");
}

#[test]
fn what_tags_cannot_do_is_refused_before_any_compute() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sentences(folder);
    let encoder = workshop().join("teacher").display().to_string();
    let finetune = |flags: &[&str]| fail(folder, &[&["finetune", &encoder, "--out", "x"], flags].concat());
    assert!(finetune(&["--data", "rows.conll", "--metric", "pearson"]).contains("pearson needs predicted scores"));
    write(folder, "other.conll", "milk X B-FOOD\n");
    let complaint = finetune(&["--data", "rows.conll", "--dev", "other.conll"]);
    assert!(complaint.contains("line 1: unknown label \"B-FOOD\""), "{complaint}");
    let parts: String = (0..24).map(|number| format!("we PRON\nsing VERB\n{number} NUM\n\n")).collect();
    write(folder, "parts.conll", &parts);
    let complaint = finetune(&["--data", "parts.conll", "--metric", "entity_f1"]);
    assert!(complaint.contains("entity_f1 is of entities"), "{complaint}");
    // A classifier of texts has no answers about words.
    write(folder, "texts.csv", "text,label\n");
    let complaint = fail(folder, &["eval", &encoder, "--data", "rows.conll", "--no-speed"]);
    assert!(complaint.contains("a model of a tag for each word"), "{complaint}");
    assert!(!folder.join("x").join("checkpoints").exists());
}
