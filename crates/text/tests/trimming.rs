//! A trimmed vocabulary: the same tokenizer in all but the pieces that are gone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;
use std::path::Path;

use attar_testing::{shared, teacher};
use attar_text::tokenizer::{Coverage, Limit, Tokenizer, TrimmedVocabulary, WordPieceOptions, choose_pieces};
use attar_text::vocabulary::Vocabulary;
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: [&str; 16] = [
    "[unused1]",
    "un",
    "[UNK]",
    "##able",
    "[SEP]",
    "a",
    "##f",
    "f",
    "##a",
    "aff",
    "[CLS]",
    "##aff",
    "[PAD]",
    "été",
    "ete",
    "[MASK]",
];

fn tokenizer(options: WordPieceOptions) -> Tokenizer {
    let vocabulary = Vocabulary::from_tokens(WORDS.map(String::from).to_vec()).unwrap();
    Tokenizer::from_vocabulary(vocabulary, options).unwrap()
}

fn file() -> Value {
    serde_json::from_str(&tokenizer(WordPieceOptions::uncased()).to_json().unwrap()).unwrap()
}

fn read(file: &Value) -> Tokenizer {
    Tokenizer::from_json(file.to_string().into_bytes()).unwrap()
}

fn written(tokenizer: &Tokenizer) -> Value {
    serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str, pair: Option<&str>) -> Vec<u32> {
    tokenizer.encode(text, pair, Limit::unlimited()).unwrap().ids
}

fn old_ids(trimmed: &TrimmedVocabulary, text: &str, pair: Option<&str>) -> Vec<u32> {
    ids(&trimmed.tokenizer, text, pair).iter().map(|&id| trimmed.kept[id as usize]).collect()
}

fn tokens(tokenizer: &Tokenizer) -> Vec<String> {
    tokenizer.vocabulary().unwrap().tokens().to_vec()
}

#[test]
fn pieces_keep_their_order_and_special_tokens_their_part() {
    let whole = tokenizer(WordPieceOptions::uncased());
    // In any order and twice; `[CLS]` and the others stay unasked.
    let trimmed = whole.trimmed(&[11, 1, 3, 1]).unwrap();
    assert_eq!(trimmed.kept, [1, 2, 3, 4, 10, 11, 12, 15]);
    assert_eq!(tokens(&trimmed.tokenizer), ["un", "[UNK]", "##able", "[SEP]", "[CLS]", "##aff", "[PAD]", "[MASK]"]);
    let new = &trimmed.tokenizer;
    assert_eq!(
        (new.pad_id(), new.unk_id(), new.cls_id(), new.sep_id(), new.mask_id()),
        (Some(6), Some(1), Some(4), Some(3), Some(7))
    );
    assert!(new.is_special(6) && !new.is_special(5));
    assert_eq!(new.vocabulary_size(), 8);
    assert_eq!(ids(new, "Unaffable [MASK]", Some("aff")), [4, 0, 5, 2, 7, 3, 1, 3]);
    assert_eq!((trimmed.new_id(11), trimmed.new_id(5)), (Some(5), None));
    assert_eq!(old_ids(&trimmed, "Unaffable [PAD]", None), ids(&whole, "Unaffable [PAD]", None));
}

#[test]
fn trimming_nothing_changes_nothing() {
    let whole = tokenizer(WordPieceOptions::cased());
    let trimmed = whole.trimmed(&(0..16).collect::<Vec<u32>>()).unwrap();
    assert_eq!(trimmed.kept, (0..16).collect::<Vec<u32>>());
    assert_eq!(written(&trimmed.tokenizer), written(&whole));
}

#[test]
fn a_trimmed_tokenizer_is_saved_and_read() {
    let config = json!({
        "do_lower_case": false, "model_max_length": 77, "tokenizer_class": "BertTokenizer",
        "added_tokens_decoder": {"10": {"content": "[CLS]"}, "5": {"content": "a"}},
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("vocab.txt"), WORDS.join("\n")).unwrap();
    fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let whole = Tokenizer::from_dir(dir.path()).unwrap();
    let trimmed = whole.trimmed(&[13, 1]).unwrap();
    assert_eq!(trimmed.kept, [1, 2, 4, 5, 10, 12, 13, 15]);
    let out = tempfile::tempdir().unwrap();
    trimmed.tokenizer.save(out.path()).unwrap();
    let text = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
    assert_eq!(text("vocab.txt"), "un\n[UNK]\n[SEP]\na\n[CLS]\n[PAD]\nété\n[MASK]\n");
    let config: Value = serde_json::from_str(&text("tokenizer_config.json")).unwrap();
    assert_eq!(config["added_tokens_decoder"], json!({"4": {"content": "[CLS]"}, "3": {"content": "a"}}));
    assert_eq!(config["model_max_length"], json!(77));
    let again = Tokenizer::from_dir(out.path()).unwrap();
    let crates = tokenizers::Tokenizer::from_file(out.path().join("tokenizer.json")).unwrap();
    // Without tokenizer.json it is made of vocab.txt and the configuration.
    fs::remove_file(out.path().join("tokenizer.json")).unwrap();
    let of_vocabulary = Tokenizer::from_dir(out.path()).unwrap();
    for sentence in ["un été", "Un a", "", "[MASK]été"] {
        let expected = ids(&trimmed.tokenizer, sentence, Some("a"));
        assert_eq!(crates.encode((sentence, "a"), true).unwrap().get_ids(), expected);
        assert_eq!(ids(&again, sentence, Some("a")), expected);
        assert_eq!(ids(&of_vocabulary, sentence, Some("a")), expected);
    }
}

#[test]
fn every_id_of_a_file_is_renumbered() {
    let mut whole = file();
    whole["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    whole["padding"] = json!({"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 12, "pad_type_id": 0, "pad_token": "[PAD]"});
    let template = read(&whole).trimmed(&[]).unwrap();
    assert_eq!(template.kept, [2, 4, 10, 12, 15]);
    let file = written(&template.tokenizer);
    assert_eq!((&file["truncation"], &file["padding"]), (&Value::Null, &Value::Null));
    assert_eq!(file.pointer("/post_processor/special_tokens/[CLS]/ids"), Some(&json!([2])));
    assert_eq!(ids(&template.tokenizer, "a a a", None), [2, 0, 0, 0, 1]);

    let bert = json!({"type": "BertProcessing", "sep": ["[SEP]", 4], "cls": ["[CLS]", 10]});
    whole["post_processor"] = bert.clone();
    assert_eq!(ids(&read(&whole).trimmed(&[5]).unwrap().tokenizer, "a", Some("[PAD]")), [3, 2, 1, 4, 1]);
    whole["post_processor"] = json!({"type": "Sequence", "processors": [bert]});
    assert_eq!(ids(&read(&whole).trimmed(&[5]).unwrap().tokenizer, "a", Some("[PAD]")), [3, 2, 1, 4, 1]);
}

#[test]
fn added_tokens_stay() {
    let mut whole = file();
    let plain = |id: u32, content: &str, special: bool| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": special});
    let added = whole["added_tokens"].as_array_mut().unwrap();
    // One of the vocabulary, and two behind it.
    added.extend([plain(9, "aff", false), plain(16, "<user>", true), plain(17, "<place>", false)]);
    let whole = read(&whole);
    let trimmed = whole.trimmed(&[1]).unwrap();
    assert_eq!(trimmed.kept, [1, 2, 4, 9, 10, 12, 15, 16, 17]);
    assert_eq!(trimmed.tokenizer.token(8).as_deref(), Some("<place>"));
    assert!(trimmed.tokenizer.is_special(7) && !trimmed.tokenizer.is_special(8));
    let sentence = "un<user> aff<place>un";
    assert_eq!(old_ids(&trimmed, sentence, None), ids(&whole, sentence, None));
    assert_eq!(
        whole.trimmed(&[18]).unwrap_err().to_string(),
        "no token has id 18, expected ids below 18 that have one"
    );
}

#[test]
fn other_kinds_are_refused() {
    let models = [
        (
            "BPE",
            json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0}, "merges": []}),
        ),
        ("WordLevel", json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"})),
        ("Unigram", json!({"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0]], "byte_fallback": false})),
    ];
    for (kind, model) in models {
        let whole = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null, "model": model});
        let whole = read(&whole);
        let expected = format!(
            "expected a WordPiece vocabulary to trim, found {kind}, whose pieces depend on each other; keep the whole \
             vocabulary, or use a teacher of BERT's kind"
        );
        assert_eq!(whole.trimmed(&[0]).unwrap_err().to_string(), expected);
        assert_eq!(choose_pieces(&whole, &[1], 1).unwrap_err().to_string(), expected);
    }
}

#[test]
fn gaps_are_closed() {
    let mut whole = file();
    whole["model"]["vocab"].as_object_mut().unwrap().retain(|token, _| token != "a" && token != "un");
    let trimmed = read(&whole).trimmed(&[14]).unwrap();
    assert_eq!(trimmed.kept, [2, 4, 10, 12, 14, 15]);
    assert!(read(&whole).trimmed(&[5]).unwrap_err().to_string().starts_with("no token has id 5,"));
}

#[test]
fn pieces_are_counted() {
    let whole = tokenizer(WordPieceOptions::uncased());
    let texts: Vec<String> =
        (0..20_000).map(|row| if row % 2 == 0 { "Un [MASK] unaffable".into() } else { "été x".into() }).collect();
    let counts = whole.piece_counts(texts.iter().map(String::as_str)).unwrap();
    let mut expected = vec![0; 16];
    // `été` is cleaned to `ete`; of special tokens, `[UNK]` among them, nothing is counted.
    for (token, count) in [("un", 20_000), ("##aff", 10_000), ("##able", 10_000), ("ete", 10_000)] {
        expected[whole.id(token).unwrap() as usize] = count;
    }
    assert_eq!(counts, expected);
    assert_eq!(whole.piece_counts([""; 0]).unwrap(), [0; 16]);
}

#[test]
fn a_text_that_cannot_be_encoded_is_named() {
    let model = json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "none"});
    let whole = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null, "model": model});
    let texts: Vec<&str> = (0..9000).map(|row| if row < 8500 { "a" } else { "b" }).collect();
    let error = read(&whole).piece_counts(texts).unwrap_err().to_string();
    assert!(error.starts_with("row 8501: "), "{error}");
}

#[test]
fn pieces_are_chosen_in_their_order() {
    let whole = tokenizer(WordPieceOptions::uncased());
    let count = |token: &str| whole.id(token).unwrap() as usize;
    let mut counts = vec![0; 16];
    counts[count("##aff")] = 3;
    counts[count("ete")] = 1;
    let chosen = |size| {
        let chosen = choose_pieces(&whole, &counts, size).unwrap();
        let names: Vec<String> =
            chosen.keep.iter().filter(|&&id| !whole.is_special(id)).map(|&id| whole.token(id).unwrap()).collect();
        (names.join(" "), chosen)
    };
    // Special tokens first, even beyond the size.
    let (names, none) = chosen(3);
    assert_eq!((names.as_str(), none.special, none.keep.len()), ("", 5, 5));
    assert_eq!((none.used_left_out, none.uses_left_out, none.alphabet_left_out), (2, 4, 4));
    // f is in `##aff` twice as often as a.
    assert_eq!(chosen(7).0, "##f f");
    assert_eq!(chosen(9).0, "a ##f f ##a");
    let (names, some) = chosen(10);
    assert_eq!(names, "a ##f f ##a ##aff");
    assert_eq!((some.alphabet, some.used, some.reserve, some.used_left_out, some.uses_left_out), (4, 1, 0, 1, 1));
    assert_eq!(chosen(11).0, "a ##f f ##a ##aff ete");
    // Then a reserve by id; neither `[unused1]` nor, in lower case without accents, `été` is ever in a text.
    assert_eq!(chosen(12).0, "un a ##f f ##a ##aff ete");
    let (names, all) = chosen(100);
    assert_eq!(names, "un ##able a ##f f ##a aff ##aff ete");
    assert_eq!((all.special, all.alphabet, all.used, all.reserve, all.alphabet_left_out), (5, 4, 2, 3, 0));
    let cased = tokenizer(WordPieceOptions::cased());
    assert!(choose_pieces(&cased, &counts, 100).unwrap().keep.contains(&13));
}

/// Characters that the texts do not have wait behind their pieces once they take a quarter of the room.
#[test]
fn foreign_characters_leave_room_for_what_is_used() {
    let mut tokens: Vec<String> = ["[UNK]", "[CLS]", "[SEP]"].map(String::from).to_vec();
    tokens.extend(('а'..='п').map(String::from));
    tokens.extend(["x", "##x", "xx", "##!", "##中", "!", "中"].map(String::from));
    let whole =
        Tokenizer::from_vocabulary(Vocabulary::from_tokens(tokens).unwrap(), WordPieceOptions::cased()).unwrap();
    let counts = whole.piece_counts(["xx"]).unwrap();
    let chosen = |size| choose_pieces(&whole, &counts, size).unwrap();
    let some = chosen(8);
    assert_eq!(some.keep, [0, 1, 2, 3, 4, 19, 20, 21]);
    assert_eq!((some.alphabet, some.used, some.alphabet_left_out), (4, 1, 16));
    // `!` and `中` are words by themselves wherever they stand.
    assert_eq!(chosen(100).keep.len(), whole.vocabulary_size() - 2);
    assert!([22, 23].iter().all(|id| !chosen(100).keep.contains(id)));
}

#[test]
fn what_trimming_costs_is_reported() {
    let whole = tokenizer(WordPieceOptions::uncased());
    let trimmed = whole.trimmed(&[5, 6, 7, 1]).unwrap();
    // Whole: un aff ##able | [UNK] | un | aff; trimmed: [UNK] | [UNK] | un | a ##f ##f. Special tokens of no account.
    let report = trimmed.report(&whole, ["unaffable zoo ", "un [MASK] aff"]).unwrap();
    assert_eq!((report.pieces_before, report.pieces_after), (16, 9));
    assert_eq!(report.before, Coverage { words: 5, pieces: 6, unknown: 1 });
    assert_eq!(report.after, Coverage { words: 5, pieces: 6, unknown: 2 });
    assert_eq!(report.before.fertility(), Some(1.2));
    assert_eq!(report.after.unknown_share(), Some(1.0 / 3.0));
    assert_eq!(report.bytes_saved(384 * 4), 7 * 1536);
    let nothing = whole.coverage([" "]).unwrap();
    assert_eq!((nothing.fertility(), nothing.unknown_share()), (None, None));
}

/// Compared with the crate and, where all pieces stayed, with the tokenizer before.
fn check(
    whole: &Tokenizer,
    trimmed: &TrimmedVocabulary,
    crates: &tokenizers::Tokenizer,
    text: &str,
    pair: Option<&str>,
) {
    let expected = match pair {
        Some(pair) => crates.encode((text, pair), true).unwrap(),
        None => crates.encode(text, true).unwrap(),
    };
    let got = trimmed.tokenizer.encode(text, pair, Limit::unlimited()).unwrap();
    assert_eq!(got.ids, expected.get_ids(), "{text:?} {pair:?}");
    assert_eq!(got.types, expected.get_type_ids(), "{text:?} {pair:?}");
    let before = ids(whole, text, pair);
    let stayed = before.iter().all(|&id| trimmed.new_id(id).is_some() && Some(id) != whole.unk_id());
    if stayed {
        assert_eq!(old_ids(trimmed, text, pair), before, "{text:?} {pair:?}");
    }
}

#[test]
fn any_text() {
    let sets = [WordPieceOptions::uncased(), WordPieceOptions::cased()].map(|options| {
        let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).to_vec();
        for character in "abcdefghinostuABT.,!'éÉñ中가\u{301}🙂".chars() {
            tokens.extend([character.to_string(), format!("##{character}")]);
        }
        for word in ["the", "cat", "on", "at", "sat", "bout", "ab", "abc", "é", "été", "中文", "tion"] {
            if !tokens.contains(&word.to_owned()) {
                tokens.push(word.to_owned());
            }
            tokens.push(format!("##{word}x"));
            tokens.push(format!("##{word}s"));
        }
        let whole = Tokenizer::from_vocabulary(Vocabulary::from_tokens(tokens).unwrap(), options).unwrap();
        let size = whole.vocabulary_size() as u32;
        let kept: Vec<u32> = (0..size).filter(|id| id % 3 != 1).collect();
        let trimmed = whole.trimmed(&kept).unwrap();
        let crates = tokenizers::Tokenizer::from_bytes(trimmed.tokenizer.to_json().unwrap()).unwrap();
        (whole, trimmed, crates)
    });
    let pieces = prop_oneof![
        4 => prop::sample::select(vec!["the cat", "Sat", "about", "été", "e\u{301}", "abcs", "nation", "[MASK]", "中文", "각", "\u{302e}\u{302f}"]).prop_map(String::from),
        3 => "[a-zA-Z]{1,8}",
        2 => "[ -~]{0,6}",
        2 => any::<char>().prop_map(String::from),
        2 => Just(" ".to_owned()),
    ];
    let text = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) };
    proptest!(config, |(text in text.clone(), pair in prop::option::weighted(0.2, text))| {
        for (whole, trimmed, crates) in &sets {
            check(whole, trimmed, crates, &text, pair.as_deref());
        }
    });
}

fn film_reviews() -> Vec<String> {
    let text = fs::read_to_string(shared("data/glue/SST-2/train.tsv")).unwrap();
    text.lines().skip(1).take(8000).map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// A published tokenizer cut to film reviews: the texts it was cut to are encoded as before, and others without
/// new unknown words.
fn cut_to_film_reviews(dir: &Path) {
    let texts = film_reviews();
    let whole = Tokenizer::from_dir(dir).unwrap();
    let (train, other) = texts.split_at(6000);
    let counts = whole.piece_counts(train.iter().map(String::as_str)).unwrap();
    let chosen = choose_pieces(&whole, &counts, 12_000).unwrap();
    assert_eq!(chosen.keep.len(), 12_000);
    assert_eq!(chosen.special + chosen.alphabet + chosen.used + chosen.reserve, 12_000);
    assert_eq!((chosen.special, chosen.used_left_out, chosen.alphabet_left_out), (5, 0, 0), "{chosen:?}");
    assert!(chosen.reserve > 500, "{chosen:?}");
    assert!(chosen.keep.iter().all(|&id| !whole.token(id).unwrap().starts_with("[unused")));
    let trimmed = whole.trimmed(&chosen.keep).unwrap();
    assert_eq!(trimmed.kept, chosen.keep);
    let crates = tokenizers::Tokenizer::from_bytes(trimmed.tokenizer.to_json().unwrap()).unwrap();
    for text in train {
        assert_eq!(old_ids(&trimmed, text, None), ids(&whole, text, None), "{text:?}");
    }
    let unknown = |tokenizer: &Tokenizer, text: &str| {
        ids(tokenizer, text, None).iter().filter(|&&id| Some(id) == tokenizer.unk_id()).count()
    };
    for text in other {
        check(&whole, &trimmed, &crates, text, None);
        assert_eq!(unknown(&trimmed.tokenizer, text), unknown(&whole, text), "{text:?}");
    }
    let report = trimmed.report(&whole, other.iter().map(String::as_str)).unwrap();
    assert_eq!(report.after.unknown, report.before.unknown);
    let (before, after) = (report.before.fertility().unwrap(), report.after.fertility().unwrap());
    assert!(after >= before && after < 1.05 * before, "{report:?}");
    for word in ["Brontosaurus", "ξένος", "Жизнь", "日本語", "naïveté", "x²"] {
        check(&whole, &trimmed, &crates, word, Some("pair"));
        assert_eq!(unknown(&trimmed.tokenizer, word), unknown(&whole, word), "{word:?}");
    }
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn bert_base_cut_to_film_reviews() {
    let dir = shared("data/tokenizer/bert-base-uncased");
    cut_to_film_reviews(&dir);
    let vocabulary = tempfile::tempdir().unwrap();
    fs::copy(dir.join("vocab.txt"), vocabulary.path().join("vocab.txt")).unwrap();
    cut_to_film_reviews(vocabulary.path());
}

#[test]
#[ignore = "needs the data sets and the pretrained teacher of ../shared"]
fn the_teacher_cut_to_film_reviews() {
    let dir = teacher();
    cut_to_film_reviews(&dir);
}
