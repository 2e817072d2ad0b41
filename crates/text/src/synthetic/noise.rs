//! How people type: capitals and full stops at will, and slips of the fingers.

use crate::random::Stream;

/// Share of the words of four letters and more that have a slip.
pub(super) const TYPO_RATE: f64 = 0.03;

/// Sets a sentence in type: joins punctuation to words, makes slips, sometimes begins with a
/// capital and ends with a mark.
pub(super) fn typeset(sentence: &str, stream: &mut Stream) -> String {
    let words = sentence.split(' ').map(|word| match stream.chance(TYPO_RATE) {
        true if word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_lowercase()) => slip(word, stream),
        _ => word.to_owned(),
    });
    let mut text = words.collect::<Vec<_>>().join(" ").replace(" ,", ",");
    if stream.chance(0.3) && text.is_ascii() {
        text[..1].make_ascii_uppercase();
    }
    if stream.chance(0.25) {
        let mark = *stream.choose(&[".", ".", "!", " ..."]);
        text.push_str(mark);
    }
    text
}

/// The word with two letters swapped, one left out or one doubled; its first letter is right.
fn slip(word: &str, stream: &mut Stream) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = 1 + stream.below(letters.len() as u64 - 2) as usize;
    match stream.below(3) {
        0 => letters.swap(at, at + 1),
        1 => _ = letters.remove(at),
        _ => letters.insert(at, letters[at]),
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;

    #[test]
    fn slips_are_as_rare_as_stated() {
        let mut stream = Streams::new(0).stream("typos", &[]);
        let sentence = "kitchen , and degrees to 20";
        let (mut wrong, n) = (0, 20_000);
        for _ in 0..n {
            let text = typeset(sentence, &mut stream).to_lowercase();
            let words: Vec<&str> = text.trim_end_matches(['.', '!', ' ']).split(' ').collect();
            assert_eq!((words.len(), &words[1..2], &words[3..]), (5, &["and"][..], &["to", "20"][..]), "{text}");
            assert!(words[0].starts_with('k') && words[0].ends_with(','));
            wrong += usize::from(words[0] != "kitchen,") + usize::from(words[2] != "degrees");
        }
        // Swapping or leaving out one of two equal letters changes "degrees" in fewer cases.
        let rate = wrong as f64 / f64::from(2 * n);
        assert!((0.85 * TYPO_RATE..1.05 * TYPO_RATE).contains(&rate), "{rate}");
    }
}
