//! Any bytes as the files of a sentence encoder's directory, with the byte 0x1e between two files: an error, or a
//! configuration with its pooling and prompts.

#![no_main]

use std::fs;

use attar_model::Bundle;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = [
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
];

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    fs::create_dir(folder.path().join("1_Pooling")).expect("a new folder");
    let parts = bytes.split(|&byte| byte == 0x1e);
    for (name, bytes) in NAMES.into_iter().zip(parts).filter(|(_, bytes)| !bytes.is_empty()) {
        fs::write(folder.path().join(name), bytes).expect("the disk has room");
    }
    _ = Bundle::read_pooling(folder.path());
    if let Ok(config) = Bundle::read_config(folder.path()) {
        config.validate().expect("what was read was checked");
    }
    // There are no weights, and that is an error.
    assert!(Bundle::read(folder.path()).is_err());
});
