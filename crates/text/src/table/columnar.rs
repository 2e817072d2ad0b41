//! Parquet and Arrow files: which they are, and their rows as those of JSON lines.

#[cfg(feature = "parquet")]
mod batches;
#[cfg(feature = "parquet")]
mod claims;
#[cfg(feature = "parquet")]
mod rows;

use std::io::BufRead;
use std::path::Path;

use super::{Column, Format, TableError, TableRow};

/// How a file keeps values column by column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columnar {
    /// Apache Parquet.
    Parquet,
    /// Arrow's own: a file (Feather), or a stream.
    Arrow,
}

impl Columnar {
    /// By what was stated, or by the extension.
    pub(crate) fn of(format: Format, path: &Path) -> Option<Columnar> {
        match format {
            Format::Parquet => Some(Columnar::Parquet),
            Format::Arrow => Some(Columnar::Arrow),
            Format::Auto => {
                let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
                match extension.as_str() {
                    "parquet" | "pq" => Some(Columnar::Parquet),
                    "arrow" | "arrows" | "feather" | "ipc" => Some(Columnar::Arrow),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What users know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Columnar::Parquet => "Parquet",
            Columnar::Arrow => "Arrow",
        }
    }

    /// The columns asked for of every row, and the SHA-256 of the file; `lists` is the column that may hold lists of strings.
    #[cfg(feature = "parquet")]
    pub(super) fn rows(
        self,
        path: &Path,
        columns: &[Column],
        lists: Option<&Column>,
    ) -> Result<(Vec<TableRow>, String), TableError> {
        // The file is read a second time for its hash: the libraries seek in it, so the bytes do not come in their order.
        Ok((rows::read(self, path, columns, lists)?, super::sha256(path)?))
    }

    #[cfg(not(feature = "parquet"))]
    pub(super) fn rows(
        self,
        path: &Path,
        _: &[Column],
        _: Option<&Column>,
    ) -> Result<(Vec<TableRow>, String), TableError> {
        Err(self.left_out(path))
    }

    /// All columns of every row as JSON lines, made as they are read.
    #[cfg(feature = "parquet")]
    pub(crate) fn lines(self, path: &Path) -> Result<Box<dyn BufRead + Send>, TableError> {
        Ok(Box::new(rows::ColumnarLines::open(self, path)?))
    }

    #[cfg(not(feature = "parquet"))]
    pub(crate) fn lines(self, path: &Path) -> Result<Box<dyn BufRead + Send>, TableError> {
        Err(self.left_out(path))
    }

    #[cfg(not(feature = "parquet"))]
    fn left_out(self, path: &Path) -> TableError {
        TableError::LeftOut { path: path.to_owned(), kind: self.name() }
    }
}

/// The rows of a Parquet or Arrow file as JSON lines, of which the first is row 1; `None` for a file of another format.
/// A null is `null`. Batch by batch: a file may be larger than memory.
///
/// # Errors
/// [`TableError`]: a file that cannot be read, or a program built without these formats. What is wrong further on is an
/// error of reading the lines.
pub fn as_json_lines(path: &Path, format: Format) -> Result<Option<Box<dyn BufRead + Send>>, TableError> {
    Columnar::of(format, path).map(|kind| kind.lines(path)).transpose()
}
