//! Answers to questions, from a file in SQuAD's format to a small student that a server answers with.

use std::path::Path;

use serde_json::{Value, json as value};

use crate::common::{fail, json, succeed, workshop, write};
use crate::serve::Running;

/// Contexts with a thing and a room to ask for, in version 2.0 of SQuAD's format; of every fifth context the room is missing.
fn squad(folder: &Path, name: &str) {
    let (things, rooms) = (["lights", "music", "milk", "alarm"], ["living room", "back garden"]);
    let paragraphs = (0..100).map(|number| {
        let (thing, room) = (things[number % 4], rooms[number / 4 % 2]);
        let place = if number % 5 == 4 { String::new() } else { format!(" in the {room}") };
        let context = format!("at the café please turn on the {thing}{place} number {number}");
        let answer = |text: &str| match context.find(text) {
            Some(start) => value!([{ "text": text, "answer_start": context[..start].chars().count() }]),
            None => value!([]),
        };
        let asked = |kind: &str, question: &str, answer: Value| {
            let is_impossible = answer.as_array().is_some_and(Vec::is_empty);
            value!({ "id": format!("{kind}{number}"), "question": question, "answers": answer,
                     "is_impossible": is_impossible })
        };
        let qas = [asked("thing", "which thing?", answer(thing)), asked("room", "where?", answer(room))];
        value!({ "context": context, "qas": qas })
    });
    let paragraphs: Vec<Value> = paragraphs.collect();
    let squad = value!({ "version": "v2.0", "data": [{ "title": "Home", "paragraphs": paragraphs }] });
    write(folder, name, &squad.to_string());
}

#[test]
fn questions_go_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    squad(folder, "rows.json");
    let encoder = workshop().join("teacher").display().to_string();
    let data = ["--data", "rows.json", "--answers", "--dev-share", "0.35", "--energy", "off", "--json"];
    let tune = ["finetune", &encoder, "--epochs", "12", "--rate", "3e-3", "--out", "tuned"];
    let tuned = json(&succeed(folder, &[&tune[..], &data].concat()));
    let scores = tuned["scores"]["student"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["answer_f1", "exact_match"]);
    assert!(scores[0]["value"].as_f64().unwrap() > 0.85, "{tuned}");
    let config = json(&std::fs::read_to_string(folder.join("tuned/student/config.json")).unwrap());
    assert_eq!(config["architectures"][0], "BertForQuestionAnswering");

    // Scored by another path, on the questions that were held out.
    let eval = ["eval", "tuned", "--data", "rows.json", "--no-speed", "--json"];
    let scored = json(&succeed(folder, &eval));
    assert_eq!((&scored["rows"], &scored["models"][0]["scores"]), (&scores[0]["rows"], &tuned["scores"]["student"]));

    // Its student learns its states and answers.
    let distill = ["distill", "--teacher", "tuned", "--epochs", "10", "--rate", "3e-3", "--out", "student"];
    let student = json(&succeed(folder, &[&distill[..], &data].concat()));
    assert!(student["scores"]["student"][0]["value"].as_f64().unwrap() > 0.8, "{student}");
    assert_eq!(student["scores"]["teacher"]["scores"], tuned["scores"]["student"]);
    // The shipped integers were held against the score.
    let small = json(&std::fs::read_to_string(folder.join("student/small/attar.json")).unwrap());
    assert_eq!(small["quantized"]["gate"]["quantized"][0]["metric"], "answer_f1");
    let both = ["eval", "student", "student/small", "--data", "rows.json", "--json"];
    let both = json(&succeed(folder, &both));
    assert!(both["models"][1]["agreement"]["value"].as_f64().unwrap() > 0.9, "{both}");

    // Questions of a file get their answers as columns, with places in characters.
    let context = "at the café please turn on the milk in the back garden";
    let rows = ["which thing?", "where?"].map(|question| value!({ "question": question, "context": context }));
    write(folder, "ask.jsonl", &format!("{}\n{}\n", rows[0], rows[1]));
    let answered = succeed(folder, &["predict", "student/small", "--data", "ask.jsonl"]);
    let answered: Vec<Value> = answered.lines().map(json).collect();
    let found: Vec<(&str, u64, u64)> = answered
        .iter()
        .map(|row| {
            let place = |key: &str| row[key].as_u64().unwrap();
            (row["predicted_answer"].as_str().unwrap(), place("predicted_start"), place("predicted_end"))
        })
        .collect();
    assert_eq!(found, [("milk", 31, 35), ("back garden", 43, 54)], "{answered:?}");
    // Columns that are named are taken, also where their name is another model's default.
    let named = value!({ "text": "where?", "question": "which thing?", "passage": context });
    write(folder, "named.jsonl", &format!("{named}\n"));
    let columns = ["--text", "text", "--pair", "passage"];
    let answered = succeed(folder, &[&["predict", "student/small", "--data", "named.jsonl"][..], &columns].concat());
    assert_eq!(json(answered.trim())["predicted_answer"], "back garden");
    let context_column = value!({ "text": "where?", "context": context });
    write(folder, "named.jsonl", &format!("{context_column}\n"));
    let answered = succeed(folder, &["predict", "student/small", "--data", "named.jsonl", "--text", "text"]);
    assert_eq!(json(answered.trim())["predicted_answer"], "back garden");
    // A server says the same.
    let server = Running::within(folder, &["student/small"]);
    let given = server.post("/answer", &value!({ "inputs": { "question": "where?", "context": context } }));
    assert_eq!((&given["answer"], &given["start"], &given["end"]), (&"back garden".into(), &43.into(), &54.into()));
    let alone = ["predict", "student/small", "where?", "--pair", context, "--json"];
    let alone = json(succeed(folder, &alone).trim());
    // The rounding of 32-bit probabilities in JSON.
    assert!(
        (given["score"].as_f64().unwrap() - alone["probability"].as_f64().unwrap()).abs() < 1e-6,
        "{given} {alone}"
    );

    // What counts texts as a whole has nothing to say of questions.
    let report = succeed(folder, &["report", "student", "--no-speed", "--format", "md"]);
    assert!(report.contains("here answers are parts of them") && report.contains("answer\\_f1"), "{report}");
    let complaint = fail(folder, &["contract", "--teacher", "tuned", "--student", "student", "--data", "rows.json"]);
    assert!(complaint.contains("counts equal classes"), "{complaint}");
    let complaint = fail(folder, &[&eval[..5], &["--baseline"]].concat());
    assert!(complaint.contains("parts of a context"), "{complaint}");
}

#[test]
fn what_questions_cannot_do_is_refused_before_any_compute() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    squad(folder, "rows.json");
    let encoder = workshop().join("teacher").display().to_string();
    let finetune = |flags: &[&str]| {
        fail(folder, &[&["finetune", &encoder, "--out", "x", "--data", "rows.json", "--answers"], flags].concat())
    };
    assert!(finetune(&["--metric", "entity_f1"]).contains("use answer_f1 or exact_match"));
    assert!(finetune(&["--regression", "0", "1"]).contains("leave --regression"));
    assert!(finetune(&["--class-weights", "balanced"]).contains("rows with one class each"));
    assert!(finetune(&["--max-tokens", "8"]).contains("windows of 8 tokens with 2 of overlap"));
    let text = std::fs::read_to_string(folder.join("rows.json")).unwrap();
    write(folder, "other.json", &text.replacen("\"answer_start\":31", "\"answer_start\":30", 1));
    let complaint = finetune(&["--dev", "other.json"]);
    assert!(complaint.contains("other.json: question \"thing0\"") && complaint.contains("stands at 31"), "{complaint}");
    // A classifier has no answers to questions, and other data are none.
    let complaint = fail(folder, &["eval", &encoder, "--data", "rows.json", "--answers", "--no-speed"]);
    assert!(complaint.contains("a model of answers to questions"), "{complaint}");
    let augment = ["augment", "--data", "rows.json", "--answers", "--out", "more.csv"];
    let complaint = fail(folder, &[&augment[..], &["--candidates", "vectors:none.txt"]].concat());
    assert!(complaint.contains("would move the answers"), "{complaint}");
    // No vocabulary is trained that a student of questions cannot have.
    let distill = ["distill", "--teacher", &encoder, "--data", "rows.json", "--answers", "--out", "y", "--own-pieces"];
    let complaint = fail(folder, &distill);
    assert!(complaint.contains("--own-pieces") && complaint.contains("--gold-only"), "{complaint}");
    assert!(!folder.join("y").join("pieces").exists());
    assert!(!folder.join("x").join("checkpoints").exists());
}
