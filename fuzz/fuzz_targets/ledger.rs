//! Any bytes as a ledger: windows that can be added up, or an error.

#![no_main]

use std::io::Write;

use attar_meter::{Ledger, Totals};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("the folder of temporary files is writable");
    file.write_all(bytes).expect("the disk has room");
    if let Ok(contents) = Ledger::read(file.path()) {
        _ = Totals::from_windows(&contents.windows);
    }
});
