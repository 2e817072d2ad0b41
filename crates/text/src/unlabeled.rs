//! Text without labels: more of what a model will read, for a teacher to label.
//!
//! A file may be larger than what is wanted of it, or than memory: plain text, packed or not, is read line by line,
//! and of all different texts a sample stays that does not depend on their order.
//!
//! ```no_run
//! use attar_text::random::Streams;
//! use attar_text::unlabeled::{UnlabeledSpec, read};
//!
//! let spec = UnlabeledSpec { most: 100_000, ..UnlabeledSpec::new("mails.txt.gz") };
//! let more = read(&spec, &[], &Streams::new(42))?;
//! println!("{} of {} texts", more.examples.len(), more.rows);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod lines;
mod sample;

use std::path::{Path, PathBuf};

use self::sample::Sample;
use crate::labeled::{Dataset, Example, Label};
use crate::random::Streams;
use crate::table::{self, Column, Columnar, Format, Table, TableError, TableSpec};

/// A file of texts, and what is wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnlabeledSpec {
    /// The file, and how to read it if it is a table.
    pub table: TableSpec,
    /// The column of the text, or of the first of two. `None` for plain text: every line is one.
    pub text: Option<Column>,
    /// The column of the second text.
    pub pair: Option<Column>,
    /// Most texts to keep.
    pub most: usize,
}

/// Texts without labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Unlabeled {
    /// Different texts, in the order of the file; at least one.
    pub examples: Vec<Example>,
    /// Texts of the file that are not blank.
    pub rows: usize,
    /// Texts among those that are held out elsewhere, and so not among the examples.
    pub held_out: usize,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Why texts could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlabeledError {
    /// The rows of a table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file cannot be read or unpacked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is not text.
    #[error("{}: line {line}: not UTF-8, save the file in that encoding", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A table of which no column was named.
    #[error(
        "{}: unlabeled text in a table: name the column of the text, or give a .txt file with one text a line",
        path.display()
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
    },
    /// A second column without a first.
    #[error("{}: a column for the second text and none for the first, expected both", path.display())]
    OnlyPair {
        /// The file.
        path: PathBuf,
    },
    /// Nothing to keep.
    #[error("{}: none of {rows} texts is left, {held_out} of them held out; expected at least one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Texts that are not blank.
        rows: usize,
        /// Those that are held out.
        held_out: usize,
    },
}

impl UnlabeledSpec {
    /// All texts of a file of plain text.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { table: TableSpec::new(path), text: None, pair: None, most: usize::MAX }
    }
}

/// Reads a file of texts: one a line (`.txt`, also packed as `.txt.gz` or `.txt.zst`), or a column or two of a table.
///
/// Texts that the `held_out` data sets have are left out, and repetitions (both as
/// [`duplicates_with`](Dataset::duplicates_with) sees them). If there are more than `most` different ones, each is as
/// likely to stay, and those of a smaller number are among those of a larger one.
///
/// # Errors
/// [`UnlabeledError`].
pub fn read(spec: &UnlabeledSpec, held_out: &[&Dataset], streams: &Streams) -> Result<Unlabeled, UnlabeledError> {
    let path = &spec.table.path;
    let mut sample = Sample::new(spec.most, held_out, streams);
    let sha256 = match (&spec.text, &spec.pair) {
        (None, Some(_)) => return Err(UnlabeledError::OnlyPair { path: path.clone() }),
        (None, None) if is_table(path) => return Err(UnlabeledError::NoColumn { path: path.clone() }),
        (None, None) => lines::each(path, |text| sample.offer(without_label(text.to_owned(), None)))?,
        (Some(text), pair) => {
            let columns: Vec<Column> = [Some(text), pair.as_ref()].into_iter().flatten().cloned().collect();
            let Table { rows, sha256 } = table::read(&spec.table, &columns)?;
            for row in rows {
                let mut values = row.values.into_iter();
                sample.offer(without_label(values.next().unwrap_or_default(), values.next()));
            }
            sha256
        }
    };
    let (rows, held_out) = (sample.rows(), sample.held_out());
    let examples = sample.into_examples();
    if examples.is_empty() {
        return Err(UnlabeledError::Empty { path: path.clone(), rows, held_out });
    }
    Ok(Unlabeled { examples, rows, held_out, sha256 })
}

fn without_label(text: String, pair: Option<String>) -> Example {
    Example { text, pair, label: Label::Absent }
}

/// Whether the name says that lines are rows of several values.
fn is_table(path: &Path) -> bool {
    let is = |path: &Path, extensions: &[&str]| {
        path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
    };
    let unpacked = if is(path, &["gz", "zst"]) { path.with_extension("") } else { path.to_owned() };
    is(&unpacked, &["tsv", "tab", "csv", "jsonl", "ndjson"]) || Columnar::of(Format::Auto, path).is_some()
}
