//! Any text, in any of BERT's ways of cleaning: the ids and places are those of the `tokenizers` crate.

#![no_main]

use std::sync::LazyLock;

use attar_text::tokenizer::{Accents, Limit, Tokenizer, TrainOptions, WordPieceOptions, train_wordpiece};
use libfuzzer_sys::fuzz_target;

static TOKENIZERS: LazyLock<Vec<(Tokenizer, tokenizers::Tokenizer)>> = LazyLock::new(|| {
    let text = [
        "the quick brown fox jumps over the lazy dog, internationally: tokenization tokenizes tokens (unaffordable)!",
        "THE Straße résumé naïve ΣΊΣΥΦΟΣ İstanbul 中文 字 가나 カナ 0123456789 e\u{301}a\u{323}",
    ];
    let trained = train_wordpiece(text.repeat(3), TrainOptions { lowercase: false, ..TrainOptions::new(600) });
    let vocabulary = trained.expect("there is text").vocabulary().expect("no gaps");
    let uncased = WordPieceOptions::uncased();
    let variants = [
        uncased,
        WordPieceOptions::cased(),
        WordPieceOptions { accents: Accents::Keep, ..uncased },
        WordPieceOptions { accents: Accents::Strip, ..WordPieceOptions::cased() },
        WordPieceOptions { split_cjk: false, ..uncased },
    ];
    let both = |options| {
        let ours = Tokenizer::from_vocabulary(vocabulary.clone(), options).expect("special tokens are there");
        let json = ours.to_json().expect("it can be written");
        let crates = tokenizers::Tokenizer::from_bytes(&json).expect("it was just written");
        (ours, crates)
    };
    variants.map(both).into()
});

fuzz_target!(|input: (u8, &str, Option<&str>)| {
    let (variant, text, pair) = input;
    let (ours, crates) = &TOKENIZERS[usize::from(variant) % TOKENIZERS.len()];
    let expected = match pair {
        Some(pair) => crates.encode((text, pair), true),
        None => crates.encode(text, true),
    };
    let expected = expected.expect("[UNK] is there");
    let located = ours.encode_located(text, pair, Limit::unlimited()).expect("[UNK] is there");
    assert_eq!(located.encoding.ids, expected.get_ids());
    for (place, &(start, end)) in located.places.iter().zip(expected.get_offsets()) {
        assert_eq!(place.as_ref().map_or(0..0, |place| place.bytes.clone()), start..end);
    }
    let got = ours.encode(text, pair, Limit::unlimited()).expect("[UNK] is there");
    assert_eq!(got.ids, expected.get_ids());
    assert_eq!(got.types, expected.get_type_ids());
    let cut = ours.encode(text, pair, Limit::new(16)).expect("there is room");
    assert_eq!(cut.len(), got.len().min(16));
    if pair.is_none() {
        assert_eq!(cut.ids[..cut.len() - 1], got.ids[..cut.len() - 1]);
    }
});
