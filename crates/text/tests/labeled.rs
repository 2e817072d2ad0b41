//! Labeled rows of a file, and parts of a data set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::HashSet;

use attar_text::labeled::{Dataset, Example, Label, LabelSet, LabeledSpec, Target, TargetSpec, load};
use attar_text::random::Streams;
use attar_text::table::{Column, TableSpec};
use attar_text::tokenizer::{Limit, Tokenizer, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;

fn read(text: &str, wanted: [Option<&str>; 3], target: TargetSpec) -> Result<Dataset, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.tsv");
    std::fs::write(&path, text).unwrap();
    let [first, pair, label] = wanted.map(|column| column.map(|column| column.parse::<Column>().unwrap()));
    let spec = LabeledSpec { table: TableSpec::new(&path), text: first.unwrap(), pair, label, target };
    load(&spec).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

fn classes(names: &[&str]) -> Target {
    Target::Classes(LabelSet { names: names.iter().map(|name| (*name).to_owned()).collect() })
}

fn named(names: &[&str]) -> TargetSpec {
    TargetSpec::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

fn data(rows: &[(&str, Label)], names: &[&str]) -> Dataset {
    let example =
        |(text, label): &(&str, Label)| Example { text: (*text).to_owned(), pair: None, label: label.clone() };
    Dataset {
        examples: rows.iter().map(example).collect(),
        target: classes(names),
        name: "made".to_owned(),
        sha256: String::new(),
        path: None,
    }
}

/// 300 examples of three classes in unequal numbers, every third text twice.
fn many() -> Dataset {
    let texts: Vec<String> = (0..300).map(|i| format!("text {}", if i % 3 == 2 { i - 1 } else { i })).collect();
    let rows: Vec<(&str, Label)> =
        texts.iter().enumerate().map(|(i, text)| (text.as_str(), Label::Class([0, 0, 1, 0, 2][i / 3 % 5]))).collect();
    data(&rows, &["a", "b", "c"])
}

#[test]
fn classes_are_discovered_in_order() {
    let text = "text\tlabel\nx\t10\ny \t 9\nz\t-1\nx\t9\n";
    let read_all = |text, columns| read(text, columns, TargetSpec::Discover).unwrap();
    let found = read_all(text, [Some("text"), None, Some("label")]);
    assert_eq!(found.target, classes(&["-1", "9", "10"]));
    assert_eq!(found.classes(), Some(vec![2, 1, 0, 1]));
    assert_eq!(found.class_counts(), [1, 2, 1]);
    assert_eq!((found.examples[1].text.as_str(), found.name.as_str(), found.len()), ("y ", "rows", 4));
    let by_name = read_all("x\t10\ny\tb\nz\tB\n", [Some("1"), None, Some("2")]);
    assert_eq!(by_name.target, classes(&["10", "B", "b"]));
    let pairs = read_all("x\ty\t1\n", [Some("1"), Some("2"), Some("3")]);
    assert_eq!(pairs.examples, [Example { text: "x".into(), pair: Some("y".into()), label: Label::Class(0) }]);
    let unlabeled = read_all("x\ty\n", [Some("2"), Some("1"), None]);
    assert_eq!(unlabeled.examples, [Example { text: "y".into(), pair: Some("x".into()), label: Label::Absent }]);
    assert_eq!((unlabeled.target.outputs(), unlabeled.classes(), unlabeled.scores()), (0, None, None));
}

#[test]
fn classes_may_be_named() {
    let columns = [Some("1"), None, Some("2")];
    let found = read("x\tno\ny\tyes\n", columns, named(&["yes", "maybe", "no "])).unwrap();
    assert_eq!((found.target.clone(), found.classes()), (classes(&["yes", "maybe", "no"]), Some(vec![2, 0])));
    let labels = found.target.labels().unwrap();
    assert_eq!((labels.name(1), labels.name(3), labels.class("no"), labels.len()), (Some("maybe"), None, Some(2), 3));
    assert_eq!(
        read("x\tyes\ny\tyess\n", columns, named(&["yes", "no"])).unwrap_err(),
        "FILE: line 2: unknown label \"yess\", the nearest is \"yes\"; expected one of yes, no"
    );
    assert_eq!(read("x\t \n", columns, TargetSpec::Discover).unwrap_err(), "FILE: line 1: the label is empty");
    assert_eq!(
        read("x\ta\n", columns, named(&["a", "a "])).unwrap_err(),
        "the names of classes must be different and not empty, found \"a\" twice"
    );
    assert_eq!(
        read("x\ta\n", columns, named(&["a", ""])).unwrap_err(),
        "the names of classes must be different and not empty, found \"\" among them"
    );
    let many: Vec<String> = (0..30).map(|i| format!("class{i}")).collect();
    let error = read("x\t?\n", columns, TargetSpec::Named(many)).unwrap_err();
    assert!(error.ends_with("class19 and 10 more"), "{error}");
}

#[test]
fn scores_are_checked() {
    let columns = [Some("1"), None, Some("2")];
    let range = |low, high| TargetSpec::Regression { low, high };
    let found = read("x\t5.000\ny\t 0\nz\t2.75e0\n", columns, range(0.0, 5.0)).unwrap();
    assert_eq!((found.scores(), found.classes()), (Some(vec![5.0, 0.0, 2.75]), None));
    assert_eq!((found.class_counts(), found.target.outputs()), (vec![], 1));
    for wrong in ["5.01", "-0.1", "nan", "inf", "five", "1,5"] {
        assert_eq!(
            read(&format!("x\t1\ny\t{wrong}\n"), columns, range(0.0, 5.0)).unwrap_err(),
            format!("FILE: line 2: expected a score from 0 to 5, found {wrong:?}")
        );
    }
    for (low, high) in [(1.0, 1.0), (0.0, f32::NAN), (f32::NEG_INFINITY, 0.0)] {
        let error = read("x\t1\n", columns, range(low, high)).unwrap_err();
        assert!(error.starts_with("expected a range of scores from a smaller to a larger finite number"), "{error}");
    }
    assert_eq!(read("", columns, TargetSpec::Discover).unwrap_err(), "FILE: no examples, expected at least one row");
    assert!(read("x\t1\n", [Some("3"), None, None], TargetSpec::Discover).unwrap_err().contains("no column 3"));
}

#[test]
fn divisions_are_stratified_seeded_and_leak_nothing() {
    let all = many();
    let (large, held) = all.split(0.2, &Streams::new(1)).unwrap();
    assert_eq!(large.len() + held.len(), 300);
    assert_eq!(held.duplicates_with(&large), 0);
    assert_eq!([all.duplicates_with(&all), held.duplicates_with(&all)], [300, held.len()]);
    for (part, whole) in held.class_counts().into_iter().zip(all.class_counts()) {
        // A group of two can be off by one on either side.
        assert!((part as f64 - 0.2 * whole as f64).abs() <= 1.0, "{part} of {whole}");
    }
    let texts: HashSet<&str> = held.examples.iter().chain(&large.examples).map(|e| e.text.as_str()).collect();
    assert_eq!(texts.len(), 200);
    assert_eq!(all.split(0.2, &Streams::new(1)).unwrap(), (large.clone(), held.clone()));
    assert_ne!(all.split(0.2, &Streams::new(2)).unwrap().1, held);
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        let error = all.split(share, &Streams::new(1)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot hold out a share of {share} of 300 examples")), "{error}");
    }
    let one = data(&[("x", Label::Absent)], &[]);
    assert!(one.split(0.5, &Streams::new(1)).is_err());
}

#[test]
fn samples_are_nested_and_in_order() {
    let all = many();
    let [small, large] = [20, 100].map(|n| all.take(n, &Streams::new(3)));
    assert_eq!([small.len(), large.len()], [20, 100]);
    let mut rest = large.examples.iter();
    assert!(small.examples.iter().all(|example| rest.any(|other| other == example)));
    assert_eq!(all.take(1000, &Streams::new(3)), all);
    assert_ne!(all.take(20, &Streams::new(4)), small);
    assert_eq!(
        all.subset(&[5, 5, 0]).examples.iter().map(|e| e.text.as_str()).collect::<Vec<_>>(),
        ["text 4", "text 4", "text 0"]
    );
}

#[test]
fn leaks_are_counted_whatever_the_case_and_spaces() {
    let dev = data(&[("A  film.", Label::Absent), ("b", Label::Absent), ("b", Label::Class(0))], &["x"]);
    let train = data(&[(" a FILM. ", Label::Class(0)), ("c", Label::Class(0))], &["x"]);
    assert_eq!([dev.duplicates_with(&train), train.duplicates_with(&dev)], [1, 1]);
    let mut pair = dev.clone();
    pair.examples[0].pair = Some("x".into());
    assert_eq!(pair.duplicates_with(&train), 0);
    let mut same = pair.clone();
    same.examples[0].text = "a film.".into();
    assert_eq!(pair.duplicates_with(&same), 3);
}

#[test]
fn content_hashes_tell_contents_apart() {
    let base = data(&[("a", Label::Class(0)), ("b", Label::Absent)], &["x"]);
    let mut hashes = HashSet::from([base.content_hash()]);
    let changes: [fn(&mut Dataset); 7] = [
        |d| d.examples[0].text = "ab".into(),
        |d| d.examples[1].pair = Some(String::new()),
        |d| d.examples[1].label = Label::Class(0),
        |d| d.examples[1].label = Label::Score(0.0),
        |d| d.examples.reverse(),
        |d| d.target = classes(&["y"]),
        |d| _ = d.examples.pop(),
    ];
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        assert!(hashes.insert(changed.content_hash()));
    }
    let mut renamed = base.clone();
    renamed.name = "other".into();
    assert_eq!(renamed.content_hash(), base.content_hash());
}

#[test]
fn encodes_in_order() {
    let vocabulary = ["[UNK]", "[CLS]", "[SEP]", "text", "0", "1"].map(String::from).to_vec();
    let tokenizer =
        Tokenizer::from_vocabulary(Vocabulary::from_tokens(vocabulary).unwrap(), WordPieceOptions::uncased()).unwrap();
    let encodings = many().encode(&tokenizer, Limit::new(16)).unwrap();
    assert_eq!(encodings.len(), 300);
    assert_eq!(
        [&encodings[0].ids, &encodings[2].ids, &encodings[3].ids],
        [&[1, 3, 4, 2], &[1, 3, 5, 2], &[1, 3, 0, 2]]
    );
    assert!(many().encode(&tokenizer, Limit::new(2)).unwrap_err().to_string().starts_with("row 1: "));
}
