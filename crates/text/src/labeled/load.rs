//! Labeled data from a table.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::matching::{self, MatchedBy};
use super::{DataError, Dataset, Example, Label, LabelSet, Target, header, multi_label};
use crate::table::{self, Column, Format, Table, TableSpec, hexadecimal};

/// A table and which of its columns are what.
#[derive(Debug, Clone, PartialEq)]
pub struct LabeledSpec {
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
    /// Without a label column there are none. Numbers that look like scores are refused: one that is not whole, or more
    /// than 20 different ones with fewer than five rows each.
    Discover,
    /// Classes have these names, in this order; a label may be written in another case, where that is not another class.
    Named(Vec<String>),
    /// Classes are those of a model, whether rows have all of them or not: a label is the name of one, in whatever case,
    /// or its number from 0 on, as [`match_labels`](super::match_labels) finds it.
    OfModel(Vec<String>),
    /// A cell holds any number of labels: a JSON array of strings, or labels with this between them. They have these names, in
    /// this order, or are those that occur. Where every label is such an array, that is understood without being said.
    MultiLabel {
        /// What stands between labels; JSON arrays need none.
        separator: Option<String>,
        /// The names of all labels.
        names: Option<Vec<String>>,
    },
    /// Labels are numbers in this range, both ends included.
    Regression {
        /// The smallest there can be.
        low: f32,
        /// The largest there can be.
        high: f32,
    },
}

/// Labeled data, and what its reader had to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The data.
    pub data: Dataset,
    /// Sentences for the user, such as that the first row was taken for a header.
    pub notes: Vec<String>,
}

/// Reads labeled data; its name is that of the file. As [`read`], without the notes.
///
/// # Errors
/// As [`read`].
pub fn load(spec: &LabeledSpec) -> Result<Dataset, DataError> {
    read(spec).map(|loaded| loaded.data)
}

/// Reads labeled data; its name is that of the file.
///
/// Training and development data should share one order of classes: discover the classes of the
/// former, and name them when reading the latter.
///
/// Columns asked for by number leave it open whether the first row of a table names the columns. It does if its label is
/// no number where all others are, or if it occurs nowhere else and the row has usual names of columns (`text`,
/// `label`, …). It does not if its label occurs again. If it occurs nowhere else, though every other label does, the
/// file is refused, unless it is said whether it has a header.
///
/// # Errors
/// [`DataError`]: a table that cannot be read, no row, an unknown or empty label, a score that is not
/// a finite number in range; classes to be discovered where labels are scores.
pub fn read(spec: &LabeledSpec) -> Result<Loaded, DataError> {
    let label = spec.label.as_ref().filter(|_| spec.table.label_file.is_none());
    let columns: Vec<Column> = [Some(&spec.text), spec.pair.as_ref(), label].into_iter().flatten().cloned().collect();
    let table = TableSpec { lists: label.cloned(), ..spec.table.clone() };
    let Table { mut rows, mut sha256 } = table::read(&table, &columns)?;
    let mut notes = Vec::new();
    let path = spec.table.path.clone();
    if label.is_some() && table::header_is_open(&spec.table, &columns)? && header::is_first(&path, &rows)? {
        let names = rows.remove(0).values;
        notes.push(format!("{}: the first row names the columns ({})", path.display(), names.join(", ")));
    }
    let mut labels = match (&spec.table.label_file, &spec.label) {
        (Some(file), Some(_)) => Some(second_file(spec, file, rows.len(), &mut sha256)?.into_iter()),
        _ => None,
    };
    let rows = rows.into_iter().map(|row| {
        let mut values = row.values.into_iter();
        // A row has exactly the values asked for, in that order.
        let text = values.next().unwrap_or_default();
        let pair = spec.pair.as_ref().and_then(|_| values.next());
        let label = match &mut labels {
            Some(labels) => labels.next(),
            None => values.next(),
        };
        RawRow { line: row.line, text, pair, label }
    });
    let name = super::name_of(&path);
    let mut rows: Vec<RawRow> = rows.collect();
    if let TargetSpec::OfModel(names) = &spec.target {
        notes.extend(as_model_names(&mut rows, names, &path)?);
    }
    let data = from_rows(rows, &spec.target, name, sha256, path)?;
    notes.extend(of_labels(&data));
    Ok(Loaded { data, notes })
}

/// The labels of the second file, as many as there are rows; the hash becomes that of both.
fn second_file(spec: &LabeledSpec, file: &Path, rows: usize, sha256: &mut String) -> Result<Vec<String>, DataError> {
    let lines = TableSpec { format: Format::Lines, path: file.to_owned(), ..spec.table.clone() };
    let labels = table::read(&lines, &[Column::Number(1)])?;
    if labels.rows.len() != rows {
        return Err(DataError::LineCounts {
            text_path: spec.table.path.clone(),
            texts: rows,
            label_path: file.to_owned(),
            labels: labels.rows.len(),
        });
    }
    *sha256 = hexadecimal(&Sha256::digest(format!("{sha256}{}", labels.sha256)));
    Ok(labels.rows.into_iter().flat_map(|row| row.values).collect())
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
    let separator = match target {
        TargetSpec::MultiLabel { separator, .. } => separator.as_deref(),
        _ => None,
    };
    let target = match target {
        TargetSpec::MultiLabel { names: Some(names), .. } => Target::MultiLabel(named(names)?),
        TargetSpec::MultiLabel { names: None, .. } => Target::MultiLabel(multi_label::discover(&rows, separator)),
        TargetSpec::Discover if multi_label::are_arrays(&rows) => {
            Target::MultiLabel(multi_label::discover(&rows, None))
        }
        TargetSpec::Named(names) if multi_label::are_arrays(&rows) => Target::MultiLabel(named(names)?),
        TargetSpec::OfModel(names) => Target::Classes(LabelSet { names: names.clone() }),
        TargetSpec::Discover => Target::Classes(discover(&rows, &path)?),
        TargetSpec::Named(names) => Target::Classes(named(names)?),
        &TargetSpec::Regression { low, high } if low < high && low.is_finite() && high.is_finite() => {
            Target::Regression { low, high }
        }
        &TargetSpec::Regression { low, high } => return Err(DataError::Range { low, high }),
    };
    let example = |row: RawRow| {
        let label = match &row.label {
            None => Label::Absent,
            Some(text) => label(text.trim(), &target, separator, row.line, &path)?,
        };
        Ok(Example { text: row.text, pair: row.pair, label })
    };
    let examples = rows.into_iter().map(example).collect::<Result<Vec<Example>, DataError>>()?;
    Ok(Dataset { examples, target, name, sha256, path: Some(path) })
}

/// Replaces labels by the model's names of the classes they mean; returns what has to be said about it.
fn as_model_names(rows: &mut [RawRow], names: &[String], path: &Path) -> Result<Option<String>, DataError> {
    // Different labels in the order in which they come. An empty one is refused later, with its line.
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut labels: Vec<String> = Vec::new();
    let mut first_lines = Vec::new();
    for row in rows.iter() {
        let label = row.label.as_deref().unwrap_or_default().trim();
        if !label.is_empty() && !places.contains_key(label) {
            places.insert(label.to_owned(), labels.len());
            labels.push(label.to_owned());
            first_lines.push(row.line);
        }
    }
    let found = matching::match_labels(names, &labels)
        .map_err(|at| DataError::no_class(path.to_owned(), first_lines[at], &labels[at], names))?;
    for row in rows {
        if let Some(&at) = row.label.as_deref().and_then(|label| places.get(label.trim())) {
            row.label = Some(names[found.classes[at]].clone());
        }
    }
    let file = path.display();
    Ok(match found.by {
        MatchedBy::Name => None,
        MatchedBy::NameInAnotherCase => {
            Some(format!("{file}: labels are the model's in another case: matched by name"))
        }
        // Numbers of classes that are called by their numbers.
        MatchedBy::Number if matching::are_unnamed(names) => None,
        MatchedBy::Number => {
            let shown: Vec<String> =
                names.iter().enumerate().map(|(class, name)| format!("{class} is {name}")).collect();
            Some(format!("{file}: labels are taken for the numbers of the model's classes ({})", shown.join(", ")))
        }
    })
}

/// How many labels rows have: a separator that is not theirs shows.
fn of_labels(data: &Dataset) -> Option<String> {
    let (Target::MultiLabel(labels), Some(sets)) = (&data.target, data.label_sets()) else { return None };
    let all: usize = sets.iter().map(Vec::len).sum();
    let none = sets.iter().filter(|set| set.is_empty()).count();
    let mean = all as f64 / sets.len() as f64;
    Some(format!("{}: {} labels, {mean:.2} a row on average, {none} rows with none", data.name, labels.len()))
}

fn label(text: &str, target: &Target, separator: Option<&str>, line: usize, path: &Path) -> Result<Label, DataError> {
    if let Target::MultiLabel(labels) = target {
        return multi_label::label(text, separator, labels, line, path);
    }
    if text.is_empty() {
        return Err(DataError::EmptyLabel { path: path.to_owned(), line });
    }
    match target {
        Target::Classes(labels) | Target::MultiLabel(labels) => match labels.class_in_any_case(text) {
            Some(class) => Ok(Label::Class(class)),
            None => Err(DataError::unknown_label(path.to_owned(), line, text, &labels.names)),
        },
        &Target::Regression { low, high } => match text.parse::<f32>() {
            // NaN is in no range.
            Ok(score) if (low..=high).contains(&score) => Ok(Label::Score(score)),
            _ => Err(DataError::Score { path: path.to_owned(), line, found: text.to_owned(), low, high }),
        },
        // Words have tags, and a cell none: `read_tagged` reads them.
        Target::Tags(labels) => Err(DataError::unknown_label(path.to_owned(), line, text, &labels.names)),
        // `read_answers` reads them.
        Target::Answers { .. } => Err(DataError::unknown_label(path.to_owned(), line, text, &[])),
    }
}

fn discover(rows: &[RawRow], path: &Path) -> Result<LabelSet, DataError> {
    let mut names: BTreeSet<&str> = rows.iter().filter_map(|row| row.label.as_deref()).map(str::trim).collect();
    names.remove("");
    let number = |name: &str| name.parse::<f64>().ok().filter(|number| number.is_finite());
    let Some(mut numbers) = names.iter().map(|&name| Some((number(name)?, name))).collect::<Option<Vec<_>>>() else {
        return Ok(LabelSet { names: names.into_iter().map(str::to_owned).collect() });
    };
    // Stable: "1" and "01", the same number, stay in the order of their names.
    numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let fraction = numbers.iter().find(|(number, _)| number.fract() != 0.0);
    let many = numbers.len() > MOST_NUMBERS && rows.len() < FEWEST_ROWS * numbers.len();
    if let (true, [(low, first), .., (high, _)]) = (fraction.is_some() || many, &numbers[..]) {
        return Err(DataError::LooksLikeScores {
            path: path.to_owned(),
            numbers: numbers.len(),
            low: *low,
            high: *high,
            example: fraction.map_or(*first, |(_, name)| name).to_owned(),
        });
    }
    Ok(LabelSet { names: numbers.into_iter().map(|(_, name)| name.to_owned()).collect() })
}

/// Different whole numbers that are classes however few rows each has.
const MOST_NUMBERS: usize = 20;
/// Rows that each of more numbers has on average if they are classes.
const FEWEST_ROWS: usize = 5;

pub(super) fn named(names: &[String]) -> Result<LabelSet, DataError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.trim().is_empty() || !seen.insert(name.trim()) {
            return Err(DataError::ClassNames { name: name.trim().to_owned() });
        }
    }
    Ok(LabelSet { names: names.iter().map(|name| name.trim().to_owned()).collect() })
}
