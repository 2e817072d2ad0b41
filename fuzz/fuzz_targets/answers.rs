//! Any bytes as questions with answers: answers that are parts of their contexts, or an error.

#![no_main]

use std::io::Write;

use attar_text::labeled::{Label, read_answers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("the folder of temporary files is writable");
    file.write_all(bytes).expect("the disk has room");
    if let Ok(data) = read_answers(file.path()) {
        assert_eq!(data.answers().is_some(), data.examples.iter().all(|row| row.label != Label::Absent));
        assert!(data.answers().into_iter().flatten().flatten().all(|answer| !answer.trim().is_empty()));
    }
});
