//! Any bytes as questions with answers, as the test `hostile` reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/attar/tests/hostile/shared/answers.rs"]
mod answers;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    answers::read_questions(bytes, folder.path());
});
