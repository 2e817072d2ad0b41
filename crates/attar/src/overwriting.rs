//! What a command may write over: its own earlier result, and never what it reads.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, ensure};

/// Bytes at the beginning of a file that tell its kind.
const BEGINNING: u64 = 64;

/// Refuses a file to write that is one of the files that are read.
pub(crate) fn check_input_is_kept<'a>(out: &Path, read: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let Ok(out_path) = out.canonicalize() else { return Ok(()) };
    let is_read = read.into_iter().any(|file| file.canonicalize().is_ok_and(|file| file == out_path));
    ensure!(!is_read, "{} is read and cannot be written too: name another --out", out.display());
    Ok(())
}

/// Refuses a file to write where one of another kind is: `is_kind` is told how it begins.
pub(crate) fn check_kind_is_kept(out: &Path, kind: &str, is_kind: impl Fn(&[u8]) -> bool) -> anyhow::Result<()> {
    let file = match File::open(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.with_context(|| format!("cannot look at {}", out.display()))?,
    };
    // A pipe or a terminal has nothing to lose, and reading it would wait.
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning).with_context(|| format!("cannot read {}", out.display()))?;
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
        check_kind_is_kept(&page, "a page", is_page).unwrap();
        std::fs::write(&page, "<!doctype html>").unwrap();
        std::fs::write(&rows, "text,label\n").unwrap();
        check_kind_is_kept(&page, "a page", is_page).unwrap();
        let error = check_kind_is_kept(&rows, "a page", is_page).unwrap_err();
        assert!(
            error.to_string().ends_with("rows.csv exists and is not a page: name another --out, or remove it first")
        );

        check_input_is_kept(&page, [rows.as_path()]).unwrap();
        check_input_is_kept(&folder.path().join("new.csv"), [rows.as_path()]).unwrap();
        let roundabout = folder.path().join(".").join("rows.csv");
        assert!(check_input_is_kept(&roundabout, [page.as_path(), &rows]).is_err());
    }
}
