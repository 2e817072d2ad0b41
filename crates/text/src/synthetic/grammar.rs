//! Templates and how they are filled.
//!
//! A template is words with choices: `[please|now|]` is one of the alternatives, which may be
//! empty and hold choices of their own; `{room}` is one of the fillers of that name.

use super::intents::FILLERS;
use crate::random::Stream;

/// Fillers of one name; the second list stands in development and test sentences only.
pub(super) struct Fillers {
    pub(super) name: &'static str,
    pub(super) common: &'static [&'static str],
    pub(super) held_out: &'static [&'static str],
}

/// Makes the choices of templates.
pub(super) struct Writer<'a> {
    pub(super) stream: &'a mut Stream,
    /// How often something held out is chosen where there is something.
    pub(super) held_out: f64,
}

impl Writer<'_> {
    /// One of the common items, or, at the rate of this writer, of those held out.
    pub(super) fn pick<T: Copy>(&mut self, common: &[T], held_out: &[T]) -> T {
        let from_held_out = !held_out.is_empty() && self.stream.chance(self.held_out);
        *self.stream.choose(if from_held_out { held_out } else { common })
    }

    /// The words of a template, separated by single spaces; "a" becomes "an" before a vowel.
    ///
    /// # Panics
    /// If a bracket is not closed or a filler has no such name; a test fills every template.
    pub(super) fn fill(&mut self, template: &str) -> String {
        let mut text = String::new();
        self.expand(template, &mut text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let following = words.iter().skip(1).map(Some).chain([None]);
        let article = |(word, next): (&&'_ str, Option<&&str>)| match (*word, next) {
            ("a", Some(next)) if next.starts_with(['a', 'e', 'i', 'o', 'u']) => "an".to_owned(),
            _ => (*word).to_owned(),
        };
        words.iter().zip(following).map(article).collect::<Vec<_>>().join(" ")
    }

    fn expand(&mut self, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find(['[', '{']) {
            out.push_str(&rest[..at]);
            let end = at + closing(&rest[at..]);
            let inside = &rest[at + 1..end];
            if rest[at..].starts_with('[') {
                let alternatives = alternatives(inside);
                let chosen = *self.stream.choose(&alternatives);
                self.expand(chosen, out);
            } else {
                let Some(fillers) = FILLERS.iter().find(|fillers| fillers.name == inside) else {
                    panic!("no fillers are named {inside:?}")
                };
                let filler = self.pick(fillers.common, fillers.held_out);
                out.push_str(filler);
            }
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
    }
}

/// Where the bracket that opens the text is closed.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a bracket in {text:?} is not closed")
}

/// The parts between the bars that are in no inner bracket.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::Streams;

    fn all(template: &str, held_out: f64) -> BTreeSet<String> {
        let mut stream = Streams::new(0).stream("grammar test", &[]);
        (0..400).map(|_| Writer { stream: &mut stream, held_out }.fill(template)).collect()
    }

    #[test]
    fn choices_nest_and_may_be_empty() {
        let expected = ["a d", "an e d", "b c d", "b d"].map(String::from);
        assert_eq!(all("[a [|e]|b [c|]] d", 0.0), BTreeSet::from(expected));
    }

    #[test]
    fn fillers_are_held_out() {
        let rooms = FILLERS.iter().find(|fillers| fillers.name == "room").unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(all("{room}", 0.0), set(rooms.common));
        assert_eq!(all("{room}", 1.0), set(rooms.held_out));
        assert_eq!(all("{room}", 0.5), set(&[rooms.common, rooms.held_out].concat()));
    }
}
