//! Reading tokenizers from folders, writing them back, and refusing what is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;
use std::path::Path;

use attar_text::tokenizer::{Limit, Tokenizer, TokenizerError, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// The error of reading such a folder, with the folder's own name taken out.
fn refusal(files: &[(&str, &str)]) -> String {
    let dir = folder(files);
    let message = Tokenizer::from_dir(dir.path()).unwrap_err().to_string();
    message.replace(&dir.path().display().to_string(), "DIR")
}

fn files_of(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

const WORDS: &str = "[UNK]\n[SEP]\nun\n##able\n[CLS]\naff\n[PAD]\nété\nete\n##aff\n";

fn wordpiece_json() -> Value {
    let dir = folder(&[("vocab.txt", WORDS)]);
    serde_json::from_str(&Tokenizer::from_dir(dir.path()).unwrap().to_json().unwrap()).unwrap()
}

/// What RoBERTa has: byte-level BPE, `<s> a </s></s> b </s>`, one token type.
fn byte_level_bpe() -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [
            {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true},
            {"id": 1, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true},
            {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true},
            {"id": 3, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true},
            {"id": 13, "content": "<mask>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true}
        ],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "l": 4, "o": 5, "w": 6, "e": 7, "r": 8, "Ġ": 9, "lo": 10, "low": 11, "Ġlow": 12},
            "merges": [["l", "o"], ["lo", "w"], ["Ġ", "low"]]
        }
    })
}

#[test]
fn a_vocabulary_alone_is_uncased() {
    let dir = folder(&[("vocab.txt", WORDS)]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let ids = |text| tokenizer.encode(text, None, Limit::unlimited()).unwrap().ids;
    assert_eq!(ids("Unaffable Été [MASK]"), [4, 2, 9, 3, 8, 0, 0, 0, 1]);
    assert_eq!(ids("[PAD]"), [4, 6, 1]);
    assert_eq!((tokenizer.pad_id(), tokenizer.mask_id()), (Some(6), None));
    assert_eq!((tokenizer.id("##aff"), tokenizer.id("x")), (Some(9), None));
    assert_eq!((tokenizer.token(3).as_deref(), tokenizer.token(10)), (Some("##able"), None));
    assert!(tokenizer.is_special(6) && !tokenizer.is_special(5) && !tokenizer.is_special(77));
    assert_eq!(tokenizer.model_max_length(), None);
    assert_eq!(tokenizer.vocabulary().unwrap(), Vocabulary::from_file(&dir.path().join("vocab.txt")).unwrap());
}

#[test]
fn the_config_is_obeyed() {
    let config = r#"{"do_lower_case": false, "strip_accents": null, "model_max_length": 77, "kept": [1, 2]}"#;
    let dir = folder(&[("vocab.txt", WORDS), ("tokenizer_config.json", config)]);
    let mut tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let ids = |text| tokenizer.encode(text, None, Limit::unlimited()).unwrap().ids;
    assert_eq!(ids("Un été ete"), [4, 0, 7, 8, 1]);
    assert_eq!(tokenizer.model_max_length(), Some(77));
    tokenizer.set_model_max_length(12);
    let out = tempfile::tempdir().unwrap();
    tokenizer.save(out.path()).unwrap();
    let written: Value =
        serde_json::from_str(&fs::read_to_string(out.path().join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(written["kept"], json!([1, 2]));
    assert_eq!(written["model_max_length"], json!(12));
    assert_eq!(written["tokenizer_class"], json!("BertTokenizerFast"));
    assert_eq!(written["cls_token"], json!("[CLS]"));
}

#[test]
fn special_tokens_may_have_other_names() {
    let map = r#"{"unk_token": "<unk>", "cls_token": {"content": "<s>", "lstrip": false}, "sep_token": "</s>"}"#;
    let dir = folder(&[("vocab.txt", "</s>\n<s>\n<unk>\na\n"), ("special_tokens_map.json", map)]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("a b<s>", Some("a"), Limit::unlimited()).unwrap().ids, [1, 3, 2, 1, 0, 3, 0]);
    assert_eq!((tokenizer.cls_id(), tokenizer.pad_id()), (Some(1), None));
}

#[test]
fn saved_and_read_is_the_same() {
    let texts = ["Unaffable été", "", "low lower[PAD] ", "<mask> lower low</s>"];
    for (name, json) in [("WordPiece", wordpiece_json()), ("BPE", byte_level_bpe())] {
        let read = folder(&[("tokenizer.json", &json.to_string())]);
        let tokenizer = Tokenizer::from_dir(read.path()).unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tokenizer.save(one.path()).unwrap();
        let again = Tokenizer::from_dir(one.path()).unwrap();
        again.save(two.path()).unwrap();
        assert_eq!(files_of(one.path()), files_of(two.path()), "{name}");
        assert_eq!(one.path().join("vocab.txt").exists(), name == "WordPiece");
        let written: Value =
            serde_json::from_str(&fs::read_to_string(one.path().join("tokenizer.json")).unwrap()).unwrap();
        assert_eq!(written, json, "{name}");
        for text in texts {
            for pair in [None, Some("low"), Some("")] {
                let expected = tokenizer.encode(text, pair, Limit::new(9)).unwrap();
                assert_eq!(again.encode(text, pair, Limit::new(9)).unwrap(), expected, "{name} {text:?} {pair:?}");
            }
        }
    }
}

#[test]
fn byte_level_bpe_encodes_like_roberta() {
    let dir = folder(&[("tokenizer.json", &byte_level_bpe().to_string())]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let pair = tokenizer.encode("low lower", Some("low <mask>"), Limit::unlimited()).unwrap();
    assert_eq!(pair.ids, [0, 11, 12, 7, 8, 2, 2, 11, 13, 2]);
    assert_eq!(pair.types, [0; 10]);
    assert_eq!(
        [tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.mask_id()],
        [Some(1), Some(3), Some(0), Some(2), Some(13)]
    );
    assert_eq!(tokenizer.vocabulary_size(), 14);
    assert_eq!(tokenizer.vocabulary().unwrap().token(12), Some("Ġlow"));
}

#[test]
fn truncation_and_padding_of_a_file_are_off() {
    let mut json = wordpiece_json();
    json["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 6, "pad_type_id": 0, "pad_token": "[PAD]"});
    let dir = folder(&[("tokenizer.json", &json.to_string())]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("un un un un", None, Limit::unlimited()).unwrap().ids, [4, 2, 2, 2, 2, 1]);
    let written: Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
    assert_eq!(written, wordpiece_json());
}

#[test]
fn a_tokenizer_without_post_processor_adds_nothing() {
    let mut json = wordpiece_json();
    json["post_processor"] = Value::Null;
    let dir = folder(&[("tokenizer.json", &json.to_string())]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let pair = tokenizer.encode("un", Some("aff été"), Limit::new(2)).unwrap();
    assert_eq!((pair.ids, pair.types), (vec![2, 5], vec![0, 1]));
    assert!(tokenizer.encode("", None, Limit::new(0)).unwrap().is_empty());
    assert!(tokenizer.encode("un", None, Limit::new(0)).is_err());
}

#[test]
fn too_small_a_limit_is_refused() {
    let tokenizer = Tokenizer::from_dir(folder(&[("vocab.txt", WORDS)]).path()).unwrap();
    let message = |limit| tokenizer.encode("un", None, Limit::new(limit)).unwrap_err().to_string();
    assert_eq!(message(2), "a limit of 2 tokens leaves no room for text beside 2 special tokens");
    assert_eq!(message(0), "a limit of 0 tokens leaves no room for text beside 2 special tokens");
    assert_eq!(tokenizer.encode("", None, Limit::new(2)).unwrap().ids, [4, 1]);
    assert!(tokenizer.encode("", None, Limit::new(1)).is_err());
    assert_eq!(tokenizer.encode("un un", Some("aff aff"), Limit::new(4)).unwrap().ids, [4, 1, 5, 1]);
}

#[test]
fn wrong_files_are_named() {
    assert_eq!(refusal(&[]), "DIR: neither tokenizer.json nor vocab.txt is here");
    assert!(refusal(&[("vocab.json", "{}"), ("merges.txt", "")]).contains("let `transformers` write a tokenizer.json"));
    assert!(refusal(&[("tokenizer.json", "{")]).starts_with("DIR/tokenizer.json: EOF while parsing"));
    assert!(refusal(&[("tokenizer.json", "{}")]).starts_with("DIR/tokenizer.json: "));
    assert!(refusal(&[("tokenizer.json", "[]")]).starts_with("DIR/tokenizer.json: "));
    assert_eq!(
        refusal(&[("vocab.txt", "")]),
        "DIR/vocab.txt: the vocabulary is empty, expected at least one token, one a line"
    );
    assert_eq!(refusal(&[("vocab.txt", "[UNK]\n[CLS]\nx\n")]), "the vocabulary has no \"[SEP]\"");
    assert_eq!(
        refusal(&[("vocab.txt", "[UNK]\n[SEP]\n[CLS\n")]),
        "the vocabulary has no \"[CLS]\", the nearest is \"[CLS\""
    );
    assert!(
        refusal(&[("vocab.txt", WORDS), ("tokenizer_config.json", "[1]")])
            .starts_with("DIR/tokenizer_config.json: expected a JSON object: ")
    );
    assert_eq!(
        refusal(&[("vocab.txt", WORDS), ("tokenizer_config.json", r#"{"do_lower_case": "yes"}"#)]),
        "DIR/tokenizer_config.json: expected do_lower_case to be true, false or null, found \"yes\""
    );
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let json = wordpiece_json().to_string();
    let with = |config: &str| refusal(&[("tokenizer.json", &json), ("tokenizer_config.json", config)]);
    assert_eq!(
        with(r#"{"do_lower_case": false}"#),
        "DIR/tokenizer_config.json: do_lower_case is false, but tokenizer.json says true; make the two agree, since \
         `transformers` follows the one and `tokenizers` the other"
    );
    assert!(with(r#"{"strip_accents": false}"#).contains("strip_accents is false"));
    assert!(with(r#"{"tokenize_chinese_chars": false}"#).contains("tokenize_chinese_chars is false"));
    let agreeing = r#"{"do_lower_case": true, "strip_accents": null, "tokenize_chinese_chars": true}"#;
    let dir = folder(&[("tokenizer.json", &json), ("tokenizer_config.json", agreeing)]);
    assert!(Tokenizer::from_dir(dir.path()).is_ok());
}

#[test]
fn hostile_templates_and_ids_are_refused() {
    let with = |pointer: &str, value: Value| {
        let mut json = wordpiece_json();
        *json.pointer_mut(pointer).unwrap() = value;
        refusal(&[("tokenizer.json", &json.to_string())])
    };
    assert_eq!(
        with("/post_processor/special_tokens", json!({"[CLS]": {"id": "[CLS]", "ids": [4], "tokens": ["[CLS]"]}})),
        "DIR/tokenizer.json: in post_processor: single uses \"[SEP]\", which is not among special_tokens"
    );
    assert_eq!(
        with("/post_processor/single", json!([{"Sequence": {"id": "B", "type_id": 0}}])),
        "DIR/tokenizer.json: in post_processor: expected single to hold the texts [\"A\"] once each, found [\"B\"]"
    );
    let far = json!({"id": "[SEP]", "ids": [255], "tokens": ["[SEP]"]});
    assert_eq!(
        with("/post_processor/special_tokens/[SEP]", far),
        "DIR/tokenizer.json: in post_processor: it adds id 255, which no token has"
    );
    for kind in ["RobertaProcessing", "BertProcessing"] {
        let mut far = json!({"type": kind, "sep": ["[SEP]", 255], "cls": ["[CLS]", 4]});
        if kind == "RobertaProcessing" {
            far["trim_offsets"] = true.into();
            far["add_prefix_space"] = false.into();
        }
        assert!(with("/post_processor", far).contains("it adds id 255, which no token has"), "{kind}");
    }
    let nested = json!({"type": "Sequence", "processors": [{"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}]});
    assert!(with("/post_processor", nested).contains("expected single to hold"));
    assert_eq!(
        with("/added_tokens/0/id", json!(9)),
        "DIR/tokenizer.json: added token \"[UNK]\" states id 9, but its id is 0"
    );
    let scattered = json!({"[UNK]": 0, "[SEP]": 1, "[CLS]": 4, "[PAD]": 6, "a": 4_000_000_000_u32});
    assert_eq!(
        with("/model/vocab", scattered),
        "DIR/tokenizer.json: the largest id is 4000000000 for 5 tokens, expected ids without large gaps"
    );
}

/// Every place of a `tokenizer.json` that can be reached by a path.
fn places(value: &Value, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            places(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), out);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{path}/{index}"), out));
        }
        _ => {}
    }
}

/// Whatever stands at any place of the file, reading and encoding end with an answer or an error.
#[test]
fn no_file_makes_it_panic() {
    let wrong = [
        json!(null),
        json!(0),
        json!(-1),
        json!(4_294_967_295_u32),
        json!(""),
        json!("[SEP]"),
        json!([]),
        json!({}),
        json!(true),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (mut read, mut refused) = (0, 0);
    for whole in [wordpiece_json(), byte_level_bpe()] {
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        for place in all {
            for value in &wrong {
                let mut json = whole.clone();
                *json.pointer_mut(&place).unwrap() = value.clone();
                fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
                let Ok(tokenizer) = Tokenizer::from_dir(dir.path()) else {
                    refused += 1;
                    continue;
                };
                read += 1;
                for text in ["", "Unaffable [MASK] low", "</s>été"] {
                    for pair in [None, Some("low un")] {
                        for limit in [0, 5, usize::MAX] {
                            _ = tokenizer.encode(text, pair, Limit::new(limit));
                        }
                    }
                }
                _ = tokenizer.vocabulary();
                tokenizer.save(dir.path()).unwrap();
                fs::remove_file(dir.path().join("tokenizer_config.json")).unwrap();
                fs::remove_file(dir.path().join("special_tokens_map.json")).unwrap();
            }
        }
    }
    assert!(read > 200 && refused > 500, "{read} read, {refused} refused");
}

#[test]
fn gaps_between_ids_are_survived() {
    let mut json = wordpiece_json();
    json["model"]["vocab"] = json!({"[UNK]": 0, "[SEP]": 1, "[CLS]": 4, "[PAD]": 6, "a": 9});
    let dir = folder(&[("tokenizer.json", &json.to_string())]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 10);
    assert!(tokenizer.vocabulary().unwrap_err().to_string().contains("have no token"));
    let out = tempfile::tempdir().unwrap();
    tokenizer.save(out.path()).unwrap();
    assert!(!out.path().join("vocab.txt").exists());
}

#[test]
fn an_unwritable_folder_is_named() {
    let vocabulary = Vocabulary::from_tokens(["[UNK]", "[CLS]", "[SEP]"].map(String::from).to_vec()).unwrap();
    let tokenizer = Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::cased()).unwrap();
    let error = tokenizer.save(Path::new("/nowhere/at/all")).unwrap_err();
    assert!(matches!(&error, TokenizerError::Io { path, .. } if path.ends_with("tokenizer.json")), "{error}");
}
