//! The ledger: an append-only record, one JSON object a line.
//!
//! Every line carries the schema's number and says what it is: `host` (a [`LedgerHeader`], written by
//! each meter that starts), `window` or `span`. A line is written whole with its line end in one
//! call. A crash can tear the last line; reading skips and reports it, and appending begins on a
//! fresh line, so nothing else is ever lost.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jsonl::{JsonLines, TornLine};
use crate::window::{LedgerHeader, Span, Window};

/// Number of the schema that this version writes, and the only one that it reads.
pub const LEDGER_SCHEMA: u32 = 1;

/// A ledger open for appending.
#[derive(Debug)]
pub struct Ledger {
    lines: JsonLines,
    path: PathBuf,
}

/// What a ledger holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LedgerContents {
    /// One for each meter that wrote to it, in order.
    pub headers: Vec<LedgerHeader>,
    /// All windows, in order.
    pub windows: Vec<Window>,
    /// For each header, how many windows come before it.
    pub starts: Vec<usize>,
    /// All spans, in the order of their ends, each with the number of its meter's header.
    pub spans: Vec<(usize, Span)>,
    /// Lines that were torn by a crash, and skipped.
    pub torn: Vec<TornLine>,
}

/// Why a ledger cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// An I/O operation failed.
    #[error("cannot {action} ledger {}: {error}", path.display())]
    File {
        /// The operation that failed.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The underlying I/O error.
        #[source]
        error: std::io::Error,
    },
    /// A line of another schema.
    #[error("{} line {line}: schema must be {LEDGER_SCHEMA}, got {got}; read it with the version that wrote it", path.display())]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the line says.
        got: String,
    },
    /// A whole line with other contents than its kind must have.
    #[error("{} line {line}: {error}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
}

/// A line's contents behind its schema number.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
enum LedgerEntry<H, W, S> {
    Host(H),
    Window(W),
    Span(S),
}

#[derive(Serialize)]
struct LedgerLine<'a> {
    schema: u32,
    #[serde(flatten)]
    entry: LedgerEntry<&'a LedgerHeader, &'a Window, &'a Span>,
}

impl LedgerContents {
    /// What each meter wrote: its header and its windows. Windows before any header come without.
    pub fn meters(&self) -> impl Iterator<Item = (Option<&LedgerHeader>, &[Window])> {
        let orphans = self.starts.first().copied().unwrap_or(self.windows.len());
        let first = (orphans > 0).then(|| (None, &self.windows[..orphans]));
        let ends = self.starts.iter().skip(1).copied().chain([self.windows.len()]);
        let others = self.headers.iter().zip(self.starts.iter().zip(ends));
        first.into_iter().chain(others.map(|(header, (start, end))| (Some(header), &self.windows[*start..end])))
    }

    /// The windows inside a span of the meter with this number.
    pub fn inside(&self, meter: usize, span: &Span) -> impl Iterator<Item = &Window> {
        let start = self.starts.get(meter).copied().unwrap_or(0);
        let end = self.starts.get(meter + 1).copied().unwrap_or(self.windows.len());
        self.windows[start..end].iter().filter(|window| span.holds(window))
    }
}

impl Ledger {
    /// Opens a ledger to append to, and makes it if it is not there.
    ///
    /// # Errors
    /// If the file cannot be accessed, or another meter is writing to it.
    pub fn append_to(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = path.as_ref().to_owned();
        match JsonLines::append_to(&path) {
            Ok(lines) => Ok(Self { lines, path }),
            Err(error) => Err(LedgerError::File { action: "open", path, error }),
        }
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// If the file cannot be accessed, or if a whole line has another schema or other contents. A torn line
    /// is not an error: see [`LedgerContents::torn`].
    pub fn read(path: impl AsRef<Path>) -> Result<LedgerContents, LedgerError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|error| LedgerError::File { action: "read", path: path.to_owned(), error })?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut contents = LedgerContents::default();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if text.is_empty() {
                continue;
            }
            let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(text) else {
                contents.torn.push(TornLine { line, bytes: text.len() });
                continue;
            };
            let schema = fields.remove("schema").unwrap_or(Value::Null);
            if schema != LEDGER_SCHEMA {
                return Err(LedgerError::Schema { path: path.to_owned(), line, got: schema.to_string() });
            }
            match serde_json::from_value(Value::Object(fields)) {
                Ok(LedgerEntry::Host(header)) => {
                    contents.headers.push(header);
                    contents.starts.push(contents.windows.len());
                }
                Ok(LedgerEntry::Span(span)) => contents.spans.push((contents.headers.len().saturating_sub(1), span)),
                Ok(LedgerEntry::Window(window)) => contents.windows.push(window),
                Err(error) => return Err(LedgerError::Line { path: path.to_owned(), line, error }),
            }
        }
        Ok(contents)
    }

    /// Appends a header.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_header(&mut self, header: &LedgerHeader) -> Result<(), LedgerError> {
        self.write(LedgerEntry::Host(header))
    }

    /// Appends a window.
    ///
    /// # Errors
    /// If the file cannot be written. The window can be written again.
    pub fn write_window(&mut self, window: &Window) -> Result<(), LedgerError> {
        self.write(LedgerEntry::Window(window))
    }

    /// Appends a span.
    ///
    /// # Errors
    /// If the file cannot be written. The span can be written again.
    pub fn write_span(&mut self, span: &Span) -> Result<(), LedgerError> {
        self.write(LedgerEntry::Span(span))
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), LedgerError> {
        self.lines.sync().map_err(|error| LedgerError::File { action: "sync", path: self.path, error })
    }

    /// A ledger that refuses every write.
    #[cfg(test)]
    pub(crate) fn refusing(path: &Path) -> Self {
        Self { lines: JsonLines::refusing(path), path: path.to_owned() }
    }

    fn write(&mut self, entry: LedgerEntry<&LedgerHeader, &Window, &Span>) -> Result<(), LedgerError> {
        let line = LedgerLine { schema: LEDGER_SCHEMA, entry };
        self.lines.write(&line).map_err(|error| LedgerError::File { action: "write", path: self.path.clone(), error })
    }
}
