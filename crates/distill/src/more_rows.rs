//! Rows without labels: texts of the user's domain, and training rows with noise.

use std::path::Path;

use attar_text::labeled::Example;
use attar_text::noise::{Noise, noisy};
use attar_text::random::Streams;
use attar_text::table::Column;
use attar_text::unlabeled::{self, UnlabeledSpec};

use crate::Error;
use crate::data::{LabeledData, table};
use crate::recipe::{DataSpec, MoreSpec, TableFormat};

/// The rows that a recipe asks for beside the labeled ones; rows that stand among the dev rows are left out.
///
/// # Errors
/// If a file is missing or not what it is said to be, or holds single texts where the data are pairs.
pub(crate) fn collect(
    spec: &MoreSpec,
    columns: &DataSpec,
    data: &LabeledData,
    mask: Option<&str>,
    streams: &Streams,
    notes: &mut Vec<String>,
) -> Result<Vec<Example>, Error> {
    let mut rows = Vec::new();
    for path in &spec.unlabeled {
        let found = unlabeled::read(
            &source(path, columns, data.train.has_pairs(), spec.unlabeled_rows)?,
            &[&data.dev],
            streams,
        )?;
        if data.train.has_pairs() != found.examples.iter().all(|example| example.pair.is_some()) {
            let [expected, got] = match data.train.has_pairs() {
                true => ["pairs of texts, as the data", "single texts"],
                false => ["single texts, as the data", "pairs of texts"],
            };
            let out = "give a table with the columns of the data";
            return Err(Error::refused(path.display().to_string(), expected, got, out));
        }
        if found.held_out > 0 {
            notes.push(format!("{}: {} texts are dev rows and were left out", path.display(), found.held_out));
        }
        rows.extend(found.examples);
    }
    if spec.noisy_copies > 0 {
        rows.extend(noisy(&data.train.examples, mask, spec.noisy_copies, Noise::default(), streams));
    }
    Ok(rows)
}

/// A file with the columns of the data if it is a table, else a text a line. Known data sets have no columns of the
/// user's own: a table beside them has `text` and, of pairs, `pair`; beside questions, `question` and `context`.
fn source(path: &Path, columns: &DataSpec, pairs: bool, most: Option<usize>) -> Result<UnlabeledSpec, Error> {
    let plain = UnlabeledSpec { most: most.unwrap_or(usize::MAX), ..UnlabeledSpec::new(path) };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if [".txt", ".txt.gz"].iter().any(|end| name.ends_with(end)) {
        return Ok(plain);
    }
    let DataSpec::Table { text, pair, format, .. } = columns else {
        let column = |name: &str| Column::Name(name.to_owned());
        let [text, pair] = match columns {
            DataSpec::Answers { .. } => ["question", "context"],
            _ => ["text", "pair"],
        };
        return Ok(UnlabeledSpec {
            table: table(path, TableFormat::default()),
            text: Some(column(text)),
            pair: pairs.then(|| column(pair)),
            ..plain
        });
    };
    Ok(UnlabeledSpec {
        table: table(path, *format),
        text: Some(text.parse()?),
        pair: pair.as_ref().map(|pair| pair.parse()).transpose()?,
        ..plain
    })
}
