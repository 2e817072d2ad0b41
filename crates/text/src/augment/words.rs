//! The words of a text that may be replaced.

use std::ops::Range;

use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
use unicode_categories::UnicodeCategories;

use super::stop_words::is_stop_word;
use super::{Semantics, Slot};
use crate::labeled::Example;

/// The words of a row that may be replaced, in order, those of the first text first.
pub(super) fn slots(row: &Example, semantics: Semantics) -> Vec<Slot<'_>> {
    let texts = [Some(row.text.as_str()), row.pair.as_deref()].into_iter().flatten().enumerate();
    texts
        .flat_map(|(text, written)| {
            let words = match semantics {
                Semantics::Clean => replaceable(written),
                Semantics::Reference => {
                    let tokens = basic_tokens(written).into_iter();
                    let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase());
                    tokens.filter(|(_, word)| is_word(word) && !is_stop_word(word)).collect()
                }
            };
            words.into_iter().map(move |(bytes, word)| Slot { row, text, bytes, word })
        })
        .collect()
}

/// A text as BERT's uncased models cut it into words and marks: their bytes in the text, and what they become.
pub(super) fn basic_tokens(text: &str) -> Vec<(Range<usize>, String)> {
    let mut tokens = PreTokenizedString::from(text);
    let normalizer = BertNormalizer::new(true, true, None, true);
    tokens
        .normalize(|part| normalizer.normalize(part))
        .and_then(|()| BertPreTokenizer.pre_tokenize(&mut tokens))
        .expect("BERT's rules take any text");
    tokens
        .get_splits(OffsetReferential::Original, OffsetType::Byte)
        .into_iter()
        .map(|(word, (start, end), _)| (start..end, word.to_owned()))
        .collect()
}

/// Words of letters, with hyphens inside, that are neither stop words nor names nor a part of something else: an address,
/// a number, markup, a contraction. A possessive loses its ending.
fn replaceable(text: &str) -> Vec<(Range<usize>, String)> {
    let mut words = Vec::new();
    // Whether a capital says nothing, because every sentence begins with one.
    let mut begins_sentence = true;
    // Whether the last word found has such a capital: one before another capital is a part of a name.
    let mut may_be_name = false;
    let mut start = 0;
    for (at, separator) in text.char_indices().filter(|(_, c)| is_separator(*c)).chain([(text.len(), ' ')]) {
        let chunk = &text[start..at];
        if !chunk.is_empty() {
            let body = chunk.trim_matches(['.', '\'', '’']);
            let body = ["'s", "’s", "'S", "’S"].iter().find_map(|end| body.strip_suffix(end)).unwrap_or(body);
            let case = Case::of(body);
            let case_fits = match case {
                Case::Lower | Case::Upper => true,
                Case::Title => begins_sentence,
                Case::Mixed => false,
            };
            let lower = body.to_lowercase();
            if may_be_name && matches!(case, Case::Title | Case::Mixed) {
                words.pop();
            }
            may_be_name = false;
            // A clitic (`'ll`) is no word, a quotation (`'film'`) has some.
            if is_word(body) && case_fits && body.chars().nth(1).is_some() && !is_stop_word(&lower) {
                let first = start + chunk.find(body).unwrap_or(0);
                words.push((first..first + body.len(), lower));
                may_be_name = case == Case::Title && !chunk.ends_with('.');
            }
            begins_sentence = chunk.ends_with('.');
        }
        may_be_name &= separator.is_whitespace();
        begins_sentence |= matches!(separator, '!' | '?' | ':' | '…' | '\n' | '"' | '“');
        start = at + separator.len_utf8();
    }
    words
}

/// What stands between words: nothing that holds the parts of a name, a number or an address together.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || ",;:!?()\"“”„‘«»—–…`".contains(c)
}

/// Letters and their marks, with single hyphens inside.
pub(super) fn is_word(text: &str) -> bool {
    let is_part = |part: &str| part.chars().next().is_some_and(char::is_alphabetic) && part.chars().all(is_letter);
    text.split('-').all(is_part)
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c.is_mark()
}

/// A word without capitals.
pub(super) fn is_lower_case_word(text: &str) -> bool {
    is_word(text) && !text.chars().any(char::is_uppercase)
}

/// How the letters of a word are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Title,
    Upper,
    Mixed,
}

impl Case {
    pub(super) fn of(word: &str) -> Self {
        let mut letters = word.chars().filter(|c| c.is_alphabetic());
        let begins = letters.next().is_some_and(char::is_uppercase);
        let (mut upper, mut lower) = (0, 0);
        for letter in letters {
            upper += usize::from(letter.is_uppercase());
            lower += usize::from(!letter.is_uppercase());
        }
        match (begins, upper, lower) {
            (false, 0, _) => Self::Lower,
            (true, 0, _) => Self::Title,
            (true, _, 0) => Self::Upper,
            _ => Self::Mixed,
        }
    }

    /// A lower-case word in this case.
    pub(super) fn apply(self, word: &str) -> String {
        match self {
            Self::Lower | Self::Mixed => word.to_owned(),
            Self::Upper => word.to_uppercase(),
            Self::Title => {
                let mut letters = word.chars();
                letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        replaceable(text).into_iter().map(|(bytes, _)| &text[bytes]).collect()
    }

    #[test]
    fn words_are_told_from_the_rest() {
        assert_eq!(words("the film 's plot , a well-made one"), ["film", "plot", "well-made"]);
        assert_eq!(words("Great movie! Terrific \"fun\": Loved it."), ["Great", "movie", "Terrific", "fun", "Loved"]);
        assert_eq!(words("Dow Jones fell. Great movie. Bad. Good"), ["fell", "Great", "movie", "Bad", "Good"]);
        // Names, capitals inside, contractions, codes, markup, tags, addresses.
        assert_eq!(words("see Spielberg and Tom Hanks, McDonald, iPhone"), ["see"]);
        assert_eq!(
            words("does n't can't they'll 'll it's 4th x86 <br> [MASK] -lrb- @user #tag a.b/c e.g. mail@x.org"),
            [""; 0]
        );
        assert_eq!(words("the film's end, the 'wild' James' (story)"), ["film", "end", "wild", "story"]);
        assert_eq!(words("THIS MOVIE ROCKS"), ["MOVIE", "ROCKS"]);
        // Letters of any script, also those with marks of their own.
        assert_eq!(words("un cafe\u{301} très café—naïve"), ["un", "cafe\u{301}", "très", "café", "naïve"]);
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words(" .'. - -- ’"), [""; 0]);
    }

    #[test]
    fn tokens_are_those_of_bert() {
        let text = "Don't STOP, Café!";
        let tokens = basic_tokens(text);
        let words: Vec<&str> = tokens.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["don", "'", "t", "stop", ",", "cafe", "!"]);
        assert_eq!(&text[tokens[5].0.clone()], "Café");
    }

    #[test]
    fn case_goes_over_to_another_word() {
        for (written, word, expected) in
            [("film", "movie", "movie"), ("Film", "élan", "Élan"), ("FILM", "movie", "MOVIE"), ("A", "an", "An")]
        {
            assert_eq!(Case::of(written).apply(word), expected);
        }
        assert_eq!(["iPhone", "McDonald", "fILM"].map(Case::of), [Case::Mixed; 3]);
    }
}
