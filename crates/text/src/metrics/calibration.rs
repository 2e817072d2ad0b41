//! Whether a probability of 0.8 is right in eight of ten cases.

/// Bins of [`expected_calibration_error`].
pub const CALIBRATION_BINS: usize = 15;

/// Expected calibration error of `[N, K]` probabilities in row-major order and N true classes.
///
/// Rows are sorted by the probability of their most likely class (the first one on a tie) into 15
/// equal bins `(lo, hi]`; the error is the mean over rows of the difference between accuracy and mean
/// probability of the row's bin. `None` without rows or if a probability is not finite.
///
/// # Panics
/// If there are not N K probabilities or K is 0.
#[track_caller]
pub fn expected_calibration_error(probabilities: &[f64], classes: usize, truth: &[u32]) -> Option<f64> {
    assert!(classes > 0, "there must be classes");
    assert_eq!(probabilities.len(), truth.len() * classes, "expected {classes} probabilities for each row");
    let mut sums = [0.0; CALIBRATION_BINS];
    for (row, &truth) in probabilities.chunks_exact(classes).zip(truth) {
        let class = top_class(row)?;
        let probability = row[class as usize];
        let bin = (0..CALIBRATION_BINS).find(|&bin| probability <= (bin + 1) as f64 / CALIBRATION_BINS as f64);
        // What rounding puts above 1 belongs to the last bin.
        let bin = bin.unwrap_or(CALIBRATION_BINS - 1);
        sums[bin] += f64::from(u8::from(class == truth)) - probability;
    }
    (!truth.is_empty()).then(|| sums.iter().map(|sum| sum.abs()).sum::<f64>() / truth.len() as f64)
}

/// The class with the largest of K numbers, the first one on a tie. `None` for no number at all, or
/// if one is not finite: what such a row predicts is undefined.
pub fn top_class(row: &[f64]) -> Option<u32> {
    let mut best = None;
    for (class, &number) in row.iter().enumerate() {
        if !number.is_finite() {
            return None;
        }
        if best.is_none_or(|best: usize| number > row[best]) {
            best = Some(class);
        }
    }
    best.map(|class| class as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(top_class(&[0.2, 0.4, 0.4]), Some(1));
        assert_eq!(top_class(&[f64::NAN, 0.4]), None);
        assert_eq!(top_class(&[0.4, f64::INFINITY]), None);
        assert_eq!(top_class(&[]), None);
    }

    #[test]
    fn edges_belong_below() {
        // 0.6 is the upper edge of bin 8: both rows share it, so right and wrong cancel in part.
        let error = expected_calibration_error(&[0.6, 0.4, 0.6, 0.4], 2, &[0, 1]).unwrap();
        assert!((error - 0.1).abs() < 1e-15, "{error}");
        assert_eq!(expected_calibration_error(&[1.0 + 1e-12, 0.0], 2, &[0]).map(|e| e < 1e-11), Some(true));
        assert_eq!(expected_calibration_error(&[], 3, &[]), None);
    }
}
