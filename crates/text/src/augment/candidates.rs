//! Where words to put in the place of others come from.

use std::collections::HashSet;
use std::ops::Range;

use super::stop_words::is_stop_word;
use super::words::is_lower_case_word;
use super::{AugmentOptions, Semantics};
use crate::labeled::Example;

/// What a source of candidates fails with.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A word that may be replaced, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot<'a> {
    /// The row.
    pub row: &'a Example,
    /// 0 if it stands in the text, 1 if in the second text of a pair.
    pub text: usize,
    /// Its bytes there.
    pub bytes: Range<usize>,
    /// The word in lower case.
    pub word: String,
}

impl<'a> Slot<'a> {
    /// The text in which it stands.
    pub fn within(&self) -> &'a str {
        if self.text == 0 { &self.row.text } else { self.row.pair.as_deref().unwrap_or_default() }
    }

    /// The word as it is written there.
    pub fn as_written(&self) -> &'a str {
        &self.within()[self.bytes.clone()]
    }
}

/// Finds words to put in the place of others.
///
/// What a slot gets may depend on its word and row alone: not on other slots, nor on how many are asked at a time.
pub trait CandidateSource {
    /// For each slot, in order, at most `most` words in lower case, the best first; the word itself may be among them.
    /// `None` where the word is none for this source, so that the next one is asked. Slots of a row stand together.
    ///
    /// # Errors
    /// If the source fails; nothing is augmented then.
    fn candidates(&mut self, slots: &[Slot<'_>], most: usize) -> Result<Vec<Option<Vec<String>>>, SourceError>;
}

/// The candidates of each slot, from the first source that has some.
pub(super) fn of_sources(
    sources: &mut [Box<dyn CandidateSource + '_>],
    slots: &[Slot<'_>],
    options: &AugmentOptions,
) -> Result<Vec<Vec<String>>, SourceError> {
    // Of what a source finds, the word itself, its repetitions and the like fall out.
    let most = match options.semantics {
        Semantics::Clean => 2 * options.top + 5,
        Semantics::Reference => options.top,
    };
    let mut candidates = vec![Vec::new(); slots.len()];
    let mut open: Vec<usize> = (0..slots.len()).collect();
    for source in sources {
        let asked: Vec<Slot<'_>> = open.iter().map(|&slot| slots[slot].clone()).collect();
        let mut answers = source.candidates(&asked, most)?.into_iter();
        open.retain(|&slot| {
            let answer = answers.next().flatten();
            let is_answered = answer.is_some();
            candidates[slot] = match options.semantics {
                Semantics::Clean => usable(answer.unwrap_or_default(), &slots[slot].word, options.top),
                Semantics::Reference => answer.unwrap_or_default(),
            };
            // The code asks vectors for words of several pieces alone, whatever the model says of the others.
            match options.semantics {
                Semantics::Clean => candidates[slot].is_empty(),
                Semantics::Reference => !is_answered,
            }
        });
    }
    Ok(candidates)
}

/// Lower-case words, each once, without stop words, the word itself and what is made of it: `quicker` and `quickly` do not
/// stand where `quick` does.
fn usable(found: Vec<String>, word: &str, top: usize) -> Vec<String> {
    let mut known = HashSet::new();
    let is_related = |candidate: &str| candidate.starts_with(word) || word.starts_with(candidate);
    let is_usable =
        |candidate: &String| is_lower_case_word(candidate) && !is_stop_word(candidate) && !is_related(candidate);
    found.into_iter().filter(is_usable).filter(|candidate| known.insert(candidate.clone())).take(top).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_words_are_usable() {
        let found =
            ["film", "the", "Film", "film", "flick", "films.", "x9", "", "motion-picture", "cinéma", "movie", "movies"];
        let usable = |top| usable(found.map(String::from).to_vec(), "movie", top);
        assert_eq!(usable(10), ["film", "flick", "motion-picture", "cinéma"]);
        assert_eq!(usable(2), ["film", "flick"]);
    }
}
