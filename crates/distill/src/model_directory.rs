//! Model directories that users name.

use std::path::{Path, PathBuf};

use attar_model::Bundle;

use crate::Error;

/// The folder of a run that holds the trained model.
pub const STUDENT: &str = "student";

/// The model directory that a path means: itself, or the student of a run.
pub fn locate(path: &Path) -> PathBuf {
    let student = path.join(STUDENT);
    if !path.join("config.json").exists() && student.join("config.json").exists() { student } else { path.into() }
}

/// Reads the model that a path means.
///
/// # Errors
/// If there is none or it is damaged.
pub fn read(path: &Path) -> Result<Bundle, Error> {
    Ok(Bundle::read(&locate(path))?)
}
