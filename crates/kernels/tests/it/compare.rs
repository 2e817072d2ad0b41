//! Comparison with bounds of each number's own, and results with guards around them.

use attar_kernels::RowsMut;

/// Half a unit in the last place of 1: the relative error of one rounding.
pub(crate) const U: f64 = f32::EPSILON as f64 / 2.0;

/// Asserts `|got - expected| ≤ allowed`, number by number; equal infinities are no distance apart.
#[track_caller]
pub(crate) fn assert_within(what: &str, got: &[f32], expected: &[f64], allowed: &[f64]) {
    assert!(!expected.is_empty(), "{what}: nothing to compare");
    assert_eq!([got.len(), allowed.len()], [expected.len(); 2], "{what}: lengths differ");
    for (i, ((&got, &expected), &allowed)) in got.iter().zip(expected).zip(allowed).enumerate() {
        let got = f64::from(got);
        let error = if got == expected { 0.0 } else { (got - expected).abs() };
        assert!(error <= allowed, "{what} at {i}: got {got:e}, expected {expected:e}, off by {error:e} > {allowed:e}");
    }
}

/// A matrix to be written, with numbers around it and between its rows that must stay as they are.
pub(crate) struct Guarded {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
    stride: usize,
}

const MARGIN: usize = 19;
/// A NaN with a message, so that whoever reads it spoils a result.
const GUARD: u32 = 0x7fc0_5afe;

impl Guarded {
    /// Rows of `columns` numbers, `stride` apart, that hold `values`.
    pub(crate) fn new(values: &[f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "values of the matrix");
        let mut data = vec![f32::from_bits(GUARD); rows * stride + 2 * MARGIN];
        for r in 0..rows {
            data[MARGIN + r * stride..][..columns].copy_from_slice(&values[r * columns..][..columns]);
        }
        Guarded { data, rows, columns, stride }
    }

    pub(crate) fn view(&mut self) -> RowsMut<'_, f32> {
        RowsMut::new(&mut self.data[MARGIN..], self.rows, self.columns, self.stride)
    }

    /// As a view from which a kernel reads.
    pub(crate) fn read(&self) -> attar_kernels::Rows<'_, f32> {
        attar_kernels::Rows::new(&self.data[MARGIN..], self.rows, self.columns, self.stride)
    }

    /// The values, once it is sure that nothing else was written.
    #[track_caller]
    pub(crate) fn values(&self, what: &str) -> Vec<f32> {
        let inside = |i: usize| {
            let place = i.checked_sub(MARGIN).filter(|place| *place < self.rows * self.stride);
            place.is_some_and(|place| place % self.stride < self.columns)
        };
        let mut values = Vec::with_capacity(self.rows * self.columns);
        for (i, x) in self.data.iter().enumerate() {
            if inside(i) {
                values.push(*x);
            } else {
                assert_eq!(
                    x.to_bits(),
                    GUARD,
                    "{what}: written outside the matrix, at {}",
                    i as isize - MARGIN as isize
                );
            }
        }
        values
    }
}

#[cfg(panic = "unwind")]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn fails(f: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(f)).is_err()
    }

    #[test]
    fn comparison_accepts_and_refuses() {
        assert_within("near", &[1.0, f32::INFINITY], &[1.1, f64::INFINITY], &[0.11, 0.0]);
        assert!(fails(|| assert_within("far", &[1.0, 2.0], &[1.0, 2.1], &[1.0, 0.09])));
        assert!(fails(|| assert_within("NaN", &[f32::NAN], &[1.0], &[f64::INFINITY])));
        assert!(fails(|| assert_within("NaN allowed", &[1.0], &[1.1], &[f64::NAN])));
        assert!(fails(|| assert_within("nothing", &[], &[], &[])));
        assert!(fails(|| assert_within("short", &[1.0], &[1.0, 2.0], &[1.0, 1.0])));
    }

    #[test]
    fn guards_notice() {
        for place in [MARGIN - 1, MARGIN + 3, MARGIN + 4, MARGIN + 10] {
            let mut matrix = Guarded::new(&[0.0; 6], 2, 3, 5);
            assert_eq!(matrix.values("untouched"), [0.0; 6]);
            matrix.data[place] = 1.0;
            assert!(fails(|| _ = matrix.values("touched")), "{place}");
        }
        let mut matrix = Guarded::new(&[0.0; 6], 2, 3, 5);
        matrix.data[MARGIN + 5] = 1.0;
        assert_eq!(matrix.values("inside"), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
