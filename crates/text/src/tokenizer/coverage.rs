//! How well a vocabulary covers texts, and what trimming it costs.

use super::{EncodeError, Tokenizer, TrimmedVocabulary};

/// How a tokenizer cuts some texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Words of the texts: what stands between white space.
    pub words: u64,
    /// Pieces they are cut into, unknown ones among them; special tokens do not count.
    pub pieces: u64,
    /// Unknown pieces: each stands for a word, or part of one, of which the model sees nothing.
    pub unknown: u64,
}

/// A vocabulary before and after trimming, and how each covers the same texts.
///
/// Texts that took no part in the choice of pieces tell what new texts lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimReport {
    /// Pieces of the vocabulary before.
    pub pieces_before: usize,
    /// Pieces that stayed.
    pub pieces_after: usize,
    /// How the whole vocabulary covers the texts.
    pub before: Coverage,
    /// How the trimmed one does.
    pub after: Coverage,
}

impl Coverage {
    /// Pieces for each word; `None` without words.
    pub fn fertility(&self) -> Option<f64> {
        (self.words > 0).then(|| self.pieces as f64 / self.words as f64)
    }

    /// Share of the pieces that are unknown; `None` without pieces.
    pub fn unknown_share(&self) -> Option<f64> {
        (self.pieces > 0).then(|| self.unknown as f64 / self.pieces as f64)
    }
}

impl TrimReport {
    /// Bytes that an embedding table is smaller by, where a piece takes so many: width by bytes of a number.
    pub fn bytes_saved(&self, bytes_of_a_piece: usize) -> usize {
        (self.pieces_before - self.pieces_after) * bytes_of_a_piece
    }
}

impl Tokenizer {
    /// How this tokenizer cuts these texts, uncut in length. On all cores.
    ///
    /// # Errors
    /// As [`Tokenizer::piece_counts`].
    pub fn coverage<T>(&self, texts: impl IntoIterator<Item = T>) -> Result<Coverage, EncodeError>
    where
        T: AsRef<str> + Sync,
    {
        let mut words = 0;
        let texts = texts.into_iter().inspect(|text| words += text.as_ref().split_whitespace().count() as u64);
        let counts = self.id_counts(texts)?;
        let unknown = self.unk_id().map_or(0, |id| counts[id as usize]);
        let of_text = (0_u32..).zip(&counts).filter(|&(id, &count)| count > 0 && !self.is_special(id));
        let pieces = unknown + of_text.map(|(_, count)| count).sum::<u64>();
        Ok(Coverage { words, pieces, unknown })
    }
}

impl TrimmedVocabulary {
    /// What trimming `whole` to this vocabulary means for these texts.
    ///
    /// # Errors
    /// As [`Tokenizer::piece_counts`].
    ///
    /// # Panics
    /// If `whole` has fewer pieces than this.
    pub fn report<'a>(
        &self,
        whole: &Tokenizer,
        texts: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<TrimReport, EncodeError> {
        let (pieces_before, pieces_after) = (whole.vocabulary_size(), self.kept.len());
        assert!(pieces_after <= pieces_before, "{pieces_after} pieces were not trimmed from {pieces_before}");
        let before = whole.coverage(texts.clone())?;
        let after = self.tokenizer.coverage(texts)?;
        Ok(TrimReport { pieces_before, pieces_after, before, after })
    }
}
