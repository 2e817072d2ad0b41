//! Texts that a user gives on the command line or through standard input, as they come.

use std::io::{BufReader, Read, StdinLock};

use anyhow::{Context, ensure};

use super::bounded::{BoundedLine, LONGEST, read_line, skip_line};

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;
/// Bytes of text after which a turn is full.
const TURN_BYTES: usize = 4 << 20;

/// A text, or why there is none, and its place: the argument or line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) place: usize,
    pub(crate) text: Result<String, String>,
}

/// The texts that a command is to answer.
pub(crate) enum Texts<'a> {
    Arguments { texts: &'a [String], given: usize },
    Lines(Lines<StdinLock<'static>>),
}

/// Lines as texts.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: usize,
}

impl<'a> Texts<'a> {
    /// The texts given, or the lines of standard input.
    pub(crate) fn new(texts: &'a [String]) -> Texts<'a> {
        if texts.is_empty() {
            Texts::Lines(Lines::new(std::io::stdin().lock()))
        } else {
            Texts::Arguments { texts, given: 0 }
        }
    }

    /// The next texts, at most so many, and no more than are there already, so that whoever waits for answers gets them;
    /// none at the end.
    pub(crate) fn turn(&mut self, most: usize) -> anyhow::Result<Vec<Given>> {
        let turn = match self {
            Texts::Arguments { texts, given } => {
                let next = texts.iter().enumerate().skip(*given).take(most);
                let turn: Vec<Given> =
                    next.map(|(index, text)| Given { place: index + 1, text: Ok(text.clone()) }).collect();
                *given += turn.len();
                turn
            }
            Texts::Lines(lines) => {
                let turn = lines.turn(most).context("standard input cannot be read")?;
                ensure!(
                    !turn.is_empty() || lines.line > 0,
                    "no texts: give some as arguments, or one a line on standard input"
                );
                turn
            }
        };
        Ok(turn)
    }

    /// What a place counts.
    pub(crate) fn unit(&self) -> &'static str {
        match self {
            Texts::Arguments { .. } => "argument",
            Texts::Lines(_) => "line",
        }
    }
}

impl<R: Read> Lines<R> {
    fn new(reader: R) -> Lines<R> {
        Lines { reader: BufReader::with_capacity(BUFFER, reader), line: 0 }
    }

    fn turn(&mut self, most: usize) -> std::io::Result<Vec<Given>> {
        let mut turn = Vec::new();
        let mut bytes = 0;
        // Only the first line of a turn is waited for.
        while turn.is_empty() || turn.len() < most && bytes < TURN_BYTES && self.reader.buffer().contains(&b'\n') {
            let Some(given) = self.next()? else { break };
            bytes += given.text.as_ref().map_or(0, String::len);
            turn.push(given);
        }
        Ok(turn)
    }

    fn next(&mut self) -> std::io::Result<Option<Given>> {
        let mut raw = Vec::new();
        let read = read_line(&mut self.reader, LONGEST, &mut raw)?;
        if read == BoundedLine::End {
            return Ok(None);
        }
        self.line += 1;
        if read == BoundedLine::TooLong {
            skip_line(&mut self.reader)?;
            let problem = format!("more than {LONGEST} bytes in one line: put a text on each line");
            return Ok(Some(Given { place: self.line, text: Err(problem) }));
        }
        if raw.last() == Some(&b'\n') {
            raw.pop();
            if raw.last() == Some(&b'\r') {
                raw.pop();
            }
        }
        let text = String::from_utf8(raw).map_err(|e| {
            let byte = e.utf8_error().valid_up_to() + 1;
            format!("not UTF-8 at its byte {byte}: convert the texts first (`iconv`)")
        });
        Ok(Some(Given { place: self.line, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what was written at one time with each call.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            to[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn texts(turn: Vec<Given>) -> Vec<String> {
        turn.into_iter().map(|given| given.text.unwrap()).collect()
    }

    #[test]
    fn a_turn_is_what_is_there_already() {
        let mut lines = Lines::new(Pieces(vec![b"a\nb\r\n\nha", b"lf\nlast"]));
        assert_eq!(texts(lines.turn(9).unwrap()), ["a", "b", ""]);
        assert_eq!(texts(lines.turn(9).unwrap()), ["half"]);
        assert_eq!(texts(lines.turn(9).unwrap()), ["last"]);
        assert!(lines.turn(9).unwrap().is_empty());
        let mut lines = Lines::new(Pieces(vec![b"a\nb\nc\n"]));
        assert_eq!(texts(lines.turn(2).unwrap()), ["a", "b"]);
        assert_eq!(texts(lines.turn(2).unwrap()), ["c"]);
    }

    #[test]
    fn lines_that_are_no_texts_keep_their_places() {
        let long: &'static [u8] = vec![b'x'; LONGEST + 5].leak();
        let mut lines = Lines::new(std::io::Cursor::new([b"a\n\xff\xfe\n", long, b"\nend\n"].concat()));
        let mut all = Vec::new();
        loop {
            let turn = lines.turn(9).unwrap();
            if turn.is_empty() {
                break;
            }
            all.extend(turn.into_iter().map(|Given { place, text }| (place, text)));
        }
        let told: Vec<(usize, String)> = all
            .iter()
            .map(|(place, text)| (*place, text.clone().unwrap_or_else(|problem| problem[..13].into())))
            .collect();
        let expected = [(1, "a"), (2, "not UTF-8 at "), (3, "more than 167"), (4, "end")];
        assert_eq!(told, expected.map(|(place, text)| (place, text.to_string())));
    }
}
