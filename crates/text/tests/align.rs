//! Words of two tokenizers, against the plain way to find them: byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use attar_testing::{fixtures, json};
use attar_text::align::{AlignedRow, Aligner, Alignment};
use attar_text::tokenizer::{EncodeError, Limit, Tokenizer, Truncation, WordPieceOptions};
use attar_text::vocabulary::Vocabulary;
use proptest::prelude::*;
use serde_json::json;

fn of_fixture(name: &str, options: WordPieceOptions) -> Tokenizer {
    Tokenizer::from_vocabulary(Vocabulary::from_file(&fixtures(&format!("tokenizer/{name}"))).unwrap(), options)
        .unwrap()
}

/// Letters and a few words: cuts nearly everything.
fn spelling() -> Tokenizer {
    let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
    for c in ('a'..='z').chain("0123456789.,!?'-é中文".chars()) {
        tokens.extend([c.to_string(), format!("##{c}")]);
    }
    tokens.extend(["the".to_owned(), "##ing".to_owned()]);
    Tokenizer::from_vocabulary(Vocabulary::from_tokens(tokens).unwrap(), WordPieceOptions::uncased()).unwrap()
}

/// As RoBERTa has it: bytes, words that begin with a space, and two separators between texts.
fn bytes() -> Tokenizer {
    let mut vocabulary = serde_json::Map::new();
    let mut alphabet: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    for token in special.map(str::to_owned).into_iter().chain(alphabet.iter().map(char::to_string)) {
        vocabulary.insert(token, vocabulary.len().into());
    }
    let added: Vec<_> = special.iter().enumerate().map(|(id, token)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
    }).collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": []}
    });
    Tokenizer::from_json(file.to_string().into_bytes()).unwrap()
}

fn tokenizers() -> Vec<Tokenizer> {
    vec![
        of_fixture("vocab.txt", WordPieceOptions::uncased()),
        of_fixture("cased_vocab.txt", WordPieceOptions::cased()),
        spelling(),
        bytes(),
    ]
}

/// Tokens of each word of a text: positions in the whole and in the limited encoding, and bytes.
struct Oracle {
    words: Vec<(Vec<Option<usize>>, BTreeSet<usize>)>,
}

impl Oracle {
    fn of(tokenizer: &Tokenizer, limit: Limit, text: &str, pair: Option<&str>, which: usize) -> Self {
        let places = |limit| {
            let located = tokenizer.encode_located(text, pair, limit).unwrap();
            let here = located.places.into_iter().enumerate().filter_map(|(at, place)| Some((at, place?)));
            here.filter(|(_, place)| place.text == which).collect::<Vec<_>>()
        };
        let (whole, kept) = (places(Limit::unlimited()), places(limit));
        let mut words: Vec<(Vec<Option<usize>>, BTreeSet<usize>)> = Vec::new();
        for (at, (_, place)) in whole.into_iter().enumerate() {
            if place.begins_word || words.is_empty() {
                words.push(Default::default());
            }
            let (tokens, bytes) = words.last_mut().unwrap();
            tokens.push(kept.get(at).map(|(position, _)| *position));
            bytes.extend(place.bytes);
        }
        // What stands between the tokens of a word, as an ignored character, is a part of it.
        for (_, bytes) in &mut words {
            if let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) {
                bytes.extend(first..=last);
            }
        }
        Self { words }
    }
}

/// The words of one text: those that share a byte belong together, and so on.
fn by_bytes(teacher: &Oracle, student: &Oracle) -> Vec<(Vec<usize>, Vec<usize>)> {
    let sides = [teacher, student];
    let all: Vec<(usize, usize)> =
        (0..2).flat_map(|side| (0..sides[side].words.len()).map(move |word| (side, word))).collect();
    // The first word that each byte was met in, and the first word of each group.
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    let mut group: Vec<usize> = (0..all.len()).collect();
    for (at, &(side, word)) in all.iter().enumerate() {
        for &byte in &sides[side].words[word].1 {
            let (a, b) = (group[*first.entry(byte).or_insert(at)], group[at]);
            if a != b {
                group.iter_mut().filter(|of| **of == a.max(b)).for_each(|of| *of = a.min(b));
            }
        }
    }
    let mut found: BTreeMap<usize, [Vec<Option<usize>>; 2]> = BTreeMap::new();
    for (at, &(side, word)) in all.iter().enumerate() {
        found.entry(group[at]).or_default()[side].extend(&sides[side].words[word].0);
    }
    // A word of spaces alone has no bytes; between others it is a part of them.
    let complete = |tokens: Vec<Option<usize>>| {
        let tokens = tokens.into_iter().collect::<Option<Vec<usize>>>()?;
        Some((*tokens.first()?..=*tokens.last()?).collect::<Vec<usize>>())
    };
    let groups = found.into_values().filter(|[teacher, student]| !teacher.is_empty() && !student.is_empty());
    groups.filter_map(|[teacher, student]| Some((complete(teacher)?, complete(student)?))).collect()
}

/// Words that are no special tokens.
fn words_of(
    row: &AlignedRow,
    tokenizers: [&Tokenizer; 2],
    text: &str,
    pair: Option<&str>,
    limits: [Limit; 2],
) -> Vec<(Vec<usize>, Vec<usize>)> {
    let places = |side: usize| tokenizers[side].encode_located(text, pair, limits[side]).unwrap().places;
    let (teacher, student) = (places(0), places(1));
    let positions = |range: &Range<u32>| (range.start as usize..range.end as usize).collect::<Vec<_>>();
    let words = row.words.teacher.iter().zip(&row.words.student).map(|(a, b)| (positions(a), positions(b)));
    words
        .filter(|(a, b)| {
            let special = [a.iter().all(|&at| teacher[at].is_none()), b.iter().all(|&at| student[at].is_none())];
            assert_eq!(special[0], special[1], "special tokens stand beside special tokens: {row:?}");
            !special[0]
        })
        .collect()
}

fn compare(tokenizers: [&Tokenizer; 2], text: &str, pair: Option<&str>, limits: [Limit; 2]) {
    let aligner = Aligner::new(tokenizers[0], tokenizers[1], limits[0]).with_student_limit(limits[1]);
    let row = match aligner.align(text, pair) {
        Ok(row) => row,
        // No room beside the special tokens, on one side.
        Err(EncodeError::LimitTooSmall { .. }) => return,
        Err(other) => panic!("{text:?} {pair:?}: {other}"),
    };
    assert_eq!(row.teacher, tokenizers[0].encode(text, pair, limits[0]).unwrap());
    assert_eq!(row.student, tokenizers[1].encode(text, pair, limits[1]).unwrap());
    let mut expected = Vec::new();
    for which in 0..=usize::from(pair.is_some()) {
        let [teacher, student] = [0, 1].map(|side| Oracle::of(tokenizers[side], limits[side], text, pair, which));
        expected.extend(by_bytes(&teacher, &student));
    }
    assert_eq!(words_of(&row, tokenizers, text, pair, limits), expected, "{text:?} {pair:?} {limits:?}");
    for ranges in [&row.words.teacher, &row.words.student] {
        assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start), "in order: {row:?}");
        assert!(ranges.iter().all(|range| range.start < range.end), "none empty: {row:?}");
    }
}

#[test]
fn words_are_found_as_byte_by_byte() {
    let tokenizers = tokenizers();
    let strings = json(&fixtures("tokenizer/strings.json"));
    let texts: Vec<&str> = strings.as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    let short: Vec<&str> = texts.iter().copied().filter(|text| text.len() < 200).collect();
    assert!(short.len() > 100);
    for (t, teacher) in tokenizers.iter().enumerate() {
        for (s, student) in tokenizers.iter().enumerate() {
            // Every string with a quarter of the tokenizers' pairs.
            for (at, text) in short.iter().enumerate().filter(|(at, _)| (at + t + 2 * s) % 4 == 0) {
                let pair = short[(at * 7 + 3) % short.len()];
                for limit in [Limit::unlimited(), Limit::new(9)] {
                    compare([teacher, student], text, None, [limit, limit]);
                    compare([teacher, student], text, Some(pair), [limit, Limit::new(12)]);
                }
            }
        }
    }
    let pairs = json(&fixtures("tokenizer/pairs.json"));
    for entry in pairs["pairs"].as_array().unwrap() {
        let (a, b) = (entry["a"].as_str().unwrap(), entry["b"].as_str().unwrap());
        for truncation in [Truncation::LongestFirst, Truncation::OnlyFirst, Truncation::OnlySecond] {
            for max_tokens in [8, 16, 30] {
                let limit = Limit { max_tokens, truncation };
                let fits = |tokenizer: &Tokenizer| tokenizer.encode(a, Some(b), limit).is_ok();
                if fits(&tokenizers[0]) && fits(&tokenizers[2]) {
                    compare([&tokenizers[0], &tokenizers[2]], a, Some(b), [limit; 2]);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_of_any_text(
        text in "([a-zA-Zé中'., -]{1,6}|the|playing|\\PC){0,6}",
        pair in proptest::option::of("([a-z0-9'ü ]{1,5}|\\PC){0,4}"),
        sides in (0..4_usize, 0..4_usize),
        limits in (4..24_usize, 4..24_usize),
    ) {
        thread_local!(static TOKENIZERS: Vec<Tokenizer> = tokenizers());
        TOKENIZERS.with(|tokenizers| {
            let limits = [Limit::new(limits.0), Limit::new(limits.1)];
            compare([&tokenizers[sides.0], &tokenizers[sides.1]], &text, pair.as_deref(), limits);
        });
    }
}

fn aligned(teacher: &Tokenizer, student: &Tokenizer, limit: usize, text: &str, pair: Option<&str>) -> Alignment {
    Aligner::new(teacher, student, Limit::new(limit)).align(text, pair).unwrap().words
}

/// Ranges as tuples.
fn shown(alignment: &Alignment) -> Vec<((u32, u32), (u32, u32))> {
    let of = |range: &Range<u32>| (range.start, range.end);
    alignment.teacher.iter().zip(&alignment.student).map(|(a, b)| (of(a), of(b))).collect()
}

#[test]
fn words_by_hand() {
    let [whole, spelled, bytes] = [of_fixture("vocab.txt", WordPieceOptions::uncased()), spelling(), bytes()];
    // [CLS] the cat [SEP] and [CLS] the c ##a ##t [SEP].
    let alignment = aligned(&whole, &spelled, 16, "The cat", None);
    assert_eq!(shown(&alignment), [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((2, 3), (2, 5)), ((3, 4), (5, 6))]);
    // Cut within the second word on one side: it is left out, and the words after it.
    let alignment = aligned(&whole, &spelled, 5, "The cat the", None);
    assert_eq!(shown(&alignment), [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((4, 5), (4, 5))]);
    // Pairs: separators stand beside each other, two of them beside one.
    let alignment = aligned(&whole, &spelled, 16, "the", Some("the a"));
    assert_eq!(
        shown(&alignment),
        [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((2, 3), (2, 3)), ((3, 4), (3, 4)), ((4, 5), (4, 5)), ((5, 6), (5, 6))]
    );
    let alignment = aligned(&bytes, &whole, 16, "a", Some("the"));
    assert_eq!(
        shown(&alignment),
        [((0, 1), (0, 1)), ((1, 2), (1, 2)), ((2, 4), (2, 3)), ((4, 7), (3, 4)), ((7, 8), (4, 5))]
    );
    // Without a text there are the special tokens, however many.
    let alignment = aligned(&bytes, &whole, 16, "", Some(""));
    assert_eq!(shown(&alignment), [((0, 1), (0, 1)), ((1, 3), (1, 2)), ((3, 4), (2, 3))]);
    // `don't` is three words to BERT and `don`, `'t` to RoBERTa: the last two are one.
    let alignment = aligned(&bytes, &whole, 16, "don't", None);
    assert_eq!(shown(&alignment), [((0, 1), (0, 1)), ((1, 4), (1, 2)), ((4, 6), (2, 4)), ((6, 7), (4, 5))]);
}

#[test]
fn a_batch_counts_on() {
    let [whole, spelled] = [of_fixture("vocab.txt", WordPieceOptions::uncased()), spelling()];
    let rows = [("the cat", None), ("", None), ("cat", Some("the"))];
    let aligner = Aligner::new(&whole, &spelled, Limit::new(32));
    let aligned = aligner.align_all(&rows).unwrap();
    let one_by_one: Vec<AlignedRow> = rows.iter().map(|&(text, pair)| aligner.align(text, pair).unwrap()).collect();
    assert_eq!(aligned, one_by_one);
    let tokens = |row: &AlignedRow| [row.teacher.len(), row.student.len()].map(|count| count as u32);
    let batch = Alignment::of_batch(aligned.iter().map(|row| (&row.words, tokens(row))));
    let words = |ids: &[u32], ranges: &[Range<u32>]| -> Vec<Vec<u32>> {
        ranges.iter().map(|range| ids[range.start as usize..range.end as usize].to_vec()).collect()
    };
    let [teacher, student]: [Vec<u32>; 2] = [
        aligned.iter().flat_map(|row| row.teacher.ids.clone()).collect(),
        aligned.iter().flat_map(|row| row.student.ids.clone()).collect(),
    ];
    let theirs: Vec<_> = aligned.iter().flat_map(|row| words(&row.teacher.ids, &row.words.teacher)).collect();
    let ours: Vec<_> = aligned.iter().flat_map(|row| words(&row.student.ids, &row.words.student)).collect();
    assert_eq!(words(&teacher, &batch.teacher), theirs);
    assert_eq!(words(&student, &batch.student), ours);
    assert_eq!(batch.len(), aligned.iter().map(|row| row.words.len()).sum::<usize>());
    assert_eq!(batch.len(), 4 + 2 + 5);
    let refused = Aligner::new(&whole, &spelled, Limit::new(1)).align_all(&rows).unwrap_err();
    assert!(refused.to_string().contains("row 1"), "{refused}");
}
