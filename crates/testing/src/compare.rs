//! Comparators. Each refuses empty input, unequal lengths and anything that is not a number, and
//! each is itself tested to fail.

/// Largest absolute element.
///
/// # Panics
/// If `x` is empty or holds a NaN.
#[track_caller]
pub fn max_abs(x: &[f64]) -> f64 {
    assert!(!x.is_empty(), "nothing to compare");
    x.iter().fold(0.0, |largest: f64, &x| {
        assert!(!x.is_nan(), "NaN in the input");
        largest.max(x.abs())
    })
}

/// Largest absolute difference of two arrays of the same length.
///
/// # Panics
/// If the lengths differ, the arrays are empty or an element is a NaN.
#[track_caller]
pub fn max_abs_difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len(), "lengths differ");
    let differences: Vec<f64> = got.iter().zip(expected).map(|(g, e)| if g == e { 0.0 } else { g - e }).collect();
    max_abs(&differences)
}

/// Euclidean norm of the difference divided by the norm of `expected`, over all pairs together.
///
/// # Panics
/// If lengths differ, nothing is given, an element is a NaN or all expected elements are zero.
#[track_caller]
pub fn relative_norm(pairs: &[(&[f64], &[f64])]) -> f64 {
    let (mut difference, mut norm, mut count) = (0.0, 0.0, 0);
    for (got, expected) in pairs {
        assert_eq!(got.len(), expected.len(), "lengths differ");
        for (g, e) in got.iter().zip(*expected) {
            assert!(!g.is_nan() && !e.is_nan(), "NaN in the input");
            difference += (g - e) * (g - e);
            norm += e * e;
            count += 1;
        }
    }
    assert!(count > 0, "nothing to compare");
    assert!(norm > 0.0, "all expected elements are zero");
    (difference / norm).sqrt()
}

/// Asserts that no element is further than `tolerance` from the expected one.
///
/// # Panics
/// If one is, or as [`max_abs_difference`].
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths differ");
    let difference = max_abs_difference(got, expected);
    assert!(difference <= tolerance, "{what}: off by {difference:.3e}, allowed {tolerance:.1e}");
}

/// Asserts that a number is within a relative tolerance of the expected one.
///
/// # Panics
/// If it is not, or if either is a NaN.
#[track_caller]
pub fn assert_close_relative(what: &str, got: f64, expected: f64, tolerance: f64) {
    let difference = (got - expected).abs();
    let allowed = tolerance * expected.abs();
    assert!(
        difference <= allowed,
        "{what}: got {got}, expected {expected}, off by {difference:.3e}, allowed {allowed:.1e}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn fails(f: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(f)).is_err()
    }

    #[test]
    fn accepts_what_is_close() {
        assert_close("equal", &[1.0, f64::INFINITY], &[1.0, f64::INFINITY], 0.0);
        assert_close("near", &[1.0, 2.0], &[1.0, 2.1], 0.11);
        assert_close_relative("near", 101.0, 100.0, 0.011);
        assert_eq!(relative_norm(&[(&[3.0, 0.0], &[0.0, 4.0])]), 1.25);
    }

    #[test]
    fn refuses_what_is_not() {
        assert!(fails(|| assert_close("far", &[1.0], &[0.0], 0.5)));
        assert!(fails(|| assert_close("infinite", &[f64::INFINITY], &[0.0], 1e300)));
        assert!(fails(|| assert_close("NaN", &[f64::NAN], &[0.0], 1e300)));
        assert!(fails(|| assert_close("expected NaN", &[0.0], &[f64::NAN], 1e300)));
        assert!(fails(|| assert_close("empty", &[], &[], 1.0)));
        assert!(fails(|| assert_close("short", &[1.0], &[1.0, 1.0], 1.0)));
        assert!(fails(|| assert_close_relative("zero", 1e-9, 0.0, 0.5)));
        assert!(fails(|| assert_close_relative("NaN", f64::NAN, 1.0, 0.5)));
        assert!(fails(|| _ = relative_norm(&[])));
        assert!(fails(|| _ = relative_norm(&[(&[f64::NAN], &[1.0])])));
        assert!(fails(|| _ = relative_norm(&[(&[1.0], &[0.0])])));
    }
}
