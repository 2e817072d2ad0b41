//! Tests through the public interface; those of hostile files are a binary of their own.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

mod atomic;
mod bundle;
mod card;
mod checkpoint;
mod common;
mod fixtures;
mod hf_config;
mod published;
mod quantize;
mod quantized;
mod round_trip;
mod single_file;
mod size;
mod teacher;
