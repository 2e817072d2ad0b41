//! Sequences of different lengths, one after the other, and their heads.

use rayon::prelude::*;

/// The layout of a batch of sequences: how many rows each one has, and how many of them, from its first on, are keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ragged {
    spans: Vec<SequenceSpan>,
    rows: usize,
    /// Query-key pairs of one head.
    pairs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SequenceSpan {
    first: usize,
    pub(super) rows: usize,
    pub(super) keys: usize,
    /// Pairs of one head of all earlier sequences.
    pairs: usize,
}

impl Ragged {
    /// Sequences of `rows` rows, the first `keys` of which are attended to.
    ///
    /// # Panics
    /// If a sequence has no key, or more keys than rows.
    #[track_caller]
    pub fn new(sequences: impl IntoIterator<Item = (usize, usize)>) -> Ragged {
        let mut ragged = Ragged { spans: Vec::new(), rows: 0, pairs: 0 };
        for (rows, keys) in sequences {
            assert!(0 < keys && keys <= rows, "{keys} keys in a sequence of {rows} rows");
            ragged.spans.push(SequenceSpan { first: ragged.rows, rows, keys, pairs: ragged.pairs });
            ragged.rows += rows;
            ragged.pairs += rows * rows;
        }
        ragged
    }

    /// N, the rows of all sequences.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the longest sequence.
    pub fn longest(&self) -> usize {
        self.spans.iter().map(|span| span.rows).max().unwrap_or(0)
    }

    /// P, the query-key pairs of `heads` heads.
    pub fn pairs(&self, heads: usize) -> usize {
        self.pairs * heads
    }

    /// The first pair and the rows of each sequence, for one of `heads` heads.
    pub(super) fn pairs_of_head(&self, head: usize, heads: usize) -> impl Iterator<Item = (usize, usize)> {
        self.spans.iter().map(move |span| (span.pairs * heads + head * span.rows * span.rows, span.rows))
    }

    /// Runs `work` for every head of every sequence, on any thread.
    pub(super) fn for_each_head(&self, heads: usize, width: usize, work: impl Fn(SequenceHead) + Sync) {
        if width == 0 {
            return;
        }
        (0..self.spans.len() * heads).into_par_iter().for_each(|unit| {
            let (span, head) = (self.spans[unit / heads], unit % heads);
            let pairs = span.pairs * heads + head * span.rows * span.rows;
            work(SequenceHead { span, head, column: head * width, width, hidden: heads * width, pairs });
        });
    }

    /// The width of a head, if `qkv` `[N, 3H]` has the rows of these sequences.
    #[track_caller]
    pub(super) fn head_width(&self, qkv: &[f32], heads: usize) -> usize {
        assert!(heads > 0, "attention needs at least one head");
        let width = if self.rows == 0 { 0 } else { qkv.len() / (3 * self.rows * heads) };
        assert_eq!(qkv.len(), 3 * self.rows * heads * width, "{} rows of queries, keys and values", self.rows);
        width
    }
}

/// The three parts of a row of `[N, 3H]`, in order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Qkv {
    Query,
    Key,
    Value,
}

/// One head of one sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct SequenceHead {
    pub(super) span: SequenceSpan,
    /// Which of the heads.
    pub(super) head: usize,
    /// Its first column of H.
    column: usize,
    pub(super) width: usize,
    pub(super) hidden: usize,
    /// Its first pair.
    pub(super) pairs: usize,
}

impl SequenceHead {
    /// Where its queries, keys or values begin in `[N, 3H]`.
    pub(super) fn qkv_offset(&self, part: Qkv) -> usize {
        self.span.first * 3 * self.hidden + part as usize * self.hidden + self.column
    }

    /// Where it begins in `[N, H]`.
    pub(super) fn context_offset(&self) -> usize {
        self.span.first * self.hidden + self.column
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// `rows` rounded up to whole vectors.
pub(super) fn padded(rows: usize) -> usize {
    // The widest vector has 16 lanes.
    rows.next_multiple_of(16)
}
