//! The sum of squared differences, forward and backward in one pass each.

use rayon::prelude::*;

use super::pool::acquire;

/// Elements in a chunk; the sums of chunks are added in order.
const CHUNK_LENGTH: usize = 1 << 13;

/// `Σ (a - b)²`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn squared_difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "two vectors of the same length");
    let parts: Vec<f64> =
        a.par_chunks(CHUNK_LENGTH).zip(b.par_chunks(CHUNK_LENGTH)).map(|(a, b)| f64::from(sum(a, b))).collect();
    parts.iter().sum()
}

/// `factor (a - b)`: the gradient of [`squared_difference`] at `a` where the sum has the gradient `factor / 2`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn squared_difference_backward(a: &[f32], b: &[f32], factor: f32) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "two vectors of the same length");
    let mut gradient = acquire(a.len());
    gradient.par_chunks_mut(CHUNK_LENGTH).zip(a.par_chunks(CHUNK_LENGTH).zip(b.par_chunks(CHUNK_LENGTH))).for_each(
        |(to, (a, b))| {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = factor * (a - b);
            }
        },
    );
    gradient
}

/// In 32 running sums, so that the loop is vectorized on every processor and rounding errors stay small.
fn sum(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    let (a, rest_a) = a.as_chunks::<32>();
    let (b, rest_b) = b.as_chunks::<32>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_gradients() {
        for len in [0, 1, 31, 32, 33, CHUNK_LENGTH, 3 * CHUNK_LENGTH + 5] {
            let a: Vec<f32> = (0..len).map(|i| (i as f32 * 0.3).sin()).collect();
            let b: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).cos()).collect();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            assert!((squared_difference(&a, &b) - expected).abs() <= 1e-6 * expected);
            let gradient = squared_difference_backward(&a, &b, 0.5);
            assert!(gradient.iter().zip(a.iter().zip(&b)).all(|(g, (a, b))| *g == 0.5 * (a - b)));
        }
    }
}
