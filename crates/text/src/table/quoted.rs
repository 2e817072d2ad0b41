//! Separated values with quotation: a quoted value may hold separators, line ends and `""`.

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::{Places, Separated, TableError, TableRow};

pub(super) fn rows(table: &Separated<'_>, body: &[u8]) -> Result<Vec<TableRow>, TableError> {
    let mut reader = ReaderBuilder::new()
        .delimiter(table.separator)
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(body);
    let mut rows = Vec::new();
    let mut places: Option<Places> = None;
    let mut record = ByteRecord::new();
    let mut counted = LineCounter { at: 0, line: 1 };
    while reader.read_byte_record(&mut record).map_err(|e| io_error(table, e))? {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let end = reader.position().byte() as usize;
        let raw = &body[start..end];
        let line = counted.line_of_first_content(body, start);
        let leading = raw.iter().take_while(|&&byte| byte == b'\n').count();
        match quotation(&raw[leading..], table.separator) {
            Quotation::Stray { breaks } => {
                return Err(TableError::StrayQuote { path: table.path.to_owned(), line: line + breaks });
            }
            Quotation::Unclosed if end == body.len() => {
                return Err(TableError::Unclosed { path: table.path.to_owned(), line });
            }
            Quotation::Closed | Quotation::Unclosed => {}
        }
        if raw.iter().all(|byte| b"\r\n".contains(byte)) {
            continue;
        }
        let values = values(&record).ok_or(TableError::NotUtf8 { path: table.path.to_owned(), line })?;
        table.take(&mut rows, &mut places, line, &values)?;
    }
    Ok(rows)
}

/// The values as text, less the `\r` of a line that ends in `\r\n`.
fn values(record: &ByteRecord) -> Option<Vec<&str>> {
    let mut values = record.iter().map(|value| std::str::from_utf8(value).ok()).collect::<Option<Vec<&str>>>()?;
    if let Some(last) = values.last_mut() {
        *last = last.strip_suffix('\r').unwrap_or(last);
    }
    Some(values)
}

/// How the quotations of a row end.
enum Quotation {
    /// All of them are closed, or there is none.
    Closed,
    /// The last one is still open, which the reader takes for the end of the value.
    Unclosed,
    /// A closing mark is followed by more of the value, after so many line breaks. Readers disagree on what that means.
    Stray { breaks: usize },
}

fn quotation(raw: &[u8], separator: u8) -> Quotation {
    enum State {
        ValueStart,
        Plain,
        Quoted,
        QuoteInQuoted,
    }
    let mut state = State::ValueStart;
    let mut breaks = 0;
    for (at, &byte) in raw.iter().enumerate() {
        state = match (state, byte) {
            (State::ValueStart | State::QuoteInQuoted, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) => State::Quoted,
            (_, b'\n') => State::ValueStart,
            (_, byte) if byte == separator => State::ValueStart,
            (State::QuoteInQuoted, b'\r') if raw.get(at + 1).is_none_or(|&next| next == b'\n') => State::Plain,
            (State::QuoteInQuoted, _) => return Quotation::Stray { breaks },
            _ => State::Plain,
        };
        breaks += usize::from(byte == b'\n');
    }
    if matches!(state, State::Quoted) { Quotation::Unclosed } else { Quotation::Closed }
}

/// Counts lines from where it last stood.
struct LineCounter {
    at: usize,
    line: usize,
}

impl LineCounter {
    /// The line of the row at byte `start`; blank lines before it, which the reader skips, are not its own.
    fn line_of_first_content(&mut self, body: &[u8], start: usize) -> usize {
        let blank = body[start..].iter().take_while(|&&byte| byte == b'\n').count();
        self.line += body[self.at..start + blank].iter().filter(|&&byte| byte == b'\n').count();
        self.at = start + blank;
        self.line
    }
}

fn io_error(table: &Separated<'_>, error: csv::Error) -> TableError {
    TableError::Io { path: table.path.to_owned(), source: error.into() }
}
