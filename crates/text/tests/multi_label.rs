//! Rows with several labels, or none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_text::labeled::{Label, LabelSet, LabeledSpec, Loaded, Target, TargetSpec, read};
use attar_text::random::Streams;
use attar_text::table::TableSpec;

fn load(name: &str, text: &str, target: TargetSpec) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let column = |name: &str| name.parse().unwrap();
    let spec = LabeledSpec {
        table: TableSpec::new(&path),
        text: column("text"),
        pair: None,
        label: Some(column("label")),
        target,
    };
    read(&spec).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

fn separated(separator: &str, names: Option<&[&str]>) -> TargetSpec {
    let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    TargetSpec::MultiLabel { separator: Some(separator.to_owned()), names }
}

fn any(names: &[&str]) -> Target {
    Target::MultiLabel(LabelSet { names: names.iter().map(|name| (*name).to_owned()).collect() })
}

#[test]
fn cells_hold_labels_with_a_separator() {
    let rows = "text,label\nx,ui|bug\ny,\nz, bug | bug |\n";
    let loaded = load("rows.csv", rows, separated("|", None)).unwrap();
    let data = loaded.data;
    assert_eq!(data.target, any(&["bug", "ui"]));
    assert_eq!(data.label_sets(), Some(vec![vec![0, 1], vec![], vec![0]]));
    assert_eq!((data.class_counts(), data.target.outputs(), data.classes()), (vec![2, 1], 2, None));
    assert_eq!(loaded.notes, ["rows: 2 labels, 1.00 a row on average, 1 rows with none"]);
    // Whole numbers are in their own order.
    let numbers = load("rows.csv", "text,label\nx,10 9\ny,2\n", separated(" ", None)).unwrap().data;
    assert_eq!(numbers.target, any(&["2", "9", "10"]));

    let named = |names: &[&str]| load("rows.csv", rows, separated("|", Some(names)));
    let data = named(&["ui", "slow", "bug"]).unwrap().data;
    assert_eq!(data.examples[0].label, Label::MultiLabel(vec![0, 2]));
    let error = named(&["ui", "bugs"]).unwrap_err();
    assert!(error.contains("line 2") && error.contains("unknown label \"bug\"") && error.contains("bugs"), "{error}");
    let mut other = data.clone();
    other.examples[0].label = Label::MultiLabel(vec![0]);
    assert_ne!(other.content_hash(), data.content_hash());
}

#[test]
fn arrays_of_json_speak_for_themselves() {
    let rows = "{\"text\": \"x\", \"label\": [\"ui\", \"a, b\"]}\n{\"text\": \"y\", \"label\": []}\n";
    for target in [TargetSpec::Discover, separated(",", None)] {
        let data = load("rows.jsonl", rows, target).unwrap().data;
        assert_eq!((data.target.clone(), data.label_sets()), (any(&["a, b", "ui"]), Some(vec![vec![0, 1], vec![]])));
    }
    let named = TargetSpec::Named(vec!["ui".into(), "a, b".into()]);
    assert_eq!(load("rows.jsonl", rows, named).unwrap().data.target, any(&["ui", "a, b"]));
    // A text is no list, and neither is a label one of numbers.
    let error = load("rows.jsonl", &rows.replace("\"x\"", "[\"x\"]"), TargetSpec::Discover).unwrap_err();
    assert!(error.contains("a list"), "{error}");
    let error = load("rows.jsonl", "{\"text\": \"x\", \"label\": [1]}\n", TargetSpec::Discover).unwrap_err();
    assert!(error.contains("a list"), "{error}");
}

#[test]
fn rare_labels_are_held_out_too() {
    let cell = |row: usize| match row % 20 {
        0 => "common|rare",
        1..15 => "common",
        _ => "",
    };
    let rows: String = (0..400).map(|row| format!("text {row},{}\n", cell(row))).collect();
    let data = load("rows.csv", &format!("text,label\n{rows}"), separated("|", None)).unwrap().data;
    assert_eq!(data.class_counts(), [300, 20]);
    let (large, held, report) = data.hold_out(0.2, &Streams::new(1)).unwrap();
    assert_eq!((large.len(), held.len(), report.unseen.len()), (320, 80, 0));
    assert_eq!(held.class_counts(), [60, 4]);
}
