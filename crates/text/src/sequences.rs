//! A corpus as token ids: what a model that learns from text alone reads.
//!
//! ```no_run
//! use attar_text::corpus::Corpus;
//! use attar_text::sequences::{SequenceLayout, Sequences};
//! use attar_text::tokenizer::Tokenizer;
//!
//! let tokenizer = Tokenizer::from_dir("all-MiniLM-L6-v2".as_ref())?;
//! let mut corpus = Corpus::open(&["wiki-00.txt.zst", "wiki-01.txt.gz"])?;
//! let sequences = Sequences::read(&mut corpus, &tokenizer, SequenceLayout::Packed, 128)?;
//! println!("{} sequences of {} tokens together", sequences.len(), sequences.tokens());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::batch::Batch;
use crate::corpus::{Corpus, CorpusError};
use crate::table::hexadecimal;
use crate::tokenizer::{EncodeError, Limit, Tokenizer};

/// Lines that are encoded at once: enough for all cores, little memory.
const LINES: usize = 4096;

/// How lines become sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SequenceLayout {
    /// The lines of a document one after the other, cut where a sequence is full. A document ends at a blank line and
    /// at the end of its file; a sequence never holds parts of two.
    #[default]
    Packed,
    /// A sequence is a line; what exceeds the limit is dropped.
    Lines,
}

/// Sequences of token ids in one buffer, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequences {
    /// Token ids of all sequences, those of the first one first, `[N]`.
    ids: Vec<u32>,
    /// Where each sequence ends, `[B]`.
    ends: Vec<usize>,
    /// Lines that were longer than a sequence and lost their ends.
    cut: usize,
}

/// Why a corpus cannot be read as sequences.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencesError {
    /// A file that cannot be read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A line that the tokenizer refuses.
    #[error("line {line} of the corpus, blank ones left out: {source}")]
    Encode {
        /// Counted from 1 over all files.
        line: u64,
        /// Why.
        source: EncodeError,
    },
    /// A tokenizer that frames a text with something else than one token before and one after.
    #[error(
        "the tokenizer puts {found} special tokens around a text, expected one before and one after it to join or mix texts: \
         choose the layout of one line a sequence, or another tokenizer"
    )]
    Frame {
        /// Special tokens of an empty text.
        found: usize,
    },
    /// A limit that leaves no room for text.
    #[error("sequences of {found} tokens leave no room for text, expected at least {least}")]
    Limit {
        /// Tokens of a sequence.
        found: usize,
        /// The fewest there can be.
        least: usize,
    },
}

impl Sequences {
    /// Reads a whole corpus on all cores; the result does not depend on their number.
    ///
    /// # Errors
    /// [`SequencesError`].
    pub fn read(
        corpus: &mut Corpus,
        tokenizer: &Tokenizer,
        layout: SequenceLayout,
        max_tokens: usize,
    ) -> Result<Sequences, SequencesError> {
        if max_tokens < 3 {
            return Err(SequencesError::Limit { found: max_tokens, least: 3 });
        }
        let mut sequences = Sequences::default();
        let mut packer = match layout {
            SequenceLayout::Packed => Some(Packer::new(tokenizer, max_tokens)?),
            SequenceLayout::Lines => None,
        };
        corpus.mark_document_ends(packer.is_some());
        let mut lines: Vec<String> = Vec::with_capacity(LINES);
        let mut before = 0;
        loop {
            lines.clear();
            lines.extend(corpus.by_ref().take(LINES));
            if lines.is_empty() {
                break;
            }
            let texts: Vec<(&str, Option<&str>)> = lines.iter().map(|line| (line.as_str(), None)).collect();
            // A token more than the limit tells a line that is cut.
            let limit = if packer.is_some() { Limit::unlimited() } else { Limit::new(max_tokens.saturating_add(1)) };
            let encodings = tokenizer.encode_all(&texts, limit).map_err(|error| located(error, before, &lines))?;
            for (line, encoding) in lines.iter().zip(encodings) {
                match &mut packer {
                    Some(packer) if line.is_empty() => packer.end_document(&mut sequences),
                    Some(packer) => packer.push(&encoding.ids[1..encoding.len() - 1], &mut sequences),
                    // Some lines have nothing that a tokenizer keeps.
                    None if encoding.ids.iter().all(|&id| tokenizer.is_special(id)) => {}
                    None => sequences.push_line(encoding.ids, max_tokens),
                }
            }
            before += lines.iter().filter(|line| !line.is_empty()).count() as u64;
        }
        if let Some(packer) = &mut packer {
            packer.end_document(&mut sequences);
        }
        corpus.check()?;
        Ok(sequences)
    }

    /// Number of sequences B.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of tokens N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Lines that were longer than a sequence and lost their ends.
    pub fn cut_lines(&self) -> usize {
        self.cut
    }

    /// Tokens of each sequence, `[B]`.
    pub fn lengths(&self) -> Vec<u32> {
        (0..self.len()).map(|index| self.range(index).len() as u32).collect()
    }

    /// Token ids of a sequence.
    ///
    /// # Panics
    /// If there is no such sequence.
    #[track_caller]
    pub fn ids(&self, index: usize) -> &[u32] {
        &self.ids[self.range(index)]
    }

    /// The batch of these sequences; all token types are 0.
    ///
    /// # Panics
    /// If there is no such sequence.
    #[track_caller]
    pub fn batch(&self, rows: &[u32]) -> Batch {
        let ids: Vec<u32> = rows.iter().flat_map(|&row| self.ids(row as usize)).copied().collect();
        Batch {
            rows: rows.to_vec(),
            types: vec![0; ids.len()],
            lengths: rows.iter().map(|&row| self.ids(row as usize).len() as u32).collect(),
            ids,
        }
    }

    /// The sequences of these numbers, in this order.
    ///
    /// # Panics
    /// If there is no such sequence.
    #[must_use]
    #[track_caller]
    pub fn of_rows(&self, rows: &[usize]) -> Sequences {
        let mut some = Sequences::default();
        for &row in rows {
            some.push(self.ids(row).iter().copied());
        }
        some
    }

    /// SHA-256 of ids and lengths, in hexadecimal.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        for index in 0..self.len() {
            let ids = self.ids(index);
            hash.update((ids.len() as u64).to_le_bytes());
            ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        }
        hexadecimal(&hash.finalize())
    }

    /// Sequences from their ids.
    pub fn from_ids<'a>(all: impl IntoIterator<Item = &'a [u32]>) -> Sequences {
        let mut sequences = Sequences::default();
        all.into_iter().for_each(|ids| sequences.push(ids.iter().copied()));
        sequences
    }

    fn range(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    fn push(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.ids.extend(ids);
        self.ends.push(self.ids.len());
    }

    fn push_line(&mut self, mut ids: Vec<u32>, max_tokens: usize) {
        if ids.len() > max_tokens {
            self.cut += 1;
            // The last token, which ends a text, stays.
            ids.remove(max_tokens - 1);
        }
        self.push(ids);
    }
}

/// Joins the lines of a document.
struct Packer {
    first: u32,
    last: u32,
    /// Pieces of a sequence.
    room: usize,
    pieces: Vec<u32>,
    /// Of each id whether it is a special token, the unknown one among them.
    special: Vec<bool>,
}

impl Packer {
    fn new(tokenizer: &Tokenizer, max_tokens: usize) -> Result<Packer, SequencesError> {
        let [first, last] = frame(tokenizer)?;
        let special = (0..tokenizer.vocabulary_size() as u32).map(|id| tokenizer.is_special(id)).collect();
        Ok(Packer { first, last, room: max_tokens - 2, pieces: Vec::new(), special })
    }

    fn push(&mut self, pieces: &[u32], to: &mut Sequences) {
        self.pieces.extend_from_slice(pieces);
        let full = self.pieces.len() / self.room * self.room;
        self.pieces[..full].chunks(self.room).for_each(|pieces| self.write(pieces, to));
        self.pieces.drain(..full);
    }

    fn end_document(&mut self, to: &mut Sequences) {
        self.write(&self.pieces, to);
        self.pieces.clear();
    }

    /// Appends a sequence, unless nothing in it is known to the tokenizer.
    fn write(&self, pieces: &[u32], to: &mut Sequences) {
        if pieces.iter().any(|&id| !self.special[id as usize]) {
            to.push([self.first].into_iter().chain(pieces.iter().copied()).chain([self.last]));
        }
    }
}

/// The special tokens before and after a text, of which there has to be one each.
pub(crate) fn frame(tokenizer: &Tokenizer) -> Result<[u32; 2], SequencesError> {
    let empty = tokenizer.encode("", None, Limit::unlimited());
    let ids = empty.map_err(|source| SequencesError::Encode { line: 1, source })?.ids;
    ids.as_slice().try_into().map_err(|_| SequencesError::Frame { found: ids.len() })
}

/// The line of an error, counted over the whole corpus.
fn located(error: EncodeError, before: u64, lines: &[String]) -> SequencesError {
    match error {
        EncodeError::Row { row, source } => {
            let line = before + lines[..=row].iter().filter(|line| !line.is_empty()).count() as u64;
            SequencesError::Encode { line, source: *source }
        }
        source => SequencesError::Encode { line: before + 1, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{TrainOptions, train_wordpiece};

    fn read(text: &str, layout: SequenceLayout, max_tokens: usize) -> (Sequences, Tokenizer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.txt");
        std::fs::write(&path, text).unwrap();
        let tokenizer = train_wordpiece(["a b c d e f g h i"; 2], TrainOptions::new(40)).unwrap();
        let mut corpus = Corpus::open(&[&path, &path]).unwrap();
        let sequences = Sequences::read(&mut corpus, &tokenizer, layout, max_tokens).unwrap();
        (sequences, tokenizer)
    }

    fn words(sequences: &Sequences, tokenizer: &Tokenizer) -> Vec<String> {
        let word = |&id: &u32| tokenizer.token(id).unwrap();
        (0..sequences.len()).map(|i| sequences.ids(i).iter().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn documents_are_packed_and_never_mixed() {
        let (packed, tokenizer) = read("a b c\nd e\n\n\u{2603}\n\nf g\n", SequenceLayout::Packed, 6);
        let one_file = ["[CLS] a b c d [SEP]", "[CLS] e [SEP]", "[CLS] f g [SEP]"];
        assert_eq!(words(&packed, &tokenizer), [one_file, one_file].concat());
        assert_eq!(packed.lengths(), [6, 3, 4, 6, 3, 4]);
        assert_eq!((packed.tokens(), packed.cut_lines()), (26, 0));
    }

    #[test]
    fn lines_are_cut_at_the_limit() {
        let (lines, tokenizer) = read("a b c d\n\ne f g\n\u{200b}\u{1}\n", SequenceLayout::Lines, 5);
        let one_file = ["[CLS] a b c [SEP]", "[CLS] e f g [SEP]"];
        assert_eq!(words(&lines, &tokenizer), [one_file, one_file].concat());
        assert_eq!(lines.cut_lines(), 2);
        let batch = lines.batch(&[1, 0]);
        assert_eq!((batch.lengths, batch.types), (vec![5, 5], vec![0; 10]));
        assert_eq!(batch.ids[..5], *lines.ids(1));
        assert_eq!(lines.of_rows(&[1]).ids(0), lines.ids(1));
        assert_ne!(lines.of_rows(&[1]).content_hash(), lines.of_rows(&[0]).content_hash());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.txt");
        std::fs::write(&path, b"a b\n\xff\n").unwrap();
        let tokenizer = train_wordpiece(["a b"; 2], TrainOptions::new(40)).unwrap();
        let read = |max_tokens| {
            let mut corpus = Corpus::open(&[&path]).unwrap();
            Sequences::read(&mut corpus, &tokenizer, SequenceLayout::Packed, max_tokens).unwrap_err().to_string()
        };
        assert!(read(8).contains("line 2"), "{}", read(8));
        assert!(read(2).contains("at least 3"), "{}", read(2));
    }
}
