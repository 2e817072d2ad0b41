//! No command writes over what it reads, or over a file of another kind.

use crate::common::{fail, succeed, workshop, write};
use crate::single_file::rows;

#[test]
fn inputs_and_files_of_other_kinds_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, 40);
    let run = workshop().join("teacher");
    let model = run.join("student").display().to_string();
    std::fs::create_dir(folder.join("run")).unwrap();
    for file in ["manifest.json", "result.json", "ledger.jsonl", "events.jsonl"] {
        std::fs::copy(run.join(file), folder.join("run").join(file)).unwrap();
    }
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(run.join("student").join(file), folder.join(file)).unwrap();
    }
    succeed(folder, &["export", "single", &model, "--out", "model.attar"]);
    let columns = ["--data", "rows.tsv", "--text", "text", "--label", "label"];
    let augment = [&["augment"], &columns[..], &["--candidates", "wordnet:."]].concat();
    let contract = [&["contract", "--teacher", &model, "--student", &model], &columns[..]].concat();
    let never = |arguments: &[&str], out: &str| {
        let before = std::fs::read(folder.join(out)).unwrap();
        let error = fail(folder, &[arguments, &["--out", out]].concat());
        assert!(error.contains("name another --out"), "{arguments:?}: {error}");
        assert!(std::fs::read(folder.join(out)).unwrap() == before, "{arguments:?} has written over {out}");
    };
    never(&augment, "rows.tsv");
    never(&contract, "rows.tsv");
    never(&contract, "tokenizer.json");
    for form in ["single", "gguf"] {
        never(&["export", form, &model], "rows.tsv");
        never(&["export", form, &model], "model.safetensors");
    }
    never(&["predict", "model.attar", "--data", "rows.tsv"], "model.attar");
    never(&["embed", "model.attar", "--data", "rows.tsv"], "model.attar");
    never(&["report", "run", "--no-predictions"], "run/result.json");
    never(&["report", "run", "--no-predictions"], "rows.tsv");
    never(&["report", "run", "--no-predictions", "--format", "md"], "run/result.json");
    // What a command wrote it may write again.
    succeed(folder, &["export", "single", &model, "--out", "model.attar"]);
    for _ in 0..2 {
        succeed(folder, &["report", "run", "--no-predictions", "--out", "run/page.html"]);
    }
    let before = std::fs::read(folder.join("run/ledger.jsonl")).unwrap();
    for run in ["run", "run/ledger.jsonl"] {
        let error = fail(folder, &["energy", "report", run, "--out", "run/ledger.jsonl"]);
        assert!(error.contains("is an input"), "{error}");
    }
    assert!(std::fs::read(folder.join("run/ledger.jsonl")).unwrap() == before);
}

#[test]
fn an_output_of_labels_or_of_a_folder_s_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "texts.csv", "text\na rose\na daisy\n");
    write(folder, "labels.csv", "rose\ndaisy\n");
    let data = ["augment", "--data", "texts.csv", "--label-file", "labels.csv", "--candidates", "wordnet:."];
    let error = fail(folder, &[&data[..], &["--out", "labels.csv"]].concat());
    assert!(error.contains("name another --out"), "{error}");
    let error =
        fail(folder, &["export", "gguf", &workshop().join("teacher/student").display().to_string(), "--out", "."]);
    assert!(error.contains("is a folder: name a file as --out"), "{error}");
}
