//! Labelled data from a table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{DataError, Dataset, Example, Label, LabelSet, Target};
use crate::table::{self, Column, Table, TableSpec};

/// A table and which of its columns are what.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSpec {
    /// The file and how to read it.
    pub table: TableSpec,
    /// The text, or the first of two.
    pub text: Column,
    /// The second text.
    pub pair: Option<Column>,
    /// The label; without it every label is [`Label::Absent`].
    pub label: Option<Column>,
    /// What labels mean.
    pub target: TargetSpec,
}

/// What labels mean. Spaces around a label are no part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetSpec {
    /// Classes are the different labels of the file: by number if all are whole numbers, else by name.
    /// Without a label column there are none.
    Discover,
    /// Classes have these names, in this order.
    Named(Vec<String>),
    /// Labels are numbers in this range, both ends included.
    Regression {
        /// The smallest there can be.
        low: f32,
        /// The largest there can be.
        high: f32,
    },
}

/// Reads labelled data; its name is that of the file.
///
/// Training and development data should share one order of classes: discover the classes of the
/// former, and name them when reading the latter.
///
/// # Errors
/// [`DataError`]: a table that cannot be read, no row, an unknown or empty label, a score that is not
/// a finite number in range.
pub fn load(spec: &LabelledSpec) -> Result<Dataset, DataError> {
    let columns: Vec<Column> =
        [Some(&spec.text), spec.pair.as_ref(), spec.label.as_ref()].into_iter().flatten().cloned().collect();
    let Table { rows, sha256 } = table::read(&spec.table, &columns)?;
    let rows = rows.into_iter().map(|row| {
        let mut values = row.values.into_iter();
        // A row has exactly the values asked for, in that order.
        let text = values.next().unwrap_or_default();
        let pair = spec.pair.as_ref().and_then(|_| values.next());
        RawRow { line: row.line, text, pair, label: values.next() }
    });
    let path = spec.table.path.clone();
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    from_rows(rows.collect(), &spec.target, name, sha256, path)
}

/// A row whose label has not been understood yet.
pub(crate) struct RawRow {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) pair: Option<String>,
    pub(crate) label: Option<String>,
}

/// Understands the labels of rows.
pub(crate) fn from_rows(
    rows: Vec<RawRow>,
    target: &TargetSpec,
    name: String,
    sha256: String,
    path: PathBuf,
) -> Result<Dataset, DataError> {
    if rows.is_empty() {
        return Err(DataError::Empty { path });
    }
    let target = match target {
        TargetSpec::Discover => Target::Classes(discover(&rows)),
        TargetSpec::Named(names) => Target::Classes(named(names)?),
        &TargetSpec::Regression { low, high } if low < high && low.is_finite() && high.is_finite() => {
            Target::Regression { low, high }
        }
        &TargetSpec::Regression { low, high } => return Err(DataError::Range { low, high }),
    };
    let example = |row: RawRow| {
        let label = match &row.label {
            None => Label::Absent,
            Some(text) => label(text.trim(), &target, row.line, &path)?,
        };
        Ok(Example { text: row.text, pair: row.pair, label })
    };
    let examples = rows.into_iter().map(example).collect::<Result<Vec<Example>, DataError>>()?;
    Ok(Dataset { examples, target, name, sha256, path: Some(path) })
}

fn label(text: &str, target: &Target, line: usize, path: &std::path::Path) -> Result<Label, DataError> {
    if text.is_empty() {
        return Err(DataError::EmptyLabel { path: path.to_owned(), line });
    }
    match target {
        Target::Classes(labels) => match labels.class(text) {
            Some(class) => Ok(Label::Class(class)),
            None => Err(DataError::unknown_label(path.to_owned(), line, text, &labels.names)),
        },
        &Target::Regression { low, high } => match text.parse::<f32>() {
            // NaN is in no range.
            Ok(score) if (low..=high).contains(&score) => Ok(Label::Score(score)),
            _ => Err(DataError::Score { path: path.to_owned(), line, found: text.to_owned(), low, high }),
        },
    }
}

fn discover(rows: &[RawRow]) -> LabelSet {
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.label.as_deref()).map(str::trim).collect();
    let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        // Stable: "1" and "01", the same number, stay in the order of their names.
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
    }
    LabelSet { names }
}

fn named(names: &[String]) -> Result<LabelSet, DataError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.trim().is_empty() || !seen.insert(name.trim()) {
            return Err(DataError::ClassNames { name: name.trim().to_owned() });
        }
    }
    Ok(LabelSet { names: names.iter().map(|name| name.trim().to_owned()).collect() })
}
