//! Reads a model directory in whatever format it is and writes it anew: safetensors, f32, current names.
//!
//! Run with `cargo run -p attar-model --example copy -- FROM TO`.

use std::path::PathBuf;

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Error};

fn main() -> Result<(), Error> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (from, to) = (paths.next().unwrap_or_default(), paths.next().unwrap_or_default());
    Bundle::read(&from)?.write(&to, WriteMode::New)
}
