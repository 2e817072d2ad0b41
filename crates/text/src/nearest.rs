//! The name someone probably meant.

/// The most similar of the names, if it is similar enough to be a slip; the first on a tie.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = (LEAST_SIMILARITY, None);
    for name in names {
        let similarity = strsim::normalized_damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
        if similarity > best.0 {
            best = (similarity, Some(name));
        }
    }
    best.1
}

/// Less than this share of characters in common is no slip: "text" is not proposed for "label".
const LEAST_SIMILARITY: f64 = 0.45;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn proposes_slips_only() {
        let names = ["sentence", "label", "Sentence2"];
        let near = |wanted| nearest(wanted, names.into_iter());
        assert_eq!(near("sentance"), Some("sentence"));
        assert_eq!(near("LABLE"), Some("label"));
        assert_eq!(near("sentence1"), Some("sentence"));
        assert_eq!(near("score"), None);
        assert_eq!(near(""), None);
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
