//! The exact one-sided bound of a binomial share (Clopper and Pearson, 1934).

/// The share that is not below the true one by more than chance: the largest `p` for which `agreed` or more of `rows`
/// have a probability of at most `1 - confidence_level`. Whatever the true share, the bound lies above it with at most that
/// probability. 0 where nothing agreed.
///
/// Solved by bisection to the last bit of a double.
///
/// # Panics
/// If more agreed than there are, or the confidence level is not between 0 and 1.
#[track_caller]
pub fn lower_bound(agreed: usize, rows: usize, confidence_level: f64) -> f64 {
    assert!(
        agreed <= rows && 0.0 < confidence_level && confidence_level < 1.0,
        "{agreed} of {rows} at {confidence_level}"
    );
    if agreed == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return low;
        }
        if upper_tail(agreed, rows, middle) <= 1.0 - confidence_level { low = middle } else { high = middle }
    }
}

/// The fewest rows that can show a share of at least `min_agreement`: so many that all of them agree with a probability of at
/// most `1 - confidence_level` where the share is smaller.
pub fn least_rows(min_agreement: f64, confidence_level: f64) -> usize {
    ((1.0 - confidence_level).ln() / min_agreement.ln()).ceil() as usize
}

/// The probability that `agreed` or more of `rows` agree where each does with probability `share`, strictly between 0
/// and 1.
///
/// Terms are added in the order of their exponents, from all rows agreeing on down; each follows from the one before,
/// and the sum is held in units of its largest term, so that nothing underflows. Relative error about `rows · 2⁻⁵²`.
pub(super) fn upper_tail(agreed: usize, rows: usize, share: f64) -> f64 {
    if agreed == 0 {
        return 1.0;
    }
    let ratio = ((1.0 - share) / share).ln();
    let mut exponent = rows as f64 * share.ln();
    let (mut largest, mut sum) = (exponent, 1.0);
    for failed in 0..rows - agreed {
        exponent += ((rows - failed) as f64 / (failed + 1) as f64).ln() + ratio;
        if exponent > largest {
            sum = sum * (largest - exponent).exp() + 1.0;
            largest = exponent;
        } else {
            sum += (exponent - largest).exp();
        }
    }
    (largest + sum.ln()).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by adding up all outcomes, with exact binomial coefficients.
    fn brute(agreed: usize, rows: usize, share: f64) -> f64 {
        let choose = |k: usize| (0..k).fold(1u128, |c, i| c * (rows - i) as u128 / (i + 1) as u128) as f64;
        (agreed..=rows).map(|k| choose(k) * share.powi(k as i32) * (1.0 - share).powi((rows - k) as i32)).sum()
    }

    #[test]
    fn the_tail_is_that_of_all_outcomes() {
        for rows in 1..=60 {
            for agreed in 0..=rows {
                for share in [0.01, 0.3, 0.5, 0.9, 0.99] {
                    let (got, expected) = (upper_tail(agreed, rows, share), brute(agreed, rows, share));
                    assert!(
                        (got - expected).abs() <= 1e-12 * expected.max(1e-3),
                        "{agreed}/{rows} {share}: {got} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_bound_is_where_the_tail_is_the_risk() {
        for (agreed, rows, confidence_level) in
            [(10, 10, 0.95), (9, 10, 0.95), (1, 40, 0.9), (990, 1000, 0.95), (5000, 5003, 0.99)]
        {
            let bound = lower_bound(agreed, rows, confidence_level);
            assert!((upper_tail(agreed, rows, bound) - (1.0 - confidence_level)).abs() < 1e-9);
        }
        // All agree: the root of the risk.
        assert!((lower_bound(299, 299, 0.95) - 0.05f64.powf(1.0 / 299.0)).abs() < 1e-14);
        // Tables of the binomial distribution (9 of 10 at 95 %, one side).
        assert!((lower_bound(9, 10, 0.95) - 0.605_84).abs() < 1e-5);
        assert_eq!(lower_bound(0, 10, 0.95), 0.0);
        assert_eq!(lower_bound(0, 0, 0.95), 0.0);
    }

    #[test]
    fn so_many_rows_are_needed() {
        for (min_agreement, confidence_level, expected) in [(0.99, 0.95, 299), (0.9, 0.95, 29), (0.999, 0.99, 4603)] {
            let rows = least_rows(min_agreement, confidence_level);
            assert_eq!(rows, expected);
            assert!(lower_bound(rows, rows, confidence_level) >= min_agreement);
            assert!(lower_bound(rows - 1, rows - 1, confidence_level) < min_agreement);
        }
    }
}
