//! Means over runs of rows, as of the pieces of a word, and their gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::pool::acquire;

/// Segments in a task.
const SEGMENTS: usize = 64;

/// The mean of the rows of each segment: `x` `[N, width]` to `[W, width]`.
///
/// # Panics
/// If a segment is empty or ends beyond the rows.
#[track_caller]
pub fn segment_mean(x: &[f32], width: usize, segments: &[Range<u32>]) -> Vec<f32> {
    check(x.len(), width, segments);
    let mut means = acquire(segments.len() * width);
    means.par_chunks_mut(width * SEGMENTS).zip(segments.par_chunks(SEGMENTS)).for_each(|(means, segments)| {
        for (mean, segment) in means.chunks_exact_mut(width).zip(segments) {
            let rows = &x[segment.start as usize * width..segment.end as usize * width];
            mean.copy_from_slice(&rows[..width]);
            for row in rows[width..].chunks_exact(width) {
                for (mean, x) in mean.iter_mut().zip(row) {
                    *mean += x;
                }
            }
            if segment.len() > 1 {
                let share = 1.0 / segment.len() as f32;
                mean.iter_mut().for_each(|x| *x *= share);
            }
        }
    });
    means
}

/// The gradient of [`segment_mean`] at `x`, for `rows` rows: each row of a segment has its share of the segment's gradient,
/// rows outside of all segments have none. Segments must not overlap.
///
/// # Panics
/// As [`segment_mean`].
#[track_caller]
pub fn segment_mean_backward(dy: &[f32], width: usize, segments: &[Range<u32>], rows: usize) -> Vec<f32> {
    check(rows * width, width, segments);
    let mut gradient = acquire(rows * width);
    gradient.fill(0.0);
    for (dy, segment) in dy.chunks_exact(width).zip(segments) {
        let share = 1.0 / segment.len() as f32;
        let rows = &mut gradient[segment.start as usize * width..segment.end as usize * width];
        for row in rows.chunks_exact_mut(width) {
            for (to, dy) in row.iter_mut().zip(dy) {
                *to += share * dy;
            }
        }
    }
    gradient
}

#[track_caller]
fn check(numbers: usize, width: usize, segments: &[Range<u32>]) {
    assert!(width > 0 && numbers.is_multiple_of(width), "whole rows of {width} numbers");
    let rows = numbers / width;
    let sound = segments.iter().all(|s| s.start < s.end && s.end as usize <= rows);
    assert!(sound, "segments of at least one of {rows} rows");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_shares() {
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let segments = [0..1, 2..4, 5..6];
        assert_eq!(segment_mean(&x, 2, &segments), [0.0, 1.0, 5.0, 6.0, 10.0, 11.0]);
        let dy = [1.0, 2.0, 4.0, 6.0, 8.0, 9.0];
        let expected = [1.0, 2.0, 0.0, 0.0, 2.0, 3.0, 2.0, 3.0, 0.0, 0.0, 8.0, 9.0];
        assert_eq!(segment_mean_backward(&dy, 2, &segments, 6), expected);
    }

    #[test]
    #[should_panic(expected = "at least one of 2 rows")]
    fn a_segment_beyond_the_rows_is_refused() {
        segment_mean(&[0.0; 4], 2, std::slice::from_ref(&(1..3)));
    }
}
