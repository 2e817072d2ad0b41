//! Token ids against the recorded ones of the `tokenizers` library: exact.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::path::Path;

use attar_testing::{fixture_models, fixtures, json, shared};
use attar_text::tokenizer::{Accents, EncodeError, Encoding, Limit, Tokenizer, Truncation, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn encoding(value: &Value) -> Encoding {
    Encoding { ids: numbers(&value["input_ids"]), types: numbers(&value["token_type_ids"]) }
}

fn uncased(dir: &Path) -> Tokenizer {
    let vocabulary = Vocabulary::from_file(&dir.join("vocab.txt")).unwrap();
    Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap()
}

#[test]
fn every_string_in_every_variant() {
    let dir = fixtures("tokenizer");
    let (strings, meta) = (json(&dir.join("strings.json")), json(&dir.join("meta.json")));
    let mut compared = 0u64;
    for (variant, options) in meta["variants"].as_object().unwrap() {
        let vocabulary = Vocabulary::from_file(&dir.join(options["vocab"].as_str().unwrap())).unwrap();
        assert_eq!(vocabulary.len() as u64, meta["vocab_size"][options["vocab"].as_str().unwrap()].as_u64().unwrap());
        let accents = match &options["strip_accents"] {
            Value::Null => Accents::FollowLowercase,
            Value::Bool(false) => Accents::Keep,
            _ => Accents::Strip,
        };
        let options = WordPieceOptions {
            lowercase: options["lowercase"].as_bool().unwrap(),
            accents,
            split_cjk: options["cjk"].as_bool().unwrap(),
            model_max_length: None,
        };
        let tokenizer = Tokenizer::from_vocabulary(vocabulary, options).unwrap();
        for case in strings.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let got = tokenizer.encode(text, None, Limit::unlimited()).unwrap();
            assert_eq!(got.ids, numbers(&case["fast"][variant]), "{variant}: {text:?}");
            assert_eq!(got.types, vec![0; got.ids.len()]);
            compared += 1;
        }
    }
    let variants = meta["variants"].as_object().unwrap().len() as u64;
    assert_eq!(Some(compared), meta["strings"].as_u64().map(|strings| strings * variants));
}

#[test]
fn pairs_under_every_strategy() {
    let dir = fixtures("tokenizer");
    let (tokenizer, file) = (uncased(&dir), json(&dir.join("pairs.json")));
    let max_tokens = file["max_len"].as_u64().unwrap() as usize;
    let (mut cut, mut refused) = (0, 0);
    for case in file["pairs"].as_array().unwrap() {
        let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str());
        assert_eq!(tokenizer.encode(a, b, Limit::unlimited()).unwrap(), encoding(&case["untruncated"]), "{a:?} {b:?}");
        for (name, expected) in case["strategies"].as_object().unwrap() {
            let truncation = match name.as_str() {
                "longest_first" => Truncation::LongestFirst,
                "only_first" => Truncation::OnlyFirst,
                "only_second" => Truncation::OnlySecond,
                other => panic!("unknown strategy {other}"),
            };
            let got = tokenizer.encode(a, b, Limit { max_tokens, truncation });
            if expected["fast"]["error"].is_string() {
                assert!(matches!(got, Err(EncodeError::CannotTruncate { .. })), "{name} {a:?} {b:?}: {got:?}");
                refused += 1;
            } else {
                assert_eq!(got.unwrap(), encoding(&expected["fast"]), "{name} {a:?} {b:?}");
                cut += 1;
            }
        }
    }
    assert!(cut > 0 && refused > 0, "{cut} were cut, {refused} refused");
    let single = file["single"].as_array().unwrap();
    for case in single {
        let text = case["text"].as_str().unwrap();
        let got = tokenizer.encode(text, None, Limit::new(max_tokens)).unwrap();
        assert_eq!(got.ids, numbers(&case["input_ids"]), "{text:?}");
    }
    assert!(!single.is_empty());
}

#[test]
fn texts_of_every_model() {
    let (mut models, mut texts) = (0, 0);
    for model in fixture_models().into_iter().map(|model| model.dir) {
        if !model.join("texts.json").exists() {
            continue;
        }
        let by_json = Tokenizer::from_dir(&model).unwrap();
        let by_vocabulary = {
            let copy = tempfile::tempdir().unwrap();
            for name in ["vocab.txt", "tokenizer_config.json", "special_tokens_map.json"] {
                std::fs::copy(model.join(name), copy.path().join(name)).unwrap();
            }
            Tokenizer::from_dir(copy.path()).unwrap()
        };
        let config = json(&model.join("config.json"));
        assert_eq!(Some(by_json.vocabulary_size() as u64), config["vocab_size"].as_u64());
        assert_eq!(by_json.model_max_length().map(|n| n as u64), config["max_position_embeddings"].as_u64());
        assert_eq!(by_json.pad_id().map(u64::from), config["pad_token_id"].as_u64());
        models += 1;
        for case in json(&model.join("texts.json")).as_array().unwrap() {
            let (text, pair) = (case["text"].as_str().unwrap(), case["pair"].as_str());
            for tokenizer in [&by_json, &by_vocabulary] {
                let got = tokenizer.encode(text, pair, Limit::unlimited()).unwrap();
                assert_eq!(got.ids, numbers(&case["input_ids"]), "{}: {text:?} {pair:?}", model.display());
                if case["token_type_ids"].is_array() {
                    assert_eq!(got.types, numbers(&case["token_type_ids"]), "{}: {text:?} {pair:?}", model.display());
                }
            }
            texts += 1;
        }
    }
    assert!(models > 0 && texts >= models, "{models} models, {texts} texts");
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn documented_checks() {
    let dir = shared("data/tokenizer/bert-base-uncased");
    for tokenizer in [Tokenizer::from_dir(&dir).unwrap(), uncased(&dir)] {
        let greeting = "Hello, y'all! How are you unaffable naïve 😁 ?";
        assert_eq!(
            tokenizer.encode(greeting, None, Limit::unlimited()).unwrap().ids,
            [101, 7592, 1010, 1061, 1005, 2035, 999, 2129, 2024, 2017, 14477, 20961, 3468, 15743, 100, 1029, 102]
        );
        let pair = tokenizer
            .encode("A plane is taking off.", Some("An air plane is taking off."), Limit::unlimited())
            .unwrap();
        assert_eq!(
            pair.ids,
            [101, 1037, 4946, 2003, 2635, 2125, 1012, 102, 2019, 2250, 4946, 2003, 2635, 2125, 1012, 102]
        );
        assert_eq!(pair.types, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(
            [tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.mask_id()],
            [Some(0), Some(100), Some(101), Some(102), Some(103)]
        );
        assert_eq!(tokenizer.vocabulary_size(), 30_522);
    }
}

#[test]
fn many_rows_keep_their_order() {
    let dir = fixtures("tokenizer");
    let tokenizer = uncased(&dir);
    let strings = json(&dir.join("strings.json"));
    let texts: Vec<&str> = strings.as_array().unwrap().iter().map(|case| case["text"].as_str().unwrap()).collect();
    let count = texts.len();
    let rows: Vec<(&str, Option<&str>)> =
        (0..2000).map(|i| (texts[i % count], (i % 3 == 0).then(|| texts[(7 * i) % count]))).collect();
    let together = tokenizer.encode_all(&rows, Limit::new(64)).unwrap();
    for ((text, pair), got) in rows.iter().zip(&together) {
        assert_eq!(*got, tokenizer.encode(text, *pair, Limit::new(64)).unwrap());
    }
    let impossible = Limit { max_tokens: 8, truncation: Truncation::OnlySecond };
    let rows = [("one", None), ("one two three four five six seven", None), ("", None)];
    assert_eq!(
        tokenizer.encode_all(&rows, impossible).unwrap_err().to_string(),
        "row 2: cutting only the second text of 7 + 0 tokens and 2 special ones cannot meet a limit of 8 tokens; \
         cut the longest first, or allow more tokens"
    );
}
