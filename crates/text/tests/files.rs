//! Files as they come: packed, in other encodings, with other delimiters, without headers, with labels elsewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::io::Write;
use std::path::Path;

use attar_text::labeled::{DataError, LabeledSpec, Loaded, TargetSpec, read};
use attar_text::table::{self, Column, Format, Header, Quoting, TableSpec, TextEncoding};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Columns of a file of this name, or the error without the folder.
fn rows(
    name: &str,
    bytes: &[u8],
    columns: &[&str],
    change: impl FnOnce(&mut TableSpec),
) -> Result<Vec<Vec<String>>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut spec = TableSpec::new(&path);
    change(&mut spec);
    let columns: Vec<Column> = columns.iter().map(|column| column.parse().unwrap()).collect();
    let table = table::read(&spec, &columns).map_err(|e| without(&dir, &e.to_string()))?;
    Ok(table.rows.into_iter().map(|row| row.values).collect())
}

fn without(dir: &tempfile::TempDir, message: &str) -> String {
    message.replace(&format!("{}/", dir.path().display()), "")
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn encodings() {
    let text = "text,label\nnaïve café,1\n";
    let expected = Ok(vec![vec!["naïve café".to_owned()]]);
    let marked = format!("\u{feff}{text}");
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let get = |bytes: &[u8], encoding| rows("a.csv", bytes, &["text"], |spec| spec.encoding = encoding);
    for bytes in [text.as_bytes(), marked.as_bytes()] {
        assert_eq!(get(bytes, TextEncoding::Auto), expected);
        assert_eq!(get(bytes, TextEncoding::Utf8), expected);
    }
    for bytes in [utf16(&marked, u16::to_le_bytes), utf16(&marked, u16::to_be_bytes)] {
        assert_eq!(get(&bytes, TextEncoding::Auto), expected);
        assert_eq!(get(&bytes, TextEncoding::Utf16), expected);
    }
    assert_eq!(get(&utf16(text, u16::to_le_bytes), TextEncoding::Utf16), expected);
    assert_eq!(get(&latin, TextEncoding::Latin1), expected);
    assert_eq!(get(b"text\n\x93x\x94 \x80\n", TextEncoding::Latin1), Ok(vec![vec!["“x” €".to_owned()]]));
    assert_eq!(
        get(&latin, TextEncoding::Auto).unwrap_err(),
        "a.csv: line 2: not UTF-8; state its encoding, such as latin-1, or save the file as UTF-8"
    );
    let half = [&utf16(&marked, u16::to_le_bytes)[..], &[0x00, 0xd8]].concat();
    assert_eq!(get(&half, TextEncoding::Auto).unwrap_err(), "a.csv: not UTF-16; state another encoding");
}

#[test]
fn files_packed_by_gzip() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"text\tlabel\na\tb\n").unwrap();
    let packed = encoder.finish().unwrap();
    for name in ["a.tsv.gz", "a.tsv", "a.TSV.GZ"] {
        assert_eq!(rows(name, &packed, &["label"], |_| {}), Ok(vec![vec!["b".to_owned()]]), "{name}");
    }
    assert!(rows("a.gz", &packed, &["label"], |_| {}).unwrap_err().contains("cannot tell the format"));
    assert!(rows("a.tsv.gz", &packed[..packed.len() - 6], &["label"], |_| {}).unwrap_err().starts_with("a.tsv.gz: "));
}

#[test]
fn delimiters_are_told_only_where_nothing_speaks_against_them() {
    let get = |text: &str, columns: &[&str]| rows("a.csv", text.as_bytes(), columns, |_| {});
    let found = |values: [&str; 2]| Ok(vec![values.map(str::to_owned).to_vec()]);
    assert_eq!(get("text;label\nwell, yes;1,5\n", &["text", "label"]), found(["well, yes", "1,5"]));
    assert_eq!(get("text;label\n\"a; b\";1\n", &["text", "label"]), found(["a; b", "1"]));
    assert_eq!(get("text\tlabel\na, b\t1\n", &["text", "label"]), found(["a, b", "1"]));
    // Even by commas: the semicolons are the text's.
    assert_eq!(get("a;b,label\nx;y,1\n", &["a;b", "label"]), found(["x;y", "1"]));
    // One column by commas, and not even by semicolons.
    assert_eq!(get("text\na; b\n", &["text"]), Ok(vec![vec!["a; b".to_owned()]]));
    let wrong = get("text;label\na;b;c\n", &["text", "label"]).unwrap_err();
    assert!(wrong.starts_with("a.csv: no column \"text\""), "{wrong}");
    let stated = |spec: &mut TableSpec| spec.delimiter = Some(b'|');
    assert_eq!(rows("a.csv", b"x|\"y|z\"\n", &["1", "2"], stated), found(["x", "y|z"]));
    let stated = |spec: &mut TableSpec| (spec.delimiter, spec.quoting) = (Some(b';'), Quoting::Off);
    assert_eq!(rows("a.tsv", b"x\t;y\n", &["1", "2"], stated), found(["x\t", "y"]));
}

#[test]
fn lines_that_begin_with_a_label() {
    let get =
        |name: &str, text: &str, change: fn(&mut TableSpec)| rows(name, text.as_bytes(), &["text", "label"], change);
    let found = |pairs: &[[&str; 2]]| Ok(pairs.iter().map(|pair| pair.map(str::to_owned).to_vec()).collect());
    let first = |spec: &mut TableSpec| spec.format = Format::LabelFirst;
    assert_eq!(
        get("a.label", "GREETING: hello: you\n\nBYE:so long\r\n", first),
        found(&[["hello: you", "GREETING"], ["so long", "BYE"]])
    );
    assert_eq!(
        get("a.txt", "GREETING:hello\nhow are you, all of you, the whole long day?\n", first).unwrap_err(),
        "a.txt: line 2: expected `LABEL:text`, found \"how are you, all of you, the whole long \""
    );
    let spaced = |spec: &mut TableSpec| (spec.format, spec.delimiter) = (Format::LabelFirst, Some(b' '));
    assert_eq!(get("a.txt", "DESC:manner How is it?\n", spaced), found(&[["How is it?", "DESC:manner"]]));
    assert_eq!(get("a.txt", "__label__a  x y\n__label__b\tz\n", |_| {}), found(&[["x y", "a"], ["z", "b"]]));
    let fast = |spec: &mut TableSpec| spec.format = Format::FastText;
    for wrong in ["no label", "__label__a __label__b x", "__label__ x", "__label__a"] {
        let error = get("a.ft", &format!("__label__a x\n{wrong}\n"), fast).unwrap_err();
        assert_eq!(error, format!("a.ft: line 2: expected `__label__LABEL text` with one label, found {wrong:?}"));
    }
    assert_eq!(rows("a.ft", b"__label__a x\n", &["2", "1"], fast), Ok(vec![vec!["x".into(), "a".into()]]));
    let lines = |spec: &mut TableSpec| spec.format = Format::Lines;
    assert_eq!(rows("a.in", b"x\ty \n\n", &["text"], lines), Ok(vec![vec!["x\ty ".into()], vec!["".into()]]));
    assert!(rows("a.in", b"x\n", &["label"], lines).unwrap_err().ends_with("there are text"));
}

fn labeled(
    name: &str,
    text: &str,
    columns: [&str; 2],
    target: TargetSpec,
    change: impl FnOnce(&Path, &mut TableSpec),
) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let mut table = TableSpec::new(&path);
    change(dir.path(), &mut table);
    let [first, label] = columns.map(|column| column.parse().unwrap());
    let loaded = read(&LabeledSpec { table, text: first, pair: None, label: Some(label), target });
    let mut loaded = loaded.map_err(|e: DataError| without(&dir, &e.to_string()))?;
    loaded.notes.iter_mut().for_each(|note| *note = without(&dir, note));
    Ok(loaded)
}

#[test]
fn labels_in_a_second_file() {
    let get = |labels: &str, name: &str, text: &str| {
        labeled(name, text, ["text", "label"], TargetSpec::Discover, |dir, table| {
            std::fs::write(dir.join("labels"), labels).unwrap();
            table.label_file = Some(dir.join("labels"));
        })
    };
    let data = get("b\na\r\nb\n", "seq.in", "x\ny\tz\n\n").unwrap().data;
    assert_eq!(data.examples.iter().map(|e| e.text.as_str()).collect::<Vec<_>>(), ["x", "y\tz", ""]);
    assert_eq!((data.classes(), data.name), (Some(vec![1, 0, 1]), "seq".to_owned()));
    let other = get("b\na\na\n", "seq.in", "x\ny\tz\n\n").unwrap().data;
    assert_ne!(other.sha256, data.sha256);
    assert_eq!(get("b\na\n", "rows.csv", "text,n\nx,1\ny,2\n").unwrap().data.classes(), Some(vec![1, 0]));
    assert_eq!(
        get("b\n", "seq.in", "x\ny\n").unwrap_err(),
        "seq.in has 2 lines and labels has 1, expected as many of one as of the other"
    );
}

#[test]
fn headers_where_columns_have_numbers() {
    let get = |text: &str| labeled("a.csv", text, ["1", "2"], TargetSpec::Discover, |_, _| {});
    let outcome = |text: &str| get(text).map(|loaded| (loaded.data.len(), loaded.notes));
    let note = |names: &str| vec![format!("a.csv: the first row names the columns ({names})")];
    // A label that is no number among numbers, and usual names.
    assert_eq!(outcome("phrase,mark\nx,1\ny,0\n"), Ok((2, note("phrase, mark"))));
    assert_eq!(outcome("Text,Labels\nx,a\ny,a\nz,b\n"), Ok((3, note("Text, Labels"))));
    // A label that occurs again, a number, and classes of which others have one row too.
    for text in ["x,a\ny,a\nz,b\n", "text,label\nx,label\n", "x,1\ny,0\n", "x,a\ny,b\nz,c\n", "x,a\n"] {
        assert_eq!(outcome(text), Ok((text.lines().count(), vec![])), "{text}");
    }
    assert_eq!(
        get("phrase,mark\nx,a\ny,a\nz,b\nw,b\n").unwrap_err(),
        "a.csv: cannot tell whether the first row names the columns: its label \"mark\" occurs nowhere else; state it with \
         --header true or --header false (`header` under `format` in a recipe)"
    );
    for (header, rows) in [(Header::Present, 4), (Header::Absent, 5)] {
        let text = "phrase,mark\nx,a\ny,a\nz,b\nw,b\n";
        let loaded = labeled("a.csv", text, ["1", "2"], TargetSpec::Discover, |_, table| table.header = header);
        assert_eq!(loaded.map(|loaded| (loaded.data.len(), loaded.notes)), Ok((rows, vec![])));
    }
    let scores = TargetSpec::Regression { low: 0.0, high: 5.0 };
    let loaded = labeled("a.tsv", "a\tb\nx\t1.5\n", ["1", "2"], scores, |_, _| {}).unwrap();
    assert_eq!((loaded.data.scores(), loaded.notes.len()), (Some(vec![1.5]), 1));
}

#[test]
fn numbers_that_look_like_scores_are_refused() {
    let get = |labels: Vec<String>, target: TargetSpec| {
        let text: String = labels.iter().map(|label| format!("x\t{label}\n")).collect();
        labeled("a.tsv", &text, ["1", "2"], target, |_, _| {}).map(|loaded| loaded.data.target.outputs())
    };
    let words = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<String>>();
    assert_eq!(
        get(words(&["1", "2.5", "4"]), TargetSpec::Discover).unwrap_err(),
        "a.tsv: the labels look like scores: 3 different numbers from 1 to 4, such as 2.5; to learn scores, state their \
         range with --regression LOW HIGH (`regression` in a recipe); to learn classes, name them with --labels (`labels` \
         in a recipe)"
    );
    let numbers =
        |different: usize, each: usize| (0..different * each).map(|row| (row % different).to_string()).collect();
    assert_eq!(get(numbers(21, 5), TargetSpec::Discover), Ok(21));
    assert_eq!(get(numbers(20, 1), TargetSpec::Discover), Ok(20));
    assert!(
        get(numbers(21, 4), TargetSpec::Discover).unwrap_err().contains("21 different numbers from 0 to 20, such as 0")
    );
    assert_eq!(get(words(&["1.0", "2.0", "10.0"]), TargetSpec::Discover), Ok(3));
    assert_eq!(get(words(&["0.5", "half"]), TargetSpec::Discover), Ok(2));
    assert_eq!(get(words(&["1", "2.5"]), TargetSpec::Named(words(&["1", "2.5"]))), Ok(2));
    assert_eq!(get(words(&["1", "2.5"]), TargetSpec::Regression { low: 0.0, high: 5.0 }), Ok(1));
}
