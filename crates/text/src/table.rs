//! Rows of text files: tab-separated, comma-separated, JSON lines.
//!
//! Lines end at `\n` only; one `\r` before it and a byte order mark are dropped, every other
//! character belongs to the text, and a last line without a line end counts. What may not pass
//! silently is an error with its line: a row with too few or too many columns, a quotation that
//! never ends, text that is not UTF-8.

mod column;
mod error;
mod json_lines;
mod plain;
mod quoted;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use column::{Column, ColumnError};
pub use error::TableError;

/// A file of rows and how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The file.
    pub path: PathBuf,
    /// How its rows are written.
    pub format: Format,
    /// Whether its first row names the columns.
    pub header: Header,
    /// Whether `"` is a quotation mark.
    pub quoting: Quoting,
    /// Whether rows may have more columns than the first.
    pub extra_columns: ExtraColumns,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// By the extension: `.tsv`, `.txt` and `.tab` are tab-separated, `.csv` comma-separated, `.jsonl`
    /// and `.ndjson` JSON lines.
    Auto,
    /// Columns separated by tabs.
    Tsv,
    /// Columns separated by commas.
    Csv,
    /// One JSON object a line, its values strings, numbers or booleans. Blank lines are skipped.
    Jsonl,
}

/// Whether the first row names the columns. JSON lines always name theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// It does if every column asked for is asked for by name.
    Auto,
    /// It does.
    Present,
    /// It is a row like the others.
    Absent,
}

/// Whether `"` is a quotation mark, so that a quoted value may hold separators and line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// It is in comma-separated files, and an ordinary character in tab-separated ones.
    Auto,
    /// It is.
    On,
    /// It is an ordinary character, and every line is a row.
    Off,
}

/// Whether rows may be wider than the header, or than the first row where there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraColumns {
    /// Every row is equally wide.
    Refused,
    /// Rows may have more columns than are asked for; they are not looked at.
    Allowed,
}

/// The columns asked for of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The rows in the order of the file, the header left out.
    pub rows: Vec<Row>,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// Its values, in the order in which the columns were asked for.
    pub values: Vec<String>,
}

impl TableSpec {
    /// A file to be read as its extension suggests.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: Format::Auto,
            header: Header::Auto,
            quoting: Quoting::Auto,
            extra_columns: ExtraColumns::Refused,
        }
    }
}

/// Reads these columns of every row.
///
/// A file without rows gives an empty table. Without quoting a blank line is a row of one empty
/// value, so an error where rows have more columns; with quoting, and in JSON lines, it is skipped.
///
/// # Errors
/// [`TableError`], which names the file, the line, what was expected and what was found.
pub fn read(spec: &TableSpec, columns: &[Column]) -> Result<Table, TableError> {
    let format = known_format(spec)?;
    let bytes = std::fs::read(&spec.path).map_err(|source| TableError::Io { path: spec.path.clone(), source })?;
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let by_name = columns.iter().all(|column| matches!(column, Column::Name(_)));
    let separated = Separated {
        path: &spec.path,
        separator: if format == Format::Csv { b',' } else { b'\t' },
        header: match spec.header {
            Header::Auto => by_name,
            Header::Present => true,
            Header::Absent => false,
        },
        extra_columns: spec.extra_columns,
        columns,
    };
    let quoted = match spec.quoting {
        Quoting::Auto => format == Format::Csv,
        Quoting::On => true,
        Quoting::Off => false,
    };
    let rows = match format {
        Format::Jsonl => json_lines::rows(&spec.path, body, columns)?,
        _ if quoted => quoted::rows(&separated, body)?,
        _ => plain::rows(&separated, body)?,
    };
    Ok(Table { rows, sha256 })
}

/// Bytes in hexadecimal, lower case.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn known_format(spec: &TableSpec) -> Result<Format, TableError> {
    if spec.format != Format::Auto {
        return Ok(spec.format);
    }
    let extension = spec.path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("tsv" | "txt" | "tab") => Ok(Format::Tsv),
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        _ => Err(TableError::UnknownFormat { path: spec.path.clone() }),
    }
}

/// What the two readers of separated values share.
struct Separated<'a> {
    path: &'a Path,
    separator: u8,
    header: bool,
    extra_columns: ExtraColumns,
    columns: &'a [Column],
}

/// Where the columns asked for are, known once the first row has been seen.
struct Places {
    indices: Vec<usize>,
    width: usize,
}

impl Separated<'_> {
    /// Takes the next row of the file, of which the first says where the columns are.
    fn take(
        &self,
        rows: &mut Vec<Row>,
        places: &mut Option<Places>,
        line: usize,
        values: &[&str],
    ) -> Result<(), TableError> {
        match places {
            Some(places) => rows.push(self.pick(places, line, values)?),
            None => {
                let found = self.places(values)?;
                if !self.header {
                    rows.push(self.pick(&found, line, values)?);
                }
                *places = Some(found);
            }
        }
        Ok(())
    }

    /// From the first row, which is the header or as wide as one.
    fn places(&self, first: &[&str]) -> Result<Places, TableError> {
        let names = self.header.then_some(first);
        let indices = self.columns.iter().map(|column| column.resolve(self.path, names, first.len()));
        Ok(Places { indices: indices.collect::<Result<_, _>>()?, width: first.len() })
    }

    /// The values asked for of one row.
    fn pick(&self, places: &Places, line: usize, values: &[&str]) -> Result<Row, TableError> {
        let needed = places.indices.iter().max().map_or(0, |&index| index + 1);
        let fits = match self.extra_columns {
            ExtraColumns::Refused => values.len() == places.width,
            ExtraColumns::Allowed => values.len() >= needed,
        };
        if !fits {
            let expected = match self.extra_columns {
                ExtraColumns::Refused => places.width,
                ExtraColumns::Allowed => needed,
            };
            return Err(TableError::Width { path: self.path.to_owned(), line, expected, found: values.len() });
        }
        Ok(Row { line, values: places.indices.iter().map(|&index| values[index].to_owned()).collect() })
    }
}
