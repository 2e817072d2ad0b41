//! Files made to hurt: each must be an error, without a panic and without taking memory it is not worth.
//!
//! The binary counts what it allocates. Its largest honest file has 600 kB, so the bound is far above
//! anything reading such files can need, and far below anything a lying header asks for.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

mod builders;
mod config;
mod damaged;
mod quantized;
mod safetensors_headers;
mod torch_files;

use std::path::Path;

use attar_model::{Error, WeightsFile};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most bytes all tests of this binary together may hold at one time: they run side by side, and the
/// longest program a pickle machine runs takes some 40 MB.
const MEMORY_LIMIT: usize = 160 << 20;

#[track_caller]
fn assert_memory_is_bounded() {
    let peak = MEMORY.peak_usage();
    assert!(peak < MEMORY_LIMIT, "{peak} bytes were allocated at one time");
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Reads the bytes as a file of that name and decodes everything in it.
fn read(name: &str, bytes: &[u8]) -> Result<usize, Error> {
    let file = WeightsFile::from_bytes(Path::new(name), bytes.to_vec())?;
    for (name, tensor) in file.tensors() {
        if tensor.element_type().is_float() {
            file.floats(name)?;
        } else {
            _ = file.integers(name);
        }
    }
    Ok(file.tensors().len())
}

#[track_caller]
fn refused(name: &str, bytes: &[u8]) -> String {
    match read(name, bytes) {
        Err(error) => chain(&error),
        Ok(count) => panic!("{name} was read, {count} tensors"),
    }
}

#[test]
fn the_memory_counter_counts() {
    let before = MEMORY.peak_usage();
    let held = vec![1u8; 3 << 20];
    assert!(MEMORY.current_usage() >= held.len() && before > 0);
}
