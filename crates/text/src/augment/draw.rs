//! Copies of a row, drawn.

use std::collections::HashSet;

use super::splice::spliced;
use super::words::basic_tokens;
use super::{AugmentOptions, Slot, fingerprint};
use crate::labeled::{Example, Label};
use crate::random::{Stream, Streams};

/// How often a copy is drawn until it is a new text.
const ATTEMPTS: u64 = 16;

/// A row with the words that may be replaced and the candidates of each.
pub(super) struct ReplaceableRow<'a> {
    pub(super) example: &'a Example,
    pub(super) slots: &'a [Slot<'a>],
    pub(super) candidates: &'a [Vec<String>],
}

/// What became of a row.
pub(super) struct Copy {
    pub(super) text: String,
    pub(super) pair: Option<String>,
    pub(super) replaced: usize,
}

impl ReplaceableRow<'_> {
    /// The slots of one text with candidates, in order.
    fn replaceable(&self, text: usize) -> Vec<(&Slot<'_>, &[String])> {
        let slots = self.slots.iter().zip(self.candidates);
        let slots = slots.filter(|(slot, candidates)| slot.text == text && !candidates.is_empty());
        slots.map(|(slot, candidates)| (slot, &candidates[..])).collect()
    }
}

/// `per_row` different copies, or as many as are found. Of a pair they change the first and the second text in turn,
/// where both have words with candidates.
pub(super) fn clean(row: &ReplaceableRow<'_>, options: &AugmentOptions, streams: &Streams, key: u64) -> Vec<Copy> {
    let texts = [row.replaceable(0), row.replaceable(1)];
    let changeable: Vec<usize> = (0..2).filter(|&text| !texts[text].is_empty()).collect();
    if changeable.is_empty() {
        return Vec::new();
    }
    let mut own = HashSet::from([fingerprint(row.example)]);
    let copy = |copy: usize| {
        let text = changeable[copy % changeable.len()];
        (0..ATTEMPTS).find_map(|attempt| {
            let mut stream = streams.stream("augment", &[key, copy as u64, attempt]);
            let replacements = drawn(&texts[text], options.replace, &mut stream);
            let replaced = replacements.len();
            let copy = with_replacements(row.example, text, &replacements);
            let is_new = replaced > 0 && own.insert(fingerprint(&copy));
            is_new.then_some(Copy { text: copy.text, pair: copy.pair, replaced })
        })
    };
    (0..options.per_row).filter_map(copy).collect()
}

/// The words to replace, and by what.
fn drawn<'a>(
    slots: &[(&'a Slot<'a>, &'a [String])],
    replace: f64,
    stream: &mut Stream,
) -> Vec<(&'a Slot<'a>, &'a str)> {
    let mut replacements = Vec::new();
    for &(slot, candidates) in slots {
        if stream.chance(replace) {
            replacements.push((slot, stream.choose(candidates).as_str()));
        }
    }
    replacements
}

fn with_replacements(row: &Example, text: usize, replacements: &[(&Slot<'_>, &str)]) -> Example {
    let Example { text: first, pair, .. } = row;
    let (first, pair) = match (text, pair) {
        (0, _) => (spliced(first, replacements), pair.clone()),
        (_, Some(second)) => (first.clone(), Some(spliced(second, replacements))),
        (_, None) => (first.clone(), None),
    };
    Example { text: first, pair, label: Label::Absent }
}

/// The rows that the published code writes for a row: for each text itself and `per_row` draws, repetitions dropped, the
/// second text's beside the last one of the first.
pub(super) fn reference(row: &ReplaceableRow<'_>, options: &AugmentOptions, streams: &Streams, key: u64) -> Vec<Copy> {
    let firsts = reference_texts(row, 0, &row.example.text, options, streams, key);
    let pair = row.example.pair.as_ref();
    let last = firsts.last().map(|(text, _)| text.clone()).unwrap_or_default();
    let mut copies: Vec<Copy> =
        firsts.into_iter().map(|(text, replaced)| Copy { text, pair: pair.cloned(), replaced }).collect();
    if let Some(second) = pair {
        let seconds = reference_texts(row, 1, second, options, streams, key);
        let of_second = |(second, replaced)| Copy { text: last.clone(), pair: Some(second), replaced };
        copies.extend(seconds.into_iter().map(of_second));
    }
    copies
}

/// A text and its copies, with the number of words that each has replaced.
fn reference_texts(
    row: &ReplaceableRow<'_>,
    which: usize,
    text: &str,
    options: &AugmentOptions,
    streams: &Streams,
    key: u64,
) -> Vec<(String, usize)> {
    let tokens = basic_tokens(text);
    let slots = row.replaceable(which);
    let place = |slot: &Slot<'_>| tokens.iter().position(|(bytes, word)| *bytes == slot.bytes && *word == slot.word);
    let slots: Vec<(usize, &[String])> =
        slots.into_iter().filter_map(|(slot, candidates)| Some((place(slot)?, candidates))).collect();
    let mut texts = vec![(text.to_owned(), 0)];
    let mut stream = streams.stream("augment as published", &[key, which as u64]);
    for _ in 0..options.per_row {
        let mut words: Vec<&str> = tokens.iter().map(|(_, word)| word.as_str()).collect();
        let mut replaced = 0;
        for &(at, candidates) in &slots {
            // Drawn whether it is used or not, as there.
            let candidate = stream.choose(candidates);
            if stream.chance(options.replace) {
                replaced += usize::from(words[at] != candidate);
                words[at] = candidate;
            }
        }
        let copy = words.join(" ");
        if texts.iter().all(|(known, _)| *known != copy) {
            texts.push((copy, replaced));
        }
    }
    texts
}
