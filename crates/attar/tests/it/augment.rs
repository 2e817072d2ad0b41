//! `attar augment`: new rows that `attar distill` reads, and nothing of what is held out.

use std::collections::BTreeSet;
use std::path::Path;

use attar_runtime::{Input, Options, Precision, Session};
use attar_testing::fixture_models;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::Limit;
use serde_json::Value;

use crate::common::{attar, fail, json, succeed, workshop, write};

const SYNSETS: &str = "1-n\tn\tlights|lamps\t\t\n2-n\tn\tmusic|tunes\t\t\n3-v\tv\tplay|start\t\t\n4-n\tn\tkitchen|galley\t\t\n\
    5-n\tn\tlamps of old|tunesmith|starting line|galley slave\t\t\n";

/// Commands with numbers, so that every row is another text.
fn rows(folder: &Path, name: &str, separator: &str) -> Vec<String> {
    let texts: Vec<String> = (0..60)
        .map(|n| format!("{} number {n} in the kitchen, \"please\"", if n % 2 == 0 { "play music" } else { "lights" }))
        .collect();
    let quoted =
        |text: &str| if separator == "," { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() };
    let label = |n: usize| if n.is_multiple_of(2) { "sound" } else { "home" };
    let lines = texts.iter().enumerate().map(|(n, text)| format!("{}{separator}{}\n", label(n), quoted(text)));
    write(folder, name, &format!("intent{separator}command\n{}", lines.collect::<String>()));
    write(folder, "oewn_synsets.tsv", SYNSETS);
    texts
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    std::fs::read_to_string(folder.join(name)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn new_rows_have_the_columns_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let texts = rows(folder, "rows.csv", ",");
    let augment =
        ["augment", "--data", "rows.csv", "--text", "command", "--label", "intent", "--candidates", "wordnet:."];
    let told = |more: &[&str]| json(&succeed(folder, &[&augment[..], more, &["--json"]].concat()));
    let made = told(&["--out", "more.jsonl", "--keep-labels", "--per-row", "3"]);
    let new: Vec<Value> = lines(folder, "more.jsonl").iter().map(|line| json(line)).collect();
    assert_eq!(made["new_rows"], new.len());
    // A tenth is held out, and no row is made of it.
    assert_eq!(made["rows"], 54);
    let number = |text: &str| text.split(' ').skip_while(|word| *word != "number").nth(1).unwrap().to_owned();
    let used: BTreeSet<String> = new.iter().map(|row| number(row["command"].as_str().unwrap())).collect();
    assert!(used.len() > 45 && used.len() <= 54, "{}", used.len());
    for row in &new {
        let text = row["command"].as_str().unwrap();
        assert!(!texts.iter().any(|known| known == text), "{text}");
        assert!(text.contains(", \"please\"") && text.contains("in the "), "{text}");
        let is_sound = ["music", "tunes"].iter().any(|word| text.contains(word));
        assert_eq!(row["intent"], if is_sound { "sound" } else { "home" }, "{text}");
        assert_eq!(row.as_object().unwrap().len(), 2);
    }
    let replaced = made["replaced_a_row"].as_f64().unwrap();
    assert!((1.0..3.0).contains(&replaced), "{made}");

    // The same rows, whatever the format and the threads; labels are left out unless asked for.
    told(&["--out", "more.csv", "--per-row", "3", "--threads", "2"]);
    let csv = lines(folder, "more.csv");
    assert_eq!((csv[0].as_str(), csv.len()), ("command", new.len() + 1));
    let quoted = |row: &Value| format!("\"{}\"", row["command"].as_str().unwrap().replace('"', "\"\""));
    assert!(csv[1..].iter().cloned().eq(new.iter().map(quoted)));
    told(&["--out", "more.txt", "--per-row", "3"]);
    assert!(lines(folder, "more.txt").iter().eq(new.iter().map(|row| row["command"].as_str().unwrap())));
    told(&["--out", "other.txt", "--per-row", "3", "--seed", "43"]);
    assert_ne!(lines(folder, "other.txt"), lines(folder, "more.txt"));
    // Others may read the file, if they may read new files at all.
    let permissions = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions();
    assert_eq!(permissions("more.csv"), permissions("rows.csv"));
    // Its sentence says what was done.
    let said = succeed(folder, &[&augment[..], &["--out", "more.tsv"]].concat());
    assert!(said.contains("new rows of 54 rows") && said.contains("without any candidate"), "{said}");

    // As the published code does it the rows themselves are there too.
    told(&["--out", "published.txt", "--semantics", "reference"]);
    let published = lines(folder, "published.txt");
    assert_eq!(published.iter().filter(|text| texts.contains(text)).count(), 54);
    assert!(published.iter().any(|text| text.contains("tunes") && text.contains(" , \" please \"")));
}

#[test]
fn columns_with_numbers_keep_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, "rows.tsv", "\t");
    let augment = [
        "augment",
        "--data",
        "rows.tsv",
        "--text",
        "2",
        "--label",
        "1",
        "--header",
        "true",
        "--candidates",
        "wordnet:.",
    ];
    succeed(folder, &[&augment[..], &["--out", "more.tsv", "--keep-labels"]].concat());
    let with = lines(folder, "more.tsv");
    assert_eq!(with[0], "label\ttext");
    assert!(with[1..].iter().all(|line| line.starts_with("sound\t") || line.starts_with("home\t")));
    succeed(folder, &[&augment[..], &["--out", "more.tsv"]].concat());
    let without = lines(folder, "more.tsv");
    assert_eq!(without[0], "column 1\ttext");
    assert!(without[1..].iter().zip(&with[1..]).all(|(a, b)| a.split_once('\t').unwrap().0.is_empty()
        && a.split_once('\t').unwrap().1 == b.split_once('\t').unwrap().1));
}

#[test]
fn a_teacher_labels_the_new_rows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    let data = synthetic::generate(&Streams::new(5), 120, Split::Train);
    let names = &data.target.labels().unwrap().names;
    let classes = data.classes().unwrap();
    let line =
        |(row, class): (&attar_text::labeled::Example, u32)| format!("{}\t{}\n", row.text, names[class as usize]);
    let rows: String = data.examples.iter().zip(classes).map(line).collect();
    write(folder, "rows.tsv", &format!("sentence\tlabel\n{rows}"));
    let columns = ["--data", "rows.tsv", "--text", "sentence"];
    // Two sources: of embeddings and, where these have none, of synonyms.
    write(folder, "oewn_synsets.tsv", SYNSETS);
    let candidates = ["--candidates", &format!("embeddings:{teacher}"), "wordnet:.", "--json", "--out", "more.csv"];
    let made = json(&succeed(folder, &[&["augment"], &columns[..], &candidates[..]].concat()));
    assert!(made["new_rows"].as_u64().unwrap() > 100, "{made}");
    let distill = ["distill", "--teacher", &teacher, "--unlabeled", "more.csv", "--steps", "2", "--energy", "off"];
    let shape = ["--init", "random", "--layers", "1", "--hidden", "8", "--heads", "2", "--out", "student", "--json"];
    let student = json(&succeed(folder, &[&distill[..], &columns[..], &shape[..]].concat()));
    assert!(student["scores"]["student"][0]["value"].as_f64().is_some(), "{student}");
    let recipe = std::fs::read_to_string(folder.join("student/recipe.toml")).unwrap();
    assert!(recipe.contains("more.csv"), "{recipe}");
}

#[test]
fn known_data_sets_have_columns_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("sst2")).unwrap();
    let rows = |from: usize, to: usize| {
        let line = |n: usize| format!("turn the {} on number {n}\t{}\n", ["lights", "music"][n % 2], n % 2);
        format!("sentence\tlabel\n{}", (from..to).map(line).collect::<String>())
    };
    write(folder, "sst2/train.tsv", &rows(0, 60));
    write(folder, "sst2/dev.tsv", &rows(60, 80));
    write(folder, "oewn_synsets.tsv", SYNSETS);
    let data = ["--data", "sst2", "--layout", "sst-2"];
    let augment = ["--candidates", "wordnet:.", "--out", "more.csv", "--json"];
    let made = json(&succeed(folder, &[&["augment"], &data[..], &augment[..]].concat()));
    // Dev rows are not augmented.
    assert_eq!((&made["rows"], &made["new_rows"]), (&60.into(), &60.into()));
    let new = lines(folder, "more.csv");
    assert_eq!((new[0].as_str(), new[1].as_str()), ("text", "turn the lamps on number 0"));
    let teacher = workshop().join("teacher").display().to_string();
    let quick = ["--steps", "2", "--energy", "off", "--json", "--out"];
    succeed(folder, &[&["finetune", &teacher, "--new-head"], &data[..], &quick[..], &["tuned"]].concat());
    let shape = ["distill", "--teacher", "tuned", "--init", "random", "--layers", "1", "--hidden", "8", "--heads", "2"];
    let more = ["--unlabeled", "more.csv"];
    let student = succeed(folder, &[&shape[..], &more[..], &data[..], &quick[..], &["student"]].concat());
    assert!(json(&student)["scores"]["student"][0]["value"].as_f64().is_some(), "{student}");
}

#[test]
fn masked_words_have_the_likeliest_ones() {
    let models = fixture_models();
    let model = models.iter().find(|model| model.architecture == "BertForMaskedLM").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let vocabulary = std::fs::read_to_string(model.dir.join("vocab.txt")).unwrap();
    let words: Vec<&str> = vocabulary
        .lines()
        .filter(|token| token.len() > 3 && token.bytes().all(|byte| byte.is_ascii_lowercase()))
        .collect();
    assert!(words.len() > 5, "the fixture knows words: {vocabulary}");
    let texts: Vec<String> = words.iter().enumerate().map(|(n, word)| format!("{word} , {n}!\n")).collect();
    write(folder, "texts.txt", &texts.concat());
    let candidates = format!("masked-lm:{}", model.dir.canonicalize().unwrap().display());
    let augment = |more: &[&str]| {
        let arguments = ["augment", "--unlabeled", "texts.txt", "--candidates", &candidates, "--json"];
        json(&succeed(folder, &[&arguments[..], more].concat()))
    };
    let made = augment(&["--out", "more.txt", "--top", "3", "--replace", "1.0", "--per-row", "30"]);
    assert_eq!(made["rows"], texts.len());
    let more: BTreeSet<String> = lines(folder, "more.txt").into_iter().collect();
    augment(&["--out", "again.txt", "--top", "3", "--replace", "1.0", "--per-row", "30", "--threads", "2"]);
    assert_eq!(lines(folder, "again.txt"), lines(folder, "more.txt"));
    // The same by hand: the word is masked, and the three likeliest words other than it come in its place.
    let mut session = Session::load(&model.dir, &Options::new(Precision::F32, 1)).unwrap();
    let mut expected = BTreeSet::new();
    for (text, word) in texts.iter().zip(&words) {
        let mut encoding = session.tokenizer().encode(text.trim_end(), None, Limit::unlimited()).unwrap();
        encoding.ids[1] = session.tokenizer().mask_id().unwrap();
        let (length, pieces) = (encoding.len(), session.config().vocabulary);
        let mut logits = vec![0.0; length * pieces];
        let lengths = [length as u32];
        let input = Input::new(&encoding.ids, &encoding.types, &lengths).unwrap();
        session.encoder().forward(input, attar_runtime::Output::Logits, &mut logits).unwrap();
        let mut ranked: Vec<(f32, &str)> = logits[pieces..2 * pieces].iter().copied().zip(vocabulary.lines()).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let is_other = |other: &str| !other.starts_with(word) && !word.starts_with(other);
        let is_word = |token: &str| token.len() > 1 && token.bytes().all(|byte| byte.is_ascii_lowercase());
        let likeliest = ranked.into_iter().map(|(_, token)| token).filter(|token| is_word(token) && is_other(token));
        // The only words of this vocabulary that English has too are stop words.
        let likeliest = likeliest.filter(|token| !["to", "me", "so", "no"].contains(token));
        expected.extend(likeliest.take(3).map(|token| text.trim_end().replacen(word, token, 1)));
    }
    // What is a text of the file is not made again.
    let known: BTreeSet<String> = texts.iter().map(|text| text.trim_end().to_owned()).collect();
    assert!(more.len() > 30);
    assert_eq!(more, expected.difference(&known).cloned().collect());
    // As published: the text is shown a second time, and pieces that are no words may be among the candidates.
    let made = augment(&["--out", "published.txt", "--semantics", "reference"]);
    assert!(made["new_rows"].as_u64().unwrap() > texts.len() as u64, "{made}");

    let teacher = workshop().join("teacher").display().to_string();
    let refused = fail(
        folder,
        &["augment", "--unlabeled", "texts.txt", "--out", "a.txt", "--candidates", &format!("masked-lm:{teacher}")],
    );
    assert!(refused.contains("no masked-language-model head") && refused.contains("embeddings:"), "{refused}");
}

#[test]
fn pairs_stay_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "oewn_synsets.tsv", SYNSETS);
    let line = |n: usize| format!("play music {n}\tlights {n}\t{}\n", n % 5);
    write(folder, "pairs.tsv", &format!("a\tb\tscore\n{}", (0..40).map(line).collect::<String>()));
    let augment =
        ["augment", "--data", "pairs.tsv", "--text", "a", "--pair", "b", "--label", "score", "--regression", "0", "5"];
    let more = ["--candidates", "wordnet:.", "--keep-labels", "--out"];
    succeed(folder, &[&augment[..], &more[..], &["more.tsv"]].concat());
    let new = lines(folder, "more.tsv");
    assert_eq!(new[0], "a\tb\tscore");
    for row in &new[1..] {
        let values: Vec<&str> = row.split('\t').collect();
        let number: usize = values[0].split(' ').next_back().unwrap().parse().unwrap();
        assert_eq!(values[1].split(' ').next_back(), values[0].split(' ').next_back(), "{row}");
        assert_eq!(values[2], (number % 5).to_string(), "{row}");
        assert_ne!(values[0] == format!("play music {number}"), values[1] == format!("lights {number}"), "{row}");
    }
    let refused = fail(folder, &[&augment[..], &more[..], &["more.txt"]].concat());
    assert!(refused.contains("no room for a second text"), "{refused}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, "rows.csv", ",");
    write(folder, "texts.txt", "nothing to replace\n");
    let refused = |arguments: &[&str], expected: &str| {
        let complaint = fail(folder, &[&["augment"], arguments].concat());
        assert!(complaint.contains(expected), "{complaint}");
    };
    let texts = ["--unlabeled", "texts.txt", "--candidates", "wordnet:.", "--out"];
    refused(&[&texts[..], &["new.parquet"]].concat(), "expected .csv, .tsv, .jsonl or .txt");
    refused(&[&texts[..], &["none/new.txt"]].concat(), "cannot be written");
    refused(&[&texts[..], &["new.txt", "--replace", "1.5"]].concat(), "at most 1");
    refused(&[&texts[..], &["new.txt"]].concat(), "none of 1 rows has a word with a candidate");
    refused(&["--unlabeled", "texts.txt", "--candidates", "wordnet:rows.csv", "--out", "new.txt"], "rows.csv");
    refused(&["--data", "rows.csv", "--text", "command", "--candidates", "wordnet:.", "--out", "new.csv"], "label");
    let output = attar(folder, &["augment", "--unlabeled", "texts.txt", "--candidates", "glove:x", "--out", "new.txt"]);
    let output = { output }.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected wordnet:DIR"));
    let names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("new") || name.starts_with(".tmp")), "{names:?}");
}
