//! Any bytes as a `vocab.txt` and the small files around it, with the byte 0x1e between two files: an error or a tokenizer,
//! which encodes any text (the last part) into ids that it has.

#![no_main]

use std::fs;

use attar_text::tokenizer::{Limit, Tokenizer};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["vocab.txt", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"];

fuzz_target!(|bytes: &[u8]| {
    let mut parts: Vec<&[u8]> = bytes.split(|&byte| byte == 0x1e).collect();
    let text = String::from_utf8_lossy(parts.pop().unwrap_or_default());
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    for (name, bytes) in NAMES.into_iter().zip(parts).filter(|(_, bytes)| !bytes.is_empty()) {
        fs::write(folder.path().join(name), bytes).expect("the disk has room");
    }
    let Ok(tokenizer) = Tokenizer::from_dir(folder.path()) else { return };
    for pair in [None, Some("a daisy [SEP]")] {
        if let Ok(encoding) = tokenizer.encode(&text, pair, Limit::new(64)) {
            let known = tokenizer.vocabulary_size();
            assert!(encoding.len() <= 64, "{} tokens", encoding.len());
            assert!(encoding.ids.iter().all(|&id| (id as usize) < known), "{:?} of {known}", encoding.ids);
        }
    }
    _ = tokenizer.to_json();
});
