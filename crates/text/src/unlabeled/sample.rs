//! A sample of the different texts of a stream.
//!
//! Each text has a rank by its hash, which is as good as a random number, and those of the lowest ranks stay. Equal
//! texts have equal ranks, so a repetition of one that stays is seen, and one of a text that went goes again: no more
//! than the sample itself is remembered.

use std::collections::{BinaryHeap, HashSet};

use sha2::{Digest, Sha256};

use crate::labeled::{Dataset, Example, normalized};
use crate::random::Streams;

pub(super) struct Sample {
    most: usize,
    salt: [u8; 8],
    /// Ranks of texts that may not stay.
    excluded: HashSet<u128>,
    /// The highest rank on top.
    staying: BinaryHeap<Ranked>,
    ranks: HashSet<u128>,
    rows: usize,
    held_out: usize,
}

struct Ranked {
    rank: u128,
    row: usize,
    example: Example,
}

impl Sample {
    pub(super) fn new(most: usize, held_out: &[&Dataset], streams: &Streams) -> Self {
        let salt = streams.stream("unlabeled", &[]).next_u64().to_le_bytes();
        let held_out = held_out.iter().flat_map(|data| &data.examples);
        let excluded = held_out.map(|example| rank(salt, example)).collect();
        Self { most, salt, excluded, staying: BinaryHeap::new(), ranks: HashSet::new(), rows: 0, held_out: 0 }
    }

    /// Takes the next text, which may stay or not.
    pub(super) fn offer(&mut self, example: Example) {
        let is_blank = |text: &str| text.trim().is_empty();
        if is_blank(&example.text) && example.pair.as_deref().is_none_or(is_blank) {
            return;
        }
        let row = self.rows;
        self.rows += 1;
        let rank = rank(self.salt, &example);
        if self.excluded.contains(&rank) {
            self.held_out += 1;
            return;
        }
        let too_high = self.staying.len() >= self.most && self.staying.peek().is_none_or(|top| rank >= top.rank);
        if too_high || !self.ranks.insert(rank) {
            return;
        }
        self.staying.push(Ranked { rank, row, example });
        if self.staying.len() > self.most
            && let Some(gone) = self.staying.pop()
        {
            self.ranks.remove(&gone.rank);
        }
    }

    /// Texts offered that were not blank.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Texts that were held out.
    pub(super) fn held_out(&self) -> usize {
        self.held_out
    }

    /// The texts that stay, in the order in which they came.
    pub(super) fn into_examples(self) -> Vec<Example> {
        let mut staying = self.staying.into_vec();
        staying.sort_unstable_by_key(|ranked| ranked.row);
        staying.into_iter().map(|ranked| ranked.example).collect()
    }
}

fn rank(salt: [u8; 8], example: &Example) -> u128 {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(normalized(example));
    hash.finalize().iter().take(16).fold(0, |rank, &byte| rank << 8 | u128::from(byte))
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}
