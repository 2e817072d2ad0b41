//! Components of a `tokenizer.json` that fail, never end or ask for memory are refused by name; encoding never panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_text::tokenizer::{Limit, Tokenizer};
use serde_json::{Value, json};

/// A tokenizer of whole words with `[UNK]` as 0 and nothing around the text.
fn words() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "b": 2, "aaaa": 3}, "unk_token": "[UNK]"}
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut file = words();
    file[key] = value;
    file
}

fn read(file: &Value) -> Result<Tokenizer, String> {
    Tokenizer::from_json(file.to_string().into_bytes()).map_err(|error| error.to_string())
}

fn template() -> Value {
    json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
           "special_tokens": {}})
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

fn sequence(of: &str, members: Vec<Value>) -> Value {
    json!({"type": "Sequence", of: members})
}

/// An index of as many bytes as are stated, and texts.
fn charsmap(length: u32, rest: &[u8]) -> Value {
    use std::fmt::Write;
    let bytes = [&length.to_le_bytes()[..], rest].concat();
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        for place in 0..4 {
            let digit = if place <= chunk.len() { DIGITS[bits >> (18 - 6 * place) & 63] } else { b'=' };
            write!(encoded, "{}", char::from(digit)).unwrap();
        }
    }
    json!({"type": "Precompiled", "precompiled_charsmap": encoded})
}

#[test]
fn what_fails_or_explodes_is_refused_by_name() {
    let refused = [
        (with("post_processor", sequence("processors", vec![template(), template()])), "post_processor adds special"),
        (with("pre_tokenizer", json!({"type": "FixedLength", "length": 0})), "FixedLength cuts words of 0"),
        (with("normalizer", replace(json!({"String": ""}), "x")), "Replace has an empty pattern"),
        (with("normalizer", replace(json!({"Regex": ""}), "x")), "Replace has an empty pattern"),
        (
            with(
                "pre_tokenizer",
                json!({"type": "Split", "pattern": {"String": ""}, "behavior": "Removed", "invert": false}),
            ),
            "Split has an empty pattern",
        ),
        (with("normalizer", replace(json!({"Regex": "(a+)+$"}), "x")), "Replace repeats a repetition"),
        (with("normalizer", charsmap(u32::MAX - 3, &[0; 11])), "Precompiled has a malformed index in its 15 bytes"),
        (with("normalizer", charsmap(0, &[b'x'; 2000])), "normalizer can make a text 2000 times as long"),
        (
            with("normalizer", sequence("normalizers", vec![replace(json!({"String": "a"}), "aaaa"); 12])),
            "times as long",
        ),
        (
            with("normalizer", sequence("normalizers", vec![json!({"type": "NFC"}); 1000])),
            "normalizer has more than 64",
        ),
        (with("normalizer", json!({"type": "Shuffle"})), "Shuffle is of a kind that attar does not know"),
    ];
    for (file, expected) in refused {
        let error = read(&file).unwrap_err();
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
    }
    let mut long = words();
    long["model"] = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                           "max_input_chars_per_word": 1_000_000_000, "vocab": {"[UNK]": 0, "a": 1}});
    assert!(read(&long).unwrap_err().contains("cuts words of 1000000000 characters"));
}

#[test]
fn usual_components_are_taken() {
    let usual = [
        with(
            "post_processor",
            sequence(
                "processors",
                vec![
                    json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}),
                    template(),
                ],
            ),
        ),
        with("pre_tokenizer", json!({"type": "FixedLength", "length": 4})),
        with(
            "normalizer",
            sequence("normalizers", vec![replace(json!({"Regex": " {2,}"}), "▁"), json!({"type": "NFKC"})]),
        ),
        with("normalizer", charsmap(4, b"\0\0\0\0abc\0")),
    ];
    for file in usual {
        read(&file).unwrap();
    }
    let replaced = read(&with("normalizer", replace(json!({"String": "b"}), "aaaa"))).unwrap();
    assert_eq!(replaced.encode("b a", None, Limit::unlimited()).unwrap().ids, [3, 1]);
}

/// Tables whose index points anywhere pass the reader; the library then reads out of range.
#[test]
fn a_text_that_the_library_does_not_survive_is_an_error() {
    let damaged = [charsmap(4, b"\xff\xff\xff\xff\0"), charsmap(8, b"\x00\x02\xff\xff\xff\xff\xff\xffab\0")];
    let mut failed = 0;
    for normalizer in damaged {
        let tokenizer = read(&with("normalizer", normalizer)).unwrap();
        for text in ["a", "b a", "é", "\u{1}\u{2}"] {
            failed += usize::from(tokenizer.encode(text, None, Limit::unlimited()).is_err());
            _ = tokenizer.encode_located(text, Some("b"), Limit::unlimited());
        }
    }
    assert!(failed > 0);
}

#[test]
fn a_text_too_long_for_its_normalizer_is_refused() {
    let tokenizer = read(&with("normalizer", charsmap(0, &[b'x'; 1000]))).unwrap();
    let long = "a".repeat(300_000);
    let error = tokenizer.encode(&long, None, Limit::new(8)).unwrap_err().to_string();
    assert_eq!(error, "a text of 300000 bytes, at most 268435 can be cut by this tokenizer: split it");
}

#[test]
fn dropout_of_pieces_is_off() {
    let mut file = words();
    file["model"] = json!({
        "type": "BPE", "dropout": 0.9, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": {"l": 0, "o": 1, "w": 2, "lo": 3, "low": 4}, "merges": [["l", "o"], ["lo", "w"]]
    });
    let tokenizer = read(&file).unwrap();
    for _ in 0..50 {
        assert_eq!(tokenizer.encode("low low", None, Limit::unlimited()).unwrap().ids, [4, 4]);
    }
}

/// Every place of a value that can be reached by a path.
fn places(value: &Value, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| places(value, &format!("{path}/{key}"), out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{path}/{index}"), out));
        }
        _ => {}
    }
}

/// Whatever stands at any place of any component, reading and encoding end with an answer or an error.
#[test]
fn no_component_makes_it_panic() {
    let normalizers = vec![
        replace(json!({"Regex": "[ab] +"}), "b"),
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "Strip", "strip_left": true, "strip_right": false}),
        charsmap(1024, &[&[0; 1024][..], b"ab\0"].concat()),
        json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}),
    ];
    let pre_tokenizers = vec![
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
        json!({"type": "Split", "pattern": {"Regex": "[0-9]"}, "behavior": "Isolated", "invert": false}),
        json!({"type": "Punctuation", "behavior": "Isolated"}),
        json!({"type": "Digits", "individual_digits": true}),
        json!({"type": "FixedLength", "length": 3}),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
    ];
    let mut file = words();
    file["normalizer"] = sequence("normalizers", normalizers);
    file["pre_tokenizer"] = sequence("pretokenizers", pre_tokenizers);
    file["post_processor"] = sequence("processors", vec![template()]);
    file["model"] = json!({
        "type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<unk>", 0.0], ["▁", -1.0], ["a", -2.0], ["ab", -1.5], ["b", -2.5]]
    });
    read(&file).unwrap().encode("ab 12, b", Some("a"), Limit::new(9)).unwrap();
    let wrong = [
        json!(null),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(""),
        json!("(a+)+"),
        json!([]),
        json!({}),
        json!(true),
    ];
    let mut all = Vec::new();
    places(&file, "", &mut all);
    let (mut taken, mut refused) = (0, 0);
    for place in all {
        for value in &wrong {
            let mut file = file.clone();
            *file.pointer_mut(&place).unwrap() = value.clone();
            let Ok(tokenizer) = read(&file) else {
                refused += 1;
                continue;
            };
            taken += 1;
            for text in ["", "ab 12, b", "é\u{301}ab\u{2028}1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"] {
                for pair in [None, Some("b a")] {
                    _ = tokenizer.encode(text, pair, Limit::new(9));
                    _ = tokenizer.encode_located(text, pair, Limit::unlimited());
                }
            }
        }
    }
    assert!(taken > 50 && refused > 500, "{taken} taken, {refused} refused");
}
