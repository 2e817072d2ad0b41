//! What can be wrong with a table.

use std::path::{Path, PathBuf};

use crate::nearest::nearest;

/// Where the keys or the name are those of questions.
const QUESTIONS: &str = "; questions with answers are read by `--answers` (`kind = \"answers\"`)";

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// What else than a table has objects with these keys, as the end of a sentence.
fn other_kind(keys: &[String]) -> &'static str {
    let has = |key: &str| keys.iter().any(|found| found == key);
    if has("question") && has("context") {
        QUESTIONS
    } else if has("tokens") && has("tags") {
        "; sentences whose words have tags are read by `--tagged` (`kind = \"tagged\"`)"
    } else {
        ""
    }
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An extension that says nothing about the format.
    #[error(
        "{}: cannot tell the format from the extension, expected .tsv, .txt, .tab, .csv, .jsonl, .ndjson, .parquet or \
         .arrow; state the format instead{}", path.display(), if is_json(path) { QUESTIONS } else { "" }
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A row that is too narrow or too wide.
    #[error("{}: line {line}: expected {expected} columns, found {found}", path.display())]
    Width {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Columns of the header or the first row.
        expected: usize,
        /// Columns of this row.
        found: usize,
    },
    /// A line that is not text.
    #[error("{}: line {line}: not UTF-8; state its encoding, such as latin-1, or save the file as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A value so long that it is hardly a text.
    #[error("{}: line {line}: a value of more than {most} bytes, is this the right file and format?", path.display())]
    LongText {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The longest that is taken.
        most: usize,
    },
    /// A closing quotation mark inside a value.
    #[error(
        "{}: line {line}: a quotation mark inside a quoted value is followed by neither a separator nor the end of the \
         line; write it twice, or switch quoting off if \" is an ordinary character in this file", path.display()
    )]
    StrayQuote {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A quoted value that runs to the end of the file.
    #[error(
        "{}: line {line}: a quotation mark in the row that begins here is never closed; if \" is an ordinary \
         character in this file, switch quoting off", path.display()
    )]
    Unclosed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A name that no column has.
    #[error("{}: no column {name:?}{hint}; there are {}", path.display(), list(.columns))]
    UnknownName {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// The nearest name there is, as half a sentence, or nothing.
        hint: String,
        /// The names there are.
        columns: Vec<String>,
    },
    /// A name that two columns have.
    #[error("{}: columns {first} and {second} are both named {name:?}, ask for one by its number", path.display())]
    AmbiguousName {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Number of the first such column.
        first: usize,
        /// Number of the second.
        second: usize,
    },
    /// A name that two columns of a Parquet or Arrow file have.
    #[error("{}: columns {first} and {second} are both named {name:?}; rename one of them", path.display())]
    RepeatedName {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Number of the first such column.
        first: usize,
        /// Number of the second.
        second: usize,
    },
    /// A name where the first row is not a header.
    #[error(
        "{}: column {name:?} is asked for by name, but the file is read without a header; state that there is one \
         (--header true), or give a number from 1 to {columns}", path.display()
    )]
    NameWithoutHeader {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Columns of the first row.
        columns: usize,
    },
    /// A number beyond the last column.
    #[error("{}: no column {number}, there are {columns}, counted from 1", path.display())]
    NoSuchNumber {
        /// The file.
        path: PathBuf,
        /// The number.
        number: usize,
        /// Columns of the first row.
        columns: usize,
    },
    /// A number where columns have names only.
    #[error("{}: JSON lines have no column {number}, ask for a key by its name", path.display())]
    NumberInJson {
        /// The file.
        path: PathBuf,
        /// The number.
        number: usize,
    },
    /// A line that is not a JSON object.
    #[error("{}: line {line}: expected a JSON object: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser reports.
        reason: String,
    },
    /// A JSON object without this key.
    #[error("{}: line {line}: no key {name:?}{hint}; there are {}{}", path.display(), list(.columns), other_kind(.columns))]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key.
        name: String,
        /// The nearest key there is, as half a sentence, or nothing.
        hint: String,
        /// The keys there are.
        columns: Vec<String>,
    },
    /// A value that is no text.
    #[error("{}: line {line}: expected {name:?} to be a string, a number or a boolean, found {found}", path.display())]
    JsonValue {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key.
        name: String,
        /// Kind of the value there.
        found: &'static str,
    },
    /// A Parquet or Arrow file, and a program that was built without these formats.
    #[error(
        "{}: this program was built without Parquet and Arrow: build it with `--features parquet`, or save the rows as JSON \
         lines (in pandas `to_json(..., orient=\"records\", lines=True)`)", path.display()
    )]
    LeftOut {
        /// The file.
        path: PathBuf,
        /// Its format.
        kind: &'static str,
    },
    /// No Parquet or Arrow file, or a damaged one.
    #[error("{}: cannot be read as {kind} ({reason}); state its format, or write the file again", path.display())]
    Columnar {
        /// The file.
        path: PathBuf,
        /// The format.
        kind: &'static str,
        /// What the library reports.
        reason: String,
    },
    /// A column of a Parquet or Arrow file whose values are no texts.
    #[error(
        "{}: expected column {name:?} to hold strings, numbers or booleans (lists of strings for several labels), found \
         {found}; convert it", path.display()
    )]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// The type of its values.
        found: String,
    },
    /// A value that is missing.
    #[error("{}: row {row}: {name:?} is null; drop such rows or fill them", path.display())]
    Null {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        row: usize,
        /// The column.
        name: String,
    },
    /// A text that is not in the encoding stated.
    #[error("{}: not {encoding}; state another encoding", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The encoding.
        encoding: &'static str,
    },
    /// A line that does not begin with one label.
    #[error("{}: line {line}: expected {expected}, found {found:?}", path.display())]
    NoLabel {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Form of a line.
        expected: String,
        /// Beginning of the line.
        found: String,
    },
}

impl TableError {
    pub(super) fn unknown_name<'a>(path: &Path, name: &str, columns: impl Iterator<Item = &'a str> + Clone) -> Self {
        Self::UnknownName {
            path: path.to_owned(),
            name: name.to_owned(),
            hint: nearest_hint(name, columns.clone()),
            columns: columns.map(str::to_owned).collect(),
        }
    }

    pub(super) fn missing_key<'a>(
        path: &Path,
        line: usize,
        name: &str,
        keys: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        Self::MissingKey {
            path: path.to_owned(),
            line,
            name: name.to_owned(),
            hint: nearest_hint(name, keys.clone()),
            columns: keys.map(str::to_owned).collect(),
        }
    }
}

fn nearest_hint<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(name, names).map_or_else(String::new, |nearest| format!(", the nearest is {nearest:?}"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
