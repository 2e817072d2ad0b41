//! Small files of the system, with errors that name them.

use std::path::Path;

use super::SourceError;

/// The trimmed text of a file.
pub(super) fn text(path: &Path) -> Result<String, SourceError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(SourceError::File { path: path.to_owned(), error }),
    }
}

/// A file that holds one whole number.
pub(super) fn number(path: &Path) -> Result<u64, SourceError> {
    let text = text(path)?;
    text.parse().map_err(|_| content(path, "a whole number", &text))
}

/// The error of a file that holds something else, with its beginning.
pub(super) fn content(path: &Path, expected: &'static str, got: &str) -> SourceError {
    SourceError::Content { path: path.to_owned(), expected, got: got.chars().take(40).collect() }
}
