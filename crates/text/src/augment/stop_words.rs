//! Words that hold a sentence together and are never replaced.

/// Whether a lower-case word is one of English grammar rather than of content.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.iter().any(|words| words.contains(&word))
}

/// The closed classes of English: what can be listed, since it does not grow.
const STOP_WORDS: [&[&str]; 8] = [
    // Pronouns.
    &[
        "i",
        "me",
        "my",
        "mine",
        "myself",
        "we",
        "us",
        "our",
        "ours",
        "ourselves",
        "you",
        "your",
        "yours",
        "yourself",
        "yourselves",
        "he",
        "him",
        "his",
        "himself",
        "she",
        "her",
        "hers",
        "herself",
        "it",
        "its",
        "itself",
        "they",
        "them",
        "their",
        "theirs",
        "themselves",
        "who",
        "whom",
        "whose",
        "which",
        "what",
        "whatever",
        "whoever",
        "one",
        "someone",
        "something",
        "anyone",
        "anything",
        "everyone",
        "everything",
        "nobody",
        "nothing",
        "none",
        "somebody",
        "anybody",
        "everybody",
        "oneself",
    ],
    // Articles, demonstratives, quantities.
    &[
        "a", "an", "the", "this", "that", "these", "those", "some", "any", "no", "every", "each", "either", "neither",
        "both", "all", "half", "much", "many", "more", "most", "little", "less", "least", "few", "fewer", "several",
        "enough", "such", "other", "others", "another", "same", "own",
    ],
    // Prepositions.
    &[
        "about",
        "above",
        "across",
        "after",
        "against",
        "along",
        "among",
        "amid",
        "around",
        "as",
        "at",
        "before",
        "behind",
        "below",
        "beneath",
        "beside",
        "besides",
        "between",
        "beyond",
        "by",
        "despite",
        "down",
        "during",
        "except",
        "for",
        "from",
        "in",
        "inside",
        "into",
        "like",
        "near",
        "of",
        "off",
        "on",
        "onto",
        "out",
        "outside",
        "over",
        "past",
        "per",
        "since",
        "than",
        "through",
        "throughout",
        "till",
        "to",
        "toward",
        "towards",
        "under",
        "until",
        "unto",
        "up",
        "upon",
        "via",
        "with",
        "within",
        "without",
    ],
    // Conjunctions.
    &[
        "and", "or", "but", "nor", "so", "yet", "if", "unless", "because", "although", "though", "while", "whilst",
        "whereas", "whether", "when", "whenever", "where", "wherever", "why", "how", "however", "once",
    ],
    // Auxiliary verbs.
    &[
        "am", "is", "are", "was", "were", "be", "been", "being", "have", "has", "had", "having", "do", "does", "did",
        "doing", "done", "will", "would", "shall", "should", "can", "could", "may", "might", "must", "ought", "let",
        "lets", "cannot",
    ],
    // Adverbs of grammar, and the irregular steps of adjectives, which have no regular synonyms.
    &[
        "not", "never", "ever", "also", "too", "very", "just", "only", "even", "still", "again", "then", "now", "here",
        "there", "thus", "hence", "else", "quite", "rather", "almost", "already", "always", "often", "perhaps",
        "maybe", "instead", "somehow", "somewhat", "anyway", "indeed", "further", "better", "best", "worse", "worst",
    ],
    // What contractions leave behind when they are taken apart.
    &[
        "ll", "re", "ve", "don", "doesn", "didn", "isn", "aren", "wasn", "weren", "won", "wouldn", "couldn", "shouldn",
        "hasn", "haven", "hadn", "ain", "ca", "nt", "t", "s", "d", "m", "o", "y",
    ],
    // Numbers.
    &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "first", "second", "third"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_listed_twice() {
        let mut words = STOP_WORDS.concat();
        words.sort_unstable();
        let all = words.len();
        words.dedup();
        assert_eq!(words.len(), all);
        assert!(is_stop_word("myself") && !is_stop_word("film") && !is_stop_word("The"));
    }
}
