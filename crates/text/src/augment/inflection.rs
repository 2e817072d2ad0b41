//! Forms of English words: to know the lemma of one, and to put another lemma into the same form.

use super::irregular::{DOUBLING, NO_FULL_VERBS, NOUNS, VERBS};

/// The form in which a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As in a dictionary.
    Base,
    /// Plural of a noun.
    Plural,
    /// `-s` of a verb.
    ThirdPerson,
    /// Past tense of a verb.
    Past,
    /// Past participle of a verb.
    PastParticiple,
    /// `-ing` of a verb.
    Gerund,
}

impl Form {
    /// All but [`Form::Base`].
    pub(super) const INFLECTED: [Self; 5] =
        [Self::Plural, Self::ThirdPerson, Self::Past, Self::PastParticiple, Self::Gerund];

    /// Whether it is one of a verb.
    pub(super) fn is_of_verb(self) -> bool {
        !matches!(self, Self::Base | Self::Plural)
    }

    /// A lemma in this form; `None` if it has none, as auxiliaries among full verbs.
    pub(super) fn of(self, lemma: &str) -> Option<String> {
        if lemma.contains('-') && self != Self::Base {
            return None;
        }
        if self.is_of_verb() {
            if NO_FULL_VERBS.contains(&lemma) {
                return None;
            }
            if let Some([_, past, participle]) = VERBS.iter().find(|verb| verb[0] == lemma) {
                match self {
                    Self::Past => return Some((*past).to_owned()),
                    Self::PastParticiple => return Some((*participle).to_owned()),
                    _ => {}
                }
            }
        }
        Some(match self {
            Self::Base => lemma.to_owned(),
            Self::Plural => match NOUNS.iter().find(|noun| noun[0] == lemma) {
                Some([_, plural]) => (*plural).to_owned(),
                None => with_s(lemma),
            },
            Self::ThirdPerson if lemma == "go" => "goes".to_owned(),
            Self::ThirdPerson => with_s(lemma),
            Self::Past | Self::PastParticiple => with_ed(lemma),
            Self::Gerund => with_ing(lemma),
        })
    }

    /// The lemmas of which a word may be this form; the rules that make it decide.
    pub(super) fn lemmas(self, word: &str) -> Vec<String> {
        let mut lemmas: Vec<String> = Vec::new();
        match self {
            Self::Base => lemmas.push(word.to_owned()),
            Self::Plural => lemmas.extend(NOUNS.iter().filter(|noun| noun[1] == word).map(|noun| noun[0].to_owned())),
            Self::Past => lemmas.extend(VERBS.iter().filter(|verb| verb[1] == word).map(|verb| verb[0].to_owned())),
            Self::PastParticiple => {
                lemmas.extend(VERBS.iter().filter(|verb| verb[2] == word).map(|verb| verb[0].to_owned()));
            }
            Self::ThirdPerson | Self::Gerund => {}
        }
        let endings: &[(&str, &[&str])] = match self {
            Self::Base => &[],
            Self::Plural | Self::ThirdPerson => &[("s", &[""]), ("es", &[""]), ("ies", &["y"])],
            Self::Past | Self::PastParticiple => &[("d", &[""]), ("ed", &[""]), ("ied", &["y"])],
            Self::Gerund => &[("ing", &["", "e"]), ("ying", &["ie"])],
        };
        for (ending, instead) in endings {
            if let Some(stem) = word.strip_suffix(ending) {
                lemmas.extend(instead.iter().map(|instead| format!("{stem}{instead}")));
                // What was doubled: `planned`, `planning`.
                if stem.len() > 2
                    && stem.is_ascii()
                    && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2]
                {
                    lemmas.push(stem[..stem.len() - 1].to_owned());
                }
            }
        }
        lemmas.retain(|lemma| self.of(lemma).as_deref() == Some(word));
        lemmas.sort();
        lemmas.dedup();
        lemmas
    }
}

/// Whether a word is a past tense or a participle that no rule gives, that of `come` too.
pub(super) fn is_irregular(word: &str) -> bool {
    VERBS.iter().any(|verb| verb[1..].contains(&word))
}

fn with_s(word: &str) -> String {
    if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) {
        return format!("{word}es");
    }
    match word.strip_suffix('y') {
        Some(stem) if !ends_in_vowel(stem) => format!("{stem}ies"),
        _ => format!("{word}s"),
    }
}

fn with_ed(word: &str) -> String {
    if word.ends_with('e') {
        return format!("{word}d");
    }
    match word.strip_suffix('y') {
        Some(stem) if !ends_in_vowel(stem) => format!("{stem}ied"),
        _ => format!("{}ed", doubled(word)),
    }
}

fn with_ing(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ie") {
        return format!("{stem}ying");
    }
    match word.strip_suffix('e') {
        Some(stem) if !["e", "y", "o"].iter().any(|end| stem.ends_with(end)) && !stem.is_empty() => {
            format!("{stem}ing")
        }
        Some(_) => format!("{word}ing"),
        None => format!("{}ing", doubled(word)),
    }
}

/// With its last letter twice where that keeps a vowel short: `plan`, `admit`.
fn doubled(word: &str) -> String {
    let letters: Vec<char> = word.chars().rev().collect();
    let closed = match letters[..] {
        [last, vowel, before, ..] => {
            !is_vowel(last) && !"wxy".contains(last) && is_vowel(vowel) && !is_vowel(before)
                // The u of `quit` is no vowel.
                || matches!(letters[..], [last, 'i', 'u', 'q', ..] if !is_vowel(last))
        }
        _ => false,
    };
    let syllables =
        word.chars().collect::<Vec<_>>().windows(2).filter(|pair| is_vowel(pair[0]) && !is_vowel(pair[1])).count();
    match letters.first() {
        Some(&last) if closed && (syllables == 1 || DOUBLING.contains(&word)) => format!("{word}{last}"),
        _ => word.to_owned(),
    }
}

fn is_vowel(c: char) -> bool {
    "aeiou".contains(c)
}

fn ends_in_vowel(word: &str) -> bool {
    word.ends_with(is_vowel)
}

/// How a word ends, as far as it tells in which places of a sentence it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// `-s` of a plural or a verb, and irregular plurals.
    S,
    /// `-ed`, and irregular past tenses and participles.
    Ed,
    /// `-ing`.
    Ing,
    /// `-ly`.
    Ly,
    /// `-est`.
    Est,
    /// None of these.
    Plain,
}

impl Ending {
    pub(super) fn of(word: &str) -> Self {
        // Forms that are like their infinitives tell nothing.
        if VERBS.iter().any(|verb| verb[0] != word && verb[1..].contains(&word)) {
            return Self::Ed;
        }
        let has_stem = |end: &str| word.strip_suffix(end).is_some_and(|stem| stem.len() > 1 && stem.contains(is_vowel));
        if NOUNS.iter().any(|noun| noun[1] == word)
            || (has_stem("s") && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)))
        {
            return Self::S;
        }
        if has_stem("ed") && !word.ends_with("eed") {
            return Self::Ed;
        }
        match () {
            () if has_stem("ing") => Self::Ing,
            () if has_stem("ly") => Self::Ly,
            () if has_stem("est") => Self::Est,
            () => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lemmas_and_forms_are_each_others_way_back() {
        for (form, lemma, word) in [
            (Form::Plural, "film", "films"),
            (Form::Plural, "story", "stories"),
            (Form::Plural, "boy", "boys"),
            (Form::Plural, "class", "classes"),
            (Form::Plural, "woman", "women"),
            (Form::ThirdPerson, "watch", "watches"),
            (Form::ThirdPerson, "go", "goes"),
            (Form::ThirdPerson, "try", "tries"),
            (Form::Past, "love", "loved"),
            (Form::Past, "plan", "planned"),
            (Form::Past, "admit", "admitted"),
            (Form::Past, "visit", "visited"),
            (Form::Past, "play", "played"),
            (Form::Past, "carry", "carried"),
            (Form::Past, "see", "saw"),
            (Form::Past, "call", "called"),
            (Form::Past, "free", "freed"),
            (Form::PastParticiple, "see", "seen"),
            (Form::PastParticiple, "agree", "agreed"),
            (Form::Gerund, "make", "making"),
            (Form::Gerund, "run", "running"),
            (Form::Gerund, "die", "dying"),
            (Form::Gerund, "see", "seeing"),
            (Form::Gerund, "open", "opening"),
            (Form::Gerund, "quit", "quitting"),
            (Form::Gerund, "show", "showing"),
            (Form::Gerund, "feel", "feeling"),
        ] {
            assert_eq!(form.of(lemma).as_deref(), Some(word), "{form:?} of {lemma}");
            assert!(form.lemmas(word).contains(&lemma.to_owned()), "{form:?} of {word}: {:?}", form.lemmas(word));
        }
        assert_eq!((Form::Past.of("have"), Form::Plural.of("go-between")), (None, None));
        assert_eq!(Form::Past.lemmas("run"), [""; 0]);
    }

    #[test]
    fn endings_tell_where_a_word_fits() {
        for (ending, words) in [
            (Ending::S, ["films", "watches", "women", "stories"]),
            (Ending::Ed, ["loved", "made", "seen", "planned"]),
            (Ending::Ing, ["making", "building", "seeing", "loving"]),
            (Ending::Ly, ["quickly", "friendly", "easily", "hardly"]),
            (Ending::Plain, ["film", "thing", "glass", "run"]),
            (Ending::Est, ["fastest", "newest", "shortest", "interest"]),
            (Ending::Plain, ["king", "need", "bus", "analysis"]),
        ] {
            assert_eq!(words.map(Ending::of), [ending; 4], "{words:?}");
        }
    }
}
