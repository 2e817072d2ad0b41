//! Cells that hold several labels.

use std::collections::BTreeSet;
use std::path::Path;

use super::{DataError, Label, LabelSet, RawRow};

/// The labels of a cell: those of a JSON array of strings, or what stands between separators. Spaces around a label are no
/// part of it, and nothing is no label.
pub(super) fn labels(cell: &str, separator: Option<&str>) -> Vec<String> {
    let cell = cell.trim();
    let parts = match (array(cell), separator) {
        (Some(labels), _) => labels,
        (None, Some(separator)) if !separator.is_empty() => cell.split(separator).map(str::to_owned).collect(),
        (None, _) => vec![cell.to_owned()],
    };
    parts.iter().map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
}

/// Whether every label is written as a JSON array of strings, as in `["bug", "ui"]`.
pub(super) fn are_arrays(rows: &[RawRow]) -> bool {
    let mut cells = rows.iter().filter_map(|row| row.label.as_deref()).map(str::trim).peekable();
    cells.peek().is_some() && cells.all(|cell| array(cell).is_some())
}

fn array(cell: &str) -> Option<Vec<String>> {
    if cell.starts_with('[') { serde_json::from_str(cell).ok() } else { None }
}

/// Every label that occurs: by number if all are numbers, else by name.
pub(super) fn discover(rows: &[RawRow], separator: Option<&str>) -> LabelSet {
    let cells = rows.iter().filter_map(|row| row.label.as_deref());
    let names: BTreeSet<String> = cells.flat_map(|cell| labels(cell, separator)).collect();
    let mut names: Vec<String> = names.into_iter().collect();
    if names.iter().all(|name| name.parse::<f64>().is_ok_and(f64::is_finite)) {
        let number = |name: &String| name.parse::<f64>().unwrap_or_default();
        // Stable: "1" and "01", the same number, stay in the order of their names.
        names.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    LabelSet { names }
}

/// The labels of a row as numbers.
pub(super) fn label(
    cell: &str,
    separator: Option<&str>,
    known: &LabelSet,
    line: usize,
    path: &Path,
) -> Result<Label, DataError> {
    let unknown = |name: &str| {
        let mut error = DataError::unknown_label(path.to_owned(), line, name, &known.names);
        if let (DataError::UnknownLabel { hint, .. }, None) = (&mut error, separator) {
            hint.push_str(" (--multi-label says what stands between several)");
        }
        error
    };
    let number = |name: String| known.class_in_any_case(&name).ok_or_else(|| unknown(&name));
    let numbers: BTreeSet<u32> = labels(cell, separator).into_iter().map(number).collect::<Result<_, _>>()?;
    Ok(Label::MultiLabel(numbers.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_into_labels() {
        assert_eq!(labels(" bug; ui ;;", Some(";")), ["bug", "ui"]);
        assert_eq!(labels("[\"a, b\", \"c\"]", Some(",")), ["a, b", "c"]);
        assert_eq!(labels("a|b", None), ["a|b"]);
        assert_eq!(labels("[not JSON", Some("|")), ["[not JSON"]);
        assert!(labels("  ", Some(",")).is_empty() && labels("[]", None).is_empty());
    }
}
