//! Candidates that are near a word in a space of vectors.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::candidates::{CandidateSource, Slot, SourceError};
use super::inflection::Ending;
use super::words::is_word;
use crate::corpus::{Corpus, CorpusError};
use crate::tokenizer::Tokenizer;

/// Words that are looked for at a time: each row of the table is read once for all of them.
const WORDS_AT_A_TIME: usize = 32;
/// Rows of the table that stay in a near cache meanwhile: 128 of 300 numbers have 150 kB.
const ROWS_AT_A_TIME: usize = 128;
/// Sums of a product that go on side by side.
const LANES: usize = 16;

/// The words whose vectors have the largest cosine with that of a word, by exact search over all of them.
///
/// What was found stays, so that a word costs a search once.
#[derive(Debug, Clone)]
pub struct NearestWords {
    words: Vec<String>,
    places: HashMap<String, usize>,
    /// Vectors of length 1, `[R, D]`, rows padded with zeros to whole [`LANES`].
    vectors: Vec<f32>,
    stride: usize,
    /// The ending of each word, if only words of the same ending are candidates.
    endings: Option<Vec<Ending>>,
    found: HashMap<String, Vec<String>>,
    /// How many were looked for.
    most: usize,
}

/// Why a file of word vectors could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] CorpusError),
    /// A line that is not a word and its numbers.
    #[error("{}: line {line}: expected a word and {width} finite numbers, separated by spaces, as GloVe writes them", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Lines that are not blank, counted from 1.
        line: usize,
        /// Numbers of a line.
        width: usize,
    },
    /// Nothing to find.
    #[error("{}: no word with a vector, expected a line for each word, with its numbers", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl NearestWords {
    /// These words with their vectors, `[R, D]`; of equal words the first counts, and a vector of zeros is near nothing.
    ///
    /// # Panics
    /// If there is not a vector of `width` numbers for each word.
    #[track_caller]
    pub fn new(words: Vec<String>, vectors: Vec<f32>, width: usize) -> Self {
        assert!(width > 0 && vectors.len() == words.len() * width, "a vector of {width} numbers for each word");
        let stride = width.next_multiple_of(LANES);
        let mut padded = Vec::with_capacity(words.len() * stride);
        for vector in vectors.chunks_exact(width) {
            let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
            padded.extend(vector.iter().map(|&x| (f64::from(x) * scale) as f32));
            padded.resize(padded.len().next_multiple_of(stride), 0.0);
        }
        let mut places = HashMap::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            places.entry(word.clone()).or_insert(place);
        }
        Self { words, places, vectors: padded, stride, endings: None, found: HashMap::new(), most: 0 }
    }

    /// Reads word vectors in the text format of GloVe, packed by gzip or not: a word and its numbers a line, the frequent
    /// words first. A first line of two whole numbers, as word2vec writes it, is passed over.
    ///
    /// Of the first `most` lines, words of letters stay; everything else is near words that it cannot stand for. With
    /// 100,000 lines of 300 numbers the table takes 120 MB.
    ///
    /// # Errors
    /// [`VectorsError`].
    pub fn from_glove(path: &Path, most: usize) -> Result<Self, VectorsError> {
        let mut corpus = Corpus::open(&[path])?;
        let (mut words, mut vectors, mut width) = (Vec::new(), Vec::new(), None);
        let mut lines = corpus.by_ref().enumerate().peekable();
        let is_header = |line: &str| {
            line.split_whitespace().count() == 2 && line.split_whitespace().all(|part| part.parse::<u64>().is_ok())
        };
        lines.next_if(|(_, line)| is_header(line));
        for (index, line) in lines.take(most) {
            let numbers = line.trim_end().split(' ').count().saturating_sub(1);
            let width = *width.get_or_insert(numbers);
            let refused = || VectorsError::Line { path: path.to_owned(), line: index + 1, width };
            // A word may hold spaces: its numbers are the last ones of the line.
            let mut parts = line.trim_end().rsplitn(width + 1, ' ');
            let start = vectors.len();
            for number in parts.by_ref().take(width) {
                let number = number.parse::<f32>().ok().filter(|number| number.is_finite());
                vectors.push(number.ok_or_else(refused)?);
            }
            vectors[start..].reverse();
            let word = parts.next().filter(|_| width > 0).ok_or_else(refused)?;
            if is_word(word) {
                words.push(word.to_owned());
            } else {
                vectors.truncate(start);
            }
        }
        corpus.finish()?;
        match width.filter(|_| !words.is_empty()) {
            Some(width) => Ok(Self::new(words, vectors, width)),
            None => Err(VectorsError::Empty { path: path.to_owned() }),
        }
    }

    /// The whole words of a model's vocabulary with their input embeddings, `[V, H]`. Pieces that go on with a word,
    /// marks and special tokens are left out.
    ///
    /// # Panics
    /// If there are not `hidden` numbers for each id.
    #[track_caller]
    pub fn from_embeddings(tokenizer: &Tokenizer, embeddings: &[f32], hidden: usize) -> Self {
        let rows = embeddings.chunks_exact(hidden).take(tokenizer.vocabulary_size());
        assert_eq!(rows.len(), tokenizer.vocabulary_size(), "an embedding for each piece");
        let tokens: Vec<Option<String>> =
            (0..rows.len() as u32).map(|id| tokenizer.token(id).filter(|_| !tokenizer.is_special(id))).collect();
        // How a vocabulary marks the pieces that begin a word, if it is not one that marks the others.
        let mark = ['Ġ', '▁'].into_iter().find(|&mark| {
            let marked = tokens.iter().flatten().filter(|token| token.starts_with(mark)).count();
            4 * marked > tokens.len()
        });
        let (mut words, mut vectors) = (Vec::new(), Vec::new());
        for (token, row) in tokens.into_iter().zip(rows) {
            let word = token.and_then(|token| match mark {
                Some(mark) => token.strip_prefix(mark).map(str::to_owned),
                None => Some(token),
            });
            if let Some(word) = word.filter(|word| is_word(word) && word.chars().nth(1).is_some()) {
                words.push(word);
                vectors.extend_from_slice(row);
            }
        }
        Self::new(words, vectors, hidden)
    }

    /// Takes for candidates of a word only those with its ending (`-s`, `-ed`, `-ing`, `-ly`, `-est` or none of these), so that
    /// they fit into an English sentence as it does.
    #[must_use]
    pub fn with_same_endings(mut self) -> Self {
        self.endings = Some(self.words.iter().map(|word| Ending::of(word)).collect());
        self
    }

    /// Number of words R.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn vector(&self, place: usize) -> &[f32] {
        &self.vectors[place * self.stride..][..self.stride]
    }

    /// The nearest other words of each of these, `most` at most, the nearest first; of equally near ones the first.
    fn nearest(&self, places: &[usize], most: usize) -> Vec<Vec<String>> {
        let search = |places: &[usize]| {
            let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::with_capacity(most + 1); places.len()];
            for first in (0..self.len()).step_by(ROWS_AT_A_TIME) {
                for (&place, best) in places.iter().zip(&mut best) {
                    for row in first..self.len().min(first + ROWS_AT_A_TIME) {
                        let differs = |endings: &Vec<Ending>| endings[row] != endings[place];
                        if row == place || self.endings.as_ref().is_some_and(differs) {
                            continue;
                        }
                        let cosine = product(self.vector(place), self.vector(row));
                        if best.len() == most && best.last().is_some_and(|last| cosine <= last.0) {
                            continue;
                        }
                        best.insert(best.partition_point(|other| other.0 >= cosine), (cosine, row));
                        best.truncate(most);
                    }
                }
            }
            let words = |best: Vec<(f32, usize)>| best.into_iter().map(|(_, row)| self.words[row].clone()).collect();
            best.into_iter().map(words).collect::<Vec<Vec<String>>>()
        };
        places.par_chunks(WORDS_AT_A_TIME).flat_map_iter(search).collect()
    }
}

impl CandidateSource for NearestWords {
    fn candidates(&mut self, slots: &[Slot<'_>], most: usize) -> Result<Vec<Option<Vec<String>>>, SourceError> {
        if most > self.most {
            self.found.clear();
            self.most = most;
        }
        let mut new: Vec<(String, usize)> = Vec::new();
        let mut asked = HashSet::new();
        for slot in slots {
            if !self.found.contains_key(&slot.word)
                && asked.insert(slot.word.as_str())
                && let Some(&place) = self.places.get(&slot.word)
            {
                new.push((slot.word.clone(), place));
            }
        }
        let places: Vec<usize> = new.iter().map(|(_, place)| *place).collect();
        let found = self.nearest(&places, self.most);
        self.found.extend(new.into_iter().map(|(word, _)| word).zip(found));
        let of = |slot: &Slot<'_>| self.found.get(&slot.word).map(|found| found[..found.len().min(most)].to_vec());
        Ok(slots.iter().map(of).collect())
    }
}

/// The scalar product of two rows, whose length is a multiple of [`LANES`]; always summed in the same order.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
