//! Tokens and settings that a model folder spreads over several files: read as `transformers` reads them, or refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;

use attar_text::tokenizer::{Limit, Tokenizer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `[PAD]` is 0, `[UNK]` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4.
const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nanna\nlima\nis\n[unused1]\n東\n京\n東京\n";

fn folder(files: &[(&str, String)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn vocabulary(files: &[(&str, Value)]) -> TempDir {
    let mut all = vec![("vocab.txt", WORDS.to_owned())];
    all.extend(files.iter().map(|(name, value)| (*name, value.to_string())));
    folder(&all)
}

fn ids(dir: &TempDir, text: &str) -> Vec<u32> {
    Tokenizer::from_dir(dir.path()).unwrap().encode(text, None, Limit::unlimited()).unwrap().ids
}

fn refusal(dir: &TempDir) -> String {
    let message = Tokenizer::from_dir(dir.path()).unwrap_err().to_string();
    message.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn added_tokens_are_one_token_wherever_they_are_stated() {
    let text = "<s=person> anna <o=city>lima";
    let expected = [2, 12, 5, 13, 6, 3];
    let listed = json!({"additional_special_tokens": ["<s=person>", "<o=city>"]});
    let added = json!({"<o=city>": 13, "<s=person>": 12});
    let decoder = json!({"added_tokens_decoder": {
        "12": {"content": "<s=person>", "lstrip": false, "rstrip": false, "normalized": false, "single_word": false, "special": true},
        "13": {"content": "<o=city>", "special": true},
    }});
    assert_eq!(ids(&vocabulary(&[("added_tokens.json", added.clone())]), text), expected);
    let both = [("added_tokens.json", added), ("special_tokens_map.json", listed.clone())];
    assert_eq!(ids(&vocabulary(&both), text), expected);
    assert_eq!(ids(&vocabulary(&[("tokenizer_config.json", decoder.clone())]), text), expected);
    assert_eq!(ids(&vocabulary(&[("tokenizer_config.json", listed.clone())]), text), expected);
    assert_eq!(ids(&vocabulary(&[("special_tokens_map.json", listed.clone())]), text), expected);
    let named = json!({"extra_special_tokens": {"person": "<s=person>", "city": {"content": "<o=city>"}}});
    assert_eq!(ids(&vocabulary(&[("tokenizer_config.json", named)]), text), expected);

    // Beside a tokenizer.json that does not have them.
    let whole = Tokenizer::from_dir(vocabulary(&[]).path()).unwrap().to_json().unwrap();
    for config in [decoder, listed] {
        let dir = folder(&[("tokenizer.json", whole.clone()), ("tokenizer_config.json", config.to_string())]);
        assert_eq!(ids(&dir, text), expected);
        // What is written has them too.
        let copy = tempfile::tempdir().unwrap();
        Tokenizer::from_dir(dir.path()).unwrap().save(copy.path()).unwrap();
        assert_eq!(ids(&copy, text), expected);
    }
}

#[test]
fn words_of_the_vocabulary_become_special_and_plain_markers_are_found_in_clean_text() {
    let listed = json!({"additional_special_tokens": ["[unused1]"]});
    let dir = vocabulary(&[("special_tokens_map.json", listed)]);
    assert_eq!(ids(&dir, "[unused1] anna"), [2, 8, 5, 3]);
    assert!(Tokenizer::from_dir(dir.path()).unwrap().is_special(8));
    // A marker that is not special is lower-cased as the text is.
    let dir = vocabulary(&[("added_tokens.json", json!({"COVID19": 12}))]);
    assert_eq!(ids(&dir, "Covid19 is anna"), [2, 12, 7, 5, 3]);
    assert_eq!(Tokenizer::from_dir(dir.path()).unwrap().vocabulary_size(), 13);
    // A special one is not.
    let files = [
        ("added_tokens.json", json!({"COVID19": 12})),
        ("special_tokens_map.json", json!({"additional_special_tokens": ["COVID19"]})),
    ];
    assert_eq!(ids(&vocabulary(&files), "Covid19 COVID19"), [2, 1, 12, 3]);
}

#[test]
fn ids_that_a_token_does_not_get_are_refused() {
    let dir = vocabulary(&[("added_tokens.json", json!({"<x>": 20}))]);
    assert_eq!(refusal(&dir), "DIR/added_tokens.json: added token \"<x>\" states id 20, but its id is 12");
    let decoder = json!({"added_tokens_decoder": {"5": {"content": "<x>"}}});
    let dir = vocabulary(&[("tokenizer_config.json", decoder)]);
    assert_eq!(refusal(&dir), "DIR/tokenizer_config.json: added token \"<x>\" states id 5, but its id is 12");
    let dir = vocabulary(&[("added_tokens.json", json!({"<x>": "12"}))]);
    assert_eq!(refusal(&dir), "DIR/added_tokens.json: expected the id of \"<x>\", found \"12\"");
    let dir = vocabulary(&[("tokenizer_config.json", json!({"added_tokens_decoder": {"a": "<x>"}}))]);
    assert!(refusal(&dir).starts_with("DIR/tokenizer_config.json: expected each of added_tokens_decoder"));
}

#[test]
fn a_token_with_a_part_gets_an_id_only_if_others_follow() {
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nanna\n".to_owned();
    let dir = folder(&[("vocab.txt", words.clone())]);
    assert_eq!(Tokenizer::from_dir(dir.path()).unwrap().vocabulary_size(), 5);
    // `transformers` gives [MASK] the next id, so the marker has the one after it.
    let listed = json!({"additional_special_tokens": ["<x>"]}).to_string();
    let dir = folder(&[("vocab.txt", words), ("special_tokens_map.json", listed)]);
    assert_eq!(ids(&dir, "<x>[MASK]anna"), [2, 6, 5, 4, 3]);
}

#[test]
fn a_vocabulary_of_another_kind_is_refused() {
    let with = |config: Value| refusal(&vocabulary(&[("tokenizer_config.json", config)]));
    let japanese = json!({"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"});
    assert!(
        with(japanese).starts_with("DIR/tokenizer_config.json: word_tokenizer_type is \"mecab\", which attar cannot")
    );
    let class = with(json!({"tokenizer_class": "BertJapaneseTokenizer"}));
    assert!(class.contains("tokenizer_class is \"BertJapaneseTokenizer\""), "{class}");
    let class = with(json!({"tokenizer_class": "RobertaTokenizerFast"}));
    assert!(class.contains("let `transformers` write a tokenizer.json"), "{class}");
    for (key, value) in [
        ("do_basic_tokenize", json!(false)),
        ("clean_text", json!(false)),
        ("never_split", json!(["anna"])),
        ("wordpieces_prefix", json!("@@")),
    ] {
        let error = with(json!({ key: value }));
        assert!(error.starts_with(&format!("DIR/tokenizer_config.json: {key} is ")), "{error}");
    }
    for config in [
        json!({"tokenizer_class": "BertTokenizerFast", "do_basic_tokenize": true, "never_split": null}),
        json!({"tokenizer_class": "ElectraTokenizer", "never_split": []}),
    ] {
        assert_eq!(ids(&vocabulary(&[("tokenizer_config.json", config)]), "東京 anna"), [2, 9, 10, 5, 3]);
    }
    // What is in a tokenizer.json is what is done, but not where the class is not made of it.
    let whole = Tokenizer::from_dir(vocabulary(&[]).path()).unwrap().to_json().unwrap();
    let beside =
        |config: Value| folder(&[("tokenizer.json", whole.clone()), ("tokenizer_config.json", config.to_string())]);
    assert!(Tokenizer::from_dir(beside(json!({"tokenizer_class": "TokenizersBackend"})).path()).is_ok());
    assert!(refusal(&beside(json!({"tokenizer_class": "BertJapaneseTokenizer"}))).contains("BertJapaneseTokenizer"));
}

/// Separators, types and `<mask>` as MPNet's class has them, by the names that the files leave out.
#[test]
fn a_vocabulary_of_mpnets_kind() {
    let words = "<s>\n<pad>\n</s>\n[UNK]\nanna\nlima\n<mask>\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n".to_owned();
    let config = json!({"tokenizer_class": "MPNetTokenizer"}).to_string();
    let dir = folder(&[("vocab.txt", words), ("tokenizer_config.json", config)]);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    tokenizer.save(copy.path()).unwrap();
    for tokenizer in [tokenizer, Tokenizer::from_dir(copy.path()).unwrap()] {
        assert_eq!((tokenizer.pad_id(), tokenizer.mask_id(), tokenizer.unk_id()), (Some(1), Some(6), Some(3)));
        let pair = tokenizer.encode("Anna x", Some("lima <mask>"), Limit::new(12)).unwrap();
        assert_eq!(pair.ids, [0, 4, 3, 2, 2, 5, 6, 2]);
        assert_eq!(pair.types, [0; 8]);
        let short = tokenizer.encode("anna anna anna", Some("lima"), Limit::new(6)).unwrap();
        assert_eq!(short.ids, [0, 4, 2, 2, 5, 2]);
        assert_eq!(tokenizer.encode("anna", None, Limit::new(9)).unwrap().ids, [0, 4, 2]);
    }
}

#[test]
fn a_model_that_gets_no_types_gets_none() {
    let pair = |config: Value, limit| {
        let dir = vocabulary(&[("tokenizer_config.json", config)]);
        Tokenizer::from_dir(dir.path()).unwrap().encode("anna", Some("lima"), Limit::new(limit)).unwrap()
    };
    assert_eq!(pair(json!({"model_input_names": ["input_ids", "attention_mask"]}), 9).types, [0; 5]);
    let with_types = json!({"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]});
    assert_eq!(pair(with_types, 9).types, [0, 0, 0, 1, 1]);
    assert_eq!(pair(json!({"tokenizer_class": "BertTokenizer"}), 9).types, [0, 0, 0, 1, 1]);
    assert_eq!(pair(json!({"tokenizer_class": "DistilBertTokenizer"}), 9).types, [0; 5]);

    // The same for tokens that know their places, for windows, and for what is written.
    let dir = vocabulary(&[("tokenizer_config.json", json!({"model_input_names": ["input_ids"]}))]);
    let copy = tempfile::tempdir().unwrap();
    Tokenizer::from_dir(dir.path()).unwrap().save(copy.path()).unwrap();
    for dir in [dir, copy] {
        let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
        assert_eq!(tokenizer.encode_located("anna", Some("lima"), Limit::new(9)).unwrap().encoding.types, [0; 5]);
        let windows = attar_text::tokenizer::Windows { max_tokens: 6, overlap: 1 };
        for window in tokenizer.encode_windows("anna", Some("lima is anna"), windows).unwrap() {
            assert!(window.encoding.types.iter().all(|&kind| kind == 0));
        }
    }
}

#[test]
fn blank_lines_count_as_transformers_counts_them() {
    // A blank line has its number; of two the last one counts, and at the end they are no token of any text.
    let words = "[PAD]\n\n[UNK]\n[CLS]\n\n[SEP]\nanna\n".to_owned();
    let dir = folder(&[("vocab.txt", words.clone())]);
    assert_eq!(ids(&dir, "anna x"), [3, 6, 2, 5]);
    for end in ["\n", "\n\n\n"] {
        let dir = folder(&[("vocab.txt", format!("{words}{end}"))]);
        let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
        assert_eq!(ids(&dir, "anna x"), [3, 6, 2, 5]);
        assert_eq!(tokenizer.vocabulary_size(), 7);
        let copy = tempfile::tempdir().unwrap();
        tokenizer.save(copy.path()).unwrap();
        assert_eq!(ids(&copy, "anna x"), [3, 6, 2, 5]);
        assert_eq!(Tokenizer::from_dir(copy.path()).unwrap().vocabulary_size(), 7);
    }
}

#[test]
fn pointers_pipes_and_devices_are_no_tokenizers() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".to_owned();
    for name in ["vocab.txt", "tokenizer.json"] {
        let error = refusal(&folder(&[(name, pointer.clone())]));
        assert!(error.starts_with(&format!("DIR/{name}: a git-lfs pointer, not the file: fetch it with")), "{error}");
    }
    #[cfg(unix)]
    for name in ["vocab.txt", "tokenizer.json"] {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join(name)).unwrap();
        assert!(refusal(&dir).starts_with(&format!("DIR/{name}: not a regular file")));
    }
}
