//! From a recipe's data table to rows: formats, second files of labels, and rows held out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_distill::data::LabeledData;
use attar_distill::recipe::{DataSpec, Delimiter, Recipe};
use attar_text::random::Streams;

/// Reads the data of a recipe with these keys, files being in this folder.
fn load(folder: &tempfile::TempDir, keys: &str, seed: u64) -> Result<LabeledData, String> {
    let path = folder.path().join("recipe.toml");
    let text = format!(
        "[data]\nkind = \"table\"\n{keys}\n[student]\nfrom = \"model\"\npath = \"m\"\n[[stage]]\nname = \"s\"\nobjective = [{{ kind = \"gold\" }}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let recipe = Recipe::read(&path).map_err(|e| e.to_string())?;
    LabeledData::load(&recipe.data, &Streams::new(seed)).map_err(|e| e.to_string())
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn texts(data: &attar_text::labeled::Dataset) -> Vec<&str> {
    data.examples.iter().map(|example| example.text.as_str()).collect()
}

#[test]
fn the_same_rows_are_held_out_whatever_is_done_with_the_others() {
    let rows: String = (0..200).map(|row| format!("text {row}\tclass {}\n", row % 4)).collect();
    let folder = folder(&[("rows.tsv", rows.as_bytes())]);
    let keys = "train = \"rows.tsv\"\ntext = \"1\"\nlabel = \"2\"\n";
    let all = load(&folder, keys, 7).unwrap();
    let some = load(&folder, &format!("{keys}rows = 30\nmax-tokens = 16"), 7).unwrap();
    assert_eq!((all.dev.len(), all.train.len(), some.train.len()), (20, 180, 30));
    assert_eq!(all.dev, some.dev);
    assert_eq!(all.dev.class_counts(), [5; 4]);
    assert_eq!(all.notes, ["held out 20 of 200 rows to choose and score by, the same share of each class"]);
    assert_ne!(load(&folder, keys, 8).unwrap().dev, all.dev);
}

#[test]
fn the_keys_of_the_format_reach_the_reader() {
    let folder = folder(&[
        ("rows.dat", b"caf\xe9|a\n\"x|b\n"),
        ("first.txt", b"a:one\nb:two\n"),
        ("headed.csv", b"text,label\none,a\ntwo,b\n"),
    ]);
    let read = |keys: &str| load(&folder, &format!("dev = {}\ntrain = {keys}", keys.lines().next().unwrap()), 1);
    let stated = "\"rows.dat\"\ntext = \"1\"\nlabel = \"2\"\n\
                  format = { kind = \"csv\", header = false, quoting = false, delimiter = \"|\", encoding = \"latin-1\" }";
    assert_eq!(texts(&read(stated).unwrap().train), ["café", "\"x"]);
    assert_eq!(texts(&read("\"first.txt\"\nformat = { kind = \"label-first\" }").unwrap().dev), ["one", "two"]);
    let headed = read("\"headed.csv\"\ntext = \"1\"\nlabel = \"2\"").unwrap();
    assert_eq!((texts(&headed.train), headed.notes.len()), (vec!["one", "two"], 2));
    assert!(
        headed.notes[0].ends_with("headed.csv: the first row names the columns (text, label)"),
        "{:?}",
        headed.notes
    );
    let error = read("\"first.txt\"\nformat = { delimiter = \"::\" }").unwrap_err();
    assert!(error.contains("expected one ASCII character, or `tab`, as a delimiter, found \"::\""), "{error}");
}

#[test]
fn labels_may_be_in_a_second_file() {
    let files: [(&str, &[u8]); 4] =
        [("train", b"x\ny\n"), ("train.label", b"a\nb\n"), ("dev", b"z\n"), ("dev.label", b"b\n")];
    let folder = folder(&files);
    let keys = "train = \"train\"\nlabel-file = \"train.label\"\ndev = \"dev\"\n";
    let data = load(&folder, &format!("{keys}dev-label-file = \"dev.label\""), 1).unwrap();
    assert_eq!((data.train.classes(), data.dev.classes()), (Some(vec![0, 1]), Some(vec![1])));
    let error = load(&folder, keys, 1).unwrap_err();
    assert!(error.contains("`label-file` and `dev-label-file`, or neither"), "{error}");
}

#[test]
fn delimiters_are_single_characters() {
    for (text, byte) in [(";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), ("|", b'|')] {
        assert_eq!(text.parse::<Delimiter>().unwrap().byte(), byte);
    }
    for wrong in ["", ",,", "é", "\"", "\n"] {
        assert!(wrong.parse::<Delimiter>().is_err(), "{wrong:?}");
    }
    let spec = |text: &str| -> DataSpec { toml::from_str(text).unwrap() };
    let tab = spec("kind = \"table\"\ntrain = \"a.csv\"\nformat = { delimiter = \"tab\" }");
    // A recipe that is written out is read as it was.
    assert_eq!(spec(&toml::to_string(&tab).unwrap()), tab);
}
