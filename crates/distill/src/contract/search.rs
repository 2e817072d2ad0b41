//! The confidence above which a student agrees with its teacher.

use serde::{Deserialize, Serialize};

use super::Comparison;
use super::bound::{lower_bound, upper_tail};

/// Steps from the surest threshold that is tested to the lowest, one after the other.
const STEPS: usize = 16;
/// Most thresholds that are looked at to find these two; each look sums a tail.
const LOOKS: usize = 4096;

/// What is asked of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// Share of the student's answers that have to be the teacher's.
    pub min_agreement: f64,
    /// Confidence level of the lower bound on that share.
    pub confidence_level: f64,
}

/// A requirement that is not between 0 and 1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the {what} of a contract is {got}: give a number above 0 and below 1, such as 0.99")]
pub struct RequirementsError {
    what: &'static str,
    got: f64,
}

impl Requirements {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// If a share is not strictly between 0 and 1.
    pub fn new(min_agreement: f64, confidence_level: f64) -> Result<Requirements, RequirementsError> {
        for (what, got) in [("agreement", min_agreement), ("confidence level", confidence_level)] {
            if !(0.0 < got && got < 1.0) {
                return Err(RequirementsError { what, got });
            }
        }
        Ok(Requirements { min_agreement, confidence_level })
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
    pub agreeing: usize,
}

/// A confidence from which on the student may answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The student answers where its confidence is at least this.
    pub confidence: f64,
    /// The rows that it was found by.
    pub selection: Counts,
    /// The rows that it was tested by, which took no part in finding it.
    pub test: Counts,
    /// Lower bound on the share of agreement, by the tested rows, at the confidence level of the requirements.
    pub agreement_lower_bound: f64,
}

impl Threshold {
    /// Share of the tested rows that the student answers.
    pub fn coverage(&self) -> f64 {
        self.test.covered as f64 / self.test.rows.max(1) as f64
    }
}

/// The lowest threshold that `selection` suggests and `test` confirms; `None` if there is none.
///
/// On the rows to find by, every threshold is looked at whose agreement is by the bound what is asked for: the surest
/// of them and the lowest span the thresholds that are tested, from the surest down, on the other rows, until one does
/// not pass. The order is fixed before those rows are looked at, so all that pass hold together with the confidence
/// asked for (a fixed-sequence test), and the last of them is the contract.
pub fn find(selection: &[Comparison], test: &[Comparison], requirements: Requirements) -> Option<Threshold> {
    let risk = 1.0 - requirements.confidence_level;
    // How probable as many agreeing rows are where the share is no more than what is asked for; none where that is too
    // probable to pass.
    let passing_tail = |counts: Counts| {
        // A share below what is asked for has no bound above it.
        let is_possible = counts.agreeing as f64 >= requirements.min_agreement * counts.covered as f64;
        (counts.covered > 0 && is_possible)
            .then(|| upper_tail(counts.agreeing, counts.covered, requirements.min_agreement))
            .filter(|&tail| tail <= risk)
    };
    let mut last = None;
    for confidence in candidates(selection, passing_tail) {
        let counts = count(test, confidence);
        if passing_tail(counts).is_none() {
            break;
        }
        let agreement_lower_bound = lower_bound(counts.agreeing, counts.covered, requirements.confidence_level);
        last = Some(Threshold {
            confidence,
            selection: count(selection, confidence),
            test: counts,
            agreement_lower_bound,
        });
    }
    last
}

/// Thresholds from the surest to the lowest that passes.
fn candidates(selection: &[Comparison], passing_tail: impl Fn(Counts) -> Option<f64>) -> Vec<f64> {
    let mut sorted: Vec<Comparison> = selection.iter().filter(|row| row.confidence.is_finite()).copied().collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    // What each threshold covers. Rows of equal confidence are covered together or not at all.
    let mut ends: Vec<Counts> = Vec::new();
    let mut agreeing = 0;
    for (place, row) in sorted.iter().enumerate() {
        agreeing += usize::from(row.agrees);
        if sorted.get(place + 1).is_none_or(|next| next.confidence != row.confidence) {
            ends.push(Counts { rows: selection.len(), covered: place + 1, agreeing });
        }
    }
    // Of very many thresholds evenly spaced ones will do; from the lowest on, so that it is always among them.
    let step = ends.len().div_ceil(LOOKS).max(1);
    let passing: Vec<(f64, usize)> = ends
        .iter()
        .rev()
        .step_by(step)
        .filter_map(|&counts| Some((passing_tail(counts)?, counts.covered - 1)))
        .collect();
    // Of equal ones the lowest.
    let surest = passing.iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
    let (Some(&(_, surest)), Some(&(_, lowest))) = (surest, passing.first()) else { return Vec::new() };
    let mut all: Vec<f64> = (0..=STEPS)
        .map(|step| surest + (lowest - surest) * step / STEPS)
        .map(|place| sorted[ends[ends.partition_point(|end| end.covered <= place)].covered - 1].confidence)
        .collect();
    all.dedup();
    all
}

fn count(rows: &[Comparison], threshold: f64) -> Counts {
    let covered = rows.iter().filter(|row| row.confidence >= threshold);
    Counts { rows: rows.len(), covered: covered.clone().count(), agreeing: covered.filter(|row| row.agrees).count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIREMENTS: Requirements = Requirements { min_agreement: 0.99, confidence_level: 0.95 };

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
    fn rows(count: usize, mut next: impl FnMut() -> f64) -> Vec<Comparison> {
        (0..count)
            .map(|_| {
                let doubt = next().powi(2);
                Comparison { confidence: 1.0 - doubt, agrees: next() >= 0.5 * doubt }
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
        let requirements = Requirements { min_agreement: 0.95, ..REQUIREMENTS };
        let threshold = find(&found, &tested, requirements).unwrap();
        assert_eq!(threshold.selection, count(&found, threshold.confidence));
        assert_eq!(threshold.test, count(&tested, threshold.confidence));
        assert!(threshold.agreement_lower_bound >= requirements.min_agreement);
        assert_eq!(
            threshold.agreement_lower_bound,
            lower_bound(threshold.test.agreeing, threshold.test.covered, REQUIREMENTS.confidence_level)
        );
        // 0.95 is reached at a threshold of 0.7; a bound stays above it, and not by much.
        assert!(
            truth(threshold.confidence) >= requirements.min_agreement && threshold.confidence < 0.85,
            "{threshold:?}"
        );
        assert!((threshold.coverage() - (1.0 - threshold.confidence).sqrt()).abs() < 0.03, "{threshold:?}");
    }

    #[test]
    fn a_contract_is_kept_as_often_as_it_says() {
        // The probability of a contract that does not hold is at most 5 %: of 1,000 runs 50, and three standard
        // deviations.
        let requirements = Requirements { min_agreement: 0.95, ..REQUIREMENTS };
        let (mut made, mut broken) = (0, 0);
        for seed in 0..1000 {
            let next = &mut numbers(seed);
            let (found, tested) = (rows(1500, &mut *next), rows(1500, &mut *next));
            if let Some(threshold) = find(&found, &tested, requirements) {
                made += 1;
                broken += usize::from(truth(threshold.confidence) < requirements.min_agreement);
            }
        }
        assert!(made > 300, "{made} contracts");
        assert!(broken <= 71, "{broken} of {made} do not hold");
    }

    #[test]
    fn nothing_is_promised_that_does_not_hold() {
        // A student that is as often wrong when it is sure.
        let mut next = numbers(7);
        let mut coin = |count: usize| -> Vec<Comparison> {
            (0..count).map(|_| Comparison { confidence: next(), agrees: next() < 0.97 }).collect()
        };
        let (found, tested) = (coin(5000), coin(5000));
        assert_eq!(find(&found, &tested, REQUIREMENTS), None);
        // Too few rows to know, though all agree.
        let sure = vec![Comparison { confidence: 0.9, agrees: true }; 298];
        assert_eq!(find(&sure, &sure, REQUIREMENTS), None);
        let sure = vec![Comparison { confidence: 0.9, agrees: true }; 299];
        assert_eq!(find(&sure, &sure, REQUIREMENTS).unwrap().confidence, 0.9);
        assert_eq!(find(&[], &[], REQUIREMENTS), None);
    }

    #[test]
    fn many_rows_of_few_confidences_are_all_looked_at() {
        let tied = |confidence, agrees, count| vec![Comparison { confidence, agrees }; count];
        let sure = tied(0.9, true, 5000);
        let threshold = find(&sure, &sure, REQUIREMENTS).unwrap();
        assert_eq!((threshold.confidence, threshold.coverage()), (0.9, 1.0));
        let doubtful = [tied(0.9, true, 5000), tied(0.5, true, 2500), tied(0.5, false, 2500)].concat();
        assert_eq!(find(&doubtful, &doubtful, REQUIREMENTS).unwrap().confidence, 0.9);
        // The lowest of more thresholds than are looked at.
        let distinct: Vec<Comparison> =
            (1..=3 * LOOKS + 1).map(|row| Comparison { confidence: row as f64 / 1e5, agrees: true }).collect();
        assert_eq!(find(&distinct, &distinct, REQUIREMENTS).unwrap().confidence, 1e-5);
    }

    #[test]
    fn what_is_found_by_luck_does_not_pass_the_test() {
        let sure = vec![Comparison { confidence: 0.9, agrees: true }; 1000];
        let other: Vec<Comparison> =
            (0..1000).map(|row| Comparison { confidence: 0.9, agrees: row % 50 != 0 }).collect();
        assert_eq!(find(&sure, &other, REQUIREMENTS), None);
        assert!(find(&sure, &sure, REQUIREMENTS).is_some());
    }

    #[test]
    fn requirements_are_shares() {
        assert_eq!(Requirements::new(0.99, 0.95), Ok(REQUIREMENTS));
        for (min_agreement, confidence_level) in [(1.0, 0.95), (0.0, 0.95), (0.99, 1.0), (0.99, f64::NAN), (-1.0, 0.5)]
        {
            assert!(Requirements::new(min_agreement, confidence_level).is_err());
        }
        assert!(Requirements::new(99.0, 0.95).unwrap_err().to_string().contains("0.99"));
    }
}
