//! Rows held out of training, to choose and score by.

use std::collections::HashMap;

use super::sample::{normalized, plain};
use super::{DataError, Dataset, Label, Target};
use crate::random::{Stream, Streams};

/// Rows of a class from which on one of them at least is held out.
const ALWAYS: usize = 5;
/// Classes that are named in a report.
const NAMED: usize = 5;

/// What was held out of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Share asked for.
    pub share: f64,
    /// Rows before.
    pub rows: usize,
    /// Rows held out.
    pub held: usize,
    /// Classes of which no row is held out though they have some, as they have too few, with their rows; never known by
    /// the score.
    pub unseen: Vec<(String, usize)>,
    /// What was kept alike or together, to end the sentence with.
    manner: &'static str,
}

impl HeldOut {
    /// A sentence for the user: `held out 500 of 5000 rows to choose and score by, the same share of each class`.
    pub fn note(&self) -> String {
        let HeldOut { rows, held, unseen, manner, .. } = self;
        let mut note = format!("held out {held} of {rows} rows to choose and score by{manner}");
        if !unseen.is_empty() {
            let named: Vec<String> = unseen.iter().take(NAMED).map(|(name, rows)| format!("{name} ({rows})")).collect();
            let more = unseen.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            note += &format!("; too few rows to hold one out: {}{more}", named.join(", "));
        }
        note
    }
}

impl Dataset {
    /// Divides the examples into a large part and one held out, which gets this share of each class. As
    /// [`hold_out`](Self::hold_out), without the report.
    ///
    /// # Errors
    /// As [`hold_out`](Self::hold_out).
    pub fn split(&self, held_out: f64, streams: &Streams) -> Result<(Self, Self), DataError> {
        self.hold_out(held_out, streams).map(|(large, held, _)| (large, held))
    }

    /// Divides the examples into a large part and one held out, and says what was done.
    ///
    /// - The part held out has `share` of all rows, as nearly as it goes, and each class has its share of it: whole rows
    ///   first, then one more for the classes that miss most of one (by largest remainder, a tie by chance).
    /// - A class with five rows or more has at least one row held out; every class keeps at least one text to learn from, so
    ///   that a class with one text has none held out.
    /// - Examples with the same text (as in [`duplicates_with`](Self::duplicates_with)) stay together, so that nothing
    ///   held out is in the large part too. They count for the class of the first of them.
    /// - Scores, tagged sentences and questions are not stratified. Questions about the same context stay together, since what one
    ///   of them learns of it would help with the others. Both parts keep the order of the source.
    ///
    /// It is decided by the examples, the share and the seed alone.
    ///
    /// # Errors
    /// [`DataError::Share`] if the share is not between 0 and 1 or one part would be empty.
    pub fn hold_out(&self, share: f64, streams: &Streams) -> Result<(Self, Self, HeldOut), DataError> {
        let impossible = || DataError::Share { share, rows: self.len() };
        if !(share > 0.0 && share < 1.0) {
            return Err(impossible());
        }
        let mut classes = self.groups_by_class();
        let quotas = quotas(&classes, share, &mut streams.stream("split quotas", &[]));
        let mut out = vec![false; self.len()];
        for (class, (groups, quota)) in classes.iter_mut().zip(quotas).enumerate() {
            streams.stream("split", &[class as u64]).shuffle(groups);
            for &group in &chosen(groups, quota) {
                groups[group].iter().for_each(|&row| out[row] = true);
            }
        }
        let rows = |side: bool| -> Vec<usize> { (0..self.len()).filter(|&row| out[row] == side).collect() };
        let (large, held) = (rows(false), rows(true));
        if large.is_empty() || held.is_empty() {
            return Err(impossible());
        }
        let (large, held) = (self.subset(&large), self.subset(&held));
        let counts = self.class_counts().into_iter().zip(held.class_counts()).enumerate();
        let unseen = counts.filter(|(_, (all, held))| *all > 0 && *held == 0).map(|(class, (all, _))| {
            let name = self.target.labels().and_then(|labels| labels.name(class as u32));
            (name.unwrap_or_default().to_owned(), all)
        });
        let manner = match self.target {
            Target::Classes(_) => ", the same share of each class",
            Target::MultiLabel(_) => ", the same share of each label as nearly as possible",
            Target::Answers { .. } => "; questions about one context stay together",
            Target::Regression { .. } | Target::Tags(_) => "",
        };
        let report = HeldOut { share, rows: self.len(), held: held.len(), unseen: unseen.collect(), manner };
        Ok((large, held, report))
    }

    /// Rows with the same text, by the class of the first of them: of several labels the rarest one, so that rare labels too
    /// are on both sides.
    fn groups_by_class(&self) -> Vec<Vec<Vec<usize>>> {
        let counts = self.class_counts();
        let mut classes: Vec<Vec<Vec<usize>>> = Vec::new();
        let mut place: HashMap<String, (usize, usize)> = HashMap::new();
        for (row, example) in self.examples.iter().enumerate() {
            let class = match &example.label {
                Label::Class(class) => *class as usize,
                Label::MultiLabel(labels) => {
                    let rarest = labels.iter().map(|&label| label as usize).min_by_key(|&label| counts[label]);
                    rarest.unwrap_or(counts.len())
                }
                Label::Score(_) | Label::Tags(_) | Label::Answers(_) | Label::Absent => 0,
            };
            let key = match (&self.target, &example.pair) {
                (Target::Answers { .. }, Some(context)) => plain(context),
                _ => normalized(example),
            };
            let (class, group) = *place.entry(key).or_insert_with(|| {
                classes.resize(classes.len().max(class + 1), Vec::new());
                classes[class].push(Vec::new());
                (class, classes[class].len() - 1)
            });
            classes[class][group].push(row);
        }
        classes
    }
}

/// Rows to hold out of each class.
fn quotas(classes: &[Vec<Vec<usize>>], share: f64, ties: &mut Stream) -> Vec<usize> {
    let rows: Vec<usize> = classes.iter().map(|groups| groups.iter().map(Vec::len).sum()).collect();
    let divisible = |class: usize| classes[class].len() > 1;
    let whole = |(class, &rows): (usize, &usize)| if divisible(class) { (share * rows as f64) as usize } else { 0 };
    let mut quotas: Vec<usize> = rows.iter().enumerate().map(whole).collect();
    let total = (share * rows.iter().sum::<usize>() as f64).round() as usize;
    let mut order: Vec<usize> = (0..classes.len()).filter(|&class| divisible(class)).collect();
    ties.shuffle(&mut order);
    let remainder = |class: usize| share * rows[class] as f64 - quotas[class] as f64;
    // Stable, so that equal remainders stay in random order.
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
    let missing = total.saturating_sub(quotas.iter().sum());
    order.iter().take(missing).for_each(|&class| quotas[class] += 1);
    for (class, quota) in quotas.iter_mut().enumerate() {
        if divisible(class) && rows[class] >= ALWAYS {
            *quota = (*quota).max(1);
        }
    }
    quotas
}

/// Groups in this order with as nearly so many rows as they allow; at least one if any is wanted, and never all.
fn chosen(groups: &[Vec<usize>], quota: usize) -> Vec<usize> {
    let (mut chosen, mut taken) = (Vec::new(), 0);
    for (group, rows) in groups.iter().enumerate() {
        // Taken if that brings the count nearer to what is wanted.
        if taken as f64 + rows.len() as f64 / 2.0 <= quota as f64 && chosen.len() + 1 < groups.len() && taken < quota {
            taken += rows.len();
            chosen.push(group);
        }
    }
    if chosen.is_empty() && quota > 0 {
        chosen.extend((0..groups.len()).min_by_key(|&group| groups[group].len()));
    }
    chosen
}
