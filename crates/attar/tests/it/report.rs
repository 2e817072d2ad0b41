//! `attar report`: its numbers are those of `attar eval` and `attar energy report`, and what it lacks is said.

use std::path::Path;
use std::sync::OnceLock;

use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{fail, json, succeed, workshop, write};

/// A folder with rows, a teacher tuned on them and a student distilled from it.
fn made() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        let data = synthetic::generate(&Streams::new(5), 240, Split::Train);
        let names = &data.target.labels().unwrap().names;
        let classes = data.classes().unwrap();
        // A user's text may be anything.
        let line =
            |(text, class): (&str, u32)| format!("{text} <script>alert(1)</script>\t{}\n", names[class as usize]);
        let lines: String = data.examples.iter().map(|e| e.text.as_str()).zip(classes).map(line).collect();
        write(folder, "rows.tsv", &format!("text\tlabel\n{lines}"));
        let teacher = workshop().join("teacher").display().to_string();
        let energy = ["--energy", "fixed", "--watts", "10", "--data", "rows.tsv"];
        let tune = ["finetune", &teacher, "--new-head", "--steps", "20", "--out", "tuned"];
        succeed(folder, &[&tune[..], &energy].concat());
        let distill = ["distill", "--teacher", "tuned", "--steps", "20", "--layers", "1", "--out", "small"];
        succeed(folder, &[&distill[..], &energy].concat());
        temporary
    })
    .path()
}

fn report(arguments: &[&str]) -> String {
    succeed(made(), &[&["report", "small"], arguments].concat())
}

#[test]
fn the_numbers_are_those_of_eval_and_of_the_energy_report() {
    let data = json(&report(&["--format", "json", "--no-speed"]));
    let run = &data["runs"][0];
    let eval = ["eval", "tuned", "small", "small/small", "--data", "rows.tsv", "--baseline", "--no-speed", "--json"];
    let scored = json(&succeed(made(), &eval));
    let (ours, theirs) = (run["models"].as_array().unwrap(), scored["models"].as_array().unwrap());
    let kinds: Vec<&str> = ours.iter().map(|model| model["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["teacher", "student", "quantized", "ngrams", "frozen"]);
    for (ours, theirs) in ours.iter().zip(theirs) {
        for key in ["scores", "classes", "difference", "bytes", "parameters", "flops"] {
            assert_eq!(ours[key], theirs[key], "{key} of {}", theirs["name"]);
        }
    }
    assert_eq!(theirs.len(), 4);
    assert_eq!(run["data"]["rows"], scored["rows"]);
    let energy = json(&succeed(made(), &["energy", "report", "small", "--format", "json"]));
    assert_eq!(run["energy"], energy);

    // Everything else that the run can say is there.
    let rows: u64 =
        run["calibration"]["bins"].as_array().unwrap().iter().map(|bin| bin["rows"].as_u64().unwrap()).sum();
    assert_eq!(scored["rows"], rows);
    for looks in ["teacher", "student"] {
        let looks = &run["attention"][looks];
        let tokens = looks["tokens"].as_array().unwrap().len();
        let shares: Vec<f64> =
            looks["shares"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect();
        assert_eq!(shares.len(), tokens * tokens);
        for row in shares.chunks(tokens) {
            // Double precision over some twenty tokens.
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
        }
    }
    let student = &run["models"][1]["classes"]["matrix"];
    let sum = |places: fn(usize, usize) -> bool| -> u64 {
        let rows = student.as_array().unwrap().iter().enumerate();
        let cells = rows
            .flat_map(|(truth, row)| row.as_array().unwrap().iter().enumerate().map(move |(said, n)| (truth, said, n)));
        cells.filter(|(truth, said, _)| places(*truth, *said)).map(|(.., n)| n.as_u64().unwrap()).sum()
    };
    if student.is_array() {
        assert_eq!(run["mistakes"].as_array().unwrap().len() as u64, sum(|truth, said| truth != said).min(15));
    }
    assert!(run["stages"][0]["losses"][0]["points"].as_array().unwrap().len() > 1);
    let left_out: Vec<&str> =
        run["left_out"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["Time and energy of a text", "Break-even"], "{run}");
}

#[test]
fn a_page_is_one_file_and_hostile_rows_stay_text() {
    report(&["--no-speed", "--out", "page.html"]);
    let page = std::fs::read_to_string(made().join("page.html")).unwrap();
    assert!(page.len() < 1_000_000 && page.starts_with("<!DOCTYPE html>"), "{} bytes", page.len());
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
    for part in [
        "Models compared",
        "Score against cost",
        "Training",
        "The bill",
        "By class",
        "Calibration",
        "Attention",
        "Recipe",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let markdown = report(&["--no-speed", "--format", "md"]);
    assert!(markdown.starts_with("# small\n") && markdown.contains("| teacher (tuned) |"), "{markdown}");
}

#[test]
fn what_is_not_computed_is_left_out_by_name() {
    let data = json(&report(&["--format", "json", "--no-predictions"]));
    let run = &data["runs"][0];
    let result = json(&std::fs::read_to_string(made().join("small/result.json")).unwrap());
    assert_eq!(run["models"][1]["scores"], result["scores"]["student"]);
    assert_eq!(run["models"][0]["scores"], result["scores"]["teacher"]["scores"]);
    let left_out = run["left_out"].to_string();
    for part in ["Calibration, mistakes and attention", "--no-predictions", "Break-even"] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }
    assert_eq!(run["calibration"], Value::Null);

    // A run whose rows have changed since is not scored on others.
    let moved = tempfile::tempdir().unwrap();
    let recipe = std::fs::read_to_string(made().join("small/recipe.toml")).unwrap();
    let rows = std::fs::read_to_string(made().join("rows.tsv")).unwrap();
    write(moved.path(), "rows.tsv", &rows.replace(" the ", " a "));
    std::fs::create_dir(moved.path().join("run")).unwrap();
    for name in ["manifest.json", "result.json", "events.jsonl"] {
        std::fs::copy(made().join("small").join(name), moved.path().join("run").join(name)).unwrap();
    }
    std::fs::create_dir(moved.path().join("run/student")).unwrap();
    for entry in std::fs::read_dir(made().join("small/student")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, moved.path().join("run/student").join(path.file_name().unwrap())).unwrap();
        }
    }
    let from = made().join("rows.tsv").display().to_string();
    write(
        moved.path(),
        "run/recipe.toml",
        &recipe.replace(&from, &moved.path().join("rows.tsv").display().to_string()),
    );
    let data = json(&succeed(moved.path(), &["report", "run", "--format", "json"]));
    let left_out = data["runs"][0]["left_out"].to_string();
    assert!(left_out.contains("their hash differs"), "{left_out}");
    // Nor is a ledger made up.
    assert!(left_out.contains("Energy"), "{left_out}");
    assert_eq!(data["runs"][0]["models"][1]["scores"], result["scores"]["student"]);
}

#[test]
fn a_folder_without_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(fail(folder.path(), &["report", "."]).contains("neither a run nor a suite"));
    assert!(fail(folder.path(), &["report", "nothing"]).contains("does not exist"));
    std::fs::create_dir(folder.path().join("run")).unwrap();
    write(folder.path(), "run/manifest.json", "{");
    assert!(fail(folder.path(), &["report", "run"]).contains("damaged"));
    assert!(fail(made(), &["report", "small", "small"]).contains("given twice"));
}
