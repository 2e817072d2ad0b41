//! Tokens that know where they stand in the text.

use std::ops::Range;

use super::{EncodeError, Encoding, Limit, Tokenizer};

/// An input of a model, and where each of its tokens comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedEncoding {
    /// Ids and types, `[T]`.
    pub encoding: Encoding,
    /// Where each token comes from, `[T]`; special tokens come from nowhere.
    pub places: Vec<Option<TokenPlace>>,
}

/// Where a token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// 0 for the first text, 1 for the second.
    pub text: usize,
    /// Bytes of that text as it was given, at boundaries of characters.
    pub bytes: Range<usize>,
    /// Whether it is the first token of a word.
    pub begins_word: bool,
}

/// How a text that is too long for one input becomes several, which overlap.
///
/// The text alone is cut, of a pair the second one, as the context of a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Most tokens of an input, special tokens included.
    pub max_tokens: usize,
    /// Tokens of a window that the next one has again.
    pub overlap: usize,
}

/// Tokens that two windows share, where there is room for so many.
const OVERLAP: usize = 128;

impl Windows {
    /// Windows of at most this many tokens with the usual overlap: 128 tokens, as is customary on SQuAD, but no more than a quarter of
    /// the window. All parts of a program use it, so that what is learned, scored and answered sees the same windows.
    pub fn of(max_tokens: usize) -> Windows {
        Windows { max_tokens, overlap: OVERLAP.min(max_tokens / 4) }
    }

    /// Ranges of the tokens of a text for each window, beside so many other tokens; one for a text without any.
    pub(super) fn over(self, tokens: usize, beside: usize) -> Result<impl Iterator<Item = Range<usize>>, EncodeError> {
        let room = self.max_tokens.saturating_sub(beside);
        let step = room.saturating_sub(self.overlap);
        if beside > self.max_tokens || (step == 0 && tokens > room) {
            let Windows { max_tokens, overlap } = self;
            return Err(EncodeError::NoWindow { max_tokens, overlap, beside });
        }
        let after_first = if tokens > room { (tokens - room).div_ceil(step) } else { 0 };
        Ok((0..=after_first).map(move |index| index * step..(index * step + room).min(tokens)))
    }
}

impl Tokenizer {
    /// As [`Tokenizer::encode`], with the place of each token in its text.
    ///
    /// ```
    /// use attar_text::tokenizer::{Limit, TrainOptions, train_wordpiece};
    ///
    /// let tokenizer = train_wordpiece(["a rose is a rose"; 2], TrainOptions::new(60))?;
    /// let text = "Is a Rosé";
    /// let located = tokenizer.encode_located(text, None, Limit::new(128))?;
    /// let last = located.places.iter().flatten().last().ok_or("no token")?;
    /// assert_eq!(&text[last.bytes.clone()], "Rosé");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_located(&self, text: &str, pair: Option<&str>, limit: Limit) -> Result<LocatedEncoding, EncodeError> {
        self.parts.locate(text, pair, limit)
    }

    /// Encodes a text, or the second text of a pair, in as many overlapping inputs as it takes: nothing is left out.
    ///
    /// # Errors
    /// [`EncodeError::NoWindow`] if there is no room for the first text and the special tokens, or the text is too long
    /// for one input and there is none beside these and the overlap; [`EncodeError::Library`] as [`Tokenizer::encode`].
    pub fn encode_windows(
        &self,
        text: &str,
        pair: Option<&str>,
        windows: Windows,
    ) -> Result<Vec<LocatedEncoding>, EncodeError> {
        self.parts.windows(text, pair, windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(max_tokens: usize, overlap: usize, tokens: usize, beside: usize) -> Option<Vec<(usize, usize)>> {
        let ranges = Windows { max_tokens, overlap }.over(tokens, beside).ok()?;
        Some(ranges.map(|range| (range.start, range.end)).collect())
    }

    proptest::proptest! {
        /// Against windows that are laid one after the other until nothing is left.
        #[test]
        fn windows_are_those_laid_by_hand(max_tokens in 0usize..40, overlap in 0usize..12, tokens in 0usize..120, beside in 0usize..12) {
            let mut expected = Vec::new();
            if beside <= max_tokens {
                let room = max_tokens - beside;
                let mut start = 0;
                loop {
                    let end = tokens.min(start + room);
                    expected.push((start, end));
                    if end == tokens {
                        break;
                    }
                    if overlap >= room {
                        expected.clear();
                        break;
                    }
                    start = end - overlap;
                }
            }
            proptest::prop_assert_eq!(over(max_tokens, overlap, tokens, beside).unwrap_or_default(), expected);
        }
    }

    #[test]
    fn the_usual_overlap_is_a_quarter_at_most() {
        assert_eq!(Windows::of(384), Windows { max_tokens: 384, overlap: 96 });
        assert_eq!(Windows::of(1024), Windows { max_tokens: 1024, overlap: 128 });
    }

    #[test]
    fn windows_cover_everything_and_overlap() {
        assert_eq!(over(10, 2, 0, 2), Some(vec![(0, 0)]));
        assert_eq!(over(10, 2, 8, 2), Some(vec![(0, 8)]));
        assert_eq!(over(10, 2, 9, 2), Some(vec![(0, 8), (6, 9)]));
        assert_eq!(over(10, 2, 14, 2), Some(vec![(0, 8), (6, 14)]));
        assert_eq!(over(10, 0, 24, 2), Some(vec![(0, 8), (8, 16), (16, 24)]));
        // The overlap does not matter where one window is enough.
        assert_eq!(over(10, 8, 8, 2), Some(vec![(0, 8)]));
        assert_eq!(over(10, 8, 9, 2), None);
        assert_eq!(over(2, 0, 1, 2), None);
        assert_eq!(over(2, 0, 0, 2), Some(vec![(0, 0)]));
        assert_eq!(over(2, 0, 0, 3), None);
    }
}
