//! Tokenizers: tokens beside the vocabulary, families' own ways, classes that cannot be repeated.

use attar_model::Family;
use serde_json::{Value, json};

use super::paper::{Paper, answer, assert_numbers, byte_level, forty_rows, single};
use crate::common::{fail, succeed, write};

const CLASSES: [&str; 2] = ["no", "yes"];
const CASED: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "Anna", "lima", "in", ".", "<e1>", "</e1>"];
const BYTE_LEVEL: [&str; 15] =
    ["<s>", "<pad>", "</s>", "<unk>", "l", "i", "m", "a", "o", "s", "Ġ", "ma", "Ġl", "Ġli", "<loc>"];
const MERGES: [[&str; 2]; 3] = [["m", "a"], ["Ġ", "l"], ["Ġl", "i"]];
const MPNET: [&str; 10] = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "anna", "in", "lima", "oslo", "<mask>"];

fn lines(pieces: &[&str]) -> String {
    pieces.iter().map(|piece| format!("{piece}\n")).collect()
}

#[test]
fn markers_beside_a_cased_vocabulary_of_distilbert() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::DistilBert, &CASED, &CLASSES);
    let settings = json!({"tokenizer_class": "DistilBertTokenizer", "do_lower_case": false});
    let markers = json!({"<e1>": 10, "</e1>": 11}).to_string();
    let files = [
        ("vocab.txt", lines(&CASED[..10])),
        ("tokenizer_config.json", settings.to_string()),
        ("added_tokens.json", markers),
    ];
    paper.write(folder, "model", &files);
    let expected = single(&["[CLS]", "<e1>", "Anna", "</e1>", "in", "lima", ".", "[SEP]"]);
    let got = answer(folder, &["predict", "model", "<e1> Anna </e1> in lima."]);
    assert_numbers(&got, "logits", &paper.logits(&expected));
    // Another word than the same in small letters.
    let small = single(&["[CLS]", "anna", "in", "lima", "[SEP]"]);
    assert_numbers(&answer(folder, &["predict", "model", "anna in lima"]), "logits", &paper.logits(&small));
}

#[test]
fn a_blank_line_of_a_vocabulary_has_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "", "lima"];
    let paper = Paper::classifier(Family::DistilBert, &pieces, &CLASSES);
    paper.write_vocabulary(folder.path(), "model", json!({"tokenizer_class": "DistilBertTokenizer"}));
    let expected = single(&["[CLS]", "anna", "lima", "[SEP]"]);
    let got = answer(folder.path(), &["predict", "model", "Anna Lima"]);
    assert_numbers(&got, "logits", &paper.logits(&expected));
}

#[test]
fn byte_level_pieces_of_roberta_with_a_token_added_here_or_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::Roberta, &BYTE_LEVEL, &CLASSES);
    let inside = byte_level(&BYTE_LEVEL, &MERGES, &["<loc>"]);
    paper.write(folder, "inside", &[("tokenizer.json", inside)]);
    let without = byte_level(&BYTE_LEVEL[..14], &MERGES, &[]);
    paper.write(
        folder,
        "beside",
        &[("tokenizer.json", without), ("added_tokens.json", json!({"<loc>": 14}).to_string())],
    );
    for model in ["inside", "beside"] {
        let predict = |text: &str| answer(folder, &["predict", model, text]);
        let expected = single(&["<s>", "l", "i", "ma", "Ġli", "ma", "Ġ", "o", "s", "l", "o", "</s>"]);
        assert_numbers(&predict("lima lima oslo"), "logits", &paper.logits(&expected));
        let expected = single(&["<s>", "l", "i", "ma", "Ġ", "<loc>", "Ġli", "ma", "</s>"]);
        assert_numbers(&predict("lima <loc> lima"), "logits", &paper.logits(&expected));
        // Two separators between the texts of a pair, and no types.
        let pair = single(&["<s>", "l", "i", "ma", "</s>", "</s>", "o", "s", "l", "o", "</s>"]);
        let got = answer(folder, &["predict", model, "lima", "--pair", "oslo"]);
        assert_numbers(&got, "logits", &paper.logits(&pair));
    }
}

#[test]
fn mpnet_with_its_vocabulary_alone() {
    let folder = tempfile::tempdir().unwrap();
    let paper = Paper::classifier(Family::MpNet, &MPNET, &CLASSES);
    paper.write_vocabulary(folder.path(), "model", json!({"tokenizer_class": "MPNetTokenizer"}));
    let expected = single(&["<s>", "anna", "[UNK]", "in", "lima", "</s>"]);
    let got = answer(folder.path(), &["predict", "model", "Anna xyz in Lima"]);
    assert_numbers(&got, "logits", &paper.logits(&expected));
    let pair = single(&["<s>", "anna", "</s>", "</s>", "oslo", "</s>"]);
    let got = answer(folder.path(), &["predict", "model", "anna", "--pair", "oslo"]);
    assert_numbers(&got, "logits", &paper.logits(&pair));
}

#[test]
fn types_of_a_pair_are_those_that_the_tokenizer_gives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::Bert, &CASED, &CLASSES);
    let tokens =
        |second| [("[CLS]", 0), ("anna", 0), ("[SEP]", 0), ("in", second), ("lima", second), ("[SEP]", second)];
    paper.write_vocabulary(folder, "usual", json!({"tokenizer_class": "BertTokenizer"}));
    let names = ["input_ids", "attention_mask"];
    paper.write_vocabulary(folder, "untyped", json!({"tokenizer_class": "BertTokenizer", "model_input_names": names}));
    write(folder, "rows.jsonl", "{\"a\": \"anna\", \"b\": \"in lima\"}\n");
    for (model, second) in [("usual", 1), ("untyped", 0)] {
        let expected = paper.logits(&tokens(second));
        assert_numbers(&answer(folder, &["predict", model, "anna", "--pair", "in lima"]), "logits", &expected);
        let rows = ["predict", model, "--data", "rows.jsonl", "--text", "a", "--pair", "b"];
        let row: Value = serde_json::from_str(succeed(folder, &rows).trim()).unwrap();
        let sure = 1.0 / (1.0 + (-(expected[0] - expected[1]).abs()).exp());
        assert!((row["predicted_probability"].as_f64().unwrap() - sure).abs() < 2e-6, "{row} for {sure}");
    }
    let [typed, untyped] = [1, 0].map(|second| paper.logits(&tokens(second))[0]);
    assert!((typed - untyped).abs() > 0.01, "the types say nothing");
}

#[test]
fn a_class_that_cuts_otherwise_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::DistilBert, &CASED, &CLASSES);
    paper.write_vocabulary(folder, "japanese", json!({"tokenizer_class": "DistilBertJapaneseTokenizer"}));
    let mecab = json!({"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"});
    paper.write_vocabulary(folder, "mecab", mecab);
    write(folder, "rows.csv", &forty_rows(&CLASSES));
    write(folder, "text.txt", "anna in lima\n");
    for (model, name) in [("japanese", "DistilBertJapaneseTokenizer"), ("mecab", "BertJapaneseTokenizer")] {
        let commands: [&[&str]; 6] = [
            &["predict", model, "anna"],
            &["embed", model, "anna"],
            &["eval", model, "--data", "rows.csv", "--no-speed"],
            &["quantize", model, "--out", "q", "--data", "rows.csv"],
            &["finetune", model, "--data", "rows.csv", "--epochs", "1", "--out", "f"],
            &["vocab", "trim", model, "--text", "text.txt", "--size", "8", "--out", "t"],
        ];
        for command in commands {
            let complaint = fail(folder, command);
            let is_named = complaint.contains(name) || complaint.contains("mecab");
            assert!(complaint.contains("tokenizer_config.json") && is_named, "{command:?}: {complaint}");
        }
    }
    assert!(["q", "f", "t"].iter().all(|out| !folder.join(out).exists()));
}

#[test]
fn a_byte_level_vocabulary_without_its_tokenizer_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let paper = Paper::classifier(Family::Roberta, &BYTE_LEVEL, &CLASSES);
    let vocabulary = json!({"<s>": 0, "l": 4}).to_string();
    paper.write(folder.path(), "model", &[("vocab.json", vocabulary), ("merges.txt", "#version: 0.2\nm a\n".into())]);
    for command in [&["predict", "model", "lima"][..], &["embed", "model", "lima"]] {
        let complaint = fail(folder.path(), command);
        assert!(complaint.contains("merges.txt") && complaint.contains("tokenizer.json"), "{complaint}");
    }
}
