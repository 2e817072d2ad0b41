//! Keeps a command from overwriting its inputs, or a file of another kind than it writes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, ensure};

/// Bytes at the beginning of a file that tell its kind.
const BEGINNING: u64 = 64;

/// Fails if `out` is one of the input files.
pub(crate) fn refuse_overwriting_input<'a>(out: &Path, read: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let Ok(out_path) = out.canonicalize() else { return Ok(()) };
    let is_read = read.into_iter().any(|file| file.canonicalize().is_ok_and(|file| file == out_path));
    ensure!(!is_read, "{} is an input and cannot also be the output: name another --out", out.display());
    Ok(())
}

/// Fails if `out` is a folder, or exists and is of another kind, which `is_kind` judges by the file's first bytes.
pub(crate) fn refuse_overwriting_other_kind(
    out: &Path,
    kind: &str,
    is_kind: impl Fn(&[u8]) -> bool,
) -> anyhow::Result<()> {
    let metadata = match fs::metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.with_context(|| format!("cannot read {}", out.display()))?,
    };
    ensure!(!metadata.is_dir(), "{} is a folder: name a file as --out", out.display());
    // A pipe or a terminal has nothing to lose, and opening it would wait.
    if !metadata.is_file() {
        return Ok(());
    }
    let mut beginning = Vec::new();
    let read = File::open(out).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    read.with_context(|| format!("cannot read {}", out.display()))?;
    ensure!(
        beginning.is_empty() || is_kind(&beginning),
        "{} exists and is not {kind}: name another --out, or remove it first",
        out.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_the_same_kind_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let [page, rows] = ["page.html", "rows.csv"].map(|name| folder.path().join(name));
        let is_page = |beginning: &[u8]| beginning.starts_with(b"<!");
        refuse_overwriting_other_kind(&page, "a page", is_page).unwrap();
        fs::write(&page, "<!doctype html>").unwrap();
        fs::write(&rows, "text,label\n").unwrap();
        refuse_overwriting_other_kind(&page, "a page", is_page).unwrap();
        let error = refuse_overwriting_other_kind(&rows, "a page", is_page).unwrap_err();
        assert!(
            error.to_string().ends_with("rows.csv exists and is not a page: name another --out, or remove it first")
        );
        let error = refuse_overwriting_other_kind(folder.path(), "a page", is_page).unwrap_err();
        assert!(error.to_string().ends_with("is a folder: name a file as --out"), "{error}");
        #[cfg(unix)]
        refuse_overwriting_other_kind(Path::new("/dev/null"), "a page", is_page).unwrap();
    }

    #[test]
    fn an_input_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let [page, rows] = ["page.html", "rows.csv"].map(|name| folder.path().join(name));
        for file in [&page, &rows] {
            fs::write(file, "text").unwrap();
        }
        refuse_overwriting_input(&page, [rows.as_path()]).unwrap();
        refuse_overwriting_input(&folder.path().join("new.csv"), [rows.as_path()]).unwrap();
        let roundabout = folder.path().join(".").join("rows.csv");
        assert!(refuse_overwriting_input(&roundabout, [page.as_path(), &rows]).is_err());
    }
}
