//! Which numbers a dropout keeps.

/// A byte for each number: 1 if it is kept, 0 if it is dropped; and by what the kept ones are multiplied.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// A vector longer than there are numbers, so that the last of them can be read as a whole vector.
    kept: Vec<i8>,
    len: usize,
    factor: f32,
}

/// Bytes beyond the last: no vector is longer.
const BEYOND: usize = 64;

/// `65536 / (65536 - dropped)`: what the kept numbers are multiplied by so that the mean stays, where `dropped` of 65,536
/// numbers are dropped.
pub fn keep_factor(dropped: u16) -> f32 {
    (65536.0 / f64::from(65536 - u32::from(dropped))) as f32
}

impl Mask {
    /// A mask of `len` numbers, `dropped` of 65,536 of them dropped, from as many random halves of words:
    /// `words(first, to)` fills `to` with the words from `first` on, from any thread. The lower half comes first; a half below
    /// `dropped` drops.
    pub fn draw(len: usize, dropped: u16, words: impl Fn(usize, &mut [u32]) + Sync) -> Mask {
        use rayon::prelude::*;
        /// Words that are drawn at a time.
        const PART: usize = 1 << 12;
        let mut kept = vec![0i8; len.next_multiple_of(2) + BEYOND];
        let count = len.div_ceil(2);
        kept[..2 * count].par_chunks_mut(2 * PART).enumerate().for_each(|(part, kept)| {
            let mut drawn = [0u32; PART];
            let drawn = &mut drawn[..kept.len() / 2];
            words(part * PART, drawn);
            for (kept, word) in kept.as_chunks_mut::<2>().0.iter_mut().zip(drawn) {
                *kept = [i8::from(*word as u16 >= dropped), i8::from((*word >> 16) as u16 >= dropped)];
            }
        });
        Mask { kept, len, factor: keep_factor(dropped) }
    }

    /// How many numbers it is for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it is for none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What a number is multiplied by.
    ///
    /// # Panics
    /// If it is not one of them.
    pub fn factor_at(&self, index: usize) -> f32 {
        assert!(index < self.len, "number {index} of {}", self.len);
        f32::from(self.kept[index]) * self.factor
    }

    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// The bytes from a number on: as many as there are, and those of one vector more can be read.
    pub(super) fn from(&self, index: usize) -> *const i8 {
        assert!(index <= self.len, "number {index} of {}", self.len);
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
