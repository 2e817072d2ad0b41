//! How good answers to questions are, as SQuAD's official script for version 2.0 counts (Rajpurkar et al., arXiv 1606.05250,
//! section 6.1, and arXiv 1806.03822).
//!
//! Both measures compare normalized texts and take the best of the right answers. Where there is no right answer, the empty text
//! is the right one. Version 1.1's script differs only for texts of which normalization leaves nothing.

use std::collections::HashMap;

/// A text as answers are compared: in lower case, without ASCII punctuation, without the words `a`, `an` and `the`, with single
/// spaces.
///
/// ```
/// use attar_text::metrics::normalized_answer;
///
/// assert_eq!(normalized_answer(" The  U.S. Navy's (an arm)"), "us navys arm");
/// ```
pub fn normalized_answer(text: &str) -> String {
    let text: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut kept = String::with_capacity(text.len());
    // Articles are whole runs of letters and digits, whatever stands beside them.
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let between = rest[word..].find(char::is_alphanumeric).map_or(rest.len(), |next| word + next);
        match &rest[..word] {
            "a" | "an" | "the" => kept.push(' '),
            other => kept.push_str(other),
        }
        kept.push_str(&rest[word..between]);
        rest = &rest[between..];
    }
    // Python's white space, which the script splits by, has four control characters more.
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    kept.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// 1 if the answer is one of the right ones, else 0.
pub fn exact_match(right: &[String], answer: &str) -> f64 {
    best(right, answer, |right, answer| f64::from(u8::from(right == answer)))
}

/// The largest F1 of the answer's words over the right answers, from 0 to 1.
pub fn answer_f1(right: &[String], answer: &str) -> f64 {
    best(right, answer, word_f1)
}

/// The best of the right answers, or the value of the empty one where all are empty.
fn best(right: &[String], answer: &str, value: fn(&str, &str) -> f64) -> f64 {
    let answer = normalized_answer(answer);
    let right: Vec<String> = right.iter().map(|text| normalized_answer(text)).filter(|text| !text.is_empty()).collect();
    match right.is_empty() {
        true => value("", &answer),
        false => right.iter().map(|right| value(right, &answer)).fold(0.0, f64::max),
    }
}

/// F1 of the words that two normalized texts share, each as often as it occurs in both.
fn word_f1(right: &str, answer: &str) -> f64 {
    let [right, answer] =
        [right, answer].map(|text| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    if right.is_empty() || answer.is_empty() {
        return f64::from(u8::from(right.is_empty() && answer.is_empty()));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    right.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let shared = answer.iter().filter(|&word| match left.get_mut(word) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    let shared = shared.count() as f64;
    // Harmonic mean of the shares of both texts.
    2.0 * shared / (right.len() + answer.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(answers: &[&str]) -> Vec<String> {
        answers.iter().map(|answer| answer.to_string()).collect()
    }

    #[test]
    fn normalization_is_that_of_the_script() {
        for (text, expected) in [
            ("The Eiffel Tower!", "eiffel tower"),
            ("  an\tapple,  a day ", "apple day"),
            // Punctuation is taken out before articles are looked for, and joins what it stood between.
            ("a-b the-end", "ab theend"),
            ("\"A.\"", ""),
            // Other marks than those of ASCII stay, and words end at them.
            ("the–end “the”", "–end “ ”"),
            ("Theory another", "theory another"),
            ("ÉCOLE\u{a0}des\u{1c}Arts", "école des arts"),
            ("$1,000.50 (US)", "100050 us"),
            ("snake_case", "snakecase"),
            ("", ""),
        ] {
            assert_eq!(normalized_answer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_best_of_the_right_answers_counts() {
        let several = right(&["in the year 1905", "1905"]);
        assert_eq!(exact_match(&several, "1905."), 1.0);
        assert_eq!(exact_match(&several, "year 1905"), 0.0);
        // Two of two words, of three: 2 · (2/2 · 2/3) / (2/2 + 2/3); of the other 2 · (1/2 · 1) / (1/2 + 1).
        assert!((answer_f1(&several, "year 1905") - 0.8).abs() < 1e-15);
        // A word counts as often as both have it: 2 · (1/2 · 1/3) / (1/2 + 1/3).
        assert!((answer_f1(&right(&["ha ho hu"]), "ha ha") - 0.4).abs() < 1e-15);
        assert_eq!(answer_f1(&several, "London"), 0.0);
    }

    #[test]
    fn no_answer_is_the_empty_one() {
        assert_eq!((exact_match(&[], ""), answer_f1(&[], "")), (1.0, 1.0));
        assert_eq!((exact_match(&[], "1905"), answer_f1(&[], "1905")), (0.0, 0.0));
        assert_eq!((exact_match(&right(&["1905"]), ""), answer_f1(&right(&["1905"]), "")), (0.0, 0.0));
        // Right answers of which nothing is left are none.
        assert_eq!(answer_f1(&right(&["the", "1905"]), ""), 0.0);
        assert_eq!(answer_f1(&right(&["the"]), "a"), 1.0);
    }
}
