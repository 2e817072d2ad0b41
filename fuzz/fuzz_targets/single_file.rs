//! Any bytes as a model in one file: an error, or a configuration that holds.

#![no_main]

use attar_model::{Bundle, ModelFiles, ReadWeights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(files) = ModelFiles::from_bytes("fuzzed.attar".as_ref(), bytes) else { return };
    if let Ok(bundle) = Bundle::read_from(&files, ReadWeights::All) {
        bundle.config.validate().expect("what was read was checked");
    }
});
