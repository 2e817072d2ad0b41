//! Named random streams: the one source of randomness.
//!
//! A stream is a pure function of a seed, a purpose and a list of indices (stage, epoch, step,
//! layer, …). Nothing is carried from one stream to the next, so a run that is resumed at step
//! 40,000 asks for the streams of step 40,001 and draws the very numbers that a run without
//! interruption draws. The generator is ChaCha with eight rounds, whose output is the same on every
//! processor; every method below uses only operations that IEEE 754 defines exactly, so the floating
//! point numbers are the same everywhere too.
//!
//! ```
//! use attar_text::random::Streams;
//!
//! let streams = Streams::new(42);
//! let first = streams.stream("dropout", &[0, 17]).next_u64();
//! // Other streams may have been drawn from in between: the same name gives the same numbers.
//! streams.stream("batches", &[0, 3]).shuffle(&mut [1, 2, 3]);
//! assert_eq!(streams.stream("dropout", &[0, 17]).next_u64(), first);
//! ```

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A seed from which any number of independent [`Stream`]s can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// All the streams of one seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed given to [`Streams::new`].
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream of this purpose and these indices, from its beginning.
    ///
    /// The key is the SHA-256 of seed, purpose and indices, each framed by its length, so
    /// `("ab", [])` and `("a", [98])` are different streams, and so are `[1]` and `[1, 0]`.
    pub fn stream(&self, purpose: &str, indices: &[u64]) -> Stream {
        let mut hash = Sha256::new();
        hash.update(b"attar random stream 1");
        hash.update(self.seed.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        hash.update((indices.len() as u64).to_le_bytes());
        for index in indices {
            hash.update(index.to_le_bytes());
        }
        Stream { generator: ChaCha8Rng::from_seed(hash.finalize().into()), spare_normal: None }
    }
}

/// A sequence of random numbers. Made by [`Streams::stream`].
#[derive(Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
    /// The polar method makes normal numbers in pairs.
    spare_normal: Option<f64>,
}

impl Stream {
    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.generator.next_u32()
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number in `[0, 1)`: one of the 2^53 multiples of 2^-53, all equally likely.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Whether an event of this probability happens; never for 0 and below, always for 1 and above.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// A whole number in `0..n`, all equally likely, without the bias of a remainder.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        // The high word of a 64 by 64 bit product is in 0..n; products whose low word is under
        // 2^64 mod n are drawn again, which leaves every result with the same number of draws.
        let refused = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= refused {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number from the normal distribution with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        // Marsaglia's polar method: a point in the unit disc gives two independent normal numbers.
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * ln(square) / square).sqrt();
                self.spare_normal = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Puts the items into a random order, all orders equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.below(last as u64 + 1) as usize;
            items.swap(last, chosen);
        }
    }

    /// One of the items, all equally likely.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        assert!(!items.is_empty(), "nothing to choose from");
        &items[self.below(items.len() as u64) as usize]
    }

    /// Goes on as if [`Stream::next_u32`] had been called `count` times, in no time.
    pub fn skip_u32(&mut self, count: u64) {
        self.generator.set_word_pos(self.generator.get_word_pos() + u128::from(count));
    }

    /// Fills the slice with random bits: the same numbers as that many calls of
    /// [`Stream::next_u32`], at the speed of the generator's widest instructions.
    pub fn fill_u32(&mut self, out: &mut [u32]) {
        let mut bytes = [0_u8; 4096];
        for part in out.chunks_mut(bytes.len() / 4) {
            let bytes = &mut bytes[..part.len() * 4];
            self.generator.fill_bytes(bytes);
            for (number, raw) in part.iter_mut().zip(bytes.as_chunks().0) {
                *number = u32::from_le_bytes(*raw);
            }
        }
    }
}

/// Natural logarithm of a positive, finite, normal number, to 2 units in the last place.
///
/// The standard library's logarithm differs in the last bit between platforms; this one consists
/// of additions, multiplications and divisions, which do not.
fn ln(x: f64) -> f64 {
    // x = m 2^e with m in [1/sqrt 2, sqrt 2), and ln m = 2 artanh((m - 1) / (m + 1)).
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m >= std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    // |s| <= 0.1716: the first term left out, s^23 / 23, is below 2e-19 of the sum.
    let mut tail = 0.0;
    for k in (3..=21).rev().step_by(2) {
        tail = tail * square + 1.0 / f64::from(k);
    }
    exponent as f64 * std::f64::consts::LN_2 + (2.0 * s + 2.0 * s * square * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_is_drawing_without_looking() {
        let streams = Streams::new(3);
        let mut drawn = vec![0; 10_000];
        streams.stream("a", &[]).fill_u32(&mut drawn);
        for (before, skipped) in [(0, 0), (0, 1), (0, 63), (0, 64), (3, 4096), (70, 9000)] {
            let mut stream = streams.stream("a", &[]);
            stream.fill_u32(&mut vec![0; before]);
            stream.skip_u32(skipped as u64);
            assert_eq!(stream.next_u32(), drawn[before + skipped], "{before} and {skipped}");
        }
    }

    /// These numbers must never change: every recorded run depends on them. They were computed by
    /// a second implementation (SHA-256 framing, ChaCha8, polar method) that shares no code with this.
    #[test]
    fn streams_are_pinned() {
        let mut stream = Streams::new(0).stream("", &[]);
        assert_eq!([stream.next_u64(), stream.next_u64()], [16481705899527648348, 4821969616901055513]);
        let mut stream = Streams::new(42).stream("dropout", &[1, 2, 3]);
        assert_eq!([stream.next_u32(), stream.next_u32(), stream.next_u32()], [1446687200, 1881829466, 3468814123]);
        let mut stream = Streams::new(u64::MAX).stream("init", &[u64::MAX]);
        let normal = [stream.normal(), stream.normal(), stream.normal()].map(f64::to_bits);
        assert_eq!(normal, [4609190651644939641, 4600166428445494901, 13827456687751838940]);
        assert_eq!(stream.uniform().to_bits(), 4602975164684667353);
        assert_eq!([stream.below(10), stream.below(1 << 40)], [4, 816041710315]);
        let mut order: Vec<u32> = (0..8).collect();
        Streams::new(7).stream("batches", &[0, 0]).shuffle(&mut order);
        assert_eq!(order, [2, 6, 5, 4, 3, 7, 1, 0]);
    }

    #[test]
    fn every_part_of_the_name_matters() {
        let names: [(u64, &str, &[u64]); 8] = [
            (1, "a", &[]),
            (2, "a", &[]),
            (1, "b", &[]),
            (1, "ab", &[]),
            (1, "a", &[98]),
            (1, "a", &[0]),
            (1, "a", &[0, 0]),
            (1, "", &[97]),
        ];
        let mut first: Vec<u64> = names
            .iter()
            .map(|(seed, purpose, indices)| Streams::new(*seed).stream(purpose, indices).next_u64())
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), names.len());
    }

    #[test]
    fn a_stream_does_not_depend_on_the_others() {
        let streams = Streams::new(3);
        let mut alone = streams.stream("x", &[5]);
        let expected: Vec<u64> = (0..100).map(|_| alone.next_u64()).collect();
        let (mut a, mut b) = (streams.stream("x", &[5]), streams.stream("y", &[5]));
        let got: Vec<u64> = (0..100)
            .map(|_| {
                b.normal();
                a.next_u64()
            })
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn filling_equals_drawing() {
        for length in [0, 1, 63, 64, 65, 1023, 1024, 1025, 5000] {
            let mut filled = vec![0; length];
            let mut stream = Streams::new(9).stream("mask", &[length as u64]);
            stream.next_u32();
            stream.fill_u32(&mut filled);
            let after = stream.next_u32();
            let mut stream = Streams::new(9).stream("mask", &[length as u64]);
            stream.next_u32();
            let drawn: Vec<u32> = (0..length).map(|_| stream.next_u32()).collect();
            assert_eq!(filled, drawn, "length {length}");
            assert_eq!(after, stream.next_u32(), "length {length}");
        }
    }

    #[test]
    fn own_logarithm_is_accurate() {
        let mut stream = Streams::new(1).stream("ln", &[]);
        let mut worst: f64 = 0.0;
        for _ in 0..100_000 {
            let x = stream.uniform() * 2.0_f64.powi(-(stream.below(60) as i32)) + f64::MIN_POSITIVE;
            worst = worst.max((ln(x) - x.ln()).abs() / (x.ln().abs() * f64::EPSILON).max(f64::MIN_POSITIVE));
        }
        assert!(worst < 4.0, "off by {worst} epsilon");
        assert_eq!(ln(1.0), 0.0);
        assert!((ln(std::f64::consts::E) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut stream = Streams::new(2).stream("moments", &[]);
        let n = 200_000;
        let (mut mean, mut square, mut fourth, mut uniform) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
            fourth += x.powi(4) / f64::from(n);
            let u = stream.uniform();
            assert!((0.0..1.0).contains(&u));
            uniform += u / f64::from(n);
        }
        // Five standard errors of each estimate.
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt(), "mean {mean}");
        assert!((square - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "variance {square}");
        assert!((fourth - 3.0).abs() < 5.0 * (96.0 / f64::from(n)).sqrt(), "fourth moment {fourth}");
        assert!((uniform - 0.5).abs() < 5.0 * (1.0 / 12.0 / f64::from(n)).sqrt(), "uniform mean {uniform}");
    }

    #[test]
    fn whole_numbers_are_unbiased() {
        let mut stream = Streams::new(4).stream("below", &[]);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Chi-squared with six degrees of freedom exceeds 22.5 once in a thousand seeds.
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 22.5, "{counts:?}");
        assert!((0..1000).all(|_| stream.below(1) == 0));
        // Three quarters of the range: a plain remainder would favor its lower third.
        let n = 3 << 62;
        let low = (0..30_000).filter(|_| stream.below(n) < 1 << 62).count();
        assert!((9_500..10_500).contains(&low), "{low} of 30000 in the lowest third");
    }

    #[test]
    fn shuffles_are_uniform() {
        let mut counts = [0_u32; 6];
        for index in 0..12_000 {
            let mut items = [0, 1, 2];
            Streams::new(5).stream("shuffle", &[index]).shuffle(&mut items);
            counts[[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
                .iter()
                .position(|order| *order == items)
                .unwrap()] += 1;
        }
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 2e3).powi(2) / 2e3).sum();
        assert!(chi < 20.5, "{counts:?}");
    }

    #[test]
    fn chance_keeps_its_ends() {
        let mut stream = Streams::new(6).stream("chance", &[]);
        assert!((0..1000).all(|_| !stream.chance(0.0) && stream.chance(1.0)));
    }
}
