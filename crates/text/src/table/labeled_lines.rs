//! Lines that are a text, or a label and a text.

use super::{Column, Format, Separated, TableError, TableRow};
use crate::files;

/// What fastText puts before a label.
pub(super) const FAST_TEXT: &str = "__label__";
/// Characters of a line that an error shows.
const SHOWN: usize = 40;

pub(super) fn rows(table: &Separated<'_>, body: &[u8], format: Format) -> Result<Vec<TableRow>, TableError> {
    let names: &[&str] = if format == Format::Lines { &["text"] } else { &["label", "text"] };
    // The names are always known, so that numbers and names may be mixed.
    let place = |column: &Column| column.resolve(table.path, Some(names), names.len());
    let places = table.columns.iter().map(place).collect::<Result<Vec<usize>, _>>()?;
    let mut rows = Vec::new();
    for (index, bytes) in files::lines(body).enumerate() {
        let line = index + 1;
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 { path: table.path.to_owned(), line })?;
        let values = match format {
            Format::Lines => [text, ""],
            _ if text.trim().is_empty() => continue,
            Format::FastText => {
                fast_text(text).ok_or_else(|| no_label(table, line, text, "`__label__LABEL text` with one label"))?
            }
            _ => {
                let separator = char::from(table.separator);
                let found = text.split_once(separator).filter(|(label, _)| !label.trim().is_empty());
                let (label, text) =
                    found.ok_or_else(|| no_label(table, line, text, &format!("`LABEL{separator}text`")))?;
                [label.trim(), text.trim()]
            }
        };
        rows.push(TableRow { line, values: places.iter().map(|&place| values[place].to_owned()).collect() });
    }
    Ok(rows)
}

fn fast_text(line: &str) -> Option<[&str; 2]> {
    let (label, text) = line.trim().strip_prefix(FAST_TEXT)?.split_once(char::is_whitespace)?;
    let text = text.trim_start();
    (!label.is_empty() && !text.starts_with(FAST_TEXT)).then_some([label, text])
}

fn no_label(table: &Separated<'_>, line: usize, text: &str, expected: &str) -> TableError {
    let found = text.chars().take(SHOWN).collect();
    TableError::NoLabel { path: table.path.to_owned(), line, expected: expected.to_owned(), found }
}
