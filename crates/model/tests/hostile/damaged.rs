//! Honest files cut short or with bytes turned over.

use std::path::PathBuf;

use attar_model::{Bundle, checkpoint};
use attar_testing::{FixtureModel, fixture_models, fixtures};

use crate::{assert_memory_is_bounded, read};

/// A model with a `pytorch_model.bin` whose format begins with `format`, and that file.
fn with_bin(format: &str) -> (FixtureModel, PathBuf) {
    let of = |model: FixtureModel| {
        let (_, bin) = model.bins.iter().find(|(kind, _)| kind.starts_with(format))?.clone();
        Some((model, bin.join("pytorch_model.bin")))
    };
    fixture_models().into_iter().find_map(of).expect("a fixture in every format")
}

/// Name to write it under, and its bytes.
fn honest_files() -> Vec<(&'static str, Vec<u8>)> {
    let file = |name: &'static str, path: PathBuf| (name, std::fs::read(path).unwrap());
    let ((model, zip), (_, stream)) = (with_bin("zip"), with_bin("legacy"));
    let storage = fixtures("forward/bin_storage");
    vec![
        file("model.safetensors", model.dir.join("model.safetensors")),
        file("model.safetensors", storage.join("expected.safetensors")),
        file("pytorch_model.bin", zip),
        file("pytorch_model.bin", stream),
        file("pytorch_model.bin", storage.join("zip.bin")),
        file("pytorch_model.bin", storage.join("legacy.bin")),
    ]
}

#[test]
fn cut_anywhere_they_are_refused() {
    for (name, bytes) in honest_files() {
        assert!(read(name, &bytes).is_ok(), "{name} is not honest");
        let lengths = (0..bytes.len()).step_by(97).chain(0..bytes.len().min(300)).chain(bytes.len() - 40..bytes.len());
        for length in lengths {
            if let Ok(count) = read(name, &bytes[..length]) {
                panic!("{name} of {} bytes was read at {length}, {count} tensors", bytes.len());
            }
        }
    }
    assert_memory_is_bounded();
}

#[test]
fn with_any_byte_changed_they_do_no_harm() {
    let (mut refused, mut all) = (0, 0);
    for (name, bytes) in honest_files() {
        // Headers and programs stand at the start, the directory of an archive at the end.
        let places =
            (0..bytes.len().min(3000)).step_by(5).chain((bytes.len().saturating_sub(3000)..bytes.len()).step_by(7));
        for place in places {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                refused += usize::from(read(name, &changed).is_err());
                all += 1;
            }
        }
    }
    assert!(refused > 100 && refused < all, "{refused} of {all}");
    assert_memory_is_bounded();
}

#[test]
fn a_directory_of_damaged_files_is_refused() {
    let (model, bin) = with_bin("zip");
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| std::fs::copy(from, dir.path().join(to)).unwrap();
    copy(model.dir.join("config.json"), "config.json");
    let weights = std::fs::read(bin).unwrap();
    for length in (0..weights.len()).step_by(9973) {
        std::fs::write(dir.path().join("pytorch_model.bin"), &weights[..length]).unwrap();
        assert!(checkpoint::load(dir.path()).is_err(), "{length}");
    }
    std::fs::write(dir.path().join("pytorch_model.bin"), &weights).unwrap();
    checkpoint::load(dir.path()).unwrap();
}

#[test]
fn a_bundle_of_damaged_files_is_refused() {
    let (model, _) = with_bin("zip");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(model.dir.join("config.json"), dir.path().join("config.json")).unwrap();
    let path = dir.path().join("model.safetensors");
    let weights = std::fs::read(model.dir.join("model.safetensors")).unwrap();
    for length in (0..weights.len()).step_by(9973).chain(0..20) {
        std::fs::write(&path, &weights[..length]).unwrap();
        assert!(Bundle::read(dir.path()).is_err(), "{length}");
    }
    // Where the numbers lie, any byte is as good as another.
    let header = 8 + u64::from_le_bytes(*weights.first_chunk().unwrap()) as usize;
    let (mut refused, mut all) = (0, 0);
    for place in (0..header).step_by(13) {
        let mut changed = weights.clone();
        changed[place] ^= 0x01;
        std::fs::write(&path, &changed).unwrap();
        refused += usize::from(Bundle::read(dir.path()).is_err());
        all += 1;
    }
    assert!(refused * 2 > all, "{refused} of {all}");
    std::fs::write(&path, &weights).unwrap();
    Bundle::read(dir.path()).unwrap();
    assert_memory_is_bounded();
}
