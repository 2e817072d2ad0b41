//! Files of rows in, files of rows with answers out.

use std::path::Path;

use crate::common::{fail, json, succeed, workshop, write};

fn predict(folder: &Path, more: &[&str]) -> String {
    let teacher = workshop().join("teacher").display().to_string();
    succeed(folder, &[&["predict", &teacher], more].concat())
}

/// Label and probability of single texts.
fn alone(text: &str) -> (String, f64) {
    let answer = json(&predict(workshop(), &["--json", text]));
    let label = answer["label"].as_str().unwrap().to_string();
    let all = answer["probabilities"].as_array().unwrap();
    let own = all.iter().find(|pair| pair[0] == label.as_str()).unwrap();
    (label, own[1].as_f64().unwrap())
}

#[test]
fn every_byte_of_a_table_goes_through() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = "\u{feff}id,comment ,\"note\"\r\n 1,\"turn on, the \"\"lights\"\"\nnow\",  spaced \r\n\r\n2,order two lamps,\"\"";
    write(folder, "in.csv", rows);
    assert_eq!(predict(folder, &["--data", "in.csv", "--out", "out.csv", "--text", "comment "]), "");
    let out = std::fs::read_to_string(folder.join("out.csv")).unwrap();
    let with = |text: &str| {
        let (label, probability) = alone(text);
        format!(",{label},{}", (probability * 1e6).round() / 1e6)
    };
    let [first, second] = ["turn on, the \"lights\"\nnow", "order two lamps"].map(with);
    let expected = rows
        .replace("\"note\"\r\n", "\"note\",predicted_label,predicted_probability\r\n")
        .replace("  spaced ", &format!("  spaced {first}"))
        .replace("lamps,\"\"", &format!("lamps,\"\"{second}"));
    assert_eq!(out, expected);
    // As any new file, it is for all whom the system lets read it.
    let permissions = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions();
    assert_eq!(permissions("out.csv"), permissions("in.csv"));
    // Without --out it goes to standard output; nothing else does.
    assert_eq!(predict(folder, &["--data", "in.csv", "--text", "2", "--header", "true"]), expected);
}

#[test]
fn objects_and_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (label, _) = alone("turn on the lights");
    // More than are in memory at a time.
    let rows: String = (0..5000).map(|row| format!("{{ \"n\" : {row}, \"text\":\"turn on the lights\" }}\n")).collect();
    write(folder, "in.jsonl", &rows);
    predict(folder, &["--data", "in.jsonl", "--out", "out.jsonl"]);
    let out = std::fs::read_to_string(folder.join("out.jsonl")).unwrap();
    assert_eq!(out.lines().count(), 5000);
    for (row, line) in out.lines().enumerate() {
        assert!(line.starts_with(&format!("{{ \"n\" : {row}, \"text\":\"turn on the lights\" ")), "{line}");
        let answer = json(line);
        assert_eq!(answer["predicted_label"], label.as_str());
        assert!(answer["predicted_probability"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn answered_rows_may_become_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    write(folder, "in.jsonl", "{\"text\": \"turn on the lights\"}\n");
    predict(folder, &["--data", "in.jsonl", "--out", "answered.jsonl"]);
    succeed(folder, &["embed", &teacher, "--data", "answered.jsonl", "--out", "both.jsonl"]);
    let both = json(&std::fs::read_to_string(folder.join("both.jsonl")).unwrap());
    assert!(both["predicted_label"].is_string() && both["vector"].is_array(), "{both}");
    // A second vector would have the same name, but an array has no names.
    let again = ["embed", &teacher, "--data", "both.jsonl", "--out"];
    assert!(fail(folder, &[&again[..], &["again.jsonl"]].concat()).contains("key `vector` already"));
    succeed(folder, &[&again[..], &["again.npy"]].concat());
}

#[test]
fn another_delimiter_is_written_too() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "in.csv", "n;text\n1;turn on the lights\n");
    let out = predict(folder.path(), &["--data", "in.csv", "--delimiter", ";"]);
    assert!(out.starts_with("n;text;predicted_label;predicted_probability\n1;turn on the lights;"), "{out}");
}

#[test]
fn pairs_are_two_columns() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "in.tsv", "a\tb\nturn on the \"lights\torder two lamps\n");
    let out = predict(folder, &["--data", "in.tsv", "--text", "a", "--pair", "b"]);
    let teacher = workshop().join("teacher").display().to_string();
    let pair = ["predict", &teacher, "--json", "turn on the \"lights", "--pair", "order two lamps"];
    let answer = json(&succeed(folder, &pair));
    let line = out.lines().nth(1).unwrap();
    assert!(line.starts_with("turn on the \"lights\torder two lamps\t"), "{line}");
    assert_eq!(line.split('\t').nth(2), answer["label"].as_str());
}

#[test]
fn what_cannot_be_answered_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    let refused = |name: &str, text: &str, more: &[&str], parts: &[&str]| {
        write(folder, name, text);
        let complaint = fail(folder, &[&["predict", &teacher, "--data", name, "--out", "out"], more].concat());
        for part in parts {
            assert!(complaint.contains(part), "expected `{part}` in:\n{complaint}");
        }
        assert!(!folder.join("out").exists(), "a refusal leaves nothing");
    };
    refused("a.csv", "comment\nx\n", &[], &["a.csv", "no column text", "comment", "--text"]);
    refused("again.csv", "text,predicted_label\nx,y\n", &[], &["line 1", "column `predicted_label` already", "rename"]);
    refused("again.jsonl", "{\"text\": \"x\", \"predicted_label\": 1}\n", &[], &["line 1", "key `predicted_label`"]);
    refused("b.csv", "text,n\nx,1\n\"y,2\n", &[], &["line 3", "never ends"]);
    refused("c.csv", "n,text\n1,x\n2\n", &[], &["line 3", "expected at least 2", "found 1"]);
    refused("d.jsonl", "{\"text\": \"x\"}\n{\"txt\": \"x\"}\n", &[], &["line 2", "no key text", "txt"]);
    refused("e.rows", "text\nx\n", &[], &["e.rows", "--format"]);
    refused("f.csv", "", &[], &["f.csv", "no row"]);
    refused("h.csv", "text\nx\n", &["--encoding", "latin-1"], &["UTF-8", "iconv"]);
    refused("i.txt", "x\n", &["--format", "lines"], &["TSV, CSV or JSONL"]);
    refused("k.json", "{\"data\": []}", &[], &["k.json", ".jsonl", "jq -c"]);
    refused("k.conll", "a\tO\n", &[], &["k.conll", "attar eval", "a text a row"]);
    write(folder, "g.csv", "text\nx\n");
    // A name that says another separator, and objects that would lose a column.
    write(folder, "j.tsv", "text\ta\ta\nx\t1\t2\n");
    let complaint = fail(folder, &["predict", &teacher, "--data", "j.tsv", "--out", "j.csv"]);
    assert!(complaint.contains("j.csv: rows are written with the separator"), "{complaint}");
    let complaint = fail(folder, &["predict", &teacher, "--data", "j.tsv", "--out", "j.jsonl"]);
    assert!(complaint.contains("line 1: two columns are named `a`"), "{complaint}");
    assert!(!folder.join("j.csv").exists() && !folder.join("j.jsonl").exists());
    let complaint = fail(folder, &["predict", &teacher, "--data", "g.csv", "--out", "g.csv"]);
    assert!(complaint.contains("g.csv") && complaint.contains("another --out"), "{complaint}");
}
