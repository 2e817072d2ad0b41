//! Which rows of a file a model may be scored by: those that it was not trained on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use attar_distill::{RowRecord, model_directory};
use attar_text::labeled::Dataset;

use crate::console;

/// A file of which its models know at least this share is the one that they were made from. Below it a few rows are
/// the same by chance or by mistake, and the others are as good as any.
const OWN_FILE: f64 = 0.5;

/// Rows of a file, divided.
pub(crate) struct Division {
    /// Those to score by.
    pub(crate) scored: Dataset,
    /// Those that were trained on, where the file is the one that the models were made from.
    pub(crate) rest: Option<Dataset>,
}

/// Takes the rows of a table that none of the models was trained on, if the table is the one that they were made from;
/// says so, or warns where trained rows stay. `all` keeps every row.
pub(crate) fn divide(data: Dataset, models: &[PathBuf], all: bool) -> anyhow::Result<Division> {
    let mut records = Vec::new();
    for path in models {
        if let Some(record) = RowRecord::read(&model_directory::locate(path))? {
            records.push((model_directory::name(path), record));
        }
    }
    let verdict = judge(&data, &records, all);
    if let Some(warning) = verdict.warning {
        console::warning(warning);
    }
    let Some(rows) = verdict.held_out else { return Ok(Division { scored: data, rest: None }) };
    console::note(format!(
        "{} of the {} rows of {} were held out when the models were made: they alone are used; --all-rows uses all",
        rows.len(),
        data.len(),
        data.name
    ));
    let others: Vec<usize> = (0..data.len()).filter(|row| rows.binary_search(row).is_err()).collect();
    let mut scored = data.subset(&rows);
    scored.name = format!("{}, held-out rows", data.name);
    Ok(Division { scored, rest: (!others.is_empty()).then(|| data.subset(&others)) })
}

/// What is to be done.
#[derive(Debug, PartialEq)]
struct Verdict {
    /// Rows to score by, ascending; none for all.
    held_out: Option<Vec<usize>>,
    warning: Option<String>,
}

fn judge(data: &Dataset, records: &[(String, RowRecord)], all: bool) -> Verdict {
    let overlaps = records.iter().map(|(name, record)| (name, record.overlap(data)));
    let seen: Vec<_> = overlaps.filter(|(_, overlap)| overlap.trained > 0.0).collect();
    let rows = data.len() as f64;
    let (own, few): (Vec<_>, Vec<_>) =
        seen.iter().partition(|(_, overlap)| overlap.trained + overlap.held_out.len() as f64 / rows >= OWN_FILE);
    let common = own
        .iter()
        .map(|(_, overlap)| overlap.held_out.iter().copied().collect::<BTreeSet<usize>>())
        .reduce(|a, b| a.intersection(&b).copied().collect());
    let held_out: Option<Vec<usize>> = match common {
        Some(rows) if !all && !rows.is_empty() => Some(rows.into_iter().collect()),
        _ => None,
    };
    let warned = if held_out.is_some() { few } else { seen.iter().collect() };
    let shares: Vec<String> = warned
        .into_iter()
        .map(|(name, overlap)| format!("{name} was trained on about {:.1} %", 100.0 * overlap.trained))
        .collect();
    let warning = (!shares.is_empty())
        .then(|| format!("{} of the rows of {}: scores on them will be inflated", shares.join(", "), data.name));
    Verdict { held_out, warning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labeled::{Example, Label, LabelSet, Target};

    fn data(rows: std::ops::Range<usize>) -> Dataset {
        let example = |row| Example { text: format!("row {row}"), pair: None, label: Label::Absent };
        Dataset {
            examples: rows.map(example).collect(),
            target: Target::Classes(LabelSet { names: Vec::new() }),
            name: "rows".into(),
            sha256: String::new(),
            path: None,
        }
    }

    /// A model made from the first 100 rows, of which it held out some.
    fn model(name: &str, held_out: std::ops::Range<usize>) -> (String, RowRecord) {
        let whole = data(0..100);
        let trained: Vec<usize> = (0..100).filter(|row| !held_out.contains(row)).collect();
        (name.into(), RowRecord::new(&whole.subset(&trained), &data(held_out)))
    }

    #[test]
    fn of_its_own_file_a_model_is_scored_by_the_held_out_rows() {
        let verdict = judge(&data(0..100), &[model("a", 90..100)], false);
        assert_eq!(verdict, Verdict { held_out: Some((90..100).collect()), warning: None });
        // All the same: everything, with a warning.
        let verdict = judge(&data(0..100), &[model("a", 90..100)], true);
        assert_eq!(verdict.held_out, None);
        let warning = verdict.warning.unwrap();
        assert!(warning.contains("a was trained on about 90.0 %"), "{warning}");
    }

    #[test]
    fn several_models_are_scored_by_what_all_of_them_held_out() {
        let verdict = judge(&data(0..100), &[model("a", 80..100), model("b", 70..90)], false);
        assert_eq!(verdict.held_out, Some((80..90).collect()));
        let apart = judge(&data(0..100), &[model("a", 90..100), model("b", 80..90)], false);
        assert_eq!(apart.held_out, None);
        assert!(apart.warning.unwrap().contains("b was trained on about 90.0 %"));
    }

    #[test]
    fn other_files_are_scored_whole() {
        assert_eq!(judge(&data(500..600), &[model("a", 90..100)], false), Verdict { held_out: None, warning: None });
        // Ten rows of another file are the same by chance: the others are no worse for it.
        let verdict = judge(&data(80..280), &[model("a", 90..100)], false);
        assert_eq!(verdict.held_out, None);
        assert!(verdict.warning.unwrap().contains("about 5.0 %"));
        // Trained rows alone leave nothing to choose.
        let verdict = judge(&data(0..50), &[model("a", 90..100)], false);
        assert_eq!(verdict.held_out, None);
        assert!(verdict.warning.unwrap().contains("about 100.0 %"));
    }
}
