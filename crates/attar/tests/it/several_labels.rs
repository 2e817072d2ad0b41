//! Texts with several labels, from a file to a small model and its answers.

use std::path::Path;

use crate::common::{fail, json, succeed, workshop, write};

/// Rows whose words say which labels they have.
fn rows(folder: &Path) {
    let row = |number: usize| {
        let words = [("lights", "home"), ("music", "sound"), ("milk", "shop")];
        let there: Vec<_> =
            words.iter().enumerate().filter(|(bit, _)| number >> bit & 1 == 1).map(|(_, w)| w).collect();
        let text: Vec<&str> = there.iter().map(|(word, _)| *word).collect();
        let labels: Vec<&str> = there.iter().map(|(_, label)| *label).collect();
        format!("please number {number} {},{}\n", text.join(" and "), labels.join("|"))
    };
    write(folder, "rows.csv", &format!("text,label\n{}", (0..160).map(row).collect::<String>()));
}

#[test]
fn a_model_of_several_labels_goes_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let tune =
        ["finetune", &teacher, "--new-head", "--data", "rows.csv", "--multi-label", "|", "--epochs", "30", "--rate"];
    let exported =
        json(&succeed(folder, &[&tune[..], &["3e-3", "--energy", "off", "--out", "tuned", "--json"]].concat()));
    let scores = exported["scores"]["student"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["micro_f1", "macro_f1", "subset_accuracy"]);
    assert!(scores[0]["value"].as_f64().unwrap() > 0.8, "{exported}");
    let config = json(&std::fs::read_to_string(folder.join("tuned/student/config.json")).unwrap());
    assert_eq!(
        (&config["problem_type"], &config["id2label"]["1"]),
        (&"multi_label_classification".into(), &"shop".into())
    );

    // Only held-out rows are scored, beside a linear model.
    let eval = ["eval", "tuned", "--data", "rows.csv", "--multi-label", "|", "--no-speed", "--baseline", "--json"];
    let scored = json(&succeed(folder, &eval));
    assert_eq!(scored["rows"], scores[0]["rows"]);
    assert_eq!(scored["models"][0]["scores"][0]["value"], scores[0]["value"]);
    assert!(scored["models"][1]["scores"][0]["value"].as_f64().unwrap() > 0.8, "{scored}");
    assert_eq!(scored["models"][0]["classes"]["classes"][2]["name"], "sound");
    let complaint = fail(folder, &["eval", "tuned", "--data", "rows.csv", "--no-speed"]);
    assert!(complaint.contains("unknown label") && complaint.contains("--multi-label"), "{complaint}");
    let complaint = fail(folder, &[&eval[..8], &["--metric", "accuracy"]].concat());
    assert!(complaint.contains("subset_accuracy"), "{complaint}");

    let said = succeed(folder, &["predict", "tuned", "please number 7 lights and milk", "--json"]);
    let answer = json(said.trim());
    assert_eq!(answer["labels"], serde_json::json!(["home", "shop"]));
    assert_eq!(answer["probabilities"].as_array().unwrap().len(), 3);
    let table = succeed(folder, &["predict", "tuned", "please number 7 lights and milk"]);
    assert!(table.contains("home, shop"), "{table}");
    let file = succeed(folder, &["predict", "tuned", "--data", "rows.csv"]);
    let mut lines = file.lines();
    assert_eq!(lines.next(), Some("text,label,predicted_labels,predicted_probabilities"));
    assert!(lines.any(|line| line.contains("home|shop,home;shop,")), "{file}");
    write(folder, "rows.jsonl", "{\"text\": \"please number 7 lights and milk\"}\n");
    let lines = json(succeed(folder, &["predict", "tuned", "--data", "rows.jsonl"]).trim());
    assert_eq!(lines["predicted_labels"], serde_json::json!(["home", "shop"]));

    let quantize = ["quantize", "tuned", "--out", "small", "--data", "rows.csv", "--multi-label", "|", "--json"];
    let report = json(&succeed(folder, &quantize));
    assert_eq!(report["gate"]["data"]["rows"], scores[0]["rows"]);
    let answer = json(succeed(folder, &["predict", "small", "please number 7 lights and milk", "--json"]).trim());
    assert_eq!(answer["labels"], serde_json::json!(["home", "shop"]));
    assert!(succeed(folder, &["inspect", "small"]).contains("several labels"), "inspect says what it answers");
    let bench = ["bench", "small", "--data", "rows.csv", "--energy", "off", "--json", "--rounds", "1"];
    let bench = [&bench[..], &["--seconds", "0.001", "--lengths", "8", "--batch", "1", "--starts", "0"]].concat();
    assert_eq!(json(&succeed(folder, &bench))["texts"]["rows"], scores[0]["rows"]);
    let complaint = fail(folder, &[&tune[..], &["3e-3", "--out", "x", "--class-weights", "balanced"]].concat());
    assert!(complaint.contains("class-weights") && complaint.contains("nothing was computed"), "{complaint}");
}
