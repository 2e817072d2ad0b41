//! Any bytes as a file of weights, safetensors or PyTorch: an error or tensors that can be read.

#![no_main]

use std::path::Path;

use attar_model::WeightsFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let Ok(file) = WeightsFile::from_bytes(Path::new(name), bytes.to_vec()) else { continue };
        for (name, tensor) in file.tensors() {
            // A tensor may repeat its numbers, but a file of bytes must not fill the memory.
            let elements: usize = tensor.shape().iter().product();
            assert!(elements <= bytes.len(), "{name} holds {elements} of {} bytes", bytes.len());
            _ = file.floats(name);
            _ = file.integers(name);
        }
    }
});
