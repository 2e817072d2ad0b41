//! Any bytes as a `config.json`: an error or a valid configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice(bytes) else { return };
    if let Ok(config) = attar_model::hf_config::parse(json) {
        _ = config.validate();
    }
});
