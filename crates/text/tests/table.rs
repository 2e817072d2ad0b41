//! Reading rows: formats, headers, quoting, and errors that name their line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::path::PathBuf;

use attar_text::table::{self, Column, ExtraColumns, Format, Header, Quoting, TableRow, TableSpec};
use tempfile::TempDir;

struct File {
    _dir: TempDir,
    path: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    File { _dir: dir, path }
}

fn columns(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Rows as (line, values), or the error without the folder.
fn read(
    name: &str,
    text: impl AsRef<[u8]>,
    wanted: &[&str],
    change: impl FnOnce(&mut TableSpec),
) -> Result<Vec<(usize, Vec<String>)>, String> {
    let file = file(name, text.as_ref());
    let mut spec = TableSpec::new(&file.path);
    change(&mut spec);
    match table::read(&spec, &columns(wanted)) {
        Ok(table) => Ok(table.rows.into_iter().map(|TableRow { line, values }| (line, values)).collect()),
        Err(e) => Err(e.to_string().replace(&file.path.display().to_string(), "FILE")),
    }
}

fn rows(name: &str, text: impl AsRef<[u8]>, wanted: &[&str]) -> Vec<(usize, Vec<String>)> {
    read(name, text, wanted, |_| {}).unwrap()
}

fn refusal(name: &str, text: impl AsRef<[u8]>, wanted: &[&str]) -> String {
    read(name, text, wanted, |_| {}).unwrap_err()
}

fn row(line: usize, values: &[&str]) -> (usize, Vec<String>) {
    (line, values.iter().map(|value| (*value).to_owned()).collect())
}

#[test]
fn tabs_by_name_and_by_number() {
    let text = "sentence\tlabel\ngood film \t1\n\"bad\"\t0";
    assert_eq!(rows("a.tsv", text, &["label", "sentence"]), [row(2, &["1", "good film "]), row(3, &["0", "\"bad\""])]);
    assert_eq!(
        rows("a.txt", text, &["2"]),
        [row(1, &["label"]), row(2, &["1"]), row(3, &["0"])],
        "a number alone means no header"
    );
    let headed = read("a.tsv", text, &["2", "1"], |spec| spec.header = Header::Present).unwrap();
    assert_eq!(headed, [row(2, &["1", "good film "]), row(3, &["0", "\"bad\""])]);
}

#[test]
fn only_line_feeds_end_lines() {
    let text = "\u{feff}a\tb\r\nx\u{85}y\u{2028}\r\u{8}\t1\r\n\u{c}\t\u{b}2\r\r\n";
    assert_eq!(
        rows("a.tsv", text, &["a", "b"]),
        [row(2, &["x\u{85}y\u{2028}\r\u{8}", "1"]), row(3, &["\u{c}", "\u{b}2\r"])]
    );
    assert_eq!(rows("a.tsv", "", &["1"]), []);
    assert_eq!(rows("a.tsv", "one\n\ntwo\n", &["1"]), [row(1, &["one"]), row(2, &[""]), row(3, &["two"])]);
    assert_eq!(rows("a.tsv", "text\n", &["text"]), []);
}

#[test]
fn widths_are_checked() {
    assert_eq!(refusal("a.tsv", "a\tb\n1\t2\n3\n", &["a"]), "FILE: line 3: expected 2 columns, found 1");
    assert_eq!(refusal("a.tsv", "1\t2\n\n", &["1"]), "FILE: line 2: expected 2 columns, found 1");
    assert_eq!(refusal("a.csv", "a,b\n1,2,3\n", &["a"]), "FILE: line 2: expected 2 columns, found 3");
    let allow = |spec: &mut TableSpec| spec.extra_columns = ExtraColumns::Allowed;
    assert_eq!(read("a.tsv", "1\t2\n3\t4\t5\n6\n", &["1"], allow).unwrap().len(), 3);
    assert_eq!(
        read("a.tsv", "1\t2\n3\t4\t5\n6\n", &["2"], allow).unwrap_err(),
        "FILE: line 3: expected 2 columns, found 1"
    );
}

#[test]
fn columns_that_are_not_there() {
    assert_eq!(
        refusal("a.tsv", "sentence\tlabel\n", &["sentance"]),
        "FILE: no column \"sentance\", the nearest is \"sentence\"; there are sentence, label"
    );
    assert_eq!(refusal("a.tsv", "a\tb\n", &["score"]), "FILE: no column \"score\"; there are a, b");
    assert_eq!(refusal("a.tsv", "a\tb\n", &["3"]), "FILE: no column 3, there are 2, counted from 1");
    assert_eq!(
        refusal("a.tsv", "a\tb\ta\n", &["a"]),
        "FILE: columns 1 and 3 are both named \"a\", ask for one by its number"
    );
    assert_eq!(
        refusal("a.tsv", "a\tb\n1\t2\n", &["a", "2"]),
        "FILE: column \"a\" is asked for by name, but the file is read without a header; state that there is one (--header true), or \
         give a number from 1 to 2"
    );
    assert_eq!("0".parse::<Column>().unwrap_err().to_string(), "there is no column 0, columns are counted from 1");
    assert_eq!(
        "".parse::<Column>().unwrap_err().to_string(),
        "expected the name or the number of a column, found nothing"
    );
    assert!("99999999999999999999999".parse::<Column>().is_err());
    assert_eq!(Column::Number(3).to_string(), "3");
    assert_eq!(Column::Name("x".into()).to_string(), "\"x\"");
}

#[test]
fn quoted_values() {
    let text = "\u{feff}text,label\r\n\"a, \"\"b\"\"\r\nc\",1\r\n\r\n\nplain \"x\",2\r\n\"\",3";
    assert_eq!(
        rows("a.csv", text, &["text", "label"]),
        [row(2, &["a, \"b\"\r\nc", "1"]), row(6, &["plain \"x\"", "2"]), row(7, &["", "3"])]
    );
    let off = |spec: &mut TableSpec| spec.quoting = Quoting::Off;
    assert_eq!(read("a.csv", "text\n\"a\"\n", &["text"], off).unwrap(), [row(2, &["\"a\""])]);
    let on = |spec: &mut TableSpec| spec.quoting = Quoting::On;
    assert_eq!(read("a.tsv", "t\tl\n\"a\tb\"\t1\n", &["t", "l"], on).unwrap(), [row(2, &["a\tb", "1"])]);
    assert_eq!(rows("a.csv", "t\n\"\"\n\"x\"\n", &["t"]), [row(2, &[""]), row(3, &["x"])]);
    assert_eq!(rows("a.csv", "a\u{85}b\rc,1\nd,2\n", &["1"]), [row(1, &["a\u{85}b\rc"]), row(2, &["d"])]);
}

#[test]
fn a_quotation_that_never_ends_is_refused() {
    let unclosed = "FILE: line 3: a quotation mark in the row that begins here is never closed; if \" is an ordinary \
                    character in this file, switch quoting off";
    assert_eq!(refusal("a.csv", "t\nx\n\"y\nz\n", &["t"]), unclosed);
    assert_eq!(refusal("a.csv", "t\nx\n\"y\"\"\n", &["t"]), unclosed);
    assert_eq!(refusal("a.csv", "t\nx\n\"y", &["t"]), unclosed);
    assert_eq!(rows("a.csv", "t\nx\n5\" pipe\n", &["t"]), [row(2, &["x"]), row(3, &["5\" pipe"])]);
    assert_eq!(rows("a.csv", "t\n\"y\nz\"\n", &["t"]), [row(2, &["y\nz"])]);
}

#[test]
fn json_lines() {
    let text = "{\"text\": \"a\\tb\", \"label\": 1, \"extra\": null}\n\n{\"label\": -2.5, \"text\": \"\"}\r\n{\"text\":\"c\",\"label\":true}";
    assert_eq!(
        rows("a.jsonl", text, &["text", "label"]),
        [row(1, &["a\tb", "1"]), row(3, &["", "-2.5"]), row(4, &["c", "true"])]
    );
    assert_eq!(refusal("a.jsonl", text, &["1"]), "FILE: JSON lines have no column 1, ask for a key by its name");
    assert_eq!(
        refusal("a.ndjson", "{\"text\": \"a\"}\n{\"txt\": 1}\n", &["text"]),
        "FILE: line 2: no key \"text\", the nearest is \"txt\"; there are txt"
    );
    assert_eq!(refusal("a.jsonl", "{}", &["text"]), "FILE: line 1: no key \"text\"; there are none");
    let question = refusal("a.jsonl", r#"{"question": "Who?", "context": "Ada.", "answers": []}"#, &["text"]);
    assert!(
        question.ends_with("; questions with answers are read by `--answers` (`kind = \"answers\"`)"),
        "{question}"
    );
    let tagged = refusal("a.jsonl", r#"{"tokens": ["Ada"], "tags": ["B-PER"]}"#, &["text"]);
    assert!(
        tagged.ends_with("; sentences whose words have tags are read by `--tagged` (`kind = \"tagged\"`)"),
        "{tagged}"
    );
    assert_eq!(
        refusal("a.jsonl", "{\"text\": [1]}", &["text"]),
        "FILE: line 1: expected \"text\" to be a string, a number or a boolean, found a list"
    );
    assert!(refusal("a.jsonl", "{\"text\": null}", &["text"]).ends_with("found null"));
    assert!(refusal("a.jsonl", "{\"text\": {}}", &["text"]).ends_with("found an object"));
    assert_eq!(
        refusal("a.jsonl", "{\"a\": 1}\n[1]\n", &["a"]),
        "FILE: line 2: expected a JSON object: invalid type: sequence, expected a map at column 0"
    );
}

#[test]
fn what_is_no_table() {
    assert_eq!(
        refusal("a.json", "{}", &["1"]),
        "FILE: cannot tell the format from the extension, expected .tsv, .txt, .tab, .csv, .jsonl, .ndjson, .parquet or \
         .arrow; state the format instead; questions with answers are read by `--answers` (`kind = \"answers\"`)"
    );
    assert!(refusal("a.doc", "{}", &["1"]).ends_with("state the format instead"));
    assert_eq!(read("a.json", "x\n", &["1"], |spec| spec.format = Format::Tsv).unwrap(), [row(1, &["x"])]);
    for name in ["a.tsv", "a.csv", "a.jsonl"] {
        let text = b"{\"a\": 1}\n{\"a\": \"\xff\"}\n";
        let wanted = if name == "a.jsonl" { "a" } else { "1" };
        assert_eq!(
            refusal(name, text, &[wanted]),
            "FILE: line 2: not UTF-8; state its encoding, such as latin-1, or save the file as UTF-8",
            "{name}"
        );
    }
    let missing = table::read(&TableSpec::new("/nowhere/x.tsv"), &columns(&["1"])).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/x.tsv: "), "{missing}");
}

#[test]
fn the_hash_is_of_the_bytes() {
    let file = file("a.tsv", b"abc");
    let table = table::read(&TableSpec::new(&file.path), &columns(&["1"])).unwrap();
    assert_eq!(table.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_quotation_mark_that_ends_nothing_is_refused_with_its_line() {
    let refused = |text: &str, line: usize| {
        let error = refusal("a.csv", text, &["text"]);
        assert!(error.starts_with(&format!("FILE: line {line}: a quotation mark inside a quoted value")), "{error}");
    };
    refused("text,label\n\"he said \\\"hello\\\" twice\",no\n", 2);
    refused("text,label\na,b\n\n\"one\",\"two\" more\n", 4);
    refused("text,label\n\"one\ntwo\"x,no\n", 3);
    refused("text,label\n\"one\" ,no\n", 2);
    let fine = "text,label\r\n\"he said \"\"hello\"\" twice\",\"no\"\r\n5\" screen,\"yes\"\r\n";
    assert_eq!(rows("a.csv", fine, &["text"]), [row(2, &["he said \"hello\" twice"]), row(3, &["5\" screen"])]);
}

#[test]
fn a_value_of_many_megabytes_is_no_text() {
    let long = "a".repeat((64 << 20) + 1);
    let error = refusal("a.tsv", format!("text\nshort\n{long}\n"), &["text"]);
    assert!(error.starts_with("FILE: line 3: a value of more than 67108864 bytes"), "{error}");
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_pointers_are_no_tables() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tsv");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let error = table::read(&TableSpec::new(&path), &columns(&["1"])).unwrap_err().to_string();
    assert!(error.contains("a.tsv: not a regular file"), "{error}");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    assert!(refusal("a.tsv", pointer, &["1"]).starts_with("FILE: a git-lfs pointer"));
}
