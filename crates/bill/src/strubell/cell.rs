//! One number of a table: what comes out, and what is printed.

use serde::Serialize;

/// A recomputed cell beside the printed one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecomputedCell {
    /// From the inputs, with corrected hours where the paper's misprint them.
    pub computed: f64,
    /// The same, rounded as the paper rounds: to whole units, half to even (mostly; see `step`).
    pub rounded: u64,
    /// From the inputs as printed.
    pub as_printed: f64,
    /// The same, rounded.
    pub as_printed_rounded: u64,
    /// What the paper prints.
    pub printed: u64,
    /// What the cell is rounded to: 1, or 1000 where the paper prints thousands.
    pub step: u32,
    /// Whether the corrected inputs give what is printed.
    pub matches: bool,
    /// Whether the printed inputs give what is printed.
    pub matches_as_printed: bool,
}

impl RecomputedCell {
    pub(super) fn new(computed: f64, as_printed: f64, printed: u64, step: u32) -> Self {
        let (rounded, as_printed_rounded) = (round(computed, step), round(as_printed, step));
        Self {
            computed,
            rounded,
            as_printed,
            as_printed_rounded,
            printed,
            step,
            matches: rounded == printed,
            matches_as_printed: as_printed_rounded == printed,
        }
    }
}

/// To whole steps, half to even: 146,848.5 is 146,848.
fn round(value: f64, step: u32) -> u64 {
    let step = f64::from(step);
    // Never negative, and far below 2^53: products of small positive inputs.
    ((value / step).round_ties_even() * step) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even() {
        for (value, step, expected) in [
            (146_848.5, 1, 146_848),
            (146_849.5, 1, 146_850),
            (0.5, 1, 0),
            (2.5, 1, 2),
            (25.608, 1, 26),
            (103_175.06, 1000, 103_000),
            (350_315.0, 1000, 350_000),
        ] {
            assert_eq!(round(value, step), expected, "{value}");
        }
    }
}
