//! Any bytes as a file of quantized weights: an error, or matrices that can be read back.

#![no_main]

use std::io::Write;

use attar_model::quantized::QuantizedWeights;
use attar_model::{EncoderConfig, Head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let config = EncoderConfig {
        layers: 1,
        hidden: 4,
        heads: 2,
        feed_forward: 6,
        vocabulary: 5,
        positions: 3,
        pooler: false,
        head: Head::None,
        ..EncoderConfig::bert_base()
    };
    let mut file = tempfile::NamedTempFile::new().expect("the folder of temporary files is writable");
    file.write_all(bytes).expect("the disk has room");
    if let Ok(weights) = QuantizedWeights::read(file.path(), &config) {
        weights.dequantize().check(&config).expect("what was read was checked");
    }
});
