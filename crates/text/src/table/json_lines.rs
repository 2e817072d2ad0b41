//! One JSON object a line.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Column, TableError, TableRow};
use crate::files;

/// Reads rows; the column `lists` may hold arrays of strings.
pub(super) fn rows(
    path: &Path,
    body: &[u8],
    columns: &[Column],
    lists: Option<&Column>,
) -> Result<Vec<TableRow>, TableError> {
    rows_after(0, path, body, columns, lists)
}

/// As [`rows`], of a part of a file that so many lines stand before.
pub(super) fn rows_after(
    before: usize,
    path: &Path,
    body: &[u8],
    columns: &[Column],
    lists: Option<&Column>,
) -> Result<Vec<TableRow>, TableError> {
    let key = |column| match column {
        &Column::Number(number) => Err(TableError::NumberInJson { path: path.to_owned(), number }),
        Column::Name(name) => Ok(name.as_str()),
    };
    let keys = columns.iter().map(key).collect::<Result<Vec<&str>, _>>()?;
    let mut rows = Vec::new();
    for (index, bytes) in files::lines(body).enumerate() {
        let line = before + index + 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 { path: path.to_owned(), line })?;
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|e| TableError::Json {
            path: path.to_owned(),
            line,
            reason: without_line(&e),
        })?;
        let cells = keys.iter().zip(columns);
        let values = cells
            .map(|(key, column)| value(path, line, &object, key, lists == Some(column)))
            .collect::<Result<_, _>>()?;
        rows.push(TableRow { line, values });
    }
    Ok(rows)
}

fn value(path: &Path, line: usize, object: &Map<String, Value>, key: &str, list: bool) -> Result<String, TableError> {
    let found = match object.get(key) {
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Number(number)) => return Ok(number.to_string()),
        Some(Value::Bool(flag)) => return Ok(flag.to_string()),
        Some(all @ Value::Array(items)) if list && items.iter().all(Value::is_string) => return Ok(all.to_string()),
        Some(Value::Null) => "null",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
        None => return Err(TableError::missing_key(path, line, key, object.keys().map(String::as_str))),
    };
    Err(TableError::JsonValue { path: path.to_owned(), line, name: key.to_owned(), found })
}

/// The parser counts lines within the one line it was given; only its column means something.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}
