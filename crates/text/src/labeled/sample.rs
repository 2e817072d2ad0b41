//! Parts of a data set, and texts that two data sets share.

use std::collections::HashSet;

use super::{Dataset, Example};
use crate::random::Streams;

impl Dataset {
    /// These examples, in this order; a row may come several times.
    ///
    /// # Panics
    /// If there is no row, or one that the data set does not have.
    #[track_caller]
    pub fn subset(&self, rows: &[usize]) -> Self {
        assert!(!rows.is_empty(), "a data set has at least one example");
        let examples = rows.iter().map(|&row| self.examples[row].clone()).collect();
        Self { examples, ..self.without_examples() }
    }

    /// `n` examples drawn without replacement, in their order; all of them if there are not more.
    ///
    /// With the same streams, the examples taken for a smaller `n` are among those for a larger one.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn take(&self, n: usize, streams: &Streams) -> Self {
        let mut rows: Vec<usize> = (0..self.len()).collect();
        streams.stream("take", &[]).shuffle(&mut rows);
        rows.truncate(n);
        rows.sort_unstable();
        self.subset(&rows)
    }

    /// How many examples here have the text of an example of `other`: the leak of a test set into
    /// training data.
    ///
    /// Case and the number of spaces do not matter; of pairs, both texts must agree.
    pub fn duplicates_with(&self, other: &Self) -> usize {
        self.len() - self.rows_not_in(other).len()
    }

    /// The rows of this data set whose texts, compared as by [`duplicates_with`](Self::duplicates_with), are not in another.
    pub fn rows_not_in(&self, other: &Self) -> Vec<usize> {
        let texts: HashSet<String> = other.examples.iter().map(normalized).collect();
        (0..self.len()).filter(|&row| !texts.contains(&normalized(&self.examples[row]))).collect()
    }

    fn without_examples(&self) -> Self {
        Self {
            examples: Vec::new(),
            target: self.target.clone(),
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            path: self.path.clone(),
        }
    }
}

/// What makes two examples the same: lower-cased words with single spaces, text and pair.
pub(crate) fn normalized(example: &Example) -> String {
    match &example.pair {
        // A line feed is white space, so it is in neither text.
        Some(pair) => format!("{}\n{}", plain(&example.text), plain(pair)),
        None => plain(&example.text),
    }
}

/// Lower-cased words with single spaces.
pub(super) fn plain(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
