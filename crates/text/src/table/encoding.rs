//! The bytes of a file as UTF-8, whatever it is packed by and written in.

use std::path::Path;

use encoding_rs::{Encoding, UTF_8, UTF_16LE, WINDOWS_1252};
use sha2::{Digest, Sha256};

use super::{TableError, hexadecimal};
use crate::{compression, files};

/// How characters are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextEncoding {
    /// UTF-16 if the file begins with its mark, else UTF-8.
    #[default]
    Auto,
    /// UTF-8, with or without a mark.
    Utf8,
    /// UTF-16 in the order of its mark; without one the low byte comes first, as Windows writes it.
    Utf16,
    /// Latin-1 as browsers read it, which is Windows-1252: every sequence of bytes is a text.
    Latin1,
}

/// The text of a file as UTF-8 without a mark, which the readers check line by line, and the SHA-256 of the file itself.
pub(crate) fn contents(path: &Path, encoding: TextEncoding) -> Result<(Vec<u8>, String), TableError> {
    let io = |source| TableError::Io { path: path.to_owned(), source };
    let mut bytes = files::read(path, files::MOST_TABLE_BYTES).map_err(io)?;
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    if compression::is_packed(&bytes) {
        let unpacked = compression::unpacked(&bytes[..]).map_err(io)?;
        bytes = files::read_at_most(unpacked, files::MOST_TABLE_BYTES).map_err(io)?;
    }
    let mark = Encoding::for_bom(&bytes);
    let (encoding, name) = match (encoding, mark) {
        (TextEncoding::Auto | TextEncoding::Utf16, Some((encoding, _))) if encoding != UTF_8 => (encoding, "UTF-16"),
        (TextEncoding::Utf16, _) => (UTF_16LE, "UTF-16"),
        (TextEncoding::Auto | TextEncoding::Utf8, _) => (UTF_8, "UTF-8"),
        (TextEncoding::Latin1, _) => (WINDOWS_1252, "Latin-1"),
    };
    let start = mark.filter(|&(marked, _)| marked == encoding).map_or(0, |(_, length)| length);
    bytes.drain(..start);
    if encoding == UTF_8 {
        return Ok((bytes, sha256));
    }
    match encoding.decode_without_bom_handling_and_without_replacement(&bytes) {
        Some(text) => Ok((text.into_owned().into_bytes(), sha256)),
        None => Err(TableError::Encoding { path: path.to_owned(), encoding: name }),
    }
}
