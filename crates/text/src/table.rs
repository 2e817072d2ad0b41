//! Rows of text files: tab-separated, comma-separated, JSON lines, plain lines, lines that begin with a label; with the feature
//! `parquet` of Parquet and Arrow files too.
//!
//! Files may be packed by gzip or zstd, and in UTF-8, UTF-16 or Latin-1. Lines end at `\n` only; one `\r` before it and a byte order mark are dropped, every other
//! character belongs to the text, and a last line without a line end counts. What may not pass
//! silently is an error with its line: a row with too few or too many columns, a quotation that
//! never ends, text that is not UTF-8.

mod column;
mod columnar;
mod delimiter;
mod encoding;
mod error;
mod json_lines;
mod labeled_lines;
mod plain;
mod quoted;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use column::{Column, ColumnError};
pub(crate) use columnar::Columnar;
pub use columnar::as_json_lines;
pub use encoding::TextEncoding;
pub(crate) use encoding::contents;
pub use error::TableError;
use sha2::{Digest, Sha256};

use crate::files;

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
    /// What stands between columns, if it is not what the format says: an ASCII character. After the label of
    /// [`Format::LabelFirst`] too, where it is a colon if left out.
    pub delimiter: Option<u8>,
    /// In which encoding its text is.
    pub encoding: TextEncoding,
    /// A second file with the label of each row, one a line, in the same encoding. Read by
    /// [`labeled::read`](crate::labeled::read) alone.
    pub label_file: Option<PathBuf>,
    /// The column in which JSON lines may hold an array of strings; its value is the array as JSON.
    pub lists: Option<Column>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// By the extension, a last `.gz` or `.zst` left out: `.tsv`, `.txt` and `.tab` are tab-separated, `.csv` comma-separated, `.jsonl`
    /// and `.ndjson` JSON lines, `.parquet` and `.pq` Parquet, `.arrow`, `.arrows`, `.feather` and `.ipc` Arrow. But `.txt` is [`FastText`](Self::FastText) if it begins with `__label__`, and where labels
    /// are in a second file, files with other extensions than those of tables are [`Lines`](Self::Lines).
    Auto,
    /// Columns separated by tabs.
    Tsv,
    /// Columns separated by commas; by semicolons or tabs if no delimiter is stated and the first 200 rows are equally
    /// wide by these and not by commas.
    Csv,
    /// One JSON object a line, its values strings, numbers or booleans. Blank lines are skipped.
    Jsonl,
    /// A text a line: column 1, or `text`.
    Lines,
    /// `LABEL:text`: columns 1 and 2, or `label` and `text`. The label ends at the first delimiter. Blank lines are skipped.
    LabelFirst,
    /// `__label__LABEL text`, as fastText has it: columns as of [`LabelFirst`](Self::LabelFirst).
    FastText,
    /// Apache Parquet: columns of strings, numbers or booleans, and of lists of strings for several labels. A null is an error.
    Parquet,
    /// Arrow's own file (Feather) or stream, as [`Parquet`](Self::Parquet).
    Arrow,
}

/// Whether the first row names the columns. JSON lines always name theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// It does if every column asked for is asked for by name. Labeled data asked for by numbers:
    /// [`labeled::read`](crate::labeled::read) tells by the labels.
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
    pub rows: Vec<TableRow>,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// The line on which it begins, counted from 1; in a Parquet or Arrow file the number of the row.
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
            delimiter: None,
            encoding: TextEncoding::Auto,
            label_file: None,
            lists: None,
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
    let (rows, sha256) = match Columnar::of(spec.format, &spec.path) {
        Some(kind) => kind.rows(&spec.path, columns, spec.lists.as_ref())?,
        None => text_rows(spec, columns)?,
    };
    if let Some(row) = rows.iter().find(|row| row.values.iter().any(|value| value.len() > files::MOST_TEXT_BYTES)) {
        let most = files::MOST_TEXT_BYTES;
        return Err(TableError::LongText { path: spec.path.clone(), line: row.line, most });
    }
    Ok(Table { rows, sha256 })
}

/// The rows of a file of text, and its hash.
fn text_rows(spec: &TableSpec, columns: &[Column]) -> Result<(Vec<TableRow>, String), TableError> {
    let (body, sha256) = encoding::contents(&spec.path, spec.encoding)?;
    let format = known_format(spec, &body)?;
    let quoted = match spec.quoting {
        Quoting::Auto => format == Format::Csv,
        Quoting::On => true,
        Quoting::Off => false,
    };
    let separated = Separated {
        path: &spec.path,
        separator: match (spec.delimiter, format) {
            (Some(delimiter), _) => delimiter,
            (None, Format::Csv) => delimiter::told(&body, quoted),
            (None, Format::LabelFirst) => b':',
            (None, _) => b'\t',
        },
        header: match spec.header {
            Header::Auto => by_name(columns),
            Header::Present => true,
            Header::Absent => false,
        },
        extra_columns: spec.extra_columns,
        columns,
    };
    let rows = match format {
        Format::Jsonl => json_lines::rows(&spec.path, &body, columns, spec.lists.as_ref())?,
        Format::Lines | Format::LabelFirst | Format::FastText => labeled_lines::rows(&separated, &body, format)?,
        _ if quoted => quoted::rows(&separated, &body)?,
        _ => plain::rows(&separated, &body)?,
    };
    Ok((rows, sha256))
}

/// Whether every column is asked for by name.
pub(crate) fn by_name(columns: &[Column]) -> bool {
    columns.iter().all(|column| matches!(column, Column::Name(_)))
}

/// Whether the first row may name the columns, and nothing says whether it does.
///
/// # Errors
/// As [`read`], of the file and its format.
pub(crate) fn header_is_open(spec: &TableSpec, columns: &[Column]) -> Result<bool, TableError> {
    if spec.header != Header::Auto
        || Columnar::of(spec.format, &spec.path).is_some()
        || columns.iter().any(|column| matches!(column, Column::Name(_)))
    {
        return Ok(false);
    }
    let format = match spec.format {
        Format::Auto => known_format(spec, &encoding::contents(&spec.path, spec.encoding)?.0)?,
        format => format,
    };
    Ok(matches!(format, Format::Csv | Format::Tsv))
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String, TableError> {
    let io = |source| TableError::Io { path: path.to_owned(), source };
    let (mut file, mut hash) = (files::open(path).map_err(io)?, Sha256::new());
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(io)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&block[..read]),
        }
    }
}

/// Bytes in hexadecimal, lower case.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn known_format(spec: &TableSpec, body: &[u8]) -> Result<Format, TableError> {
    if spec.format != Format::Auto {
        return Ok(spec.format);
    }
    let extension = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let extension = match extension(&spec.path).as_deref() {
        Some("gz" | "zst") => extension(&spec.path.with_extension("")),
        _ => extension(&spec.path),
    };
    match extension.as_deref() {
        Some("tsv" | "tab") => Ok(Format::Tsv),
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        _ if spec.label_file.is_some() => Ok(Format::Lines),
        Some("txt") if body.starts_with(labeled_lines::FAST_TEXT.as_bytes()) => Ok(Format::FastText),
        Some("txt") => Ok(Format::Tsv),
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
        rows: &mut Vec<TableRow>,
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
    fn pick(&self, places: &Places, line: usize, values: &[&str]) -> Result<TableRow, TableError> {
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
        Ok(TableRow { line, values: places.indices.iter().map(|&index| values[index].to_owned()).collect() })
    }
}
