//! What separates the columns of a `.csv` file, which is a semicolon where commas are in numbers.

use csv::{ByteRecord, ReaderBuilder, Terminator};

/// Rows that are looked at.
const ROWS: usize = 200;

/// A comma, unless rows are not equally wide by commas (or all one column) and are so by semicolons or by tabs, in more
/// than one column.
pub(super) fn told(body: &[u8], quoted: bool) -> u8 {
    let even = |delimiter: u8| columns(body, delimiter, quoted).is_some_and(|columns| columns > 1);
    match [b';', b'\t'].map(even) {
        _ if even(b',') => b',',
        [true, false] => b';',
        [false, true] => b'\t',
        _ => b',',
    }
}

/// Columns of the first rows, if all have the same number.
fn columns(body: &[u8], delimiter: u8, quoted: bool) -> Option<usize> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoted)
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(body);
    let mut record = ByteRecord::new();
    let mut columns = None;
    for _ in 0..ROWS {
        match reader.read_byte_record(&mut record) {
            Ok(true) if record.iter().all(|value| value.trim_ascii().is_empty()) => {}
            Ok(true) if *columns.get_or_insert(record.len()) == record.len() => {}
            Ok(false) => break,
            _ => return None,
        }
    }
    columns
}
