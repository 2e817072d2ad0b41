//! Dropout masks from counter-based streams.
//!
//! A mask depends on the seed, the stage, the step, the part of the step and its place in the
//! network, and on nothing that happened before: a run resumed at any step draws the masks that an
//! uninterrupted run draws, whatever engine computes the step.

use attar_kernels::train::{Mask, keep_factor};
use attar_text::random::{Stream, Streams};

/// The dropout of one forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Dropout<'a> {
    streams: &'a Streams,
    purpose: &'a str,
    /// Stage, step and micro-batch.
    place: [u64; 3],
}

impl<'a> Dropout<'a> {
    /// Dropout of the pass `purpose` (such as `"student dropout"`) at a stage, step and micro-batch.
    pub fn new(streams: &'a Streams, purpose: &'a str, place: [u64; 3]) -> Dropout<'a> {
        Dropout { streams, purpose, place }
    }

    /// The `index`-th place of the network that drops.
    pub(super) fn site(self, index: u64, probability: f64) -> Site<'a> {
        Site { dropout: self, index, probability }
    }
}

/// One place of the network that drops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    dropout: Dropout<'a>,
    index: u64,
    probability: f64,
}

impl Site<'_> {
    /// True if anything is dropped here.
    pub(super) fn drops(&self) -> bool {
        threshold(self.probability) > 0
    }

    /// `count` factors: 0 with the site's probability, else the reciprocal of the share that is
    /// kept, so that the mean stays the same.
    ///
    /// The probability is rounded to a multiple of 2⁻¹⁶; the factor uses the rounded value.
    pub(super) fn factors(&self, count: usize) -> Vec<f32> {
        let mut stream = self.stream();
        let dropped = threshold(self.probability);
        let kept = keep_factor(dropped);
        let mut words = vec![0; count.div_ceil(2)];
        stream.fill_u32(&mut words);
        let factor = |half: u32| if half < u32::from(dropped) { 0.0 } else { kept };
        let mut factors: Vec<f32> = words.iter().flat_map(|word| [factor(word & 0xffff), factor(word >> 16)]).collect();
        factors.truncate(count);
        factors
    }

    /// The factors of [`Site::factors`] as a mask for the kernels, drawn by all threads.
    pub(super) fn mask(&self, count: usize) -> Mask {
        Mask::draw(count, threshold(self.probability), |first, words| {
            let mut stream = self.stream();
            stream.skip_u32(first as u64);
            stream.fill_u32(words);
        })
    }

    fn stream(&self) -> Stream {
        let Dropout { streams, purpose, place: [stage, step, micro] } = self.dropout;
        streams.stream(purpose, &[stage, step, micro, self.index])
    }
}

/// The probability in units of 2⁻¹⁶, at most 65,535 so that something is kept.
fn threshold(probability: f64) -> u16 {
    ((probability * 65536.0).round() as u32).min(65535) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_is_kept_and_masks_differ_by_place() {
        let streams = Streams::new(7);
        let draw = |step, site| Dropout::new(&streams, "test", [0, step, 0]).site(site, 0.1).factors(100_000);
        let a = draw(3, 1);
        let zeros = a.iter().filter(|&&x| x == 0.0).count() as f64 / a.len() as f64;
        // Three standard deviations of a share over 100,000 draws.
        assert!((zeros - 0.1).abs() < 3.0 * (0.09f64 / 1e5).sqrt(), "{zeros}");
        assert!(a.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.9).abs() < 2e-5));
        assert_eq!(a, draw(3, 1));
        assert_ne!(a, draw(4, 1));
        assert_ne!(a, draw(3, 2));
    }

    #[test]
    fn the_mask_has_the_same_factors() {
        let streams = Streams::new(7);
        let site = Dropout::new(&streams, "test", [0, 3, 0]).site(1, 0.1);
        for count in [0, 1, 8191, 8192, 20_001] {
            let mask = site.mask(count);
            let factors: Vec<f32> = (0..count).map(|i| mask.factor_at(i)).collect();
            assert_eq!(factors, site.factors(count));
        }
    }
}
