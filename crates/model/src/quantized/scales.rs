//! The scale that the integers of a row or group share.

/// How a scale is chosen for the numbers that share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScaleChoice {
    /// The largest magnitude becomes the largest integer: nothing is clipped, every error is at most half a step.
    MaxAbs,
    /// Of 33 scales between half of that and all of it, the one with the least sum of squared errors. Larger
    /// numbers are clipped to the largest integer; the sum is never more than that of [`MaxAbs`](Self::MaxAbs).
    LeastSquares,
}

/// The scale of these numbers for integers from `-levels` to `levels`. Zero if all are zero, or so small that
/// their scale is.
pub(super) fn scale_of(numbers: &[f32], levels: f32, choice: ScaleChoice) -> f32 {
    let largest = numbers.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
    let whole = fitting(largest, levels);
    match choice {
        ScaleChoice::MaxAbs => whole,
        ScaleChoice::LeastSquares => {
            let tries = (0..=TRIES).map(|step| {
                let scale =
                    if step == 0 { whole } else { fitting(largest * (1.0 - 0.5 * step as f32 / TRIES as f32), levels) };
                (squared_error(numbers, scale, levels), scale)
            });
            // Of equal errors, the first has the widest range and clips least.
            tries.reduce(|best, next| if next.0 < best.0 { next } else { best }).map_or(whole, |(_, scale)| scale)
        }
    }
}

/// Steps from the whole range to half of it.
const TRIES: u8 = 32;

/// The nearest integer of that scale, from `-levels` to `levels`.
pub(super) fn nearest(number: f32, scale: f32, levels: f32) -> i8 {
    if scale == 0.0 {
        return 0;
    }
    // A quotient of finite numbers is no NaN here, and the bounds fit the type. Beyond 2²³ a 32-bit float has no
    // fraction, so adding and subtracting rounds as the processor rounds: to even; a call would take ten times as long.
    let bounded = (number / scale).clamp(-levels, levels);
    ((bounded + WHOLE) - WHOLE) as i8
}

/// 1.5 · 2²³: whatever small number is added, the sum is a whole number.
const WHOLE: f32 = 12_582_912.0;

/// The scale at which the largest number becomes the largest integer and back without overflow.
fn fitting(largest: f32, levels: f32) -> f32 {
    let scale = largest / levels;
    if (scale * levels).is_finite() { scale } else { scale.next_down() }
}

fn squared_error(numbers: &[f32], scale: f32, levels: f32) -> f64 {
    let error = |&number: &f32| f64::from(number) - f64::from(nearest(number, scale, levels)) * f64::from(scale);
    numbers.iter().map(error).map(|error| error * error).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_becomes_the_largest_integer() {
        for largest in [1.0f32, 0.3, 1e-30, 3.4e38, f32::MAX, f32::MIN_POSITIVE] {
            for levels in [7.0, 127.0] {
                let scale = scale_of(&[0.1 * largest, -largest], levels, ScaleChoice::MaxAbs);
                assert_eq!(f32::from(nearest(-largest, scale, levels)), -levels, "{largest}");
                assert!((scale * levels).is_finite(), "{largest}");
            }
        }
        assert_eq!(scale_of(&[], 127.0, ScaleChoice::MaxAbs), 0.0);
        assert_eq!(scale_of(&[0.0, -0.0], 127.0, ScaleChoice::LeastSquares), 0.0);
        assert_eq!(nearest(5.0, 0.0, 127.0), 0);
    }

    #[test]
    fn halves_go_to_the_even_neighbor() {
        for (number, integer) in [(0.5, 0), (1.5, 2), (-2.5, -2), (126.5, 126), (-126.51, -127), (1e30, 127)] {
            assert_eq!(nearest(number, 1.0, 127.0), integer, "{number}");
        }
        for step in -32_000..32_000i16 {
            let number = f32::from(step) / 311.0;
            assert_eq!(f32::from(nearest(number, 1.0, 127.0)), number.round_ties_even().clamp(-127.0, 127.0));
        }
    }

    #[test]
    fn clipping_pays_where_one_number_stands_out() {
        // 300 numbers within 1 and one of 2: with 7 levels the whole range is worse than half of it.
        let numbers: Vec<f32> = (0..300).map(|i| (f32::from(i as i16) / 150.0 - 1.0) * 0.99).chain([2.0]).collect();
        let whole = scale_of(&numbers, 7.0, ScaleChoice::MaxAbs);
        let best = scale_of(&numbers, 7.0, ScaleChoice::LeastSquares);
        assert!(best < whole, "{best} of {whole}");
        assert!(squared_error(&numbers, best, 7.0) < 0.8 * squared_error(&numbers, whole, 7.0));
    }
}
