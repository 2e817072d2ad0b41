//! Reading whole files, with a size limit.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::error::Error;

/// Longest JSON or text file that is read, in bytes. The longest legitimate ones are vocabularies of about 20 MB.
const TEXT_LIMIT: u64 = 64 << 20;

/// Reads a regular file, following links.
///
/// Allocates the length of the file, which is checked first; running out of memory is an error of the operating
/// system, not an abort.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    regular_length(path)?;
    fs::read(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// Reads a regular file that is text, JSON or the like, if it exists.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let bytes = match regular_length(path) {
        Ok(bytes) => bytes,
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if bytes > TEXT_LIMIT {
        return Err(Error::TooLong { path: path.into(), bytes, limit: TEXT_LIMIT });
    }
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
    if is_lfs_pointer(&bytes) { Err(Error::LfsPointer { path: path.into() }) } else { Ok(Some(bytes)) }
}

/// Whether this is the text that Git LFS leaves in place of a file.
pub(crate) fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/")
}

/// Reads a text file, if it exists.
pub(crate) fn read_optional_text(path: &Path) -> Result<Option<String>, Error> {
    match read_optional(path)? {
        None => Ok(None),
        Some(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.into() }),
    }
}

/// Reads a JSON file, if it exists.
pub(crate) fn read_optional_json(path: &Path) -> Result<Option<Value>, Error> {
    match read_optional(path)? {
        None => Ok(None),
        Some(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Json { path: path.into(), source })
        }
    }
}

/// Describes a JSON value in an error: its kind, and the value itself if it is short.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 60 => format!("\"{text}\""),
        Value::String(_) => "a long string".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

pub(crate) fn regular_length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.into(), source })?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(Error::NotAFile { path: path.into() }) }
}
