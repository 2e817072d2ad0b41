//! The package under node and in Chromium, held against what models answer natively.

use std::fs;
use std::path::Path;
use std::process::Command;

use attar_testing::{fixtures, json};
use attar_wasm::Model;
use serde_json::{Value, json};

use crate::models::{all, file};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Writes models, and beside them what is asked of each with what it answers here.
fn prepare(folder: &Path) {
    let strings = json(&fixtures("tokenizer/strings.json"));
    let texts: Vec<&str> = strings.as_array().unwrap().iter().map(|row| row["text"].as_str().unwrap()).collect();
    let mut cases = Vec::new();
    for (name, bundle) in all() {
        let bytes = file(bundle);
        fs::write(folder.join(format!("{name}.attar")), &bytes).unwrap();
        let mut model = Model::load(bytes).unwrap();
        let info = model.info();
        let some = &texts[..40];
        let seconds: Vec<&str> = some.iter().rev().copied().collect();
        let mut calls = Vec::new();
        let mut ask = |call: &str, values: Value, answer: Value| {
            calls.push(json!({ "call": call, "values": values, "answer": answer }));
        };
        match info.task {
            "classify" | "multi-label" | "score" => {
                if !info.requires_pairs {
                    ask("predict", json!([some]), json!(model.predict(some, None).unwrap()));
                    ask("logits", json!([some]), json!(model.logits(some, None).unwrap()));
                }
                ask("predict", json!([some, seconds]), json!(model.predict(some, Some(&seconds)).unwrap()));
            }
            "tag" => ask("tag", json!([some]), json!(model.tag(some).unwrap())),
            "answer" => {
                for (question, context) in some.iter().zip(&seconds) {
                    let Ok(span) = model.answer(question, context) else { continue };
                    ask("answer", json!([question, context]), json!(span));
                }
            }
            _ => ask("embed", json!([some]), json!(model.embed(some).unwrap())),
        }
        for text in &texts {
            ask("tokenize", json!([text]), json!(model.tokenize(text, None).unwrap()));
        }
        cases.push(json!({ "name": name, "info": info, "calls": calls }));
    }
    fs::write(folder.join("cases.json"), Value::Array(cases).to_string()).unwrap();
}

fn run(script: &str) {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    assert!(Path::new(HERE).join("npm/engine.wasm").exists(), "crates/wasm/build.sh makes the package first");
    let output = Command::new("node")
        .args(["--test", script])
        .current_dir(HERE)
        .env("ATTAR_CASES", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("# fail 0") && !said.contains("# pass 0\n"), "{said}");
}

#[test]
#[ignore = "needs node and the package that build.sh makes"]
fn under_node() {
    run("tests/node.test.mjs");
}

#[test]
#[ignore = "needs node with playwright-core, Chromium and the package that build.sh makes"]
fn in_chromium() {
    run("tests/chromium.test.mjs");
}
