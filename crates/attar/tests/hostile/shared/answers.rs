//! Questions with answers: answers that are parts of their contexts, or an error.

use std::path::Path;

use attar_text::labeled::{Label, read_answers};

/// Reads these bytes as a file of this folder.
pub(crate) fn read_questions(bytes: &[u8], folder: &Path) {
    let path = folder.join("questions.json");
    std::fs::write(&path, bytes).expect("the disk has room");
    if let Ok(data) = read_answers(&path) {
        assert_eq!(data.answers().is_some(), data.examples.iter().all(|row| row.label != Label::Absent));
        assert!(data.answers().into_iter().flatten().flatten().all(|answer| !answer.trim().is_empty()));
    }
}
