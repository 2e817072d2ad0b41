//! Other words in a text, which stays as it is around them.

use super::Slot;
use super::words::Case;

/// The text with these words in place of others, in the case of those, after the article that goes with them.
pub(super) fn spliced(text: &str, replacements: &[(&Slot<'_>, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (slot, candidate) in replacements {
        let written = &text[slot.bytes.clone()];
        out.push_str(&text[from..slot.bytes.start]);
        let candidate = Case::of(written).apply(candidate);
        mend_article(&mut out, written, &candidate);
        out.push_str(&candidate);
        from = slot.bytes.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Makes `a` before a word `an`, or the other way round, if it went with the word before and no longer does.
fn mend_article(before: &mut String, word: &str, next: &str) {
    let body = before.trim_end();
    let space = before[body.len()..].to_owned();
    let article = body.rsplit(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-').next().unwrap_or_default();
    let is_an = match article {
        "a" | "A" => false,
        "an" | "An" | "AN" => true,
        _ => return,
    };
    if space.is_empty() || takes_an(word) != is_an || takes_an(next) == is_an {
        return;
    }
    let is_upper = article == "A" && Case::of(next) == Case::Upper;
    let end = body.len();
    before.truncate(end);
    if is_an {
        before.pop();
    } else {
        before.push(if is_upper { 'N' } else { 'n' });
    }
    before.push_str(&space);
}

/// Whether an English word begins with the sound of a vowel.
fn takes_an(word: &str) -> bool {
    let word = word.to_lowercase();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| word.starts_with(beginning));
    if begins(&["honest", "honor", "honour", "hour", "heir"]) {
        return true;
    }
    // As in `a one-time union of European users`.
    if begins(&["uni", "use", "usa", "usu", "ut", "eu", "ew", "one", "once", "ubi", "ura"]) {
        return begins(&["unim", "unin", "utm", "utt", "oner"]);
    }
    word.starts_with(['a', 'e', 'i', 'o', 'u'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labeled::{Example, Label};

    fn replaced(text: &str, word: &str, by: &str) -> String {
        let row = Example { text: text.to_owned(), pair: None, label: Label::Absent };
        let start = text.find(word).unwrap();
        let slot = Slot { row: &row, text: 0, bytes: start..start + word.len(), word: word.to_lowercase() };
        spliced(text, &[(&slot, by)])
    }

    #[test]
    fn articles_follow_the_word() {
        assert_eq!(replaced("a  film ,", "film", "adventure"), "an  adventure ,");
        assert_eq!(replaced("An awful movie", "awful", "terrible"), "A terrible movie");
        assert_eq!(replaced("in an hour", "hour", "minute"), "in a minute");
        assert_eq!(replaced("IT IS A FILM", "FILM", "effort"), "IT IS AN EFFORT");
        assert_eq!(replaced("A film", "film", "union"), "A union");
        assert_eq!(replaced("a film", "film", "unimportant"), "an unimportant");
        // It was wrong before, is no article, or stands elsewhere.
        assert_eq!(replaced("a epic film", "epic", "idle"), "a idle film");
        assert_eq!(replaced("vitamin-a film", "film", "effort"), "vitamin-a effort");
        assert_eq!(replaced("a, film", "film", "effort"), "a, effort");
        assert_eq!(replaced("film", "film", "effort"), "effort");
    }

    #[test]
    fn the_rest_of_the_text_stays() {
        assert_eq!(replaced(" É «Film»\t(1999)", "Film", "élan"), " É «Élan»\t(1999)");
        assert_eq!(replaced("the film's end", "film", "movie"), "the movie's end");
    }
}
