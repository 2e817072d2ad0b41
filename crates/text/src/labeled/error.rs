//! What can be wrong with labeled data.

use std::path::{Path, PathBuf};

use super::matching::are_unnamed;
use crate::layout::Split;
use crate::nearest::nearest;
use crate::table::TableError;

/// Why labeled data could not be read or divided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The rows could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file without examples.
    #[error("{}: no examples, expected at least one row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A label that is none of those named.
    #[error("{}: line {line}: unknown label {label:?}{hint}; expected one of {}", path.display(), list_names(.known))]
    UnknownLabel {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The label.
        label: String,
        /// The nearest label there is, as half a sentence, or nothing.
        hint: String,
        /// The labels there are.
        known: Vec<String>,
    },
    /// No text where a label was expected.
    #[error("{}: line {line}: the label is empty", path.display())]
    EmptyLabel {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// No number in range where one was expected.
    #[error("{}: line {line}: expected a score from {low} to {high}, found {found:?}", path.display())]
    Score {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// The smallest score there can be.
        low: f32,
        /// The largest.
        high: f32,
    },
    /// Labels that are numbers, as scores are and classes seldom.
    #[error(
        "{}: the labels look like scores: {numbers} different numbers from {low} to {high}, such as {example}; to learn \
         scores, state their range with --regression LOW HIGH (`regression` in a recipe); to learn classes, name them with \
         --labels (`labels` in a recipe)", path.display()
    )]
    LooksLikeScores {
        /// The file.
        path: PathBuf,
        /// Different numbers there.
        numbers: usize,
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
        /// One that is not whole, or the smallest, as it stands there.
        example: String,
    },
    /// A first row that may be a header or not.
    #[error(
        "{}: cannot tell whether the first row names the columns: its label {label:?} occurs nowhere else; state it with \
         --header true or --header false (`header` under `format` in a recipe)", path.display()
    )]
    OpenHeader {
        /// The file.
        path: PathBuf,
        /// The label of the first row.
        label: String,
    },
    /// Classes that cannot be told apart.
    #[error("the names of classes must be different and not empty, found {name:?} {}", if name.is_empty() { "among them" } else { "twice" })]
    ClassNames {
        /// The name.
        name: String,
    },
    /// A range of scores that holds none.
    #[error("expected a range of scores from a smaller to a larger finite number, found {low} to {high}")]
    Range {
        /// The lower end.
        low: f32,
        /// The upper end.
        high: f32,
    },
    /// Two files that belong together line by line and do not match.
    #[error("{} has {texts} lines and {} has {labels}, expected as many of one as of the other", text_path.display(), label_path.display())]
    LineCounts {
        /// The file of texts.
        text_path: PathBuf,
        /// Its lines.
        texts: usize,
        /// The file of labels.
        label_path: PathBuf,
        /// Its lines.
        labels: usize,
    },
    /// A line that is no word with a tag.
    #[error("{}: line {line}: expected {expected}, found {found:?}", path.display())]
    Tagged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What was expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A question whose answer does not stand where it is said to, or that contradicts itself.
    #[error("{}: question {question}: expected {expected}, found {found}", path.display())]
    Answer {
        /// The file.
        path: PathBuf,
        /// Its id, or its place.
        question: String,
        /// What was expected.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A JSON file of another form.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// A part of a data set that it does not have.
    #[error("{}: {name} has no {split} split here; there are {}", dir.display(), list_names(.present))]
    NoSplit {
        /// The folder.
        dir: PathBuf,
        /// The data set.
        name: &'static str,
        /// The part asked for.
        split: &'static str,
        /// The parts whose files are there.
        present: Vec<String>,
    },
    /// A name that no data set has.
    #[error("no data set {name:?}{hint}; there are {}", list_names(.known))]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest name there is, as half a sentence, or nothing.
        hint: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A folder whose files are of no known data set.
    #[error("{}: not the folder of a known data set, found {}; there are {}", dir.display(), list_names(.found), list_names(.known))]
    UnknownLayout {
        /// The folder.
        dir: PathBuf,
        /// The files there.
        found: Vec<String>,
        /// The data sets there are.
        known: Vec<String>,
    },
    /// A share that leaves one side of a division empty.
    #[error("cannot hold out a share of {share} of {rows} examples: expected both parts to have at least one")]
    Share {
        /// The share.
        share: f64,
        /// Examples to divide.
        rows: usize,
    },
}

impl DataError {
    pub(crate) fn unknown_label(path: PathBuf, line: usize, label: &str, known: &[String]) -> Self {
        let hint = hint(label, known);
        Self::UnknownLabel { path, line, label: label.to_owned(), hint, known: known.to_vec() }
    }

    /// A label that means no class of a model.
    pub(crate) fn no_class(path: PathBuf, line: usize, label: &str, classes: &[String]) -> Self {
        let hint = if are_unnamed(classes) {
            format!(
                " of a model whose {} classes have numbers from 0 and no names; name them in the model's order with --labels",
                classes.len()
            )
        } else {
            format!(
                "{} of the model; rename it, or name the model's classes in its order with --labels",
                hint(label, classes)
            )
        };
        Self::UnknownLabel { path, line, label: label.to_owned(), hint, known: classes.to_vec() }
    }

    pub(crate) fn no_split(dir: &Path, name: &'static str, split: Split, present: impl Fn(&Split) -> bool) -> Self {
        let present = Split::ALL.iter().filter(|split| present(split)).map(|split| split.name().to_owned());
        Self::NoSplit { dir: dir.to_owned(), name, split: split.name(), present: present.collect() }
    }

    pub(crate) fn unknown_name(name: &str, known: Vec<String>) -> Self {
        Self::UnknownName { name: name.to_owned(), hint: hint(name, &known), known }
    }
}

fn hint(wanted: &str, known: &[String]) -> String {
    let nearest = nearest(wanted, known.iter().map(String::as_str));
    nearest.map_or_else(String::new, |nearest| format!(", the nearest is {nearest:?}"))
}

/// Names as a sentence has them: the first twenty if there are many, in quotation marks where a name has a comma.
pub fn list_names(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let quoted = |name: &String| if name.contains(',') { format!("{name:?}") } else { name.clone() };
    let shown = names.iter().take(SHOWN).map(quoted).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{shown} and {} more", count - SHOWN),
        _ => shown,
    }
}
