//! Where the real teacher is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::shared;

/// The directory of all-MiniLM-L6-v2, or `None` with a notice where it cannot be had.
///
/// It is where `ATTAR_TEACHER` points, or where the shared folder's tool puts it: below the target
/// folder, by a download of 84 MB the first time.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn teacher() -> Option<PathBuf> {
    static TEACHER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = TEACHER.get_or_init(|| match std::env::var_os("ATTAR_TEACHER") {
        Some(teacher) => Some(PathBuf::from(teacher)),
        None => fetched(&shared("tools/get-teacher")?),
    });
    if found.is_none() {
        eprintln!("skipped: no teacher all-MiniLM-L6-v2 (set ATTAR_TEACHER to its directory)");
    }
    found.clone()
}

fn fetched(tool: &Path) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/assets/all-MiniLM-L6-v2");
    let output = Command::new(tool).arg(folder).output().ok()?;
    // The last line of its output is the directory.
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim_end().lines().last().unwrap_or_default()))
}
