//! A row as it was, with what is added.

use std::io::Write;

use serde_json::{Map, Value};

use super::Form;
use super::records::Record;

/// Writes a row in its own form, every byte as it was, and values under these names.
pub(super) fn row(
    out: &mut impl Write,
    record: &Record,
    form: Form,
    added: impl Iterator<Item = (&'static str, Value)>,
) -> std::io::Result<()> {
    let (body, end) = record.parts();
    match form {
        Form::Separated { by, quoted } => {
            out.write_all(body)?;
            for (_, value) in added {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let needs = quoted && text.contains([char::from(by), '"', '\n', '\r']);
                let text = if needs { format!("\"{}\"", text.replace('"', "\"\"")) } else { text };
                out.write_all(&[by])?;
                out.write_all(text.as_bytes())?;
            }
        }
        Form::Json => {
            // The object was read, so it ends in a brace.
            let brace = body.iter().rposition(|&byte| byte == b'}').unwrap_or(body.len());
            let (before, after) = body.split_at(brace);
            out.write_all(before)?;
            let mut comma = if before.trim_ascii_end().ends_with(b"{") { "" } else { "," };
            for (name, value) in added {
                write!(out, "{comma}\"{name}\":{value}")?;
                comma = ",";
            }
            out.write_all(after)?;
        }
    }
    out.write_all(end)
}

/// Writes separated values as an object: the columns by the names of a header or by their numbers from 1, then what is added.
pub(super) fn object(
    out: &mut impl Write,
    values: Vec<String>,
    header: Option<&[String]>,
    added: impl Iterator<Item = (&'static str, Value)>,
) -> std::io::Result<()> {
    let name = |column: usize| match header.and_then(|header| header.get(column)) {
        Some(name) => name.clone(),
        None => (column + 1).to_string(),
    };
    let columns = values.into_iter().enumerate().map(|(column, value)| (name(column), Value::from(value)));
    let object: Map<String, Value> = columns.chain(added.map(|(name, value)| (name.to_owned(), value))).collect();
    serde_json::to_writer(&mut *out, &object).map_err(std::io::Error::from)?;
    out.write_all(b"\n")
}
