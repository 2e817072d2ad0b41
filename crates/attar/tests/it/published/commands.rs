//! Other commands over other people's files: trimming, augmenting, pretraining, and tables in the forms that exports have.

use std::fs;

use attar_model::Family;
use serde_json::json;

use super::paper::{Paper, answer, assert_numbers, single};
use crate::common::{fail, json as parsed, succeed, write};

const PIECES: [&str; 16] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "Anna", "river", "River", "stone", "cloud", "apple", "##s",
    ".", "said", "\"",
];

fn model(folder: &std::path::Path) -> Paper {
    let paper = Paper::classifier(Family::DistilBert, &PIECES, &["no", "yes"]);
    let settings = json!({"tokenizer_class": "DistilBertTokenizer", "do_lower_case": false});
    paper.write_vocabulary(folder, "model", settings);
    paper
}

#[test]
fn a_trimmed_cased_model_answers_as_on_paper() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = model(folder);
    write(folder, "text.txt", "Anna rivers .\nriver stone .\n");
    let trim = ["vocab", "trim", "model", "--text", "text.txt", "--size", "11", "--out", "small", "--json"];
    let trimmed = parsed(&succeed(folder, &trim));
    assert_eq!(trimmed["pieces_after"], 11, "{trimmed}");
    let expected = single(&["[CLS]", "Anna", "river", "##s", ".", "[SEP]"]);
    assert_numbers(&answer(folder, &["predict", "small", "Anna rivers."]), "logits", &paper.logits(&expected));
    // What was left out is unknown from now on.
    let unknown = single(&["[CLS]", "[UNK]", "stone", "[SEP]"]);
    assert_numbers(&answer(folder, &["predict", "small", "apple stone"]), "logits", &paper.logits(&unknown));
}

#[test]
fn rows_of_a_csv_with_line_breaks_and_quotation_marks_keep_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = model(folder);
    write(folder, "rows.csv", "id,text\r\n7,\"anna said \"\"stone\"\"\r\nriver\"\r\n8,cloud\r\n");
    let answered = succeed(folder, &["predict", "model", "--data", "rows.csv"]);
    let texts = [
        (
            "7,\"anna said \"\"stone\"\"\r\nriver\"",
            &["[CLS]", "anna", "said", "\"", "stone", "\"", "river", "[SEP]"][..],
        ),
        ("8,cloud", &["[CLS]", "cloud", "[SEP]"]),
    ];
    let rows = texts.map(|(columns, pieces)| format!("{columns},{}\n", verdict(&paper, pieces)));
    let expected = format!("id,text,predicted_label,predicted_probability\n{}", rows.concat());
    assert_eq!(answered.replace("\r\n", "\n"), expected.replace("\r\n", "\n"));
    let complaint = fail(folder, &["predict", "model", "--data", "rows.csv", "--json"]);
    assert!(complaint.contains("cannot be used with"), "{complaint}");
    // As objects too.
    write(folder, "rows.jsonl", "{\"text\": \"cloud\", \"id\": [1, {\"a\": null}]}\n");
    let answered = parsed(&succeed(folder, &["predict", "model", "--data", "rows.jsonl"]));
    assert_eq!(answered["id"], json!([1, {"a": null}]));
    assert_eq!(answered["predicted_label"], ["no", "yes"][paper.class(&single(&["[CLS]", "cloud", "[SEP]"]))]);
}

/// The class of a text and its probability to at most six digits.
fn verdict(paper: &Paper, pieces: &[&str]) -> String {
    let logits = paper.logits(&single(pieces));
    let class = paper.class(&single(pieces));
    let sum: f64 = logits.iter().map(|logit| (logit - logits[class]).exp()).sum();
    format!("{},{}", ["no", "yes"][class], (1e6 / sum).round() / 1e6)
}

#[test]
fn encodings_and_formats_of_a_table_are_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    let rows: Vec<(String, &str)> = (0..40)
        .map(|at| {
            (
                format!("{} stone {}", ["anna", "River"][at % 2], ["cloud", "apple", "caf\u{e9}"][at % 3]),
                ["yes", "no"][at % 2],
            )
        })
        .collect();
    let table = |separator: char, end: &str| -> String {
        let lines = rows.iter().map(|(text, label)| format!("{text}{separator}{label}{end}"));
        format!("text{separator}label{end}{}", lines.collect::<String>())
    };
    write(folder, "plain.csv", &table(',', "\n"));
    write(folder, "windows.tsv", &format!("\u{feff}{}", table('\t', "\r\n")));
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(table('\t', "\r\n").encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(folder.join("excel.tsv"), utf16).unwrap();
    let object = |(text, label): &(String, &str)| format!("{}\n", json!({"label": label, "text": text}));
    write(folder, "rows.jsonl", &rows.iter().map(object).collect::<String>());
    let student = |file: &str| {
        let out = file.replace('.', "-");
        let tune = ["finetune", "model", "--data", file, "--steps", "3", "--energy", "off", "--out", &out];
        succeed(folder, &tune);
        fs::read(folder.join(&out).join("student/model.safetensors")).unwrap()
    };
    let plain = student("plain.csv");
    for file in ["windows.tsv", "excel.tsv", "rows.jsonl"] {
        assert!(student(file) == plain, "{file} gives another student");
    }
}

#[test]
fn words_that_other_readers_take_for_missing_are_labels_and_texts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    let text = |at: usize| ["null", "nan", "NA", "N/A"][at % 4].to_string() + &" null".repeat(at / 4);
    let row = |at: usize| format!("{},{}\n", text(at), ["NA", "None", "null"][at % 3]);
    write(folder, "rows.csv", &format!("text,label\n{}", (0..60).map(row).collect::<String>()));
    let tune =
        ["finetune", "model", "--new-head", "--data", "rows.csv", "--steps", "1", "--energy", "off", "--out", "tuned"];
    succeed(folder, &tune);
    let config = parsed(&fs::read_to_string(folder.join("tuned/student/config.json")).unwrap());
    assert_eq!(config["id2label"], json!({"0": "NA", "1": "None", "2": "null"}));
}

#[test]
fn a_mark_escaped_with_a_backslash_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    write(folder, "rows.csv", "text,label\nanna,yes\n\"she said \\\"stone\\\" twice\",no\nriver,yes\n");
    write(folder, "words.txt", "stone 1 0\ncloud 0 1\n");
    let commands: [&[&str]; 4] = [
        &["eval", "model", "--data", "rows.csv", "--no-speed"],
        &["finetune", "model", "--data", "rows.csv", "--epochs", "1", "--out", "f"],
        &["augment", "--data", "rows.csv", "--candidates", "vectors:words.txt", "--out", "more.tsv"],
        &["predict", "model", "--data", "rows.csv", "--out", "answered.csv"],
    ];
    for command in commands {
        let complaint = fail(folder, command);
        assert!(complaint.contains("rows.csv") && complaint.contains("line 3"), "{command:?}: {complaint}");
    }
    assert!(!folder.join("more.tsv").exists() && !folder.join("answered.csv").exists());
}

#[test]
fn a_corpus_that_is_no_text_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    fs::write(folder.join("corpus.txt"), b"anna stone\n\nriver \xff\xfe cloud\n").unwrap();
    let complaint = fail(folder, &["pretrain", "model", "--corpus", "corpus.txt", "--steps", "1", "--out", "p"]);
    assert!(complaint.contains("corpus.txt") && complaint.contains("line 3"), "{complaint}");
    let complaint = fail(folder, &["vocab", "train", "--text", "corpus.txt", "--size", "40", "--out", "v"]);
    assert!(complaint.contains("corpus.txt") && complaint.contains('3'), "{complaint}");
}
