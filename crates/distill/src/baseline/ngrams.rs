//! N-grams of words and of characters, weighted by TF-IDF.
//!
//! What scikit-learn's `TfidfVectorizer` makes with `sublinear_tf`, for `analyzer="word"` with `ngram_range=(1, 2)` and for
//! `analyzer="char_wb"` with `(2, 5)`, each scaled to length 1; but words of one letter count, and those of
//! single rows do not where rows are many.

use std::collections::HashMap;

use rayon::prelude::*;

/// Rows from which an n-gram must be in two of them.
const MANY_ROWS: usize = 1_000;
/// Letters of an n-gram.
const SHORTEST: usize = 2;
const LONGEST: usize = 5;

/// A text as n-grams are cut from it: every n-gram is a piece of one of its strings.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared {
    /// Lower-case words of letters and digits, with single spaces between.
    pub(super) words: String,
    /// All that is not white space, in lower case, with single spaces between, before and after.
    pub(super) letters: String,
}

impl Prepared {
    pub(super) fn new(text: &str) -> Prepared {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        let words = words.collect::<Vec<&str>>().join(" ");
        let letters: String = lower.split_whitespace().flat_map(|word| [" ", word]).collect();
        Prepared { words, letters: letters + " " }
    }

    /// Words and pairs of neighboring words.
    pub(super) fn word_ngrams(&self) -> impl Iterator<Item = &str> {
        let starts: Vec<usize> = starts(&self.words).collect();
        let end = self.words.len();
        (0..starts.len()).flat_map(move |word| {
            // The space before the next word is no part of this one.
            let ends = |next: usize| starts.get(next).map_or(end, |start| start - 1);
            let start = starts[word];
            let pair = (word + 1 < starts.len()).then(|| &self.words[start..ends(word + 2)]);
            [Some(&self.words[start..ends(word + 1)]), pair].into_iter().flatten()
        })
    }

    /// Runs of letters within words, the spaces around a word being letters of it.
    pub(super) fn letter_ngrams(&self) -> impl Iterator<Item = &str> {
        let spaces: Vec<usize> = self.letters.match_indices(' ').map(|(place, _)| place).collect();
        let words: Vec<&str> = spaces.windows(2).map(|ends| &self.letters[ends[0]..=ends[1]]).collect();
        words.into_iter().flat_map(|word| {
            let mut bounds: Vec<usize> = word.char_indices().map(|(place, _)| place).collect();
            bounds.push(word.len());
            let mut pieces = Vec::new();
            for length in SHORTEST..=LONGEST {
                if bounds.len() - 1 <= length {
                    // A short word counts once.
                    pieces.push(word);
                    break;
                }
                pieces.extend(bounds.windows(length + 1).map(|ends| &word[ends[0]..ends[length]]));
            }
            pieces
        })
    }
}

fn starts(words: &str) -> impl Iterator<Item = usize> {
    let first = (!words.is_empty()).then_some(0);
    first.into_iter().chain(words.match_indices(' ').map(|(place, _)| place + 1))
}

/// The n-grams of some texts, with their weights.
#[derive(Debug, Clone)]
pub(super) struct Ngrams {
    words: Block,
    letters: Block,
}

/// N-grams of one kind.
#[derive(Debug, Clone)]
struct Block {
    numbers: HashMap<Box<str>, u32>,
    /// By number.
    rarity: Vec<f32>,
    /// Of what is in no text.
    unknown: f32,
}

impl Ngrams {
    /// The n-grams of these texts, the most frequent ones first.
    pub(super) fn learn(texts: &[&Prepared]) -> Ngrams {
        let (words, letters) = rayon::join(
            || Block::learn(texts, |text| text.word_ngrams().collect()),
            || Block::learn(texts, |text| text.letter_ngrams().collect()),
        );
        Ngrams { words, letters }
    }

    pub(super) fn len(&self) -> usize {
        self.words.rarity.len() + self.letters.rarity.len()
    }

    /// Number of the first n-gram of letters.
    pub(super) fn letters_from(&self) -> u32 {
        self.words.rarity.len() as u32
    }

    /// Bytes of the n-grams' letters.
    pub(super) fn bytes(&self) -> usize {
        [&self.words, &self.letters].into_iter().flat_map(|block| block.numbers.keys()).map(|ngram| ngram.len()).sum()
    }

    /// The TF-IDF row of a text, by number: those of words, then those of letters, both of length 1.
    pub(super) fn row(&self, text: &Prepared) -> Vec<(u32, f32)> {
        let mut row = self.words.row(text.word_ngrams(), 0);
        row.extend(self.letters.row(text.letter_ngrams(), self.letters_from()));
        row
    }

    /// How rare a word or pair of words is; that of a word in no text if it is not known.
    pub(super) fn rarity(&self, word: &str) -> f32 {
        let known = self.words.numbers.get(word).map(|&number| self.words.rarity[number as usize]);
        known.unwrap_or(self.words.unknown)
    }
}

impl Block {
    fn learn<'a>(texts: &[&'a Prepared], ngrams: impl Fn(&'a Prepared) -> Vec<&'a str>) -> Block {
        let least = if texts.len() < MANY_ROWS { 1 } else { 2 };
        // Texts in which it is, and the last of them.
        let mut counts: HashMap<&str, (u32, usize)> = HashMap::new();
        for (number, text) in texts.iter().enumerate() {
            for ngram in ngrams(text) {
                let (count, last) = counts.entry(ngram).or_insert((0, usize::MAX));
                if *last != number {
                    (*count, *last) = (*count + 1, number);
                }
            }
        }
        let mut kept: Vec<(&str, u32)> =
            counts.into_iter().map(|(ngram, (count, _))| (ngram, count)).filter(|(_, count)| *count >= least).collect();
        kept.par_sort_unstable_by(|(a, many), (b, few)| few.cmp(many).then(a.cmp(b)));
        let rarity = |count: u32| ((1.0 + texts.len() as f64) / (1.0 + f64::from(count))).ln() + 1.0;
        Block {
            unknown: rarity(0) as f32,
            rarity: kept.iter().map(|&(_, count)| rarity(count) as f32).collect(),
            numbers: kept.into_iter().enumerate().map(|(number, (ngram, _))| (ngram.into(), number as u32)).collect(),
        }
    }

    fn row<'a>(&self, ngrams: impl Iterator<Item = &'a str>, first: u32) -> Vec<(u32, f32)> {
        let mut found: Vec<u32> = ngrams.filter_map(|ngram| self.numbers.get(ngram).copied()).collect();
        found.sort_unstable();
        let mut row: Vec<(u32, f32)> = found
            .chunk_by(|a, b| a == b)
            .map(|same| (same[0], (1.0 + (same.len() as f32).ln()) * self.rarity[same[0] as usize]))
            .collect();
        let length = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(number, value)| (*number, *value) = (*number + first, *value / length));
        row
    }
}
