//! What the repository does not hold: data sets and the pretrained teacher.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path `relative` below the shared folder, if it exists: `../shared` beside the checkout, or where
/// `ATTAR_SHARED` points.
pub fn find_shared(relative: &str) -> Option<PathBuf> {
    let path = shared_root().join(relative);
    path.exists().then_some(path)
}

/// As [`find_shared`], for tests that are ignored unless asked for.
///
/// # Panics
/// If the path does not exist.
#[track_caller]
pub fn shared(relative: &str) -> PathBuf {
    match find_shared(relative) {
        Some(path) => path,
        None => panic!("no {relative} in {}: set ATTAR_SHARED to the folder that holds it", shared_root().display()),
    }
}

fn shared_root() -> PathBuf {
    match std::env::var_os("ATTAR_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    }
}

/// The directory of all-MiniLM-L6-v2, for tests that are ignored unless asked for: where `ATTAR_TEACHER` points, or
/// where the shared folder's tool puts it, below the target folder, by a download of 84 MB the first time.
///
/// # Panics
/// If it cannot be had.
#[track_caller]
pub fn teacher() -> PathBuf {
    static TEACHER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = TEACHER.get_or_init(|| match std::env::var_os("ATTAR_TEACHER") {
        Some(teacher) => Ok(PathBuf::from(teacher)),
        None => fetched("get-teacher", "all-MiniLM-L6-v2"),
    });
    match found {
        Ok(teacher) => teacher.clone(),
        Err(why) => panic!("no teacher all-MiniLM-L6-v2, set ATTAR_TEACHER to its directory: {why}"),
    }
}

/// The directory of all-mpnet-base-v2, for tests that are ignored unless asked for: where `ATTAR_BASE_TEACHER` points, or
/// where the shared folder's tool puts it, below the target folder, by a download of 440 MB the first time.
///
/// # Panics
/// If it cannot be had.
#[track_caller]
pub fn base_teacher() -> PathBuf {
    static TEACHER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = TEACHER.get_or_init(|| match std::env::var_os("ATTAR_BASE_TEACHER") {
        Some(teacher) => Ok(PathBuf::from(teacher)),
        None => fetched("get-base-teacher", "all-mpnet-base-v2"),
    });
    match found {
        Ok(teacher) => teacher.clone(),
        Err(why) => panic!("no teacher all-mpnet-base-v2, set ATTAR_BASE_TEACHER to its directory: {why}"),
    }
}

#[track_caller]
fn fetched(tool: &str, name: &str) -> Result<PathBuf, String> {
    let tool = shared("tools").join(tool);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/assets").join(name);
    let output = Command::new(&tool).arg(folder).output().map_err(|e| format!("{}: {e}", tool.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", tool.display(), String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    // The last line of its output is the directory.
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(text.trim_end().lines().last().unwrap_or_default()))
}
