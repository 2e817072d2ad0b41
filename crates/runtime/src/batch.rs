//! Batches of token ids.

use std::ops::Range;

use attar_model::EncoderConfig;

use crate::error::InputError;

/// Sequences of a batch without padding: ids and types `[N]`, and the lengths `[B]` that add up to N.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    ids: &'a [u32],
    types: &'a [u32],
    lengths: &'a [u32],
}

impl<'a> Input<'a> {
    /// A batch of sequences. No `types` means that all are 0.
    ///
    /// # Errors
    /// [`InputError::Lengths`] if the lengths do not add up to the ids or one is 0, [`InputError::Types`] if there
    /// are types but not one for each id.
    pub fn new(ids: &'a [u32], types: &'a [u32], lengths: &'a [u32]) -> Result<Self, InputError> {
        let tokens: u64 = lengths.iter().map(|&n| u64::from(n)).sum();
        if tokens != ids.len() as u64 || lengths.contains(&0) {
            return Err(InputError::Lengths { tokens: ids.len(), lengths: tokens, empty: lengths.contains(&0) });
        }
        if !types.is_empty() && types.len() != ids.len() {
            return Err(InputError::Types { tokens: ids.len(), types: types.len() });
        }
        Ok(Input { ids, types, lengths })
    }

    /// B, the number of sequences.
    pub fn sequences(&self) -> usize {
        self.lengths.len()
    }

    /// N, the number of tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens of each sequence, `[B]`.
    pub fn lengths(&self) -> &'a [u32] {
        self.lengths
    }

    /// Token ids, `[N]`.
    pub fn ids(&self) -> &'a [u32] {
        self.ids
    }

    /// Token types, `[N]` or empty.
    pub fn types(&self) -> &'a [u32] {
        self.types
    }

    /// Query-key pairs of one head: `Σ n_b²`.
    pub fn pairs(&self) -> usize {
        self.lengths.iter().map(|&n| n as usize * n as usize).sum()
    }

    /// The first `sequences` sequences and the others.
    pub(crate) fn split(self, sequences: usize) -> (Self, Self) {
        let tokens: usize = self.lengths[..sequences].iter().map(|&n| n as usize).sum();
        let (lengths, other_lengths) = self.lengths.split_at(sequences);
        let (ids, other_ids) = self.ids.split_at(tokens);
        let (types, other_types) = self.types.split_at(tokens.min(self.types.len()));
        (Input { ids, types, lengths }, Input { ids: other_ids, types: other_types, lengths: other_lengths })
    }

    /// Checks that every id, type and length is in the range of the model.
    pub(crate) fn check(&self, config: &EncoderConfig) -> Result<(), InputError> {
        if let Some(&id) = self.ids.iter().find(|&&id| id as usize >= config.vocabulary) {
            return Err(InputError::Id { id, vocabulary: config.vocabulary });
        }
        if config.types > 0
            && let Some(&id) = self.types.iter().find(|&&id| id as usize >= config.types)
        {
            return Err(InputError::Type { id, types: config.types });
        }
        match self.lengths.iter().find(|&&n| n as usize > config.usable_positions()) {
            Some(&tokens) => Err(InputError::TooLong { tokens, positions: config.usable_positions() }),
            None => Ok(()),
        }
    }

    /// The rows of each sequence.
    pub(crate) fn spans(self) -> impl Iterator<Item = Range<usize>> {
        self.lengths.iter().scan(0, |next, &n| {
            let first = *next;
            *next += n as usize;
            Some(first..*next)
        })
    }
}
