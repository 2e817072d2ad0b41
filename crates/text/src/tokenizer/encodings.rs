//! Many encodings one after the other, in buffers that are used again.

use super::bert::Scratch;
use super::{EncodeError, Encoding, Limit, Tokenizer};

/// The token ids of several inputs, those of the first input first, without padding.
///
/// For one who encodes batch after batch: once the buffers have grown to the size of a batch, a
/// tokenizer of BERT's kind allocates nothing more.
///
/// ```
/// use attar_text::tokenizer::{Encodings, Limit, TrainOptions, train_wordpiece};
///
/// let tokenizer = train_wordpiece(["a rose is a rose"; 2], TrainOptions::new(60))?;
/// let mut batch = Encodings::default();
/// for texts in [["a rose", "is"], ["a", "rose is a rose"]] {
///     batch.clear();
///     for text in texts {
///         batch.push(&tokenizer, text, None, Limit::new(128))?;
///     }
///     assert_eq!(batch.len(), 2);
///     assert_eq!(batch.ids.len(), batch.lengths.iter().sum::<u32>() as usize);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Encodings {
    /// Token ids of all inputs, `[N]`.
    pub ids: Vec<u32>,
    /// Token types, `[N]`.
    pub types: Vec<u32>,
    /// Tokens of each input, `[B]`; their sum is N.
    pub lengths: Vec<u32>,
    scratch: Scratch,
}

impl Encodings {
    /// Encodes a text, or a pair of texts, as [`Tokenizer::encode`] does, appends it, and returns its
    /// number of tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; nothing is appended then.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        text: &str,
        pair: Option<&str>,
        limit: Limit,
    ) -> Result<usize, EncodeError> {
        let Self { ids, types, lengths, scratch } = self;
        let tokens = tokenizer.parts.encode_into(text, pair, limit, scratch, ids, types)?;
        lengths.push(tokens as u32);
        Ok(tokens)
    }

    /// Appends an input.
    pub fn append(&mut self, encoding: &Encoding) {
        self.ids.extend_from_slice(&encoding.ids);
        self.types.extend_from_slice(&encoding.types);
        self.lengths.push(encoding.len() as u32);
    }

    /// Number of inputs B.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Takes all inputs out and keeps the room they had.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.types.clear();
        self.lengths.clear();
    }
}
