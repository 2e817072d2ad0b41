//! Lines of any input, however long they claim to be.

use std::io::{BufRead, Read, Result};

/// Longest line or record, in bytes: what has no end would take all of it into memory.
pub(crate) const LONGEST: usize = 16 << 20;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BoundedLine {
    /// Nothing: the input has ended.
    End,
    /// A line with its end, or the last one without.
    Whole,
    /// A line that is longer than what was to be read of it; the rest of it is left.
    TooLong,
}

/// Appends a line of at most `most` bytes.
pub(crate) fn read_line(reader: &mut impl BufRead, most: usize, line: &mut Vec<u8>) -> Result<BoundedLine> {
    let read = reader.take(most as u64).read_until(b'\n', line)?;
    Ok(match read {
        0 if most > 0 => BoundedLine::End,
        _ if read < most || line.last() == Some(&b'\n') => BoundedLine::Whole,
        // It may have ended just there.
        _ if reader.fill_buf()?.is_empty() => BoundedLine::Whole,
        _ => BoundedLine::TooLong,
    })
}

/// Leaves out what is left of a line.
pub(crate) fn skip_line(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, is_done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if is_done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn long_lines_are_cut_off_and_skipped() {
        let mut reader = BufReader::with_capacity(3, &b"abcdefgh\nij\nklmn"[..]);
        let next = |reader: &mut BufReader<&[u8]>| {
            let mut line = Vec::new();
            let what = read_line(reader, 4, &mut line).unwrap();
            (what, String::from_utf8(line).unwrap())
        };
        assert_eq!(next(&mut reader), (BoundedLine::TooLong, "abcd".into()));
        skip_line(&mut reader).unwrap();
        assert_eq!(next(&mut reader), (BoundedLine::Whole, "ij\n".into()));
        assert_eq!(next(&mut reader), (BoundedLine::Whole, "klmn".into()));
        assert_eq!(next(&mut reader), (BoundedLine::End, String::new()));
    }
}
