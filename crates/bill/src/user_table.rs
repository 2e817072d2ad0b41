//! Tables that a user gives: comma-separated files, read defensively.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use attar_meter::table;

/// No table of factors or prices comes near this many bytes.
const MOST_BYTES: u64 = 256 << 20;
/// No line of one comes near this many bytes.
const MOST_LINE: usize = 64 << 10;
/// No name of a place, a source or an instance type comes near this many characters.
const MOST_NAME: usize = 300;
/// Longest excerpt of untrusted text in an error message, in characters.
const MOST_SHOWN: usize = 60;

/// A table from outside that cannot be used: where, what was expected, what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be read at all.
    #[error("cannot read `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The underlying I/O error.
        source: io::Error,
    },
    /// The contents are not such a table.
    #[error(transparent)]
    Content(#[from] Box<TableFault>),
}

/// What is wrong in a table, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` line {line}{}: expected {expected}, got {got}{}", file.display(), in_column(column.as_deref()), hint(nearest))]
pub struct TableFault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// The column by its name; `None` where the line or the file as a whole is wrong.
    pub column: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What was found, shortened.
    pub got: String,
    /// The closest valid names, best first; none where there is nothing near.
    pub nearest: Vec<String>,
}

/// A column that a table has: its name, and other names by which it is known.
pub(crate) struct TableColumn {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    optional: bool,
}

/// A table whose header has been checked.
pub(crate) struct UserTable {
    pub(crate) file: PathBuf,
    columns: Vec<(&'static str, Option<usize>)>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// One row of a table.
pub(crate) struct UserRow<'a> {
    table: &'a UserTable,
    pub(crate) line: u64,
    record: &'a csv::StringRecord,
}

impl UserTable {
    /// Reads a table whose header must name the columns, in any order and any case; columns
    /// beyond those known are allowed if `more` is set. Lines that begin with `#` and blank ones
    /// are skipped; a byte order mark and carriage returns do no harm.
    pub(crate) fn read(file: &Path, columns: &[TableColumn], more: bool) -> Result<Self, TableError> {
        let failed = |source| TableError::Read { file: file.to_owned(), source };
        let mut bytes = Vec::new();
        // The length is what arrives, not what the system claims: a device or a growing file has none.
        File::open(file).map_err(failed)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(file, &bytes, columns, more)
    }

    fn parse(file: &Path, bytes: &[u8], columns: &[TableColumn], more: bool) -> Result<Self, TableError> {
        let shape = |line, expected: String, got: String, nearest| {
            let fault = TableFault { file: file.to_owned(), line, column: None, expected, got, nearest };
            TableError::Content(Box::new(fault))
        };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(shape(1, format!("at most {MOST_BYTES} bytes"), "more".into(), vec![]));
        }
        let mut bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).to_vec();
        // Behind CRLF the reader counts the line end to the next record, so its lines would be off by one.
        bytes.dedup_by(|after, kept| {
            let pair = *kept == b'\r' && *after == b'\n';
            if pair {
                *kept = b'\n';
            }
            pair
        });
        if let Some(line) = bytes.split(|byte| *byte == b'\n').position(|line| line.len() > MOST_LINE) {
            return Err(shape(line as u64 + 1, format!("lines of at most {MOST_LINE} bytes"), "more".into(), vec![]));
        }
        if bytes.contains(&0) {
            return Err(shape(1, "text".into(), "a file with zero bytes in it".into(), vec![]));
        }
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(bytes.as_slice())
            .into_records()
            // A comment without a line end at the end of the file arrives as an empty record.
            .filter(|record| !record.as_ref().is_ok_and(|record| record.iter().all(str::is_empty)))
            .map(|record| {
                let record = record.map_err(|error| {
                    let line = error.position().map_or(1, csv::Position::line);
                    shape(line, "text in UTF-8".into(), excerpt(&error.to_string()), vec![])
                })?;
                Ok((record.position().map_or(1, csv::Position::line), record))
            });
        let names: Vec<&str> = columns.iter().filter(|column| !column.optional).map(|column| column.name).collect();
        let wanted = format!("a header with {}", names.join(","));
        let (line, header) =
            records.next().unwrap_or_else(|| Err(shape(1, wanted.clone(), "an empty file".into(), vec![])))?;
        let place = |column: &TableColumn| header.iter().position(|name| column.is(name));
        let found: Vec<(&'static str, Option<usize>)> =
            columns.iter().map(|column| (column.name, place(column))).collect();
        let missing: Vec<&str> = columns
            .iter()
            .filter(|column| !column.optional && place(column).is_none())
            .map(|column| column.name)
            .collect();
        if !missing.is_empty() {
            let next = records.next().transpose()?.map(|(_, record)| record).unwrap_or_default();
            let two =
                columns.iter().filter(|column| !column.optional).all(|column| next.iter().any(|name| column.is(name)));
            let got = format!("`{}`, which lacks {}", excerpt(&join(&header)), missing.join(", "));
            let got =
                if two { format!("{got}; the next line looks like the header: remove what is above it") } else { got };
            let nearest = table::nearest(missing[0], header.iter().filter(|name| !name.is_empty()), 1);
            return Err(shape(line, wanted, got, nearest.into_iter().map(excerpt).collect()));
        }
        if let Some(strange) = header.iter().find(|name| !more && !columns.iter().any(|column| column.is(name))) {
            let nearest = table::nearest(strange, columns.iter().map(|column| column.name), 1);
            let got = format!("a column `{}` that is not known", excerpt(strange));
            return Err(shape(line, wanted, got, nearest.into_iter().map(str::to_owned).collect()));
        }
        if let Some(column) = columns.iter().find(|column| header.iter().filter(|name| column.is(name)).count() > 1) {
            return Err(shape(line, "each column once".into(), format!("`{}` twice", column.name), vec![]));
        }
        let width = header.len();
        let rows = records
            .map(|row| {
                let (line, record) = row?;
                if record.len() == width {
                    Ok((line, record))
                } else {
                    Err(shape(line, format!("{width} fields as in the header"), record.len().to_string(), vec![]))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            return Err(shape(line, "at least one row below the header".into(), "none".into(), vec![]));
        }
        Ok(Self { file: file.to_owned(), columns: found, rows })
    }

    /// Its rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = UserRow<'_>> {
        self.rows.iter().map(|(line, record)| UserRow { table: self, line: *line, record })
    }
}

impl UserRow<'_> {
    /// The text of a cell; empty where the file has no such column.
    pub(crate) fn text(&self, column: &str) -> &str {
        let place = self.table.columns.iter().find(|(name, _)| *name == column).and_then(|(_, place)| *place);
        place.and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    /// The text of a cell that will be printed again: short, and without control characters, which a
    /// terminal might obey.
    pub(crate) fn name(&self, column: &str) -> Result<&str, TableError> {
        let text = self.text(column);
        if text.chars().count() <= MOST_NAME && !text.contains(char::is_control) {
            Ok(text)
        } else {
            let expected = format!("at most {MOST_NAME} characters, none of them a control character");
            Err(self.wrong(column, &expected))
        }
    }

    /// A number, or `None` where the cell is empty.
    pub(crate) fn number(
        &self,
        column: &str,
        expected: &str,
        ok: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, TableError> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<f64>() {
            // Adding zero turns a negative zero into zero, so that it never prints its sign.
            Ok(number) if number.is_finite() && ok(number) => Ok(Some(number + 0.0)),
            Ok(_) => Err(self.wrong(column, expected)),
            // A second header repeats names or gives units where numbers should be.
            Err(_) if self.table.rows.first().is_some_and(|(line, _)| *line == self.line) => {
                Err(self.wrong(column, &format!("{expected} (a second line of header? remove it)")))
            }
            Err(_) => Err(self.wrong(column, expected)),
        }
    }

    /// The error that this cell is not what it should be.
    pub(crate) fn wrong(&self, column: &str, expected: &str) -> TableError {
        TableError::Content(Box::new(TableFault {
            file: self.table.file.clone(),
            line: self.line,
            column: Some(column.to_owned()),
            expected: expected.to_owned(),
            got: format!("`{}`", excerpt(self.text(column))),
            nearest: Vec::new(),
        }))
    }
}

impl TableColumn {
    pub(crate) const fn required(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, optional: false }
    }

    /// A column that may be missing: its cells are then empty.
    pub(crate) const fn optional(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Self { name, aliases, optional: true }
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// Untrusted text as an error message quotes it: without control characters, and not all of it.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        short.push('…');
    }
    short
}

fn join(record: &csv::StringRecord) -> String {
    record.iter().collect::<Vec<_>>().join(",")
}

fn in_column(column: Option<&str>) -> String {
    column.map(|column| format!(", column `{column}`")).unwrap_or_default()
}

fn hint(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; nearest: {}", nearest.join(", ")) }
}
