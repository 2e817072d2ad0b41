//! The confidence above which a student agrees with its teacher.

use serde::{Deserialize, Serialize};

use super::Judged;
use super::bound::{at_least, lower_bound};

/// Steps from the surest threshold that is tested to the lowest, one after the other.
const STEPS: usize = 16;
/// Most thresholds that are looked at to find these two.
const LOOKS: usize = 4096;

/// What is asked of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Share of the student's answers that have to be the teacher's.
    pub agree: f64,
    /// Probability that the share is really reached, over all rows that might have been drawn.
    pub confidence: f64,
}

/// A share that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the {what} of a contract is {got}: give a number above 0 and below 1, such as 0.99")]
pub struct TermsError {
    what: &'static str,
    got: f64,
}

impl Terms {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// If a share is not strictly between 0 and 1.
    pub fn new(agree: f64, confidence: f64) -> Result<Terms, TermsError> {
        for (what, got) in [("share of agreement", agree), ("confidence", confidence)] {
            if !(0.0 < got && got < 1.0) {
                return Err(TermsError { what, got });
            }
        }
        Ok(Terms { agree, confidence })
    }
}

/// Rows of a half and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All rows.
    pub rows: usize,
    /// Those that the student answers.
    pub covered: usize,
    /// Those of them that the teacher answers alike.
    pub agreed: usize,
}

/// A threshold that holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    /// The student answers where its confidence is at least this.
    pub threshold: f64,
    /// The rows that it was found by.
    pub found: Counts,
    /// The rows that it was tested by, which took no part in finding it.
    pub tested: Counts,
    /// The share of agreement is at least this, with the confidence of the terms, by the tested rows.
    pub at_least: f64,
}

impl Agreed {
    /// Share of the tested rows that the student answers.
    pub fn coverage(&self) -> f64 {
        self.tested.covered as f64 / self.tested.rows.max(1) as f64
    }
}

/// The lowest threshold that `found` suggests and `tested` confirms; `None` if there is none.
///
/// On the rows to find by, every threshold is looked at whose agreement is by the bound what is asked for: the surest
/// of them and the lowest span the thresholds that are tested, from the surest down, on the other rows, until one does
/// not pass. The order is fixed before those rows are looked at, so all that pass hold together with the confidence
/// asked for (a fixed-sequence test), and the last of them is the contract.
pub fn find(found: &[Judged], tested: &[Judged], terms: Terms) -> Option<Agreed> {
    let risk = 1.0 - terms.confidence;
    let passes = |counts: Counts| {
        // A share below what is asked for has no bound above it.
        counts.agreed as f64 >= terms.agree * counts.covered as f64
            && counts.covered > 0
            && at_least(counts.agreed, counts.covered, terms.agree) <= risk
    };
    let candidates = candidates(found, terms.agree, passes);
    let mut last = None;
    for threshold in candidates {
        let counts = count(tested, threshold);
        if !passes(counts) {
            break;
        }
        let at_least = lower_bound(counts.agreed, counts.covered, terms.confidence);
        last = Some(Agreed { threshold, found: count(found, threshold), tested: counts, at_least });
    }
    last
}

/// Thresholds from the surest to the lowest that passes.
fn candidates(found: &[Judged], agree: f64, passes: impl Fn(Counts) -> bool) -> Vec<f64> {
    let mut sorted: Vec<Judged> = found.iter().filter(|row| row.confidence.is_finite()).copied().collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut agreed = 0;
    let (mut surest, mut lowest): (Option<(f64, usize)>, Option<usize>) = (None, None);
    // Ends of runs of equal confidence: a threshold takes all of a run or none.
    let mut ends = Vec::new();
    // Each look sums a tail; of very many thresholds evenly spaced ones will do.
    let step = sorted.len().div_ceil(LOOKS).max(1);
    for (place, row) in sorted.iter().enumerate() {
        agreed += usize::from(row.agrees);
        if sorted.get(place + 1).is_some_and(|next| next.confidence == row.confidence) {
            continue;
        }
        let covered = place + 1;
        ends.push(place);
        if !ends.len().is_multiple_of(step) || !passes(Counts { rows: found.len(), covered, agreed }) {
            continue;
        }
        lowest = Some(place);
        let doubt = at_least(agreed, covered, agree);
        if surest.is_none_or(|(least, _)| doubt <= least) {
            surest = Some((doubt, place));
        }
    }
    let (Some((_, surest)), Some(lowest)) = (surest, lowest) else { return Vec::new() };
    let mut all: Vec<f64> = (0..=STEPS)
        .map(|step| surest + (lowest - surest) * step / STEPS)
        .map(|place| sorted[ends[ends.partition_point(|&end| end < place)]].confidence)
        .collect();
    all.dedup();
    all
}

fn count(rows: &[Judged], threshold: f64) -> Counts {
    let covered = rows.iter().filter(|row| row.confidence >= threshold);
    Counts { rows: rows.len(), covered: covered.clone().count(), agreed: covered.filter(|row| row.agrees).count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { agree: 0.99, confidence: 0.95 };

    /// A source of numbers between 0 and 1.
    fn numbers(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// A student that is often sure, and disagrees half as often as it doubts.
    fn rows(count: usize, mut next: impl FnMut() -> f64) -> Vec<Judged> {
        (0..count)
            .map(|_| {
                let doubt = next().powi(2);
                Judged { confidence: 1.0 - doubt, agrees: next() >= 0.5 * doubt }
            })
            .collect()
    }

    /// The true share of agreement above a threshold: half the mean of u² up to the root of the doubt is missing.
    fn truth(threshold: f64) -> f64 {
        1.0 - (1.0 - threshold) / 6.0
    }

    #[test]
    fn a_threshold_is_found_and_reported_as_it_is() {
        let (found, tested) = (rows(4000, numbers(1)), rows(4000, numbers(2)));
        let terms = Terms { agree: 0.95, ..TERMS };
        let agreed = find(&found, &tested, terms).unwrap();
        assert_eq!(agreed.found, count(&found, agreed.threshold));
        assert_eq!(agreed.tested, count(&tested, agreed.threshold));
        assert!(agreed.at_least >= terms.agree);
        assert_eq!(agreed.at_least, lower_bound(agreed.tested.agreed, agreed.tested.covered, TERMS.confidence));
        // 0.95 is reached at a threshold of 0.7; a bound stays above it, and not by much.
        assert!(truth(agreed.threshold) >= terms.agree && agreed.threshold < 0.85, "{agreed:?}");
        assert!((agreed.coverage() - (1.0 - agreed.threshold).sqrt()).abs() < 0.03, "{agreed:?}");
    }

    #[test]
    fn a_contract_is_kept_as_often_as_it_says() {
        // The probability of a contract that does not hold is at most 5 %: of 1,000 runs 50, and three standard
        // deviations.
        let terms = Terms { agree: 0.95, ..TERMS };
        let (mut made, mut broken) = (0, 0);
        for seed in 0..1000 {
            let next = &mut numbers(seed);
            let (found, tested) = (rows(1500, &mut *next), rows(1500, &mut *next));
            if let Some(agreed) = find(&found, &tested, terms) {
                made += 1;
                broken += usize::from(truth(agreed.threshold) < terms.agree);
            }
        }
        assert!(made > 300, "{made} contracts");
        assert!(broken <= 71, "{broken} of {made} do not hold");
    }

    #[test]
    fn nothing_is_promised_that_does_not_hold() {
        // A student that is as often wrong when it is sure.
        let mut next = numbers(7);
        let mut coin = |count: usize| -> Vec<Judged> {
            (0..count).map(|_| Judged { confidence: next(), agrees: next() < 0.97 }).collect()
        };
        let (found, tested) = (coin(5000), coin(5000));
        assert_eq!(find(&found, &tested, TERMS), None);
        // Too few rows to know, though all agree.
        let sure = vec![Judged { confidence: 0.9, agrees: true }; 298];
        assert_eq!(find(&sure, &sure, TERMS), None);
        let sure = vec![Judged { confidence: 0.9, agrees: true }; 299];
        assert_eq!(find(&sure, &sure, TERMS).unwrap().threshold, 0.9);
        assert_eq!(find(&[], &[], TERMS), None);
    }

    #[test]
    fn what_is_found_by_luck_does_not_pass_the_test() {
        let sure = vec![Judged { confidence: 0.9, agrees: true }; 1000];
        let other: Vec<Judged> = (0..1000).map(|row| Judged { confidence: 0.9, agrees: row % 50 != 0 }).collect();
        assert_eq!(find(&sure, &other, TERMS), None);
        assert!(find(&sure, &sure, TERMS).is_some());
    }

    #[test]
    fn terms_are_shares() {
        assert_eq!(Terms::new(0.99, 0.95), Ok(TERMS));
        for (agree, confidence) in [(1.0, 0.95), (0.0, 0.95), (0.99, 1.0), (0.99, f64::NAN), (-1.0, 0.5)] {
            assert!(Terms::new(agree, confidence).is_err());
        }
        assert!(Terms::new(99.0, 0.95).unwrap_err().to_string().contains("0.99"));
    }
}
