//! Where pieces go as they are found.

use std::ops::Range;

/// Takes the pieces of a text, one after the other, and what it takes to say where they stand in it.
pub(super) trait Sink {
    /// Pieces so far.
    fn len(&self) -> usize;

    /// A word begins that stands at this byte of the text as it is.
    fn plain_word(&mut self, at: usize);

    /// A word begins whose letters will be told one by one.
    fn cleaned_word(&mut self);

    /// The next `bytes` bytes of a cleaned word are what became of these bytes of the text.
    fn letter(&mut self, bytes: usize, of: Range<usize>);

    /// These bytes of the word are a piece.
    fn piece(&mut self, id: u32, bytes: Range<usize>);

    /// Forgets the last pieces.
    fn truncate(&mut self, pieces: usize);
}

/// Ids alone.
impl Sink for Vec<u32> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn plain_word(&mut self, _: usize) {}

    #[inline]
    fn cleaned_word(&mut self) {}

    #[inline]
    fn letter(&mut self, _: usize, _: Range<usize>) {}

    #[inline]
    fn piece(&mut self, id: u32, _: Range<usize>) {
        self.push(id);
    }

    #[inline]
    fn truncate(&mut self, pieces: usize) {
        self.truncate(pieces);
    }
}

/// A piece and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) id: u32,
    pub(super) bytes: Range<usize>,
    pub(super) begins_word: bool,
}

/// Pieces with their places.
#[derive(Debug, Default)]
pub(super) struct Located {
    pub(super) pieces: Vec<Piece>,
    /// Of each byte of a cleaned word, the bytes of its character in the text.
    origins: Vec<Range<usize>>,
    /// Where a plain word stands.
    at: usize,
}

impl Sink for Located {
    fn len(&self) -> usize {
        self.pieces.len()
    }

    fn plain_word(&mut self, at: usize) {
        self.origins.clear();
        self.at = at;
    }

    fn cleaned_word(&mut self) {
        self.origins.clear();
    }

    fn letter(&mut self, bytes: usize, of: Range<usize>) {
        self.origins.extend(std::iter::repeat_n(of, bytes));
    }

    fn piece(&mut self, id: u32, bytes: Range<usize>) {
        let place = match self.origins.get(bytes.clone()) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => self.at + bytes.start..self.at + bytes.end,
        };
        self.pieces.push(Piece { id, bytes: place, begins_word: bytes.start == 0 });
    }

    fn truncate(&mut self, pieces: usize) {
        self.pieces.truncate(pieces);
    }
}
