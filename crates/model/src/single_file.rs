//! A model in one file: to send, to serve, to load in a browser.
//!
//! The file is a zip archive whose entries are the files of a [`Bundle`]'s folder, stored as they are: unpacked, it is a
//! model directory again (with f32 weights `transformers` loads it, with int8 ones attar alone does), and every tool that opens
//! archives shows what is inside. Nothing is
//! compressed, because weights do not shrink, and what is stored can be read where it lies. Each entry has a checksum,
//! and a damaged file is refused as a whole. The same bundle always gives the same bytes.
//!
//! ```no_run
//! use attar_model::{Bundle, single_file};
//!
//! let bytes = single_file::write("run/small".as_ref(), "student.attar".as_ref(), single_file::StoredWeights::Int8)?;
//! println!("{bytes} bytes");
//! // A single file is read wherever a model directory is.
//! let bundle = Bundle::read("student.attar".as_ref())?;
//! # Ok::<(), attar_model::Error>(())
//! ```

mod archive;
mod error;

use std::fs;
use std::io::Read;
use std::path::Path;

pub use error::SingleFileError;

pub(crate) use archive::Archive;

use crate::atomic;
use crate::bundle::{Bundle, ReadWeights, WriteWeights};
use crate::error::Error;

/// The first bytes of an archive.
const SIGNATURE: [u8; 4] = *b"PK\x03\x04";

/// Where the name of an archive's first entry is.
const NAME: usize = 30;

/// Which weights a single file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredWeights {
    /// 32-bit floats.
    F32,
    /// The quantized ones of a bundle that has been [quantized](crate::quantized): the smallest file, for attar only.
    Int8,
}

/// Writes a model directory as a single file, complete or not at all, and returns its length in bytes.
///
/// # Errors
/// As [`Bundle::read_with`], [`Error::NoQuantized`] if integers are asked for and there are none included, and as
/// [`to_bytes`] and writing can fail.
pub fn write(bundle: &Path, out: &Path, precision: StoredWeights) -> Result<u64, Error> {
    let choice = match precision {
        StoredWeights::F32 => ReadWeights::F32,
        StoredWeights::Int8 => ReadWeights::Quantized,
    };
    let bytes = to_bytes(&Bundle::read_with(bundle, choice)?, precision)?;
    atomic::write_file(out, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Whether there is a file at this path that begins like an archive.
pub fn is_archive(path: &Path) -> bool {
    let mut first = [0; 4];
    path.is_file()
        && fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut first).is_ok() && first == SIGNATURE)
}

/// Whether a file that begins with these bytes is a single file as [`write()`] writes it: other archives, PyTorch's weights
/// among them, do not begin with a configuration.
pub fn is_beginning(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE) && bytes.get(NAME..).is_some_and(|name| name.starts_with(b"config.json"))
}

/// The bytes of a single file.
///
/// # Errors
/// As [`Bundle::write_with`] for what contradicts itself, and [`Error::SingleFile`] for a bundle that is longer than an
/// archive can be.
pub fn to_bytes(bundle: &Bundle, precision: StoredWeights) -> Result<Vec<u8>, Error> {
    let files = match precision {
        StoredWeights::F32 if bundle.quantized.is_some() => {
            let floats = Bundle { quantized: None, ..bundle.clone() };
            floats.files(Path::new(""), WriteWeights::All)?
        }
        StoredWeights::F32 => bundle.files(Path::new(""), WriteWeights::All)?,
        StoredWeights::Int8 => bundle.files(Path::new(""), WriteWeights::Quantized)?,
    };
    archive::write(files).map_err(|source| Error::SingleFile { path: "the archive".into(), source: source.into() })
}
