//! Records of a file as they lie there, one after the other.

use std::io::BufRead;

use anyhow::{Context, ensure};

use crate::commands::bounded::{BoundedLine, LONGEST, read_line};

/// A record with its line end.
pub(super) struct Record {
    /// The line on which it begins, counted from 1.
    pub(super) line: usize,
    pub(super) raw: Vec<u8>,
}

/// Reads records.
pub(super) struct Records<R> {
    reader: R,
    /// The separator, where `"` may hold it and line ends together.
    quoted_by: Option<u8>,
    line: usize,
}

impl Record {
    /// The record without its line end, and the line end.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let body = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        self.raw.split_at(body.len())
    }

    /// Whether a mark that closes a quotation is followed by more of the value: readers disagree on what that means.
    pub(super) fn has_stray_quote(&self, separator: u8) -> bool {
        let (body, mut state) = (self.parts().0, QuoteState::ValueStart);
        body.iter().any(|&byte| {
            let before = state;
            state = state.after(byte, separator);
            before == QuoteState::QuoteInQuoted && state == QuoteState::Plain
        })
    }

    pub(super) fn is_blank(&self) -> bool {
        self.parts().0.trim_ascii().is_empty()
    }
}

impl<R: BufRead> Records<R> {
    /// Records of separated values, or lines where nothing is quoted.
    pub(super) fn new(reader: R, quoted_by: Option<u8>) -> Records<R> {
        Records { reader, quoted_by, line: 1 }
    }

    /// The next record, if there is one.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        let mut record = Record { line: self.line, raw: Vec::new() };
        let mut state = QuoteState::ValueStart;
        loop {
            let before = record.raw.len();
            let most = LONGEST.saturating_sub(before).max(1);
            let read = read_line(&mut self.reader, most, &mut record.raw).context("the file cannot be read")?;
            if read == BoundedLine::End {
                ensure!(
                    state != QuoteState::Quoted,
                    "line {}: a quotation begins and never ends: close it, or give --quoting false",
                    record.line
                );
                return Ok((!record.raw.is_empty()).then_some(record));
            }
            self.line += 1;
            ensure!(
                read == BoundedLine::Whole && record.raw.len() <= LONGEST,
                "line {}: a record of more than {LONGEST} bytes{}",
                record.line,
                if state == QuoteState::Quoted {
                    ": a quotation begins there; close it, or give --quoting false"
                } else {
                    ""
                }
            );
            if let Some(separator) = self.quoted_by {
                state = record.raw[before..].iter().fold(state, |state, &byte| state.after(byte, separator));
            }
            if state != QuoteState::Quoted {
                return Ok(Some(record));
            }
        }
    }
}

/// Where a reader of quoted values is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum QuoteState {
    ValueStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

impl QuoteState {
    fn after(self, byte: u8, separator: u8) -> QuoteState {
        match (self, byte) {
            (QuoteState::ValueStart | QuoteState::QuoteInQuoted, b'"') => QuoteState::Quoted,
            (QuoteState::Quoted, b'"') => QuoteState::QuoteInQuoted,
            (QuoteState::Quoted, _) => QuoteState::Quoted,
            (_, b'\n') => QuoteState::ValueStart,
            (_, byte) if byte == separator => QuoteState::ValueStart,
            _ => QuoteState::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn records(text: &str, quoted_by: Option<u8>) -> anyhow::Result<Vec<(usize, String)>> {
        let mut records = Records::new(text.as_bytes(), quoted_by);
        let mut all = Vec::new();
        while let Some(record) = records.next()? {
            all.push((record.line, String::from_utf8(record.raw).unwrap()));
        }
        Ok(all)
    }

    #[test]
    fn a_quotation_may_hold_line_ends() {
        let all = records("a,\"b\n\"\"c\"\r\nd,e\n\nf,5\" g", Some(b',')).unwrap();
        let expected = [(1, "a,\"b\n\"\"c\"\r\n"), (3, "d,e\n"), (4, "\n"), (5, "f,5\" g")];
        assert_eq!(all, expected.map(|(line, text)| (line, text.to_string())));
        assert_eq!(records("a,\"b\nc\"\n", None).unwrap().len(), 2);
        let error = records("x\na,\"b\nc\n", Some(b',')).err().unwrap().to_string();
        assert!(error.contains("line 2") && error.contains("--quoting false"), "{error}");
    }

    #[test]
    fn a_mark_within_a_quotation_is_written_twice() {
        let stray = |raw: &str| Record { line: 1, raw: raw.as_bytes().to_vec() }.has_stray_quote(b',');
        for raw in ["a,\"b\"\r\n", "\"a \"\"b\"\" c\",d\n", "5\" wide,a\n", "\"\",\"\"", "\"a\r\nb\"\n"] {
            assert!(!stray(raw), "{raw:?}");
        }
        for raw in ["\"a \\\"b\\\" c\",d\n", "a,\"b\" \n", "\"a\"b\"\n"] {
            assert!(stray(raw), "{raw:?}");
        }
    }

    #[test]
    fn no_record_takes_all_memory() {
        // Without an end, as `/dev/zero` is.
        let endless = |begin: &'static str| std::io::BufReader::new(begin.as_bytes().chain(std::io::repeat(b'x')));
        for (text, quoted_by) in [("a\n", None), ("a\n", Some(b','))] {
            let mut records = Records::new(endless(text), quoted_by);
            assert!(records.next().unwrap().is_some());
            let error = records.next().err().unwrap().to_string();
            assert!(error.contains("line 2") && error.contains("more than 16777216 bytes"), "{error}");
        }
        let lines = b"b\n".iter().copied().cycle().take(LONGEST + 10).collect::<Vec<u8>>();
        let mut records = Records::new(std::io::BufReader::new("\"a\n".as_bytes().chain(&lines[..])), Some(b','));
        let error = records.next().err().unwrap().to_string();
        assert!(error.contains("line 1") && error.contains("--quoting false"), "{error}");
    }

    #[test]
    fn a_line_end_is_told_from_the_record() {
        let parts = |raw: &str| {
            let record = Record { line: 1, raw: raw.as_bytes().to_vec() };
            let (body, end) = record.parts();
            (String::from_utf8(body.to_vec()).unwrap(), end.len())
        };
        assert_eq!(parts("a\r\n"), ("a".into(), 2));
        assert_eq!(parts("a\n"), ("a".into(), 1));
        assert_eq!(parts("a"), ("a".into(), 0));
    }
}
