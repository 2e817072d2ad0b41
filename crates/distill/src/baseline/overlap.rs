//! How much two texts have in common: a few measures, their squares or all products, each scaled by the training rows.

use std::collections::HashSet;

use rayon::prelude::*;

use super::ngrams::{Ngrams, Prepared};

/// Measures of a pair.
const MEASURES: usize = 14;

/// Mean and inverse spread of each measure, square and product.
#[derive(Debug, Clone)]
pub(super) struct Overlaps {
    scales: Vec<[f32; 2]>,
    beyond: Beyond,
}

/// What is added to the measures. All products suit ridge regression, which is solved at once however alike its columns are;
/// where steps lead to the solution, like columns make them many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Their squares.
    Squares,
    /// Their squares and the products of any two.
    Products,
}

impl Overlaps {
    pub(super) fn learn(ngrams: &Ngrams, pairs: &[[Prepared; 2]], beyond: Beyond) -> Overlaps {
        let rows: Vec<Vec<f32>> = pairs
            .par_iter()
            .map(|[text, pair]| beyond.of(measures(ngrams, [text, pair], [&ngrams.row(text), &ngrams.row(pair)])))
            .collect();
        let count = rows.len().max(1) as f64;
        let scales = (0..rows.first().map_or(0, Vec::len))
            .map(|column| {
                let mean = rows.iter().map(|row| f64::from(row[column])).sum::<f64>() / count;
                let spread =
                    (rows.iter().map(|row| (f64::from(row[column]) - mean).powi(2)).sum::<f64>() / count).sqrt();
                // What is the same everywhere says nothing.
                [mean as f32, if spread > 1e-6 { (1.0 / spread) as f32 } else { 0.0 }]
            })
            .collect();
        Overlaps { scales, beyond }
    }

    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// The scaled measures of two texts with their TF-IDF rows.
    pub(super) fn measure(&self, ngrams: &Ngrams, texts: [&Prepared; 2], rows: [&[(u32, f32)]; 2]) -> Vec<f32> {
        let measures = self.beyond.of(measures(ngrams, texts, rows));
        measures.into_iter().zip(&self.scales).map(|(value, [mean, inverse])| (value - mean) * inverse).collect()
    }
}

fn measures(ngrams: &Ngrams, texts: [&Prepared; 2], rows: [&[(u32, f32)]; 2]) -> [f32; MEASURES] {
    let letters_from = ngrams.letters_from();
    let mut cosines = [0.0; 2];
    for (number, a, b) in shared(rows[0], rows[1]) {
        cosines[usize::from(number >= letters_from)] += a * b;
    }
    let words = texts.map(|text| text.words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<&str>>());
    let [first, second] = [&words[0], &words[1]].map(|words| words.iter().copied().collect::<HashSet<&str>>());
    let [pairs, other_pairs] = texts.map(|text| text.word_ngrams().filter(|n| n.contains(' ')).collect::<HashSet<_>>());
    let [digits, other_digits] = [&first, &second].map(|words| {
        words.iter().copied().filter(|word| word.contains(|c: char| c.is_ascii_digit())).collect::<HashSet<&str>>()
    });
    let rarity = |words: &mut dyn Iterator<Item = &&str>| {
        // In order: sums of a set in the order of its hashes would differ between runs.
        let mut words: Vec<&str> = words.copied().collect();
        words.sort_unstable();
        words.into_iter().map(|word| ngrams.rarity(word)).sum::<f32>()
    };
    let common = rarity(&mut first.intersection(&second));
    let [one, two] = [rarity(&mut first.iter()), rarity(&mut second.iter())];
    let run = longest_common(&words[0], &words[1]) as f32;
    let [short, long] = [words[0].len().min(words[1].len()), words[0].len().max(words[1].len())];
    [
        cosines[0],
        cosines[1],
        shares(&first, &second),
        shares(&pairs, &other_pairs),
        shares(&digits, &other_digits),
        share(common, one + two - common),
        share(common, one.min(two)),
        share(common, one.max(two)),
        share(run, short as f32),
        share(run, long as f32),
        share(short as f32, long as f32),
        (1.0 + words[0].len() as f32).ln() - (1.0 + words[1].len() as f32).ln(),
        f32::from(u8::from(words[0].first() == words[1].first())),
        f32::from(u8::from(words[0].last() == words[1].last())),
    ]
}

/// Columns that two rows share, with the values of both.
pub(super) fn shared<'a>(
    first: &'a [(u32, f32)],
    second: &'a [(u32, f32)],
) -> impl Iterator<Item = (u32, f32, f32)> + 'a {
    merged(first, second).filter(|&(_, a, b)| a != 0.0 && b != 0.0)
}

/// All columns of two rows in rising order, with the values of both.
fn merged<'a>(mut first: &'a [(u32, f32)], mut second: &'a [(u32, f32)]) -> impl Iterator<Item = (u32, f32, f32)> + 'a {
    std::iter::from_fn(move || {
        let column = match (first.first(), second.first()) {
            (Some(a), Some(b)) => a.0.min(b.0),
            (Some(&(column, _)), None) | (None, Some(&(column, _))) => column,
            (None, None) => return None,
        };
        let take = |row: &mut &'a [(u32, f32)]| match row.split_first() {
            Some((&(at, value), rest)) if at == column => {
                *row = rest;
                value
            }
            _ => 0.0,
        };
        Some((column, take(&mut first), take(&mut second)))
    })
}

/// Jaccard's measure; two empty sets are the same.
fn shares(first: &HashSet<&str>, second: &HashSet<&str>) -> f32 {
    let common = first.intersection(second).count();
    share(common as f32, (first.len() + second.len() - common) as f32)
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 1.0 }
}

/// Words of the longest sequence, gaps allowed, that both texts have.
fn longest_common(first: &[&str], second: &[&str]) -> usize {
    let mut lengths = vec![0; second.len() + 1];
    for word in first {
        let mut diagonal = 0;
        for (place, other) in second.iter().enumerate() {
            let above = lengths[place + 1];
            lengths[place + 1] = if word == other { diagonal + 1 } else { above.max(lengths[place]) };
            diagonal = above;
        }
    }
    lengths[second.len()]
}

impl Beyond {
    /// The measures and what is added to them.
    fn of(self, measures: [f32; MEASURES]) -> Vec<f32> {
        let mut all = measures.to_vec();
        for (number, first) in measures.iter().enumerate() {
            let others = match self {
                Beyond::Squares => &measures[number..=number],
                Beyond::Products => &measures[number..],
            };
            all.extend(others.iter().map(|second| first * second));
        }
        all
    }
}
