//! Separated values without quotation: every line is a row, every separator separates.

use super::{Places, Separated, TableError, TableRow};
use crate::files;

pub(super) fn rows(table: &Separated<'_>, body: &[u8]) -> Result<Vec<TableRow>, TableError> {
    let mut rows = Vec::new();
    let mut places: Option<Places> = None;
    for (index, bytes) in files::lines(body).enumerate() {
        let line = index + 1;
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 { path: table.path.to_owned(), line })?;
        let values: Vec<&str> = text.split(char::from(table.separator)).collect();
        table.take(&mut rows, &mut places, line, &values)?;
    }
    Ok(rows)
}
