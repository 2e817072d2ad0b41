//! Pieces hidden from a model that is to guess them (Devlin et al., arXiv 1810.04805, section 3.1).
//!
//! ```
//! use attar_text::batch::assemble;
//! use attar_text::masking::{Masker, Masking};
//! use attar_text::random::Streams;
//! use attar_text::tokenizer::{Limit, TrainOptions, train_wordpiece};
//!
//! let tokenizer = train_wordpiece(["a rose is a rose"; 2], TrainOptions::new(60))?;
//! let batch = assemble(&[0], &[tokenizer.encode("a rose is a rose", None, Limit::new(128))?]);
//! let masker = Masker::new(&tokenizer)?;
//! let masked = masker.mask(&batch, Masking::default(), &mut Streams::new(42).stream("masks", &[0]));
//! assert_eq!(masked.rows.len(), 1);
//! assert_eq!(masked.labels[0], batch.ids[masked.rows[0] as usize]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::batch::Batch;
use crate::random::Stream;
use crate::tokenizer::Tokenizer;

/// Share of the chosen pieces that become the mask token.
const MASKED: f64 = 0.8;
/// Share of the chosen pieces that become a piece drawn at random; the rest stays.
const REPLACED: f64 = 0.1;

/// Which pieces are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masking {
    /// Share of the pieces of a sequence.
    pub share: f64,
    /// Whether the pieces of a word are chosen together.
    pub whole_words: bool,
}

impl Default for Masking {
    /// The paper's 15 %, piece by piece.
    fn default() -> Self {
        Self { share: 0.15, whole_words: false }
    }
}

/// A batch with pieces hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// Token ids with the chosen pieces masked, replaced or left, `[N]`.
    pub ids: Vec<u32>,
    /// The chosen rows of the batch's tokens, ascending, `[M]`.
    pub rows: Vec<u32>,
    /// What stood there, `[M]`.
    pub labels: Vec<u32>,
}

/// What masking needs to know of a vocabulary.
#[derive(Debug, Clone)]
pub struct Masker {
    mask: u32,
    /// Of each id whether it is a special token, which is never chosen nor put in place of a piece.
    special: Vec<bool>,
    /// Of each id whether it continues a word.
    continues: Vec<bool>,
    /// All other ids of each vocabulary.
    pieces: Vec<Vec<u32>>,
    /// The first id of a second vocabulary.
    second: u32,
}

/// Why a vocabulary cannot be masked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// No mask token.
    #[error("the tokenizer has no mask token, such as [MASK]: masked language modeling needs one")]
    NoMaskToken,
    /// Nothing but special tokens.
    #[error("the tokenizer has special tokens alone")]
    NoPieces,
}

impl Masker {
    /// Reads what is needed of a tokenizer. A piece continues a word if it begins with `##` (WordPiece), or, where words
    /// begin with `Ġ` or `▁` (byte-level BPE, SentencePiece), if it does not.
    ///
    /// # Errors
    /// [`MaskingError`].
    pub fn new(tokenizer: &Tokenizer) -> Result<Masker, MaskingError> {
        let mask = tokenizer.mask_id().ok_or(MaskingError::NoMaskToken)?;
        let tokens: Vec<String> =
            (0..tokenizer.vocabulary_size() as u32).map(|id| tokenizer.token(id).unwrap_or_default()).collect();
        let special: Vec<bool> = (0..tokens.len() as u32).map(|id| tokenizer.is_special(id)).collect();
        let begins_word = |token: &str| token.starts_with(['Ġ', '▁']);
        // A few such pieces occur in any large WordPiece vocabulary.
        let marks_beginnings = 4 * tokens.iter().filter(|token| begins_word(token)).count() > tokens.len();
        let continues = tokens
            .iter()
            .map(|token| if marks_beginnings { !begins_word(token) } else { token.starts_with("##") })
            .collect();
        let pieces: Vec<u32> = (0..tokens.len() as u32).filter(|&id| !special[id as usize]).collect();
        if pieces.is_empty() {
            return Err(MaskingError::NoPieces);
        }
        let second = u32::MAX;
        Ok(Masker { mask, special, continues, pieces: vec![pieces], second })
    }

    /// For the ids of two vocabularies, those of the second after those of the first, as [`crate::mixed`] has them. The mask
    /// token is the first one's, and a piece is replaced by one of its own vocabulary.
    ///
    /// # Errors
    /// As [`Masker::new`].
    pub fn of_two(first: &Tokenizer, second: &Tokenizer) -> Result<Masker, MaskingError> {
        let (mut masker, other) = (Masker::new(first)?, Masker::new(second)?);
        let offset = first.vocabulary_size() as u32;
        masker.special.extend(other.special);
        masker.continues.extend(other.continues);
        masker.second = offset;
        masker.pieces.extend(other.pieces.into_iter().map(|ids| ids.into_iter().map(|id| offset + id).collect()));
        Ok(masker)
    }

    /// Chooses the share of each sequence's pieces, rounded and at least one, and hides eight in ten of them behind the
    /// mask token and one in ten behind another piece. Words, or pieces, come in random order until there are enough; a word
    /// that would exceed the share is passed over unless it is the first.
    pub fn mask(&self, batch: &Batch, masking: Masking, stream: &mut Stream) -> Masked {
        let mut masked = Masked { ids: batch.ids.clone(), rows: Vec::new(), labels: Vec::new() };
        let mut start = 0;
        for &length in &batch.lengths {
            let end = start + length as usize;
            self.choose(&batch.ids, start..end, masking, stream, &mut masked.rows);
            start = end;
        }
        for &row in &masked.rows {
            let row = row as usize;
            masked.labels.push(batch.ids[row]);
            let chance = stream.uniform();
            if chance < MASKED {
                masked.ids[row] = self.mask;
            } else if chance < MASKED + REPLACED {
                let vocabulary = usize::from(batch.ids[row] >= self.second);
                masked.ids[row] = *stream.choose(&self.pieces[vocabulary]);
            }
        }
        masked
    }

    fn choose(
        &self,
        ids: &[u32],
        sequence: std::ops::Range<usize>,
        masking: Masking,
        stream: &mut Stream,
        rows: &mut Vec<u32>,
    ) {
        let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
        for row in sequence {
            let id = ids[row] as usize;
            if self.special[id] {
                continue;
            }
            match groups.last_mut() {
                Some(group) if masking.whole_words && self.continues[id] && group.end == row => group.end += 1,
                _ => groups.push(row..row + 1),
            }
        }
        let count: usize = groups.iter().map(ExactSizeIterator::len).sum();
        let wanted = ((masking.share * count as f64).round() as usize).max(1);
        stream.shuffle(&mut groups);
        let before = rows.len();
        for group in groups {
            let chosen = rows.len() - before;
            if chosen >= wanted {
                break;
            }
            if chosen == 0 || chosen + group.len() <= wanted {
                rows.extend(group.map(|row| row as u32));
            }
        }
        rows[before..].sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use crate::tokenizer::WordPieceOptions;
    use crate::vocabulary::Vocabulary;

    fn masker() -> Masker {
        let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] a b ##c ##d e f g h i j k".split(' ').map(str::to_string);
        let vocabulary = Vocabulary::from_tokens(tokens.collect()).unwrap();
        Masker::new(&Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap()).unwrap()
    }

    /// Two sequences: `[CLS] a b ##c ##d e [SEP]` and one of twenty pieces.
    fn batch() -> Batch {
        let long = std::iter::once(2).chain((0..20).map(|i| 9 + i % 7)).chain([3]);
        let ids: Vec<u32> = [2, 5, 6, 7, 8, 9, 3].into_iter().chain(long).collect();
        Batch { rows: vec![0, 1], types: vec![0; ids.len()], lengths: vec![7, 22], ids }
    }

    #[test]
    fn the_share_of_each_sequence_is_chosen_and_labels_are_what_stood_there() {
        let (masker, batch) = (masker(), batch());
        for seed in 0..200 {
            let masked = masker.mask(&batch, Masking::default(), &mut Streams::new(seed).stream("masks", &[]));
            // 0.15 of 5 and of 20 pieces.
            assert_eq!(masked.rows.iter().filter(|&&row| row < 7).count(), 1);
            assert_eq!(masked.rows.len(), 4);
            assert!(masked.rows.is_sorted());
            for (row, &id) in batch.ids.iter().enumerate() {
                match masked.rows.iter().position(|&chosen| chosen as usize == row) {
                    Some(place) => assert_eq!(masked.labels[place], id),
                    None => assert_eq!(masked.ids[row], id),
                }
                assert!(id > 4 || masked.ids[row] == id, "a special token was hidden");
            }
        }
    }

    #[test]
    fn eight_in_ten_are_masked_and_one_in_ten_replaced() {
        let (masker, batch) = (masker(), batch());
        let (mut hidden, mut replaced, mut all) = (0, 0, 0);
        for seed in 0..2000 {
            let masked = masker.mask(&batch, Masking::default(), &mut Streams::new(seed).stream("masks", &[]));
            for (&row, &label) in masked.rows.iter().zip(&masked.labels) {
                let id = masked.ids[row as usize];
                all += 1;
                hidden += usize::from(id == 4);
                replaced += usize::from(id != 4 && id != label);
            }
        }
        let share = |count: usize| count as f64 / all as f64;
        // Four standard errors over 8,000 pieces; one replacement in eleven is the piece itself.
        assert!((share(hidden) - 0.8).abs() < 0.018, "{}", share(hidden));
        assert!((share(replaced) - 0.1 * 10.0 / 11.0).abs() < 0.014, "{}", share(replaced));
    }

    #[test]
    fn whole_words_are_hidden_together() {
        let (masker, batch) = (masker(), batch());
        let masking = Masking { share: 0.5, whole_words: true };
        let mut words = 0;
        for seed in 0..100 {
            let rows = masker.mask(&batch, masking, &mut Streams::new(seed).stream("masks", &[])).rows;
            let word = [2, 3, 4].map(|row| rows.contains(&row));
            assert!(word == [true; 3] || word == [false; 3], "{rows:?}");
            words += usize::from(word[0]);
        }
        assert!(words > 10 && words < 90, "{words}");
    }

    #[test]
    fn a_sequence_of_special_tokens_has_nothing_to_choose() {
        let batch = Batch { rows: vec![0], ids: vec![2, 3], types: vec![0, 0], lengths: vec![2] };
        let masked = masker().mask(&batch, Masking::default(), &mut Streams::new(1).stream("masks", &[]));
        assert_eq!((masked.ids, masked.rows), (vec![2, 3], vec![]));
    }

    #[test]
    fn a_piece_is_replaced_by_one_of_its_own_vocabulary() {
        let tokenizer = |tokens: &str| {
            let vocabulary = Vocabulary::from_tokens(tokens.split(' ').map(str::to_string).collect()).unwrap();
            Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap()
        };
        let (first, second) =
            (tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] a b c"), tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] x y"));
        let masker = Masker::of_two(&first, &second).unwrap();
        let batch = Batch { rows: vec![0], ids: vec![2, 5, 6, 13, 14, 3], types: vec![0; 6], lengths: vec![6] };
        let mut replaced = 0;
        for seed in 0..2000 {
            let masked = masker.mask(
                &batch,
                Masking { share: 0.5, whole_words: false },
                &mut Streams::new(seed).stream("m", &[]),
            );
            for &row in &masked.rows {
                let (was, is) = (batch.ids[row as usize], masked.ids[row as usize]);
                assert!(is == 4 || (was >= 8) == (is >= 8), "{was} became {is}");
                assert!(is == 4 || !masker.special[is as usize]);
                replaced += usize::from(is != 4 && is != was);
            }
        }
        assert!(replaced > 50, "{replaced}");
    }
}
