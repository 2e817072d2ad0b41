//! Parts of a data set, and texts that two data sets share.

use std::collections::{HashMap, HashSet};

use super::{DataError, Dataset, Example, Label};
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

    /// Divides the examples into a large part and one held out, which gets this share of each class.
    ///
    /// Both keep the order of the source. Examples with the same text (as in
    /// [`duplicates_with`](Self::duplicates_with)) stay together, so nothing held out is in the large
    /// part too; the share is met as nearly as that allows. Scores are not stratified.
    ///
    /// # Errors
    /// [`DataError::Share`] if the share is not between 0 and 1 or one part would be empty.
    pub fn split(&self, held_out: f64, streams: &Streams) -> Result<(Self, Self), DataError> {
        let impossible = || DataError::Share { share: held_out, rows: self.len() };
        if !(held_out > 0.0 && held_out < 1.0) {
            return Err(impossible());
        }
        let mut out = vec![false; self.len()];
        for (class, mut groups) in self.groups_by_class().into_iter().enumerate() {
            streams.stream("split", &[class as u64]).shuffle(&mut groups);
            let rows: usize = groups.iter().map(Vec::len).sum();
            let wanted = held_out * rows as f64;
            let mut taken = 0;
            for group in groups {
                // Taken if that brings the count nearer to what is wanted.
                if (taken as f64 + group.len() as f64 / 2.0) <= wanted {
                    taken += group.len();
                    group.iter().for_each(|&row| out[row] = true);
                }
            }
        }
        let rows = |side: bool| -> Vec<usize> { (0..self.len()).filter(|&row| out[row] == side).collect() };
        let (large, held) = (rows(false), rows(true));
        if large.is_empty() || held.is_empty() {
            return Err(impossible());
        }
        Ok((self.subset(&large), self.subset(&held)))
    }

    /// How many examples here have the text of an example of `other`: the leak of a test set into
    /// training data.
    ///
    /// Case and the number of spaces do not matter; of pairs, both texts must agree.
    pub fn duplicates_with(&self, other: &Self) -> usize {
        let texts: HashSet<String> = other.examples.iter().map(normalised).collect();
        self.examples.iter().filter(|example| texts.contains(&normalised(example))).count()
    }

    /// Rows with the same text, by the class of the first of them.
    fn groups_by_class(&self) -> Vec<Vec<Vec<usize>>> {
        let mut classes: Vec<Vec<Vec<usize>>> = Vec::new();
        let mut place: HashMap<String, (usize, usize)> = HashMap::new();
        for (row, example) in self.examples.iter().enumerate() {
            let class = match example.label {
                Label::Class(class) => class as usize,
                Label::Score(_) | Label::Absent => 0,
            };
            let (class, group) = *place.entry(normalised(example)).or_insert_with(|| {
                classes.resize(classes.len().max(class + 1), Vec::new());
                classes[class].push(Vec::new());
                (class, classes[class].len() - 1)
            });
            classes[class][group].push(row);
        }
        classes
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
pub(crate) fn normalised(example: &Example) -> String {
    let plain = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    match &example.pair {
        // A line feed is white space, so it is in neither text.
        Some(pair) => format!("{}\n{}", plain(&example.text), plain(pair)),
        None => plain(&example.text),
    }
}
