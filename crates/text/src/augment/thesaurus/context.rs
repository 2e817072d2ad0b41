//! What the word before tells of a word.

use super::super::inflection::Form;
use super::{PartOfSpeech, Slot};

/// What can stand in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Context {
    /// After an article or the like: a noun or what describes it.
    Noun,
    /// After `to`, an auxiliary or a pronoun that acts: a verb as in a dictionary.
    Verb,
    /// After a form of `have` or `be`: no infinitive.
    NoInfinitive,
    /// Anything.
    Open,
}

/// Words that a noun follows, and no verb.
const BEFORE_NOUNS: [&str; 38] = [
    "a", "an", "the", "this", "these", "those", "my", "your", "his", "its", "our", "their", "'s", "of", "in", "on",
    "at", "for", "with", "by", "from", "into", "about", "without", "between", "some", "any", "no", "every", "each",
    "another", "such", "many", "few", "several", "most", "whose", "as",
];
/// Words that the infinitive of a verb follows.
const BEFORE_VERBS: [&str; 23] = [
    "to", "will", "would", "can", "could", "may", "might", "must", "shall", "should", "do", "does", "did", "n't", "i",
    "you", "we", "they", "let", "lets", "cannot", "don't", "doesn't",
];
/// Forms of auxiliaries that a participle, an adjective or a noun follows.
const BEFORE_PARTICIPLES: [&str; 15] =
    ["is", "are", "was", "were", "be", "been", "being", "am", "has", "have", "had", "having", "seems", "feels", "it's"];

impl Context {
    pub(super) fn of(slot: &Slot<'_>) -> Self {
        let before = slot.within()[..slot.bytes.start].trim_end();
        let word = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
        let is_one_of = |words: &[&str]| words.contains(&word.as_str());
        match () {
            () if is_one_of(&BEFORE_NOUNS) || word.ends_with("'s") => Self::Noun,
            () if is_one_of(&BEFORE_VERBS) => Self::Verb,
            () if is_one_of(&BEFORE_PARTICIPLES) => Self::NoInfinitive,
            () => Self::Open,
        }
    }

    pub(super) fn allows(self, part: PartOfSpeech, form: Form) -> bool {
        let is_infinitive = part == PartOfSpeech::Verb && form == Form::Base;
        match self {
            // A participle may describe a noun.
            Self::Noun => !is_infinitive && !matches!(form, Form::ThirdPerson | Form::Past),
            Self::Verb => part == PartOfSpeech::Verb || part == PartOfSpeech::Adverb,
            Self::NoInfinitive => !is_infinitive && !matches!(form, Form::ThirdPerson | Form::Past),
            Self::Open => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labeled::{Example, Label};

    fn context(text: &str) -> Context {
        let row = Example { text: text.to_owned(), pair: None, label: Label::Absent };
        let start = text.find("love").unwrap();
        Context::of(&Slot { row: &row, text: 0, bytes: start..start + 4, word: "love".into() })
    }

    #[test]
    fn the_word_before_tells() {
        assert_eq!(context("I  love it"), Context::Verb);
        assert_eq!(context("the director 's love"), Context::Noun);
        assert_eq!(context("Bob's love"), Context::Noun);
        assert_eq!(context("is love"), Context::NoInfinitive);
        assert_eq!(context("love"), Context::Open);
        assert!(Context::Noun.allows(PartOfSpeech::Adjective, Form::Base));
        assert!(!Context::Noun.allows(PartOfSpeech::Verb, Form::Base));
        assert!(!Context::Verb.allows(PartOfSpeech::Noun, Form::Base));
        assert!(Context::NoInfinitive.allows(PartOfSpeech::Verb, Form::PastParticiple));
    }
}
