//! Dropout masks.

/// A byte for each element, 1 if it is kept and 0 if it is dropped, and the factor by which kept ones are multiplied.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// A vector longer than there are elements, so that the last of them can be read as a whole vector.
    kept: Vec<i8>,
    len: usize,
    factor: f32,
}

/// Bytes beyond the last element: no vector is longer.
const PADDING: usize = 64;

/// `65536 / (65536 - dropped)`: what kept elements are multiplied by to preserve the mean, where `dropped` of 65,536
/// elements are dropped.
pub fn keep_factor(dropped: u16) -> f32 {
    (65536.0 / f64::from(65536 - u32::from(dropped))) as f32
}

impl Mask {
    /// A mask of `len` elements, each dropped with the probability `dropped / 65536`. Each random word decides two
    /// elements, its lower half the first: a half below `dropped` drops. `words(first, to)` fills `to` with the words from
    /// `first` on, and is called from any thread.
    pub fn draw(len: usize, dropped: u16, words: impl Fn(usize, &mut [u32]) + Sync) -> Mask {
        use rayon::prelude::*;
        /// Words that are drawn at a time.
        const CHUNK_WORDS: usize = 1 << 12;
        let mut kept = vec![0i8; len.next_multiple_of(2) + PADDING];
        let count = len.div_ceil(2);
        kept[..2 * count].par_chunks_mut(2 * CHUNK_WORDS).enumerate().for_each(|(part, kept)| {
            let mut drawn = [0u32; CHUNK_WORDS];
            let drawn = &mut drawn[..kept.len() / 2];
            words(part * CHUNK_WORDS, drawn);
            for (kept, word) in kept.as_chunks_mut::<2>().0.iter_mut().zip(drawn) {
                *kept = [i8::from(*word as u16 >= dropped), i8::from((*word >> 16) as u16 >= dropped)];
            }
        });
        Mask { kept, len, factor: keep_factor(dropped) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What an element is multiplied by.
    ///
    /// # Panics
    /// If the index is out of bounds.
    pub fn factor_at(&self, index: usize) -> f32 {
        assert!(index < self.len, "element {index} of {}", self.len);
        f32::from(self.kept[index]) * self.factor
    }

    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// The bytes from an element on: as many as there are, and one vector more, can be read.
    pub(super) fn from(&self, index: usize) -> *const i8 {
        assert!(index <= self.len, "element {index} of {}", self.len);
        self.kept[index..].as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_compared_in_order() {
        for len in [0, 1, 2, 7, 9000] {
            let mask = Mask::draw(len, 3, |first, to| {
                for (i, word) in to.iter_mut().enumerate() {
                    let half = |n: usize| (n % 5) as u32;
                    *word = half(2 * (first + i)) | half(2 * (first + i) + 1) << 16;
                }
            });
            assert_eq!(mask.len(), len);
            for i in 0..len {
                assert_eq!(mask.factor_at(i), if i % 5 < 3 { 0.0 } else { 65536.0 / 65533.0 });
            }
        }
    }
}
