//! The direct way of BERT's tokenizers against the `tokenizers` crate: the same ids for any text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_testing::shared;
use attar_text::tokenizer::{
    Accents, EncodeError, Encodings, Limit, TokenPlace, Tokenizer, Truncation, Windows, WordPieceOptions,
};
use attar_text::vocabulary::Vocabulary;
use proptest::prelude::*;
use tokenizers::utils::truncation::truncate_encodings;
use tokenizers::{PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy};

/// A vocabulary with words, parts of words of every length up to 20 bytes, marks and many scripts, in
/// which much is found and much is not.
fn vocabulary() -> Vocabulary {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "#", "##", "[", "]", "mask", "MASK"].map(str::to_owned).to_vec();
    let characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-éÉüßñİıσςΣàþ中文字가나ひカक्🙂𝔸\u{301}\u{323}";
    for character in characters.chars() {
        tokens.extend([character.to_string(), format!("##{character}")]);
    }
    let words = [
        "the",
        "cat",
        "sat",
        "tokeniz",
        "tokenization",
        "internationalis",
        "internationalisation",
        "un",
        "afford",
        "affordable",
        "straße",
        "strasse",
        "été",
        "ete",
        "résumé",
        "resume",
        "naïve",
        "σίσυφος",
        "can",
        "don",
        "ab",
        "abc",
        "abcd",
        "abcde",
        "abcdef",
        "abcdefg",
        "abcdefgh",
        "abcdefghi",
        "abcdefghij",
        "abcdefghijklmno",
        "abcdefghijklmnop",
        "abcdefghijklmnopq",
        "abcdefghijklmnopqrst",
        "中文",
        "가나",
        "カナ",
    ];
    for word in words {
        tokens.push(word.to_owned());
        tokens.push(format!("##{word}"));
    }
    for length in 1..=20 {
        tokens.push(format!("##{}", "x".repeat(length)));
        tokens.push("z".repeat(length));
    }
    let mut seen = std::collections::HashSet::new();
    tokens.retain(|token| seen.insert(token.clone()));
    Vocabulary::from_tokens(tokens).unwrap()
}

fn variants() -> Vec<WordPieceOptions> {
    let uncased = WordPieceOptions::uncased();
    vec![
        uncased,
        WordPieceOptions::cased(),
        WordPieceOptions { accents: Accents::Keep, ..uncased },
        WordPieceOptions { accents: Accents::Strip, ..WordPieceOptions::cased() },
        WordPieceOptions { split_cjk: false, ..uncased },
    ]
}

/// A tokenizer of ours and the crate's own of the same file.
struct Both {
    ours: Tokenizer,
    crates: tokenizers::Tokenizer,
    /// The crate's without post-processor: what it makes of a text does not know yet which of a pair it is.
    bare: tokenizers::Tokenizer,
}

impl Both {
    fn of(ours: Tokenizer) -> Self {
        let json = ours.to_json().unwrap();
        let crates = tokenizers::Tokenizer::from_bytes(json.as_bytes()).unwrap();
        let mut bare = crates.clone();
        bare.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        // Read again, as from a file, so that the crate's part of it is made late.
        Self { ours: Tokenizer::from_json(json.into_bytes()).unwrap(), crates, bare }
    }

    #[track_caller]
    fn compare(&self, text: &str, pair: Option<&str>) {
        let expected = match pair {
            Some(pair) => self.crates.encode((text, pair), true).unwrap(),
            None => self.crates.encode(text, true).unwrap(),
        };
        let got = self.ours.encode(text, pair, Limit::unlimited()).unwrap();
        assert_eq!(got.ids, expected.get_ids(), "{text:?} {pair:?}");
        assert_eq!(got.types, expected.get_type_ids(), "{text:?} {pair:?}");
        let located = self.ours.encode_located(text, pair, Limit::unlimited()).unwrap();
        assert_eq!(located.encoding, got, "{text:?} {pair:?}");
        assert_eq!(located.places, places(&expected), "{text:?} {pair:?}");
    }

    /// In windows, cut by the crate.
    #[track_caller]
    fn compare_windows(&self, text: &str, pair: Option<&str>, windows: Windows) {
        let got = self.ours.encode_windows(text, pair, windows);
        let processor = self.crates.get_post_processor().unwrap();
        let first = self.bare.encode(text, false).unwrap();
        let (fixed, mut cut) = match pair {
            Some(pair) => (Some(first), self.bare.encode(pair, false).unwrap()),
            None => (None, first),
        };
        let beside = processor.added_tokens(pair.is_some()) + fixed.as_ref().map_or(0, tokenizers::Encoding::len);
        let room = windows.max_tokens.saturating_sub(beside);
        if beside > windows.max_tokens || (cut.len() > room && room <= windows.overlap) {
            assert!(matches!(got, Err(EncodeError::NoWindow { .. })), "{text:?} {pair:?} {windows:?}: {got:?}");
            return;
        }
        let words = cut.get_word_ids().to_vec();
        if cut.len() > room {
            cut.truncate(room, windows.overlap, TruncationDirection::Right);
        }
        let others = cut.take_overflowing();
        let expected: Vec<_> = std::iter::once(cut)
            .chain(others)
            .map(|cut| match &fixed {
                Some(first) => processor.process(first.clone(), Some(cut), true).unwrap(),
                None => processor.process(cut, None, true).unwrap(),
            })
            .collect();
        let got = got.unwrap();
        assert_eq!(got.len(), expected.len(), "{text:?} {pair:?} {windows:?}");
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got.encoding.ids, expected.get_ids(), "{text:?} {pair:?} {windows:?}");
            assert_eq!(got.encoding.types, expected.get_type_ids(), "{text:?} {pair:?} {windows:?}");
            let mut expected = places(expected);
            // The crate does not tell of the first token of a window whether its word began in the one before.
            let first = index * room.saturating_sub(windows.overlap);
            let cut = usize::from(pair.is_some());
            if let Some(place) = expected.iter_mut().flatten().find(|place| place.text == cut) {
                place.begins_word = first == 0 || words[first - 1] != words[first];
            }
            assert_eq!(got.places, expected, "{text:?} {pair:?} {windows:?}");
        }
    }

    /// Under a limit, cut by the crate between encoding and adding special tokens.
    #[track_caller]
    fn compare_cut(&self, text: &str, pair: Option<&str>, limit: Limit) {
        let got = self.ours.encode(text, pair, limit);
        let processor = self.crates.get_post_processor().unwrap();
        let Some(room) = limit.max_tokens.checked_sub(processor.added_tokens(pair.is_some())) else {
            assert!(matches!(got, Err(EncodeError::LimitTooSmall { .. })), "{text:?} {pair:?} {limit:?}: {got:?}");
            return;
        };
        let first = self.crates.encode_fast(text, false).unwrap();
        let second = pair.map(|pair| self.crates.encode_fast(pair, false).unwrap());
        let lengths = (first.len(), second.as_ref().map_or(0, tokenizers::Encoding::len));
        let strategy = match limit.truncation {
            Truncation::LongestFirst => TruncationStrategy::LongestFirst,
            Truncation::OnlyFirst => TruncationStrategy::OnlyFirst,
            Truncation::OnlySecond => TruncationStrategy::OnlySecond,
        };
        let direction = TruncationDirection::Right;
        let parameters = TruncationParams { direction, max_length: room, strategy, stride: 0 };
        match truncate_encodings(first, second, &parameters) {
            // The crate cuts everything away where we refuse.
            Ok(_) if room == 0 && lengths != (0, 0) => {
                assert!(matches!(got, Err(EncodeError::LimitTooSmall { .. })), "{text:?} {pair:?} {limit:?}: {got:?}");
            }
            Ok((first, second)) => {
                let expected = processor.process(first, second, true).unwrap();
                let got = got.unwrap();
                assert_eq!(got.ids, expected.get_ids(), "{text:?} {pair:?} {limit:?}");
                assert_eq!(got.types, expected.get_type_ids(), "{text:?} {pair:?} {limit:?}");
            }
            Err(_) => match got {
                Err(EncodeError::CannotTruncate { first_length, second_length, .. }) => {
                    assert_eq!((first_length, second_length), lengths, "{text:?} {pair:?} {limit:?}");
                }
                other => panic!("{text:?} {pair:?} {limit:?}: {other:?}"),
            },
        }
    }
}

/// What the crate says of where tokens come from.
fn places(encoding: &tokenizers::Encoding) -> Vec<Option<TokenPlace>> {
    let (words, texts) = (encoding.get_word_ids(), encoding.get_sequence_ids());
    let place = |token: usize| {
        if encoding.get_special_tokens_mask()[token] == 1 {
            return None;
        }
        let (start, end) = encoding.get_offsets()[token];
        let goes_on = token > 0 && texts[token - 1] == texts[token] && words[token - 1] == words[token];
        Some(TokenPlace { text: texts[token].unwrap(), bytes: start..end, begins_word: !goes_on })
    };
    (0..encoding.len()).map(place).collect()
}

fn all_variants() -> Vec<Both> {
    variants().into_iter().map(|options| Both::of(Tokenizer::from_vocabulary(vocabulary(), options).unwrap())).collect()
}

/// Text that comes near everything a tokenizer tells apart.
fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "the",
        "Tokenization",
        "unaffordable",
        "INTERNATIONALISATION",
        "don't",
        "Straße",
        "ÉTÉ",
        "e\u{301}te\u{301}",
        "İstanbul",
        "ΣΊΣΥΦΟΣ",
        "ǅ",
        "ﬁ",
        "中文字",
        "カナひ",
        "가나",
        "각",
        "🙂",
        "𝔸",
        "[MASK]",
        "[mask]",
        "[SEP]",
        "[MASK",
        "[[CLS]]",
        "##ab",
        "\u{344}",
        "\u{f73}\u{f72}",
        "\u{302e}\u{302f}",
        "\u{1d165}",
        "a\u{323}\u{307}",
        "\u{37e}",
        "≠",
        "≮",
        "\u{fa30}",
        "\u{2f800}",
        "\u{a0}",
        "\u{2028}",
        "\u{200b}",
        "\u{200d}",
        "\u{ad}",
        "\u{feff}",
        "\u{fffd}",
        "\u{e000}",
        "\u{378}",
        "\u{1f8ff}",
        "\u{10ffff}",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\t",
        "\r\n",
        "\u{b}",
        "\u{c}",
    ]);
    let run = (
        "[a-zA-Z0-9]|[xz]|é|中|ß",
        prop::sample::select(vec![1_usize, 2, 7, 8, 9, 15, 16, 17, 24, 33, 99, 100, 101, 150]),
    )
        .prop_map(|(character, length)| character.repeat(length));
    let pieces = prop_oneof![
        4 => words.prop_map(str::to_owned),
        3 => "[ -~]{0,12}",
        3 => "[a-zA-Z]{1,20}",
        1 => run,
        2 => any::<char>().prop_map(String::from),
        1 => "[\u{0}-\u{2ff}]{0,6}",
        1 => "[\u{300}-\u{36f}a]{1,5}",
        1 => "[\u{900}-\u{1cff}]{0,4}",
        3 => Just(" ".to_owned()),
    ];
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn limit() -> impl Strategy<Value = Limit> {
    let truncation =
        prop::sample::select(vec![Truncation::LongestFirst, Truncation::OnlyFirst, Truncation::OnlySecond]);
    (0_usize..40, truncation).prop_map(|(max_tokens, truncation)| Limit { max_tokens, truncation })
}

#[test]
fn any_text() {
    let all = all_variants();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) };
    proptest!(config, |(text in text(), pair in prop::option::weighted(0.2, text()), limit in limit(), overlap in 0_usize..6)| {
        for both in &all {
            both.compare(&text, pair.as_deref());
        }
        all[0].compare_cut(&text, pair.as_deref(), limit);
        let windows = Windows { max_tokens: limit.max_tokens, overlap };
        all[0].compare_windows(&text, pair.as_deref(), windows);
    });
}

/// Every character: alone, inside and at the ends of words, and between marks of two classes. Of long
/// runs of alike or unassigned characters there are samples.
#[test]
fn every_character() {
    let all = all_variants();
    let whole = [
        '\0'..'\u{3400}',
        '\u{a000}'..'\u{ac00}',
        '\u{f900}'..'\u{13000}',
        '\u{1d000}'..'\u{1fb00}',
        '\u{e0000}'..'\u{e0200}',
    ];
    let sampled = |c: &char| whole.iter().any(|range| range.contains(c)) || (*c as u32).is_multiple_of(61);
    let characters: Vec<char> = ('\0'..=char::MAX).filter(sampled).collect();
    for both in &all[..4] {
        for some in characters.chunks(64) {
            // Added tokens divide the text, so each stands for a text of its own.
            let text: String = some
                .iter()
                .map(|c| {
                    format!("{c}[SEP]{c}ab {c} cat{c}sat the{c}[SEP]\u{301}{c}\u{323}[SEP]a\u{302e}{c}\u{302f}\u{301}")
                })
                .collect();
            both.compare(&text, None);
        }
    }
}

#[test]
fn edges() {
    let all = all_variants();
    let texts = [
        "",
        " ",
        "a",
        "ab",
        "#",
        "##",
        "a#b",
        "[",
        "[M",
        "[MASK]",
        "[MASK][MASK]",
        "x[MASK]y",
        "[MASK]]",
        "[[MASK]",
        "[mask]",
        "\0",
        "a\0b",
        "\0[MASK]\0",
        "ab\u{301}",
        "\u{301}",
        "\u{301}ab",
        "ab[SEP]\u{301}ab",
    ];
    for both in &all {
        for text in texts {
            both.compare(text, None);
            both.compare(text, Some("ab"));
            both.compare("ab", Some(text));
        }
        for length in 0..=120 {
            for unit in ["a", "z", "x", "é", "A", "中", "9", "e\u{301}"] {
                let word = unit.repeat(length);
                for text in
                    [word.clone(), format!("{word} "), format!(" {word}."), format!("{word}é"), format!("a{word}[SEP]")]
                {
                    both.compare(&text, None);
                }
            }
        }
    }
}

#[test]
fn every_limit() {
    let both = &all_variants()[0];
    let texts =
        ["", "a", "the cat", "the cat sat unaffordable", "x y z [MASK] a b c d e f g", "\u{302e}\u{302f} a b c d"];
    for text in texts {
        for pair in texts.map(Some).into_iter().chain([None]) {
            for max_tokens in 0..24 {
                for truncation in [Truncation::LongestFirst, Truncation::OnlyFirst, Truncation::OnlySecond] {
                    both.compare_cut(text, pair, Limit { max_tokens, truncation });
                }
            }
        }
    }
}

#[test]
fn buffers_are_appended_to() {
    let both = &all_variants()[0];
    let mut together = Encodings::default();
    let rows = [
        ("the cat", None),
        ("", Some("sat [MASK]")),
        ("\u{302e}\u{302f} cat", None),
        ("é".repeat(120).leak(), Some("")),
    ];
    for _ in 0..2 {
        together.clear();
        assert!(together.is_empty());
        let (mut ids, mut types) = (Vec::new(), Vec::new());
        for (text, pair) in rows {
            let alone = both.ours.encode(text, pair, Limit::new(7)).unwrap();
            assert_eq!(together.push(&both.ours, text, pair, Limit::new(7)).unwrap(), alone.len());
            assert!(together.push(&both.ours, text, pair, Limit::new(1)).is_err());
            ids.extend(alone.ids);
            types.extend(alone.types);
        }
        assert_eq!((&together.ids, &together.types), (&ids, &types));
        assert_eq!(together.len(), rows.len());
    }
}

/// BERT's own post-processor, and none, as well as the template.
#[test]
fn other_layouts() {
    let file: serde_json::Value = serde_json::from_str(&all_variants()[0].ours.to_json().unwrap()).unwrap();
    let bert = serde_json::json!({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]});
    let roberta = serde_json::json!(
        {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": true, "add_prefix_space": false}
    );
    for processor in [bert, roberta] {
        let mut file = file.clone();
        file["post_processor"] = processor;
        let both = Both::of(Tokenizer::from_json(file.to_string().into_bytes()).unwrap());
        for (text, pair) in [("the cat", None), ("the", Some("cat sat")), ("", Some("")), ("", None)] {
            both.compare(text, pair);
            for max_tokens in 4..8 {
                both.compare_cut(text, pair, Limit::new(max_tokens));
            }
        }
    }
}

/// Tokens that the direct way does not look for: their texts take the crate's way.
#[test]
fn tokens_of_another_kind() {
    let mut file: serde_json::Value = serde_json::from_str(&all_variants()[0].ours.to_json().unwrap()).unwrap();
    for (token, lstrip, normalized) in [("[MASK]", true, false), ("[UNK]", false, true)] {
        let added = file["added_tokens"].as_array_mut().unwrap();
        let known = added.iter_mut().find(|known| known["content"] == token).unwrap();
        known["lstrip"] = lstrip.into();
        known["normalized"] = normalized.into();
    }
    let both = Both::of(Tokenizer::from_json(file.to_string().into_bytes()).unwrap());
    let texts =
        ["the cat", "the [MASK] cat", "[UNK]", "[unk] cat", "x [mask]", "[", "été", "\u{ff3b}UNK]", "a[SEP]b", ""];
    for text in texts {
        both.compare(text, None);
        both.compare(text, Some("the cat"));
        both.compare("the cat", Some(text));
        both.compare_cut(text, Some("the cat sat"), Limit::new(6));
        both.compare_windows("the cat", Some(text), Windows { max_tokens: 8, overlap: 1 });
    }
}

/// Real vocabulary and real text.
#[test]
#[ignore = "needs the data sets of ../shared"]
fn real_text() {
    let (tokenizer, reviews) = (shared("data/tokenizer/bert-base-uncased"), shared("data/glue/SST-2/dev.tsv"));
    let both = Both::of(Tokenizer::from_dir(&tokenizer).unwrap());
    let text = std::fs::read_to_string(reviews).unwrap();
    let mut compared = 0;
    for line in text.lines() {
        both.compare(line, None);
        both.compare_cut(line, None, Limit::new(16));
        compared += 1;
    }
    assert!(compared > 800, "{compared} lines");
}
