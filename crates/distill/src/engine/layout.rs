//! How the tokens of a batch lie in memory, and the index tensors that follow from it.
//!
//! A batch is `N` token rows, sequence after sequence, without padding. That is the only layout
//! the objectives know. The published TinyBERT code counts padding in its losses; a layout made
//! by [`Layout::padded`] stores every sequence at the length of the longest, so that padding
//! tokens are rows like all others while attention still stops at the real length.

use std::cell::OnceCell;
use std::sync::Arc;

use attar_kernels::train::Ragged;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Lengths of the sequences of a batch: how many rows each one occupies and how many are real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    stored: Vec<usize>,
    real: Vec<usize>,
}

impl Layout {
    /// Sequences stored one after the other at their own lengths.
    ///
    /// # Panics
    /// If there is no sequence or one is empty: attention over nothing has no value.
    pub fn ragged(lengths: &[u32]) -> Layout {
        assert!(!lengths.is_empty() && lengths.iter().all(|&n| n > 0), "a batch needs sequences of at least one token");
        let real: Vec<usize> = lengths.iter().map(|&n| n as usize).collect();
        Layout { stored: real.clone(), real }
    }

    /// Sequences stored at the length of the longest one; rows past the real length are padding.
    ///
    /// # Panics
    /// As [`Layout::ragged`].
    pub fn padded(lengths: &[u32]) -> Layout {
        let Layout { real, .. } = Layout::ragged(lengths);
        let longest = real.iter().copied().max().unwrap_or(0);
        Layout { stored: vec![longest; real.len()], real }
    }

    /// B, the number of sequences.
    pub fn sequences(&self) -> usize {
        self.stored.len()
    }

    /// N, the number of stored token rows.
    pub fn rows(&self) -> usize {
        self.stored.iter().sum()
    }

    /// Number of real tokens: `N` without padding rows.
    pub fn tokens(&self) -> usize {
        self.real.iter().sum()
    }

    /// T, the longest stored sequence.
    pub fn longest(&self) -> usize {
        self.stored.iter().copied().max().unwrap_or(0)
    }

    /// Rows that each sequence occupies.
    pub fn stored(&self) -> &[usize] {
        &self.stored
    }

    /// Real tokens of each sequence.
    pub fn real(&self) -> &[usize] {
        &self.real
    }

    /// P, the number of stored query-key pairs of `heads` attention heads: `A Σ n_b²`.
    pub fn pairs(&self, heads: usize) -> usize {
        heads * self.stored.iter().map(|n| n * n).sum::<usize>()
    }

    /// First row of each sequence, the place of `[CLS]`.
    pub fn firsts(&self) -> Vec<usize> {
        let running = self.stored.iter().scan(0, |next, n| {
            let first = *next;
            *next += n;
            Some(first)
        });
        running.collect()
    }

    /// True if every sequence is as long as the longest, so that `[N, H]` is `[B, T, H]` as it lies.
    pub fn is_rectangular(&self) -> bool {
        self.stored.iter().all(|&n| n == self.stored[0])
    }
}

/// A layout with the index tensors that the composed attention needs, on one device.
///
/// Made once per batch and shared by all layers.
#[derive(Debug, Clone)]
pub struct Geometry {
    /// The lengths.
    pub layout: Layout,
    /// The lengths as the kernels know them.
    pub(super) ragged: Arc<Ragged>,
    /// For each cell of `[B, T]` the row of `[N, H]` to put there; padding repeats the first row,
    /// whose values are never looked at. `None` if the layout is rectangular.
    pub(super) to_padded: Option<Tensor<1, Int>>,
    /// For each row of `[N, H]` its cell in `[B, T]`. `None` if the layout is rectangular.
    pub(super) to_ragged: Option<Tensor<1, Int>>,
    /// `[B, 1, 1, T]`: 0 for real keys, -inf for padding. `None` if there is no padding.
    pub(super) key_bias: Option<Tensor<4>>,
    /// `[B]`: row of the first token of each sequence.
    pub(super) firsts: Tensor<1, Int>,
    /// What [`Geometry::pairs_in_padded`] found, with the number of heads it was asked for: student
    /// and teacher of an attention objective have the same, and every layer asks.
    pairs: OnceCell<(usize, Tensor<1, Int>)>,
    device: Device,
}

impl Geometry {
    /// States of the first token of each sequence: `[N, H]` to `[B, H]`.
    pub fn first_rows(&self, states: &Tensor<2>) -> Tensor<2> {
        states.clone().select(0, self.firsts.clone())
    }

    /// Builds the index tensors of a layout.
    pub fn new(layout: Layout, device: &Device) -> Geometry {
        let longest = layout.longest();
        let firsts = layout.firsts();
        let rectangular = layout.is_rectangular();
        let (to_padded, to_ragged) = if rectangular {
            (None, None)
        } else {
            let mut padded = vec![0; layout.sequences() * longest];
            let mut ragged = Vec::with_capacity(layout.rows());
            for (b, (&first, &length)) in firsts.iter().zip(layout.stored()).enumerate() {
                for i in 0..length {
                    padded[b * longest + i] = first + i;
                    ragged.push(b * longest + i);
                }
            }
            (Some(indices(&padded, device)), Some(indices(&ragged, device)))
        };
        let key_bias = layout.real().iter().any(|&n| n < longest).then(|| {
            let bias = |&real: &usize| (0..longest).map(move |j| if j < real { 0.0 } else { f32::NEG_INFINITY });
            let values: Vec<f32> = layout.real().iter().flat_map(bias).collect();
            Tensor::from_data(TensorData::new(values, [layout.sequences(), 1, 1, longest]), device)
        });
        let firsts = indices(&firsts, device);
        let ragged = Arc::new(Ragged::new(layout.stored().iter().copied().zip(layout.real().iter().copied())));
        Geometry {
            layout,
            ragged,
            to_padded,
            to_ragged,
            key_bias,
            firsts,
            pairs: OnceCell::new(),
            device: device.clone(),
        }
    }

    /// For each stored query-key pair, in the order sequence, head, query, key, its cell in
    /// `[B, A, T, T]`. `None` if the layout is rectangular and the two orders are the same.
    pub(super) fn pairs_in_padded(&self, heads: usize) -> Option<Tensor<1, Int>> {
        if self.layout.is_rectangular() {
            return None;
        }
        let (known, cells) = self.pairs.get_or_init(|| (heads, self.find_pairs(heads)));
        Some(if *known == heads { cells.clone() } else { self.find_pairs(heads) })
    }

    fn find_pairs(&self, heads: usize) -> Tensor<1, Int> {
        let longest = self.layout.longest();
        let mut cells = Vec::with_capacity(self.layout.pairs(heads));
        for (b, &length) in self.layout.stored().iter().enumerate() {
            for head in 0..heads {
                for query in 0..length {
                    let row = ((b * heads + head) * longest + query) * longest;
                    cells.extend(row..row + length);
                }
            }
        }
        indices(&cells, &self.device)
    }

    /// `[P]`: 1 where the key of a stored pair is a real token, 0 where it is padding.
    pub fn real_keys(&self, heads: usize) -> Tensor<1> {
        let mut real = Vec::with_capacity(self.layout.pairs(heads));
        for (&stored, &tokens) in self.layout.stored().iter().zip(self.layout.real()) {
            for _ in 0..heads * stored {
                real.extend((0..stored).map(|key| if key < tokens { 1.0f32 } else { 0.0 }));
            }
        }
        let count = real.len();
        Tensor::from_data(TensorData::new(real, [count]), &self.device)
    }

    /// `[B, 1, 1, T]`: 0 for real keys, -inf for padding. `None` if there is no padding.
    pub(crate) fn key_bias(&self) -> Option<&Tensor<4>> {
        self.key_bias.as_ref()
    }

    /// The device that holds the index tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// An index tensor `[n]`.
pub(super) fn indices(values: &[usize], device: &Device) -> Tensor<1, Int> {
    // Rows of a batch and entries of a vocabulary stay far below 2^31.
    let values: Vec<i32> = values.iter().map(|&i| i32::try_from(i).expect("index fits 31 bits")).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let layout = Layout::ragged(&[3, 1, 2]);
        assert_eq!((layout.sequences(), layout.rows(), layout.tokens(), layout.longest()), (3, 6, 6, 3));
        assert_eq!(layout.firsts(), [0, 3, 4]);
        assert_eq!(layout.pairs(2), 2 * (9 + 1 + 4));
        assert!(!layout.is_rectangular());
        let layout = Layout::padded(&[3, 1, 2]);
        assert_eq!((layout.rows(), layout.tokens(), layout.longest()), (9, 6, 3));
        assert_eq!(layout.firsts(), [0, 3, 6]);
        assert!(layout.is_rectangular());
    }

    #[test]
    fn indices_invert_each_other() {
        let geometry = Geometry::new(Layout::ragged(&[3, 1, 2]), &Device::flex());
        let read = |t: &Tensor<1, Int>| t.clone().try_into_vec_as::<i32>().unwrap();
        let padded = read(geometry.to_padded.as_ref().unwrap());
        let ragged = read(geometry.to_ragged.as_ref().unwrap());
        assert_eq!(padded, [0, 1, 2, 3, 0, 0, 4, 5, 0]);
        assert_eq!(ragged, [0, 1, 2, 3, 6, 7]);
        let pairs = read(&geometry.pairs_in_padded(1).unwrap());
        assert_eq!(pairs, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19, 21, 22]);
        let bias = geometry.key_bias.unwrap().try_into_vec_as::<f32>().unwrap();
        let inf = f32::NEG_INFINITY;
        assert_eq!(bias, [0.0, 0.0, 0.0, 0.0, inf, inf, 0.0, 0.0, inf]);
    }

    #[test]
    fn padding_is_stored_but_not_attended_to() {
        let geometry = Geometry::new(Layout::padded(&[2, 1]), &Device::flex());
        assert!(geometry.to_padded.is_none() && geometry.pairs_in_padded(3).is_none());
        let real = geometry.real_keys(1).try_into_vec_as::<f32>().unwrap();
        assert_eq!(real, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    }
}
