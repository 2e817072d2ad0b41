//! New texts out of labeled ones, by noise on their words: rows for a teacher to label where there is no other text.
//!
//! After Tang et al., "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks" (arXiv 1903.12136),
//! who mask words, replace them and sample n-grams; their replacement by a word of the same part of speech is one by
//! any word of the texts here, the frequent ones more often. What comes out is not good language, nor does it keep the
//! label of the row that it comes from: its worth is that the teacher's answers to it tell how the teacher decides.
//!
//! ```
//! use attar_text::labeled::Label;
//! use attar_text::layout::Split;
//! use attar_text::noise::{Noise, noisy};
//! use attar_text::random::Streams;
//! use attar_text::synthetic;
//!
//! let streams = Streams::new(42);
//! let train = synthetic::generate(&streams, 100, Split::Train);
//! let more = noisy(&train.examples, Some("[MASK]"), 10, Noise::default(), &streams);
//! assert!(more.len() > 800 && more.len() <= 1000);
//! assert!(more.iter().all(|example| example.label == Label::Absent));
//! ```

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;

use crate::labeled::{Example, Label, normalized};
use crate::random::{Stream, Streams};

/// How much noise of each kind. Shares are between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Share of words that become the mask token, or are dropped where there is none.
    pub mask: f64,
    /// Share of words that become another word of the texts, each as likely as it is frequent.
    pub replace: f64,
    /// Share of neighboring words that change places.
    pub swap: f64,
    /// Share of rows of which one to five neighboring words stay, all numbers equally likely, and the rest goes.
    pub ngram: f64,
    /// Share of rows whose second half is that of another row.
    pub splice: f64,
}

/// Noise of which there cannot be so much.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A share that is none.
    #[error("noise: expected {kind} to be a share between 0 and 1, found {found}")]
    Share {
        /// The kind of noise.
        kind: &'static str,
        /// The number.
        found: f64,
    },
    /// A word can be masked or replaced, not both.
    #[error("noise: mask and replace are {sum} together, expected at most 1, since a word has one of them")]
    Words {
        /// Their sum.
        sum: f64,
    },
    /// Every copy would be its original.
    #[error("noise: every share is 0, expected at least one kind of noise")]
    None,
}

impl Default for Noise {
    /// Masking and replacement of a tenth of the words each and n-grams of a quarter of the rows, which are the
    /// paper's; swaps and splices, which it does not have, at half and all of the former.
    fn default() -> Self {
        Self { mask: 0.1, replace: 0.1, swap: 0.05, ngram: 0.25, splice: 0.1 }
    }
}

impl Noise {
    /// Whether there can be so much noise.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn check(self) -> Result<(), NoiseError> {
        let Self { mask, replace, swap, ngram, splice } = self;
        let shares = [("mask", mask), ("replace", replace), ("swap", swap), ("ngram", ngram), ("splice", splice)];
        if let Some(&(kind, found)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(NoiseError::Share { kind, found });
        }
        if mask + replace > 1.0 {
            return Err(NoiseError::Words { sum: mask + replace });
        }
        if shares.iter().all(|&(_, share)| share == 0.0) {
            return Err(NoiseError::None);
        }
        Ok(())
    }
}

/// Noisy copies of examples, without labels: those of the first example first. On all cores.
///
/// Words are what stands between white space, so that case and punctuation stay as they are. Of a pair one text at
/// a time is noisy, either as often. Copy `k` of row `r` is drawn from a stream of its own: it depends on that row,
/// the texts as a whole and the seed, not on how many copies there are or what became of other rows.
///
/// No copy is one of the examples or another copy (as [`duplicates_with`](crate::labeled::Dataset::duplicates_with)
/// sees it), and none consists of mask tokens alone. Where some sixteen attempts do not find such a copy it is left
/// out, as for a text without words; so there are at most `copies` for each example, and fewer where rows are short.
///
/// # Panics
/// If [`Noise::check`] refuses the noise.
#[track_caller]
pub fn noisy(
    examples: &[Example],
    mask_token: Option<&str>,
    copies: usize,
    noise: Noise,
    streams: &Streams,
) -> Vec<Example> {
    if let Err(error) = noise.check() {
        panic!("{error}");
    }
    let known = examples.iter().map(normalized).collect();
    let source = Source { examples, words: Words::of(examples), known, mask_token, noise, streams };
    let rows: Vec<Vec<Example>> = (0..examples.len()).into_par_iter().map(|row| source.copies(row, copies)).collect();
    let mut seen = HashSet::new();
    rows.into_iter().flatten().filter(|copy| seen.insert(normalized(copy))).collect()
}

/// How often a copy is drawn until it is a new text.
const ATTEMPTS: u64 = 16;

/// Most words of an n-gram.
const LONGEST_NGRAM: u64 = 5;

/// What every copy is made of.
struct Source<'a> {
    examples: &'a [Example],
    words: Words<'a>,
    /// The examples themselves.
    known: HashSet<String>,
    mask_token: Option<&'a str>,
    noise: Noise,
    streams: &'a Streams,
}

impl Source<'_> {
    /// The copies of one example, all different.
    fn copies(&self, row: usize, copies: usize) -> Vec<Example> {
        let mut own = HashSet::new();
        let copy = |copy: usize| {
            (0..ATTEMPTS).find_map(|attempt| {
                let mut stream = self.streams.stream("noise", &[row as u64, copy as u64, attempt]);
                let copy = self.copy(row, &mut stream)?;
                let key = normalized(&copy);
                (!self.known.contains(&key) && own.insert(key)).then_some(copy)
            })
        };
        (0..copies).filter_map(copy).collect()
    }

    fn copy(&self, row: usize, stream: &mut Stream) -> Option<Example> {
        let Example { text, pair, .. } = &self.examples[row];
        let (text, pair) = match pair {
            None => (self.noisy_text(row, text, |other| Some(other.text.as_str()), stream)?, None),
            Some(pair) if stream.chance(0.5) => {
                (text.clone(), Some(self.noisy_text(row, pair, |other| other.pair.as_deref(), stream)?))
            }
            Some(pair) => (self.noisy_text(row, text, |other| Some(other.text.as_str()), stream)?, Some(pair.clone())),
        };
        Some(Example { text, pair, label: Label::Absent })
    }

    /// `None` if nothing but mask tokens is left.
    fn noisy_text(
        &self,
        row: usize,
        text: &str,
        same_text_of: impl Fn(&Example) -> Option<&str>,
        stream: &mut Stream,
    ) -> Option<String> {
        let noise = self.noise;
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if stream.chance(noise.splice)
            && let Some(other) = self.another(row, stream).and_then(same_text_of)
        {
            let other: Vec<&str> = other.split_whitespace().collect();
            words.truncate(words.len().div_ceil(2));
            words.extend(&other[other.len() / 2..]);
        }
        let mut changed = Vec::with_capacity(words.len());
        for word in words {
            let drawn = stream.uniform();
            if drawn < noise.mask {
                changed.extend(self.mask_token);
            } else if drawn < noise.mask + noise.replace {
                changed.push(self.words.draw(stream));
            } else {
                changed.push(word);
            }
        }
        let mut words = changed;
        let mut at = 1;
        while at < words.len() {
            if stream.chance(noise.swap) {
                words.swap(at - 1, at);
                // A word moves by one place, not on and on.
                at += 1;
            }
            at += 1;
        }
        if stream.chance(noise.ngram) {
            let length = 1 + stream.below(LONGEST_NGRAM) as usize;
            if length < words.len() {
                let first = stream.below((words.len() - length + 1) as u64) as usize;
                words = words[first..first + length].to_vec();
            }
        }
        let meaningless = words.iter().all(|&word| Some(word) == self.mask_token);
        (!meaningless).then(|| words.join(" "))
    }

    /// Another example, all equally likely; `None` if there is no other.
    fn another(&self, row: usize, stream: &mut Stream) -> Option<&Example> {
        let others = self.examples.len() - 1;
        if others == 0 {
            return None;
        }
        let other = stream.below(others as u64) as usize;
        self.examples.get(if other < row { other } else { other + 1 })
    }
}

/// The words of all texts and how often each comes up.
struct Words<'a> {
    /// In alphabetical order.
    words: Vec<&'a str>,
    /// Occurrences of each word and all before it.
    up_to: Vec<u64>,
}

impl<'a> Words<'a> {
    fn of(examples: &'a [Example]) -> Self {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let texts = examples.iter().flat_map(|example| [Some(&example.text), example.pair.as_ref()]).flatten();
        for word in texts.flat_map(|text| text.split_whitespace()) {
            *counts.entry(word).or_default() += 1;
        }
        let mut total = 0;
        let (words, up_to) = counts
            .into_iter()
            .map(|(word, count)| {
                total += count;
                (word, total)
            })
            .unzip();
        Self { words, up_to }
    }

    /// A word, as likely as it is frequent; only asked for where there is a text with words.
    fn draw(&self, stream: &mut Stream) -> &'a str {
        let drawn = stream.below(self.up_to.last().copied().unwrap_or(1));
        self.words[self.up_to.partition_point(|&up_to| up_to <= drawn)]
    }
}
