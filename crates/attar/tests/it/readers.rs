//! Files that other tools read, read by them: TensorBoard, `huggingface_hub`, and the schemas of inventories.
//!
//! `ATTAR_PYTHON=venv/bin/python cargo test --release -p attar readers -- --ignored`, after
//! `pip install tensorboard huggingface_hub jsonschema "cyclonedx-python-lib[json-validation]"`. Without the variable they say that
//! they are left out.

use std::io::Write;
use std::process::Command;

use serde_json::Value;

use crate::common::{json, student_recipe, succeed, workshop, write};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/readers.py");

/// A Python that has the readers.
fn python() -> Option<String> {
    let python = std::env::var("ATTAR_PYTHON").ok();
    if python.is_none() {
        _ = writeln!(std::io::stderr(), "left out: ATTAR_PYTHON names no Python with the readers");
    }
    python
}

/// What a reader says of a file.
fn read(python: &str, arguments: &[&str]) -> Value {
    let output = Command::new(python).arg(SCRIPT).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(&String::from_utf8(output.stdout).unwrap())
}

#[test]
#[ignore = "needs a Python with tensorboard in ATTAR_PYTHON"]
fn tensorboard_reads_the_curves_of_a_run() {
    let Some(python) = python() else { return };
    let run = workshop().join("teacher");
    let scalars = read(&python, &["tensorboard", run.to_str().unwrap()]);
    let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let steps: Vec<Value> = events.lines().map(json).filter(|event| event["event"] == "step").collect();
    let losses = scalars["loss/gold"].as_array().unwrap();
    assert_eq!(losses.len(), steps.len());
    for (loss, step) in losses.iter().zip(&steps) {
        assert_eq!(loss[0], step["step"]);
        let (ours, theirs) = (step["terms"]["gold"].as_f64().unwrap(), loss[1].as_f64().unwrap());
        // 32-bit floats.
        assert!((ours - theirs).abs() <= 1e-6 * ours.abs(), "{ours} {theirs}");
    }
    for tag in ["loss/weighted sum", "update/rate", "update/gradient norm", "score/accuracy"] {
        assert!(scalars[tag].as_array().is_some_and(|all| !all.is_empty()), "{tag}: {scalars}");
    }
}

#[test]
#[ignore = "needs a Python with huggingface_hub in ATTAR_PYTHON"]
fn the_hub_reads_the_card() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    student_recipe(
        folder.path(),
        &[("[energy]", "[card]\nlicense = \"apache-2.0\"\nlanguages = [\"en\"]\n\n[energy]")],
    );
    succeed(folder.path(), &["distill", "--recipe", "student.toml", "--out", "run"]);
    let read = read(&python, &["card", folder.path().join("run/student").to_str().unwrap()]);
    let metadata = &read["metadata"];
    assert_eq!((metadata["license"].as_str(), metadata["language"][0].as_str()), (Some("apache-2.0"), Some("en")));
    assert_eq!(metadata["base_model"], "teacher");
    assert!(metadata["co2_eq_emissions"]["emissions"].as_f64().is_some_and(|grams| grams > 0.0), "{metadata}");
    let result = json(&std::fs::read_to_string(folder.path().join("run/result.json")).unwrap());
    let scores = result["scores"]["student"].as_array().unwrap();
    let results = read["results"].as_array().unwrap();
    assert_eq!(results.len(), scores.len());
    for (result, score) in results.iter().zip(scores) {
        assert_eq!((&result["metric"], &result["value"]), (&score["metric"], &score["value"]));
    }
    for section in ["## Intended use", "## Limits", "## Recipe", "## What it cost"] {
        assert!(read["text"].as_str().unwrap().contains(section), "{section}");
    }
}

#[test]
#[ignore = "needs a Python with cyclonedx-python-lib in ATTAR_PYTHON"]
fn inventories_are_what_their_schemas_say() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = workshop().join("teacher").display().to_string();
    for format in ["cyclonedx", "boamps"] {
        let text = succeed(folder.path(), &["report", &run, "--format", format, "--no-speed"]);
        write(folder.path(), &format!("{format}.json"), &text);
    }
    let file = folder.path().join("cyclonedx.json");
    assert_eq!(read(&python, &["cyclonedx", file.to_str().unwrap()]), json("{\"errors\": []}"));
    // A folder with report_schema.json and those it refers to, of https://github.com/Boavizta/BoAmps.
    if let Ok(schemas) = std::env::var("ATTAR_BOAMPS") {
        let file = folder.path().join("boamps.json");
        assert_eq!(read(&python, &["boamps", &schemas, file.to_str().unwrap()]), json("{\"errors\": []}"));
    }
}
