//! `attar vocab`: made, trimmed and compared.

use std::path::Path;

use crate::common::{fail, json, succeed, workshop, write};

const TEXT: &str = "book a table for two\nplay some jazz in the kitchen\nwill it rain in Oslo tomorrow\n";

#[test]
fn the_same_text_gives_the_same_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "text.txt", &TEXT.repeat(20));
    let train = |out: &str| {
        json(&succeed(folder, &["vocab", "train", "--text", "text.txt", "--size", "80", "--out", out, "--json"]))
    };
    let made = train("a");
    train("b");
    assert_eq!(made["pieces"], 80);
    assert_eq!(made["text"]["unknown"], 0);
    for name in ["tokenizer.json", "vocab.txt"] {
        let [a, b] = ["a", "b"].map(|of| std::fs::read(folder.join(of).join(name)).unwrap());
        assert_eq!(a, b, "{name}");
    }
    let vocabulary = std::fs::read_to_string(folder.join("a/vocab.txt")).unwrap();
    assert!(vocabulary.starts_with("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), "{vocabulary}");

    // A text that does not offer so much is said to; one of nothing is refused, as is an alphabet without room.
    let more = json(&succeed(folder, &["vocab", "train", "--text", "text.txt", "--out", "c", "--json"]));
    assert!(more["pieces"].as_u64().unwrap() < 5_000);
    write(folder, "empty.txt", "\n\n");
    assert!(fail(folder, &["vocab", "train", "--text", "empty.txt", "--out", "d"]).contains("text"));
    assert!(fail(folder, &["vocab", "train", "--text", "text.txt", "--size", "9", "--out", "d"]).contains('9'));
    assert!(fail(folder, &["vocab", "train", "--text", "none.txt", "--out", "d"]).contains("none.txt"));
    assert!(!folder.join("d").exists());
    // A model keeps the vocabulary that its embeddings belong to.
    let model = workshop().join("teacher/student");
    let refused =
        fail(folder, &["vocab", "train", "--text", "text.txt", "--size", "80", "--out", model.to_str().unwrap()]);
    assert!(refused.contains("config.json"), "{refused}");
}

#[test]
fn a_trimmed_model_answers_as_before_where_its_pieces_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = workshop().join("teacher");
    let model = model.to_str().unwrap();
    // Words of the embedded data, so that the tiny vocabulary has pieces for them.
    write(folder, "text.txt", TEXT);
    let trim = ["vocab", "trim", model, "--text", "text.txt", "--size", "200", "--out", "small", "--json"];
    let trimmed = json(&succeed(folder, &trim));
    assert!(trimmed["pieces_after"].as_u64() <= Some(200) && trimmed["pieces_before"].as_u64() > Some(200));
    assert!(trimmed["parameters_after"].as_u64() < trimmed["parameters_before"].as_u64());
    assert_eq!(trimmed["used_left_out"], 0);
    assert_eq!(trimmed["before"], trimmed["after"]);
    let answers = |of: &str| {
        let lines: Vec<&str> = TEXT.lines().collect();
        succeed(folder, &[&["predict", of], &lines[..], &["--json"]].concat())
    };
    assert_eq!(answers(model), answers("small"));
    // It knows the rows that it was trained on, and nothing else about its making.
    let made = |of: &Path| json(&std::fs::read_to_string(of.join("attar.json")).unwrap());
    let (before, after) = (made(&workshop().join("teacher/student")), made(&folder.join("small")));
    assert!(before["rows"].is_object(), "{before}");
    assert_eq!(after, serde_json::json!({ "rows": before["rows"] }));
    let inspected = succeed(folder, &["inspect", "small"]);
    assert!(!inspected.contains("made by") && !inspected.contains("unknown"), "{inspected}");

    let compared = json(&succeed(folder, &["vocab", "compare", model, "small", "--text", "text.txt", "--json"]));
    assert_eq!((&compared["common"], &compared["growth"]), (&trimmed["pieces_after"], &1.0.into()));
    assert_eq!(compared["broken_words"], 0);
    let refused = fail(folder, &["vocab", "trim", model, "--text", "text.txt", "--max-bytes", "20kB", "--out", "tiny"]);
    // All the pieces of the model, which has fewer than 2,000.
    assert!(refused.contains("300 word pieces"), "{refused}");
    // Nothing that is there is written over, least of all the model that is read.
    let same = fail(folder, &["vocab", "trim", "small", "--text", "text.txt", "--size", "150", "--out", "small"]);
    assert!(same.contains("another --out"), "{same}");
    let few = fail(folder, &["vocab", "trim", model, "--text", "text.txt", "--size", "8", "--out", "tiny"]);
    assert!(few.contains("unknown") && few.contains("keep more pieces"), "{few}");
    let unsized_call = fail(folder, &["vocab", "trim", model, "--text", "text.txt", "--out", "unsized"]);
    assert!(unsized_call.contains("--size <N>|--max-bytes <BYTES>"), "{unsized_call}");
    write(folder, "empty.txt", "\n");
    let nothing = fail(folder, &["vocab", "trim", model, "--text", "empty.txt", "--size", "200", "--out", "tiny"]);
    assert!(nothing.contains("no words"), "{nothing}");
    assert!(!folder.join("tiny").exists());
}
