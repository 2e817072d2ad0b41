//! Text whose words are cut with one of two vocabularies, chosen at random: how a model that knows one of them learns the
//! other (dual training; Zhao et al., arXiv 1909.11687, section 3.2).
//!
//! The ids of the second vocabulary follow those of the first: piece `i` of it is `first + i`, where `first` is the size of
//! the first one. Special tokens are the first one's.

use std::ops::Range;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::align::{AlignedRow, Aligner};
use crate::batch::Batch;
use crate::corpus::Corpus;
use crate::random::Stream;
use crate::sequences::{Sequences, SequencesError, frame};
use crate::table::hexadecimal;
use crate::tokenizer::{Limit, Tokenizer};

/// Lines that are encoded at once.
const LINES: usize = 4096;

/// Texts as both vocabularies cut them.
#[derive(Debug, Clone)]
pub struct MixedTexts {
    /// Pieces of the first vocabulary.
    first: u32,
    max_tokens: usize,
    /// The first vocabulary is the teacher of the alignment, the second the student.
    rows: Vec<AlignedRow>,
}

impl MixedTexts {
    /// Reads a corpus on all cores: its lines, in parts of half as many words as a sequence has tokens, so that few are
    /// cut. Parts without a word that both vocabularies have are left out.
    ///
    /// # Errors
    /// [`SequencesError`].
    pub fn read(
        corpus: &mut Corpus,
        first: &Tokenizer,
        second: &Tokenizer,
        max_tokens: usize,
    ) -> Result<MixedTexts, SequencesError> {
        if max_tokens < 8 {
            return Err(SequencesError::Limit { found: max_tokens, least: 8 });
        }
        for tokenizer in [first, second] {
            frame(tokenizer)?;
        }
        let aligner = Aligner::new(first, second, Limit::new(max_tokens));
        let mut texts = MixedTexts { first: first.vocabulary_size() as u32, max_tokens, rows: Vec::new() };
        let mut lines: Vec<String> = Vec::with_capacity(LINES);
        let mut before = 0;
        loop {
            lines.clear();
            lines.extend(corpus.by_ref().take(LINES));
            if lines.is_empty() {
                break;
            }
            let parts: Vec<(usize, &str)> = lines
                .iter()
                .enumerate()
                .flat_map(|(line, text)| parts(text, max_tokens / 2).map(move |p| (line, p)))
                .collect();
            let aligned: Vec<_> = parts.par_iter().map(|(_, text)| aligner.align(text, None)).collect();
            for ((line, _), row) in parts.iter().zip(aligned) {
                let line = before + *line as u64 + 1;
                let row = row.map_err(|source| SequencesError::Encode { line, source })?;
                // A word that both know, so that there is something to hide whichever cuts it.
                let is_known = |tokenizer: &Tokenizer, ids: &[u32], word: &Range<u32>| {
                    ids[word.start as usize..word.end as usize].iter().any(|&id| !tokenizer.is_special(id))
                };
                let mut words = row.words.teacher.iter().zip(&row.words.student);
                if words.any(|(ours, theirs)| {
                    is_known(first, &row.teacher.ids, ours) && is_known(second, &row.student.ids, theirs)
                }) {
                    texts.rows.push(row);
                }
            }
            before += lines.len() as u64;
        }
        corpus.check()?;
        Ok(texts)
    }

    /// Number of sequences B.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The sequences of these numbers, in this order.
    ///
    /// # Panics
    /// If there is no such sequence.
    #[must_use]
    #[track_caller]
    pub fn of_rows(&self, rows: &[usize]) -> MixedTexts {
        MixedTexts { rows: rows.iter().map(|&row| self.rows[row].clone()).collect(), ..*self }
    }

    /// The batch of these sequences, each word cut by the second vocabulary with this probability, else by the first. A
    /// word that would make its sequence too long, and those after it, are left out.
    ///
    /// # Panics
    /// If there is no such sequence.
    #[track_caller]
    pub fn batch(&self, rows: &[u32], share: f64, stream: &mut Stream) -> Batch {
        let mut batch = Batch { rows: rows.to_vec(), ids: Vec::new(), types: Vec::new(), lengths: Vec::new() };
        for &row in rows {
            let before = batch.ids.len();
            self.mix(&self.rows[row as usize], share, stream, &mut batch.ids);
            batch.lengths.push((batch.ids.len() - before) as u32);
        }
        batch.types = vec![0; batch.ids.len()];
        batch
    }

    fn mix(&self, row: &AlignedRow, share: f64, stream: &mut Stream, to: &mut Vec<u32>) {
        let begin = to.len();
        let last = row.words.len() - 1;
        let of_first = |word: usize| {
            let range = &row.words.teacher[word];
            &row.teacher.ids[range.start as usize..range.end as usize]
        };
        to.extend(of_first(0));
        for word in 1..last {
            let range = &row.words.student[word];
            let pieces = &row.student.ids[range.start as usize..range.end as usize];
            let second = stream.chance(share);
            let count = if second { pieces.len() } else { of_first(word).len() };
            if to.len() - begin + count + of_first(last).len() > self.max_tokens {
                break;
            }
            match second {
                true => to.extend(pieces.iter().map(|id| self.first + id)),
                false => to.extend(of_first(word)),
            }
        }
        to.extend(of_first(last));
    }

    /// All sequences as the first vocabulary cuts them.
    pub fn in_first(&self) -> Sequences {
        Sequences::from_ids(self.rows.iter().map(|row| &row.teacher.ids[..]))
    }

    /// SHA-256 of what both vocabularies make of the text, in hexadecimal.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        for row in &self.rows {
            for ids in [&row.teacher.ids, &row.student.ids] {
                hash.update((ids.len() as u64).to_le_bytes());
                ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
            }
        }
        hexadecimal(&hash.finalize())
    }
}

/// A text in parts of at most so many words between spaces.
fn parts(text: &str, words: usize) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut gaps = rest.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
        let end = gaps.nth(words.max(1) - 1).unwrap_or(rest.len());
        let part;
        (part, rest) = rest.split_at(end);
        rest = rest.trim_start();
        Some(part.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use crate::tokenizer::WordPieceOptions;
    use crate::vocabulary::Vocabulary;

    fn tokenizer(tokens: &str) -> Tokenizer {
        let tokens = tokens.split(' ').map(str::to_string).collect();
        Tokenizer::from_vocabulary(Vocabulary::from_tokens(tokens).unwrap(), WordPieceOptions::uncased()).unwrap()
    }

    fn texts(text: &str, max_tokens: usize) -> MixedTexts {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        // Twelve pieces and ten.
        let first = tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] playing rose is a ##b c ##d");
        let second = tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] play ##ing rose is a");
        MixedTexts::read(&mut Corpus::open(&[&path]).unwrap(), &first, &second, max_tokens).unwrap()
    }

    #[test]
    fn each_word_is_cut_by_one_vocabulary() {
        let texts = texts("playing a rose\n\nis\n", 16);
        assert_eq!(texts.in_first().lengths(), [5, 3]);
        let batch = |share, seed| texts.batch(&[0, 1], share, &mut Streams::new(seed).stream("mix", &[]));
        assert_eq!(batch(0.0, 1).ids, [2, 5, 8, 6, 3, 2, 7, 3]);
        assert_eq!(batch(1.0, 1).ids, [2, 12 + 5, 12 + 6, 12 + 9, 12 + 7, 3, 2, 12 + 8, 3]);
        assert_eq!((batch(1.0, 1).lengths, batch(1.0, 1).types), (vec![6, 3], vec![0; 9]));
        // Half of the words, and never half a word.
        let mut second = 0;
        for seed in 0..400 {
            let ids = batch(0.5, seed).ids;
            second += ids.iter().filter(|&&id| id >= 12 && id != 12 + 6).count();
            let pieces = [17, 18].map(|piece| ids.contains(&piece));
            assert_eq!(pieces[0], pieces[1], "{ids:?}");
        }
        // Four words of two sequences: four standard errors.
        assert!((second as f64 / 1600.0 - 0.5).abs() < 0.05, "{second}");
        assert_eq!(batch(0.5, 3), batch(0.5, 3));
    }

    #[test]
    fn long_lines_are_parts_and_long_mixtures_are_cut() {
        let texts = texts(&"playing ".repeat(10), 8);
        // Four words a part.
        assert_eq!(texts.in_first().lengths(), [6, 6, 4]);
        let batch = texts.batch(&[0], 1.0, &mut Streams::new(1).stream("mix", &[]));
        assert_eq!(batch.ids, [2, 17, 18, 17, 18, 17, 18, 3]);
        assert_eq!(parts("a  b c", 2).collect::<Vec<_>>(), ["a", "b c"]);
        assert_ne!(texts.content_hash(), texts.of_rows(&[2]).content_hash());
    }
}
