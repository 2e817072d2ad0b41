//! Any bytes after the first, which says how, as a file of raw text, plain or packed by gzip or zstd: lines or an error, and no more of them than it holds.

#![no_main]

use attar_text::corpus::Corpus;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["text.txt", "text.txt.gz", "text.txt.zst"];

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    let path = folder.path().join(NAMES[usize::from(kind) % NAMES.len()]);
    std::fs::write(&path, bytes).expect("the disk has room");
    let Ok(mut corpus) = Corpus::open(&[&path]) else { return };
    // A small packed file may hold a lot: the first lines will do.
    for line in corpus.by_ref().take(10_000) {
        assert!(!line.contains('\n'), "a line of two lines");
    }
    _ = corpus.finish();
});
