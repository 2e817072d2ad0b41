//! Text without labels: lines, tables, packed files, samples, and texts that are held out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use attar_testing::shared;
use attar_text::labeled::{Dataset, Example, Label, LabelSet, Target};
use attar_text::random::Streams;
use attar_text::table::{Column, Header, TableSpec};
use attar_text::unlabeled::{Unlabeled, UnlabeledSpec, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn texts(unlabeled: &Unlabeled) -> Vec<&str> {
    unlabeled.examples.iter().map(|example| example.text.as_str()).collect()
}

fn all(path: &Path) -> Result<Unlabeled, String> {
    read(&UnlabeledSpec::new(path), &[], &Streams::new(1))
        .map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

fn held_out(examples: Vec<Example>) -> Dataset {
    let target = Target::Classes(LabelSet { names: vec!["a".into()] });
    Dataset { examples, target, name: "dev".into(), sha256: String::new(), path: None }
}

fn example(text: &str, pair: Option<&str>) -> Example {
    Example { text: text.to_owned(), pair: pair.map(str::to_owned), label: Label::Class(0) }
}

const LINES: &[u8] = "\u{feff}one, \"two\"\tthree\r\n\n \t\nfour\u{85}five\nOne, \"two\"   three\nlast".as_bytes();

#[test]
fn every_line_is_a_text() {
    let (_dir, path) = file("mails.txt", LINES);
    let got = all(&path).unwrap();
    // As written, less the byte order mark; the fifth line is the first one again.
    assert_eq!(texts(&got), ["one, \"two\"\tthree", "four\u{85}five", "last"]);
    assert!(got.examples.iter().all(|example| example.label == Label::Absent && example.pair.is_none()));
    assert_eq!((got.rows, got.held_out), (4, 0));
    // Any other name will do too, unless it is one of a table.
    let (_dir, other) = file("mails", LINES);
    assert_eq!(all(&other).unwrap(), got);
}

#[test]
fn packed_lines_are_unpacked() {
    let (_dir, path) = file("a.txt", LINES);
    let (_packed_dir, packed) = file("a.txt.gz", &gzip(LINES));
    assert_eq!(all(&packed).unwrap().examples, all(&path).unwrap().examples);
    // One after the other in one file, as `cat` makes them.
    let (_two_dir, two) = file("two.txt.gz", &[gzip(b"a\nb"), gzip(b"c\nd\n")].concat());
    assert_eq!(texts(&all(&two).unwrap()), ["a", "bc", "d"]);
    assert_ne!(all(&packed).unwrap().sha256, all(&path).unwrap().sha256);
    let (_cut_dir, cut) = file("cut.txt.gz", &gzip(LINES)[..30]);
    assert!(all(&cut).unwrap_err().starts_with("FILE: "));
}

#[test]
fn the_hash_is_that_of_the_file() {
    let (_dir, path) = file("a.txt", b"abc");
    assert_eq!(all(&path).unwrap().sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn columns_of_a_table_are_read() {
    let (_dir, path) = file("rows.tsv", b"id\tquestion\tanswer\n1\twhy\tso\n2\twhy\tno\n3\tWhy\tso\n4\t\t \n");
    let name = |name: &str| Some(Column::Name(name.into()));
    let spec = UnlabeledSpec { text: name("question"), pair: name("answer"), ..UnlabeledSpec::new(&path) };
    let got = read(&spec, &[], &Streams::new(1)).unwrap();
    let absent = |text: &str, pair: &str| Example { label: Label::Absent, ..example(text, Some(pair)) };
    assert_eq!(got.examples, [absent("why", "so"), absent("why", "no")]);
    assert_eq!(got.rows, 3);
    let one = read(&UnlabeledSpec { pair: None, ..spec.clone() }, &[], &Streams::new(1)).unwrap();
    assert_eq!(texts(&one), ["why"]);
    let table = TableSpec { header: Header::Present, ..TableSpec::new(&path) };
    let by_number = UnlabeledSpec { table, text: Some(Column::Number(3)), pair: None, most: 9 };
    assert_eq!(texts(&read(&by_number, &[], &Streams::new(1)).unwrap()), ["so", "no"]);
    let (_json_dir, json) = file("rows.jsonl", b"{\"question\": \"who\"}\n{\"question\": \"when\", \"x\": 1}\n");
    let spec = UnlabeledSpec { text: name("question"), ..UnlabeledSpec::new(&json) };
    assert_eq!(texts(&read(&spec, &[], &Streams::new(1)).unwrap()), ["who", "when"]);
}

#[test]
fn texts_held_out_stay_out() {
    let (_dir, path) = file("a.txt", b"One  two\nthree\nfour\none two\n");
    let dev = held_out(vec![example("ONE two", None), example("five", None), example("three", Some(""))]);
    let test = held_out(vec![example("four", None)]);
    let got = read(&UnlabeledSpec::new(&path), &[&dev, &test], &Streams::new(1)).unwrap();
    assert_eq!((texts(&got), got.rows, got.held_out), (vec!["three"], 4, 3));
    let error =
        read(&UnlabeledSpec::new(&path), &[&dev, &test, &held_out(vec![example("three", None)])], &Streams::new(1));
    assert!(
        error.unwrap_err().to_string().ends_with("none of 4 texts is left, 4 of them held out; expected at least one")
    );
}

#[test]
fn a_sample_is_of_different_texts() {
    let lines: Vec<String> = (0..4000).map(|line| format!("text {}", line % 1000)).collect();
    let (_dir, path) = file("a.txt", lines.join("\n").as_bytes());
    let sample = |path: &Path, most, seed| {
        let got = read(&UnlabeledSpec { most, ..UnlabeledSpec::new(path) }, &[], &Streams::new(seed)).unwrap();
        assert_eq!(got.rows, 4000);
        got.examples.into_iter().map(|example| example.text).collect::<Vec<String>>()
    };
    let number = |text: &String| text[5..].parse::<usize>().unwrap();
    let some = sample(&path, 300, 1);
    assert_eq!(some.len(), 300);
    assert!(some.windows(2).all(|two| number(&two[0]) < number(&two[1])), "in the order of the file");
    // 150 expected in each half; the standard deviation is 7.
    let low = some.iter().filter(|text| number(text) < 500).count();
    assert!((115..185).contains(&low), "{low}");
    assert!(sample(&path, 100, 1).iter().all(|text| some.contains(text)));
    assert_ne!(sample(&path, 300, 2), some);
    assert_eq!(sample(&path, 5000, 1).len(), 1000);
    // The order of the file does not matter for what stays.
    let turned: Vec<&String> = lines.iter().rev().collect();
    let turned = turned.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
    let (_turned_dir, turned) = file("b.txt", turned.as_bytes());
    let mut again = sample(&turned, 300, 1);
    again.sort_by_key(number);
    assert_eq!(again, some);
}

#[test]
fn what_is_wrong_is_named() {
    assert!(all(Path::new("/nowhere/a.txt")).unwrap_err().starts_with("FILE: "));
    assert_eq!(
        all(&file("a.txt", b"").1.with_file_name("b.csv")).unwrap_err(),
        "FILE: unlabeled text in a table: name the column of the text, or give a .txt file with one text a line"
    );
    assert!(all(Path::new("a.JSONL.gz")).unwrap_err().contains("name the column"));
    let (_dir, path) = file("a.txt", b"a\n\xff\n");
    assert_eq!(all(&path).unwrap_err(), "FILE: line 2: not UTF-8, save the file in that encoding");
    let (_dir, path) = file("a.txt", b"\n \n");
    assert_eq!(all(&path).unwrap_err(), "FILE: none of 0 texts is left, 0 of them held out; expected at least one");
    let spec = UnlabeledSpec { pair: Some(Column::Number(2)), ..UnlabeledSpec::new(&path) };
    let error = read(&spec, &[], &Streams::new(1)).unwrap_err().to_string();
    assert!(error.ends_with("a column for the second text and none for the first, expected both"), "{error}");
}

/// Ten megabytes of text, packed.
#[test]
#[ignore = "needs the data sets of ../shared"]
fn an_encyclopedia() {
    let path = shared("data/corpus/wiki/enwiki2015-00.txt.gz");
    let spec = UnlabeledSpec { most: 1000, ..UnlabeledSpec::new(path) };
    let got = read(&spec, &[], &Streams::new(1)).unwrap();
    assert_eq!(got.examples.len(), 1000);
    assert!(got.rows > 20_000, "{}", got.rows);
}
