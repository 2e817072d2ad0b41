//! Any bytes as a table of labeled text, as the test `hostile` reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/attar/tests/hostile/shared/table.rs"]
mod table;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("the folder of temporary files is writable");
    table::read_table(bytes, folder.path());
});
