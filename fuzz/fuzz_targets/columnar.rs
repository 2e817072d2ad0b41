//! Any bytes as a Parquet or Arrow file, as the test `hostile` reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/attar/tests/hostile/shared/columnar.rs"]
mod columnar;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    columnar::read_columns(bytes, folder.path());
});
