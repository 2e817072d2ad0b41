//! Labels of rows read as a model calls its classes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_text::labeled::{LabeledSpec, Loaded, TargetSpec, read};
use attar_text::table::{Column, TableSpec};

/// Labels of rows by a model's classes, or the error without the folder.
fn load(model: &[&str], labels: &[&str]) -> Result<Loaded, String> {
    load_as(TargetSpec::OfModel(model.iter().map(|&name| name.to_owned()).collect()), labels)
}

fn load_as(target: TargetSpec, labels: &[&str]) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dev.tsv");
    let rows: String = labels.iter().map(|label| format!("text\t{label}\n")).collect();
    std::fs::write(&path, format!("sentence\tlabel\n{rows}")).unwrap();
    let spec = LabeledSpec {
        table: TableSpec::new(&path),
        text: Column::Name("sentence".into()),
        pair: None,
        label: Some(Column::Name("label".into())),
        target,
    };
    read(&spec).map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

fn classes(model: &[&str], labels: &[&str]) -> Vec<u32> {
    let loaded = load(model, labels).unwrap();
    assert_eq!(loaded.data.target.outputs(), model.len());
    loaded.data.classes().unwrap()
}

#[test]
fn rows_may_lack_classes_and_spell_them_in_another_case() {
    assert_eq!(classes(&["POSITIVE", "NEGATIVE"], &["negative", "Negative"]), [1, 1]);
    assert_eq!(classes(&["no", "yes", "maybe"], &["maybe", "no"]), [2, 0]);
    assert!(load(&["no", "yes"], &["yes"]).unwrap().notes.is_empty());
    assert_eq!(load(&["No", "Yes"], &["yes"]).unwrap().notes[0].split(": ").last(), Some("matched by name"));
}

/// The same for names that a user or other rows gave, of one label and of several.
#[test]
fn names_that_were_stated_may_be_written_in_another_case() {
    let load = |target| load_as(target, &["Bug", "UI"]);
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    assert_eq!(load(TargetSpec::Named(names(["ui", "bug"]))).unwrap().data.classes().unwrap(), [1, 0]);
    let several = TargetSpec::MultiLabel { separator: Some(";".to_owned()), names: Some(names(["ui", "BUG"])) };
    assert_eq!(load(several).unwrap().data.label_sets().unwrap(), [[1], [0]]);
    // Two classes that differ in their case alone are two.
    assert!(load(TargetSpec::Named(names(["bug", "BUG"]))).unwrap_err().contains("unknown label \"Bug\""));
}

#[test]
fn numbers_are_the_models_numbers_of_its_classes() {
    let unnamed = ["LABEL_0", "LABEL_1", "LABEL_2"];
    assert_eq!(classes(&unnamed, &["2", "2"]), [2, 2]);
    assert_eq!(classes(&unnamed, &["2", "0"]), [2, 0]);
    assert!(load(&unnamed, &["2", "0"]).unwrap().notes.is_empty());
    let named = load(&["negative", "positive"], &["1", "0", "1"]).unwrap();
    assert_eq!(named.data.classes().unwrap(), [1, 0, 1]);
    assert!(named.notes[0].ends_with("numbers of the model's classes (0 is negative, 1 is positive)"));
}

#[test]
fn a_label_that_the_model_lacks_is_refused_with_its_line() {
    let error = load(&["LABEL_0", "LABEL_1"], &["1", "1", "2"]).unwrap_err();
    assert!(
        error.starts_with("dev.tsv: line 4: unknown label \"2\" of a model whose 2 classes have numbers"),
        "{error}"
    );
    assert!(error.contains("name them in the model's order with --labels"), "{error}");
    let error = load(&["no", "yes"], &["yes", "yess"]).unwrap_err();
    assert!(
        error.starts_with("dev.tsv: line 3: unknown label \"yess\", the nearest is \"yes\" of the model"),
        "{error}"
    );
    // Stars from 1 on are no numbers of classes called 1 to 5.
    assert!(load(&["1", "2", "3", "4", "5"], &["0", "1"]).unwrap_err().contains("line 2: unknown label \"0\""));
}
