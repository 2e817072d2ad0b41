//! Metrics of predicted numbers.

/// Pearson correlation of N pairs of numbers. `None` for fewer than two pairs, a constant side or
/// a number that is not finite.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn pearson(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    assert_eq!(truth.len(), predicted.len(), "true and predicted numbers differ in length");
    let (truth, predicted) = (centered_and_scaled(truth)?, centered_and_scaled(predicted)?);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // One root of the product: for equal sides it is exact, two roots would not be.
    let correlation = dot(&truth, &predicted) / (dot(&truth, &truth) * dot(&predicted, &predicted)).sqrt();
    Some(correlation.clamp(-1.0, 1.0))
}

/// Spearman correlation: Pearson correlation of the ranks, equal numbers sharing the mean of their
/// ranks. `None` as for [`pearson`].
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn spearman(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    assert_eq!(truth.len(), predicted.len(), "true and predicted numbers differ in length");
    if !finite(truth) || !finite(predicted) {
        return None;
    }
    pearson(&ranks(truth), &ranks(predicted))
}

/// Mean of the squared differences. `None` without numbers or if one is not finite.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn mean_squared_error(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    mean_of_differences(truth, predicted, |difference| difference * difference)
}

/// Mean of the absolute differences. `None` without numbers or if one is not finite.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn mean_absolute_error(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    mean_of_differences(truth, predicted, f64::abs)
}

#[track_caller]
fn mean_of_differences(truth: &[f64], predicted: &[f64], of: impl Fn(f64) -> f64) -> Option<f64> {
    assert_eq!(truth.len(), predicted.len(), "true and predicted numbers differ in length");
    let defined = !truth.is_empty() && finite(truth) && finite(predicted);
    let mean = truth.iter().zip(predicted).map(|(t, p)| of(t - p)).sum::<f64>() / truth.len() as f64;
    // A difference of huge numbers may overflow.
    (defined && mean.is_finite()).then_some(mean)
}

fn finite(numbers: &[f64]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

/// The numbers less their mean, scaled so that the largest is of size 1. `None` where a correlation
/// is undefined.
fn centered_and_scaled(numbers: &[f64]) -> Option<Vec<f64>> {
    if numbers.len() < 2 || !finite(numbers) || numbers.iter().all(|number| number == &numbers[0]) {
        return None;
    }
    // Neither the sum nor the squares of huge numbers may overflow; scaling changes no correlation.
    let largest = numbers.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|number| number / largest).sum::<f64>() / count;
    let mut centered: Vec<f64> = numbers.iter().map(|number| number / largest - mean).collect();
    // What rounding of the mean left over, which matters where the spread is small compared with the mean.
    let residual_mean = centered.iter().sum::<f64>() / count;
    let mut spread = 0.0_f64;
    for number in &mut centered {
        *number -= residual_mean;
        spread = spread.max(number.abs());
    }
    if spread == 0.0 {
        return None;
    }
    centered.iter_mut().for_each(|number| *number /= spread);
    Some(centered)
}

/// The rank of each number, counted from 1; equal numbers share the mean of theirs.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_unstable_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut first = 0;
    // `==` and not the total order: 0 and -0 are equal numbers. The total order puts them side by side.
    for group in order.chunk_by(|&a, &b| numbers[a] == numbers[b]) {
        let rank = first as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&index| ranks[index] = rank);
        first += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_ties() {
        assert_eq!(ranks(&[3.0, -1.0, 3.0, 0.0, -0.0, 3.0]), [5.0, 1.0, 5.0, 2.5, 2.5, 5.0]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn huge_and_tiny_numbers_correlate() {
        let x = [1.0, 2.0, 3.0, 5.0];
        let y = [2.0, 1.0, 4.0, 7.0];
        let expected = pearson(&x, &y).unwrap();
        for (scale, offset) in [(1e300, 0.0), (1e-300, 0.0), (1.0, 1e9), (f64::MAX / 8.0, 0.0)] {
            let moved = y.map(|y| y * scale + offset);
            let got = pearson(&x, &moved).unwrap();
            assert!((got - expected).abs() < 1e-7, "scale {scale}, offset {offset}: {got}");
        }
        assert_eq!(pearson(&x, &[7.0; 4]), None);
        // Equal numbers whose sum is not exactly their count times one of them.
        assert_eq!(pearson(&[1.0; 10], &[0.1; 10]), None);
        assert_eq!(pearson(&[1.0, 2.0], &[1.0, 2.0]), Some(1.0));
        assert_eq!(mean_squared_error(&[f64::MAX, 1.0], &[-f64::MAX, 1.0]), None);
        assert_eq!(mean_squared_error(&[], &[]), None);
        assert_eq!(mean_absolute_error(&[1.0, f64::NAN], &[1.0, 1.0]), None);
        assert_eq!(spearman(&[1.0, 2.0, f64::NAN], &[1.0, 2.0, 3.0]), None);
    }
}
