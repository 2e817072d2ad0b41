//! Any bytes as a `tokenizer.json`: an error or a tokenizer, which encodes as the `tokenizers` crate does.

#![no_main]

use std::panic::catch_unwind;
use std::sync::Once;

use attar_text::tokenizer::{Limit, Tokenizer};
use libfuzzer_sys::fuzz_target;

/// The crate panics on some files, which the loader survives; only a panic that gets out counts.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(ours) = Tokenizer::from_json(bytes.to_vec()) else { return };
    let crates = catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes));
    let mut crates = crates.expect("the loader refuses such files").expect("what is read here the crate reads");
    crates.with_padding(None);
    crates.with_truncation(None).expect("nothing to refuse");
    for text in ["", "a rose is a rose", "É [MASK] rose\u{302e}\u{301}, 中daisy!"] {
        for pair in [None, Some("a daisy [SEP]")] {
            let expected = catch_unwind(|| match pair {
                Some(pair) => crates.encode((text, pair), true),
                None => crates.encode(text, true),
            });
            let Ok(expected) = expected else { continue };
            match (ours.encode(text, pair, Limit::unlimited()), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got.ids, expected.get_ids()),
                (Err(_), Err(_)) => {}
                (got, expected) => panic!("{got:?} for {expected:?}"),
            }
        }
    }
    _ = ours.vocabulary();
    _ = ours.to_json();
});
