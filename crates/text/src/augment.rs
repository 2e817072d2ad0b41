//! New rows out of rows, by other words in the place of some: the data augmentation of TinyBERT.
//!
//! Algorithm 1 of Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding" (arXiv 1909.10351): each
//! word of a text has candidates, and each copy of the text takes one in place of a word with a fixed probability. What
//! comes out need not keep the label of the row that it comes from: a teacher labels it.
//!
//! Where candidates come from is a [`CandidateSource`]: [`NearestWords`] (word vectors, or a model's own embeddings),
//! [`Thesaurus`] (synonyms), or whatever a program has, such as a masked language model. Several are asked in turn: a
//! word has the candidates of the first source that has some.
//!
//! # Semantics
//! [`Semantics::Reference`] does what the published code does; [`Semantics::Clean`] puts right what are slips there:
//!
//! | | reference | clean |
//! |---|---|---|
//! | text of a copy | BERT's basic tokens, lower-cased, joined by spaces | the text as written but for the words replaced, which keep their case, and `a` or `an` before them |
//! | words replaced | tokens of `a` to `z` that are no stop words | words of letters that are neither stop words nor names nor parts of addresses, codes or contractions |
//! | candidates | as the source gives them, the word itself too | no stop words, names, marks or repetitions, nor the word itself |
//! | copies of a row | `per_row` draws for each text of a pair, of which those stay that differ | `per_row`, drawn again until they differ |
//! | pairs | copies of the second text stand beside the last copy of the first | every other copy changes the second text, beside the first as it is |
//! | the row itself | comes out too, once for each text | does not |
//! | repetitions | of the same row are dropped | of any row, and rows [kept out](Augmenter::keep_out), are dropped |
//!
//! Copies are drawn from named streams by the text of a row: they do not depend on its place, on other rows, on threads
//! or on how many rows are augmented at a time. Of two rows that give the same copy the first keeps it.
//!
//! ```
//! use attar_text::augment::{AugmentOptions, Augmenter, NearestWords};
//! use attar_text::labeled::{Example, Label};
//! use attar_text::random::Streams;
//!
//! let words = ["movie", "film", "great", "grand"].map(String::from).to_vec();
//! let vectors = NearestWords::new(words, vec![1.0, 0.1, 1.0, 0.2, 0.1, 1.0, 0.2, 1.0], 2);
//! let options = AugmentOptions { top: 1, replace: 1.0, ..AugmentOptions::default() };
//! let mut augmenter = Augmenter::new(options, vec![Box::new(vectors)], Streams::new(42))?;
//! let row = Example { text: "A great movie!".into(), pair: None, label: Label::Absent };
//! let copies = augmenter.augment(&[row])?;
//! assert_eq!(copies[0].example.text, "A grand film!");
//! # Ok::<(), attar_text::augment::AugmentError>(())
//! ```

mod candidates;
mod draw;
mod inflection;
mod irregular;
mod nearest_words;
mod splice;
mod stop_words;
mod thesaurus;
mod words;

use std::collections::HashSet;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use candidates::{CandidateSource, Slot, SourceError};
pub use nearest_words::{NearestWords, VectorsError};
pub use thesaurus::{Thesaurus, ThesaurusError};

use self::draw::{Copy, ReplaceableRow};
use crate::labeled::{Example, normalized};
use crate::random::Streams;

/// How rows are augmented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AugmentOptions {
    /// Copies of each row, at most; for each text of a pair in [`Semantics::Reference`].
    pub per_row: usize,
    /// Probability with which a word that has candidates is replaced.
    pub replace: f64,
    /// Candidates of a word, at most: one of them is drawn, all equally likely.
    pub top: usize,
    /// Whose rules are followed.
    pub semantics: Semantics,
}

/// Whose rules are followed; see [`augment`](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantics {
    /// The paper's algorithm with the slips of its code put right.
    #[default]
    Clean,
    /// What the published code does.
    Reference,
}

impl Default for AugmentOptions {
    /// The paper's probability and number of candidates; four copies, as twenty take five times as long and find little more.
    fn default() -> Self {
        Self { per_row: 4, replace: 0.4, top: 15, semantics: Semantics::Clean }
    }
}

/// Why rows could not be augmented.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A probability out of range.
    #[error("augmentation: expected the probability of replacing a word to be above 0 and at most 1, found {found}")]
    Replace {
        /// The number.
        found: f64,
    },
    /// Nothing would come out.
    #[error("augmentation: expected at least one {what}, found none")]
    Nothing {
        /// What there has to be.
        what: &'static str,
    },
    /// A source that failed.
    #[error("candidates for words: {0}")]
    Source(#[source] SourceError),
}

/// A row made of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRow {
    /// Position of the row that it was made of.
    pub of: usize,
    /// The texts, with the label of that row.
    pub example: Example,
    /// Words that were replaced; 0 for the row itself, which [`Semantics::Reference`] gives too.
    pub replaced: usize,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Rows augmented.
    pub rows: usize,
    /// Rows of which no word had a candidate; they have no copy.
    pub without_candidates: usize,
    /// Copies made.
    pub copies: usize,
    /// Words replaced in all of them.
    pub replaced: usize,
    /// Copies dropped because they were there before, as a copy or as a row kept out.
    pub repeated: usize,
}

/// Augments rows, some at a time; it remembers 16 bytes of each row that came out.
pub struct Augmenter<'a> {
    options: AugmentOptions,
    sources: Vec<Box<dyn CandidateSource + 'a>>,
    streams: Streams,
    seen: HashSet<u128>,
    tally: Tally,
}

impl<'a> Augmenter<'a> {
    /// Takes candidates from these sources, in this order.
    ///
    /// # Errors
    /// [`AugmentError`] if a probability is out of range or nothing could come out.
    pub fn new(
        options: AugmentOptions,
        sources: Vec<Box<dyn CandidateSource + 'a>>,
        streams: Streams,
    ) -> Result<Self, AugmentError> {
        if !(options.replace > 0.0 && options.replace <= 1.0) {
            return Err(AugmentError::Replace { found: options.replace });
        }
        let needed = [
            (options.per_row, "copy a row"),
            (options.top, "candidate a word"),
            (sources.len(), "source of candidates"),
        ];
        if let Some(&(_, what)) = needed.iter().find(|(count, _)| *count == 0) {
            return Err(AugmentError::Nothing { what });
        }
        Ok(Self { options, sources, streams, seen: HashSet::new(), tally: Tally::default() })
    }

    /// Makes no copy that is one of these rows, as [`duplicates_with`](crate::labeled::Dataset::duplicates_with) sees
    /// it: the rows themselves, and those held out. [`Semantics::Reference`] does not look.
    pub fn keep_out(&mut self, rows: &[Example]) {
        self.seen.par_extend(rows.par_iter().map(fingerprint));
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Copies of these rows, those of the first one first. On all cores.
    ///
    /// # Errors
    /// [`AugmentError::Source`].
    pub fn augment(&mut self, rows: &[Example]) -> Result<Vec<NewRow>, AugmentError> {
        let semantics = self.options.semantics;
        let found: Vec<Vec<Slot<'_>>> = rows.par_iter().map(|row| words::slots(row, semantics)).collect();
        let ends: Vec<usize> = found
            .iter()
            .scan(0, |end, slots| {
                *end += slots.len();
                Some(*end)
            })
            .collect();
        let slots: Vec<Slot<'_>> = found.into_iter().flatten().collect();
        let candidates =
            candidates::of_sources(&mut self.sources, &slots, &self.options).map_err(AugmentError::Source)?;

        let (options, streams) = (&self.options, &self.streams);
        let copies: Vec<Vec<Copy>> = (0..rows.len())
            .into_par_iter()
            .map(|index| {
                let own = if index == 0 { 0 } else { ends[index - 1] }..ends[index];
                let row =
                    ReplaceableRow { example: &rows[index], slots: &slots[own.clone()], candidates: &candidates[own] };
                let key = fingerprint(row.example) as u64;
                match semantics {
                    Semantics::Clean => draw::clean(&row, options, streams, key),
                    Semantics::Reference => draw::reference(&row, options, streams, key),
                }
            })
            .collect();
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let without = begins.zip(&ends).filter(|&(begin, &end)| candidates[begin..end].iter().all(Vec::is_empty));
        self.tally.without_candidates += without.count();
        self.tally.rows += rows.len();
        Ok(self.counted(copies, rows))
    }

    /// The copies that are new, with the labels of their rows.
    fn counted(&mut self, copies: Vec<Vec<Copy>>, rows: &[Example]) -> Vec<NewRow> {
        let mut new = Vec::new();
        for (of, copy) in
            copies.into_iter().enumerate().flat_map(|(of, copies)| copies.into_iter().map(move |c| (of, c)))
        {
            let Copy { text, pair, replaced } = copy;
            let example = Example { text, pair, label: rows[of].label.clone() };
            if self.options.semantics == Semantics::Clean && !self.seen.insert(fingerprint(&example)) {
                self.tally.repeated += 1;
                continue;
            }
            self.tally.copies += usize::from(replaced > 0);
            self.tally.replaced += replaced;
            new.push(NewRow { of, example, replaced });
        }
        new
    }
}

/// 128 bits of what makes two rows the same.
fn fingerprint(example: &Example) -> u128 {
    let hash = Sha256::digest(normalized(example));
    hash.iter().take(16).fold(0, |number, &byte| number << 8 | u128::from(byte))
}
