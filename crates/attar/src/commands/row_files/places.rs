//! Where the texts of a row are.

use anyhow::{Context, bail, ensure};
use attar_text::table::Column;
use serde_json::Value;

use super::records::Record;
use super::{Form, RowFile};

/// Where the texts of a row are.
#[derive(Debug)]
pub(super) enum Places {
    Columns(usize, Option<usize>),
    Keys(String, Option<String>),
}

/// Where the texts are, from the first record, and the names of the columns if that is a header.
pub(super) fn find(record: &Record, form: Form, file: RowFile<'_>) -> anyhow::Result<(Places, Option<Vec<String>>)> {
    let Form::Separated { by, quoted } = form else {
        return Ok((Places::Keys(file.text.to_owned(), file.pair.map(str::to_owned)), None));
    };
    let columns: Vec<Column> =
        [Some(file.text), file.pair].into_iter().flatten().map(str::parse).collect::<Result<_, _>>()?;
    let by_name = columns.iter().all(|column| matches!(column, Column::Name(_)));
    let is_header = file.format.header.unwrap_or(by_name);
    let mut values = values(record.parts().0, by, quoted)?;
    if let Some(first) = values.first_mut() {
        *first = first.trim_start_matches('\u{feff}').to_string();
    }
    let place = |column: &Column| match column {
        Column::Number(number) => {
            ensure!(*number <= values.len(), "no column {number}: line {} has {}", record.line, values.len());
            Ok(number - 1)
        }
        Column::Name(name) => {
            ensure!(is_header, "a column named {name} needs a header: number the columns, or leave --header out");
            values.iter().position(|known| known == name).with_context(|| {
                format!("no column {name}: there are {}; name one with --text or --pair", values.join(", "))
            })
        }
    };
    let places = columns.iter().map(place).collect::<anyhow::Result<Vec<usize>>>()?;
    Ok((Places::Columns(places[0], places.get(1).copied()), is_header.then_some(values)))
}

/// The text of a row, and the second one. `added` are keys that an object must not have already.
pub(super) fn texts_of(
    record: &Record,
    places: &Places,
    form: Form,
    added: &[&str],
) -> anyhow::Result<(String, Option<String>)> {
    let body = record.parts().0;
    match (places, form) {
        (Places::Columns(text, pair), Form::Separated { by, quoted }) => {
            ensure!(
                !quoted || !record.has_stray_quote(by),
                "a quotation mark inside a quoted value is followed by neither a separator nor the end of the line: write \
                 it twice, or give --quoting false"
            );
            let values = values(body, by, quoted)?;
            let take = |column: usize| {
                let value = values.get(column).cloned();
                value.with_context(|| format!("expected at least {} columns, found {}", column + 1, values.len()))
            };
            Ok((take(*text)?, pair.map(take).transpose()?))
        }
        (Places::Keys(text, pair), _) => {
            let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
            let object: serde_json::Map<String, Value> = serde_json::from_slice(body).context("expected an object")?;
            if let Some(key) = added.iter().find(|key| object.contains_key(**key)) {
                bail!("there is a key `{key}` already: remove or rename it");
            }
            let take = |key: &String| match object.get(key) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(other) => bail!("{key}: expected a string, found {other:.40}"),
                None => {
                    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                    bail!("no key {key}: there are {}; name one with --text or --pair", keys.join(", "))
                }
            };
            Ok((take(text)?, pair.as_ref().map(take).transpose()?))
        }
        (Places::Columns(..), Form::Json) => unreachable!("keys are looked for in objects"),
    }
}

const NOT_UTF8: &str = "not UTF-8: convert the file first (`iconv`)";

/// The values of a record without its line end.
pub(super) fn values(body: &[u8], by: u8, quoted: bool) -> anyhow::Result<Vec<String>> {
    if !quoted {
        let text = std::str::from_utf8(body).ok().context(NOT_UTF8)?;
        return Ok(text.split(char::from(by)).map(str::to_owned).collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(by)
        .terminator(csv::Terminator::Any(b'\n'))
        .has_headers(false)
        .buffer_capacity(body.len().max(1))
        .from_reader(body);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).ok().context(NOT_UTF8)?;
    Ok(record.iter().map(str::to_owned).collect())
}
