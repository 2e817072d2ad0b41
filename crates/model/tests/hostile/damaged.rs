//! Honest files cut short or with bytes turned over.

use std::path::PathBuf;

use attar_model::{Bundle, checkpoint};

use crate::{assert_memory_is_bounded, read};

/// Name to write it under, and its bytes.
fn honest_files() -> Option<Vec<(&'static str, Vec<u8>)>> {
    let forward = attar_testing::shared("fixtures/forward")?;
    let file = |name: &'static str, path: &str| (name, std::fs::read(forward.join(path)).unwrap());
    Some(vec![
        file("model.safetensors", "cls2_h36/model.safetensors"),
        file("model.safetensors", "bin_storage/expected.safetensors"),
        file("pytorch_model.bin", "cls2_h36_bin_zip/pytorch_model.bin"),
        file("pytorch_model.bin", "mlm_h20_bin_legacy_gamma/pytorch_model.bin"),
        file("pytorch_model.bin", "bin_storage/zip.bin"),
        file("pytorch_model.bin", "bin_storage/legacy.bin"),
    ])
}

#[test]
fn cut_anywhere_they_are_refused() {
    let Some(files) = honest_files() else { return };
    for (name, bytes) in files {
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
    let Some(files) = honest_files() else { return };
    let (mut refused, mut all) = (0, 0);
    for (name, bytes) in files {
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
    let Some(forward) = attar_testing::shared("fixtures/forward") else { return };
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| std::fs::copy(from, dir.path().join(to)).unwrap();
    copy(forward.join("cls2_h36/config.json"), "config.json");
    let weights = std::fs::read(forward.join("cls2_h36_bin_zip/pytorch_model.bin")).unwrap();
    for length in (0..weights.len()).step_by(9973) {
        std::fs::write(dir.path().join("pytorch_model.bin"), &weights[..length]).unwrap();
        assert!(checkpoint::load(dir.path()).is_err(), "{length}");
    }
    std::fs::write(dir.path().join("pytorch_model.bin"), &weights).unwrap();
    checkpoint::load(dir.path()).unwrap();
}

#[test]
fn a_bundle_of_damaged_files_is_refused() {
    let Some(forward) = attar_testing::shared("fixtures/forward") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(forward.join("cls2_h36/config.json"), dir.path().join("config.json")).unwrap();
    let path = dir.path().join("model.safetensors");
    let weights = std::fs::read(forward.join("cls2_h36/model.safetensors")).unwrap();
    for length in (0..weights.len()).step_by(9973).chain(0..20) {
        std::fs::write(&path, &weights[..length]).unwrap();
        assert!(Bundle::read(dir.path()).is_err(), "{length}");
    }
    let mut refused = 0;
    for place in (0..3000).step_by(13) {
        let mut changed = weights.clone();
        changed[place] ^= 0x01;
        std::fs::write(&path, &changed).unwrap();
        refused += usize::from(Bundle::read(dir.path()).is_err());
    }
    assert!(refused > 150, "{refused}");
    std::fs::write(&path, &weights).unwrap();
    Bundle::read(dir.path()).unwrap();
    assert_memory_is_bounded();
}
