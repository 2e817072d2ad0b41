//! How the sequences of a batch are divided among threads and groups.

use std::ops::Range;

use crate::batch::Input;
use crate::model::PackedModel;

/// Number of sequences of the next group: at least one, and as many as fit into `rows` rows.
pub(crate) fn group_size(input: Input<'_>, rows: usize) -> usize {
    let mut sum = 0;
    let fits = |&n: &&u32| {
        sum += *n as usize;
        sum <= rows
    };
    input.lengths().iter().take_while(fits).count().max(1)
}

/// Number of sequences of each thread, one thread after the other, so that their costs are about equal.
pub(crate) fn sequences_per_thread(
    model: &PackedModel,
    input: Input<'_>,
    threads: usize,
) -> impl Iterator<Item = usize> {
    let c = &model.config;
    let per_token = (4 * c.hidden + 2 * c.feed_forward) as u64;
    let cost = move |n: u32| u64::from(n) * (per_token + 2 * u64::from(n));
    let total: u64 = input.lengths().iter().map(|&n| cost(n)).sum();
    let mut lengths = input.lengths().iter().peekable();
    let mut done = 0;
    (1..=threads as u64).map(move |part| {
        let mut count = 0;
        // A sequence belongs to the thread whose share of the cost contains its middle.
        while let Some(&&n) = lengths.peek() {
            if part < threads as u64 && (done + cost(n) / 2) * threads as u64 >= total * part {
                break;
            }
            done += cost(n);
            lengths.next();
            count += 1;
        }
        count
    })
}

/// The rows of each thread where threads share sequences.
pub(crate) fn rows_of_threads(rows: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    (0..threads).map(move |thread| rows * thread / threads..rows * (thread + 1) / threads)
}
