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

/// How some texts use a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// How often each piece comes up, by id, `[V]`; 0 for special tokens.
    pub counts: Vec<u64>,
    /// How the texts are cut.
    pub coverage: Coverage,
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
    /// How these texts use each piece, and how this tokenizer cuts them, uncut in length: what [`piece_counts`] and
    /// [`coverage`] say, in one pass. On all cores.
    ///
    /// [`piece_counts`]: Tokenizer::piece_counts
    /// [`coverage`]: Tokenizer::coverage
    ///
    /// # Errors
    /// As [`Tokenizer::piece_counts`].
    pub fn usage<T>(&self, texts: impl IntoIterator<Item = T>) -> Result<Usage, EncodeError>
    where
        T: AsRef<str> + Sync,
    {
        let mut words = 0;
        let texts = texts.into_iter().inspect(|text| words += text.as_ref().split_whitespace().count() as u64);
        let mut counts = self.id_counts(texts)?;
        let unknown = self.unk_id().map_or(0, |id| counts[id as usize]);
        (0_u32..).zip(&mut counts).filter(|(id, _)| self.is_special(*id)).for_each(|(_, count)| *count = 0);
        let pieces = unknown + counts.iter().sum::<u64>();
        Ok(Usage { counts, coverage: Coverage { words, pieces, unknown } })
    }

    /// How this tokenizer cuts these texts, uncut in length. On all cores.
    ///
    /// # Errors
    /// As [`Tokenizer::piece_counts`].
    pub fn coverage<T>(&self, texts: impl IntoIterator<Item = T>) -> Result<Coverage, EncodeError>
    where
        T: AsRef<str> + Sync,
    {
        Ok(self.usage(texts)?.coverage)
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
