//! Labels: names in other cases and orders, numbers for names, rows that lack classes, tags and answers.

use std::path::Path;

use attar_model::{Family, Head};
use serde_json::{Value, json};

use super::paper::{Paper, answer, single};
use crate::common::{fail, json as parsed, succeed, write};

const PIECES: [&str; 20] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "river", "stone", "cloud", "apple", "train", "garden",
    "letter", "window", "paper", "summer", "bridge", "music", "coffee", "lamp",
];
const MPNET: [&str; 18] = [
    "<s>", "<pad>", "</s>", "[UNK]", "anna", "river", "stone", "cloud", "apple", "train", "garden", "letter", "window",
    "paper", "summer", "bridge", "music", "<mask>",
];

/// Texts of two words, each with the class that the model gives on paper; of every class there are some.
fn classed(paper: &Paper, words: &[&str], [first, last]: [&str; 2], classes: usize) -> Vec<(String, usize)> {
    let pairs = words.iter().flat_map(|a| words.iter().map(move |b| (a, b)));
    let rows: Vec<(String, usize)> =
        pairs.map(|(a, b)| (format!("{a} {b}"), paper.class(&single(&[first, a, b, last])))).collect();
    for class in 0..classes {
        assert!(rows.iter().filter(|(_, its)| *its == class).count() >= 5, "too few rows of class {class}");
    }
    rows
}

/// A table of the rows with these names of the classes.
fn table(folder: &Path, name: &str, rows: &[(String, usize)], names: &[&str]) {
    let lines: String = rows.iter().map(|(text, class)| format!("{text},{}\n", names[*class])).collect();
    write(folder, name, &format!("text,label\n{lines}"));
}

fn accuracy(folder: &Path, model: &str, rows: &str) -> f64 {
    let scored = parsed(&succeed(folder, &["eval", model, "--data", rows, "--no-speed", "--all-rows", "--json"]));
    scored["models"][0]["scores"][0]["value"].as_f64().unwrap()
}

#[test]
fn names_in_another_case_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::DistilBert, &PIECES, &["Stopped", "MOVING", "waiting"]);
    let model = paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "DistilBertTokenizer"}));
    let rows = classed(&paper, &PIECES[5..], ["[CLS]", "[SEP]"], 3);
    table(folder, "rows.csv", &rows, &["stopped", "moving", "WAITING"]);
    assert_eq!(accuracy(folder, "model", "rows.csv"), 1.0);
    // The head is kept and as good as it was, whatever the order in the rows.
    let tune = ["finetune", model.to_str().unwrap(), "--data", "rows.csv", "--steps", "1", "--rate", "1e-9"];
    let tuned = parsed(&succeed(folder, &[&tune[..], &["--energy", "off", "--out", "tuned", "--json"]].concat()));
    assert_eq!(tuned["scores"]["student"][0]["value"], 1.0, "{tuned}");
    let quantized = parsed(&succeed(folder, &["quantize", "model", "--data", "rows.csv", "--out", "q", "--json"]));
    assert!(quantized.to_string().contains("\"value\":1.0"), "{quantized}");
}

#[test]
fn numbers_for_the_classes_of_a_model_with_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::MpNet, &MPNET, &["calm", "loud", "bright"]);
    paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "MPNetTokenizer"}));
    let rows = classed(&paper, &MPNET[4..17], ["<s>", "</s>"], 3);
    table(folder, "rows.csv", &rows, &["0", "1", "2"]);
    assert_eq!(accuracy(folder, "model", "rows.csv"), 1.0);
    let some: Vec<(String, usize)> = rows.iter().filter(|(_, class)| *class != 1).cloned().collect();
    table(folder, "some.csv", &some, &["0", "1", "2"]);
    assert_eq!(accuracy(folder, "model", "some.csv"), 1.0);
    let last: Vec<(String, usize)> = rows.iter().filter(|(_, class)| *class == 2).cloned().collect();
    table(folder, "last.csv", &last, &["0", "1", "2"]);
    assert_eq!(accuracy(folder, "model", "last.csv"), 1.0);
    succeed(folder, &["quantize", "model", "--data", "some.csv", "--out", "q"]);
}

#[test]
fn a_label_that_no_class_has_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::DistilBert, &PIECES, &["still", "moving"]);
    paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "DistilBertTokenizer"}));
    let rows = "text,label\nriver stone,still\nstone river,moving\ncloud,flying\n";
    write(folder, "rows.csv", rows);
    for command in [
        &["eval", "model", "--data", "rows.csv", "--no-speed"][..],
        &["quantize", "model", "--data", "rows.csv", "--out", "q"],
    ] {
        let complaint = fail(folder, command);
        assert!(complaint.contains("flying") && complaint.contains("line 4"), "{complaint}");
    }
}

#[test]
fn tags_stand_where_characters_count() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let labels = ["O", "B-THING", "I-THING", "B-PLACE"];
    let head = Head::TokenClassification { labels: labels.map(str::to_owned).into() };
    let paper = Paper::new(Family::DistilBert, &PIECES, head);
    paper.write_vocabulary(folder, "tagger", json!({"tokenizer_class": "DistilBertTokenizer"}));
    // An emoji with a color of skin is two characters and no piece.
    let text = "\u{1F44B}\u{1F3FD} river stone, Lamp \u{e9} coffee";
    let pieces = ["[CLS]", "[UNK]", "river", "stone", "[UNK]", "lamp", "[UNK]", "coffee", "[SEP]"];
    let states = paper.states(&single(&pieces));
    let expected: Vec<&str> = states[1..8]
        .iter()
        .map(|state| {
            let logits = paper.head(state);
            labels[(0..4).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()]
        })
        .collect();
    let got = answer(folder, &["predict", "tagger", text]);
    let words: Vec<(&str, u64, u64, &str)> = got["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| {
            let number = |key: &str| word[key].as_u64().unwrap();
            (word["text"].as_str().unwrap(), number("start"), number("end"), word["label"].as_str().unwrap())
        })
        .collect();
    let places = [
        ("\u{1F44B}\u{1F3FD}", 0, 2),
        ("river", 3, 8),
        ("stone", 9, 14),
        (",", 14, 15),
        ("Lamp", 16, 20),
        ("\u{e9}", 21, 22),
        ("coffee", 23, 29),
    ];
    let expected: Vec<(&str, u64, u64, &str)> =
        places.iter().zip(expected).map(|(&(text, start, end), label)| (text, start, end, label)).collect();
    assert_eq!(words, expected);
    assert!(expected.iter().any(|word| word.3 != "O"), "nothing is tagged");
}

#[test]
fn the_answer_to_a_question_is_the_most_probable_span() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::new(Family::MpNet, &MPNET, Head::QuestionAnswering);
    paper.write_vocabulary(folder, "reader", json!({"tokenizer_class": "MPNetTokenizer"}));
    let context = ["garden", "letter", "summer", "train", "music", "cloud", "bridge"];
    let pieces = [&["<s>", "anna", "river", "</s>", "</s>"][..], &context, &["</s>"]].concat();
    let logits: Vec<Vec<f64>> = paper.states(&single(&pieces)).iter().map(|state| paper.head(state)).collect();
    // Among the words of the context and the first token, which stands for no answer.
    let probabilities = |column: usize| -> Vec<f64> {
        let candidates = std::iter::once(0).chain(5..12);
        let weights: Vec<f64> = candidates.map(|token| logits[token][column].exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    };
    let (starts, ends) = (probabilities(0), probabilities(1));
    let spans = (0..7).flat_map(|first| (first..7).map(move |last| (first, last)));
    let probability = |&(first, last): &(usize, usize)| starts[first + 1] * ends[last + 1];
    let best = spans.max_by(|a, b| probability(a).total_cmp(&probability(b))).unwrap();
    let got = answer(folder, &["predict", "reader", "anna river", "--pair", &context.join(" ")]);
    assert_eq!(got["answer"], Value::from(context[best.0..=best.1].join(" ")), "{got}");
    let before: usize = context[..best.0].iter().map(|word| word.len() + 1).sum();
    assert_eq!(got["start"], before as u64);
    assert!((got["probability"].as_f64().unwrap() - probability(&best)).abs() < 1e-5, "{got}");
}
