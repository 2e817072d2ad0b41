//! Says what a model directory holds.
//!
//! Run with `cargo run -p attar-model --example inspect -- DIRECTORY`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::PathBuf;

use attar_model::{Error, Size, checkpoint, fingerprint, flops};

fn main() -> Result<(), Error> {
    let dir = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let loaded = checkpoint::load(&dir)?;
    let (config, size) = (&loaded.config, Size::of(&loaded.config));
    println!("{:?}, {} layers, {} wide, {} heads", config.family, config.layers, config.hidden, config.heads);
    println!(
        "{} parameters, {:.1} MB as f32, {:.1} MB as int8",
        size.parameters(),
        mega(size.bytes_f32()),
        mega(size.bytes_int8())
    );
    println!("{:.3} GFLOP for 128 tokens", flops(config, 128).total() / 1e9);
    println!("fingerprint {}", fingerprint(config, &loaded.weights));
    for source in &loaded.sources {
        println!("{}: sha256 {}", source.path.display(), source.sha256);
    }
    for (what, names) in
        [("ignored", &loaded.ignored), ("unexpected", &loaded.unexpected), ("missing", &loaded.missing)]
    {
        for name in names {
            println!("{what}: {name}");
        }
    }
    Ok(())
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
