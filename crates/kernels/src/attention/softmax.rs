//! From scores to weights: the softmax of a block of queries.

use std::marker::PhantomData;

use super::block::{MAX_LANES, MAX_VECTORS};
use crate::cpu::Kernel;
use crate::isa::Isa;
use crate::math::Function;

/// `2^(score - shift)` in place, and the reciprocals of their sums; returns whether all sums are in the range in which
/// no precision was lost.
///
/// A softmax is the same whatever is subtracted from all scores. The usual choice, the largest, costs a pass over
/// them; 0 is as good while a sum stays far from the limits of 32-bit floats.
pub(super) struct ExpAndSum<'a, E> {
    scores: *mut f32,
    keys: usize,
    vectors: usize,
    shifts: &'a [f32; MAX_VECTORS * MAX_LANES],
    inverse: &'a mut [f32; MAX_VECTORS * MAX_LANES],
    exponential: PhantomData<E>,
}

/// Reciprocals of sums for which no precision was lost: a weight of 2^100 is still exact, and what underflows below
/// 2^-126 is negligible beside 2^-60.
pub(super) const EXACT_INVERSES: std::ops::RangeInclusive<f32> = 7.888_609e-31..=1.152_921_5e18;

impl<'a, E: Function> ExpAndSum<'a, E> {
    /// # Safety
    /// `scores` holds `keys` rows of `vectors` vectors.
    pub(super) unsafe fn new(
        scores: *mut f32,
        keys: usize,
        vectors: usize,
        shifts: &'a [f32; MAX_VECTORS * MAX_LANES],
        inverse: &'a mut [f32; MAX_VECTORS * MAX_LANES],
    ) -> Self {
        ExpAndSum { scores, keys, vectors, shifts, inverse, exponential: PhantomData }
    }
}

impl<E: Function> Kernel for ExpAndSum<'_, E> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> bool {
        match self.vectors {
            // SAFETY: the promise of `new`.
            1 => unsafe { exp_and_sum::<I, E, 1>(isa, self) },
            // SAFETY: as above.
            _ => unsafe { exp_and_sum::<I, E, 2>(isa, self) },
        }
    }
}

/// # Safety
/// As [`ExpAndSum::new`], with `V` vectors.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment covers all of them")]
#[inline(always)]
unsafe fn exp_and_sum<I: Isa, E: Function, const V: usize>(isa: I, operands: ExpAndSum<'_, E>) -> bool {
    let ExpAndSum { scores, keys, shifts, inverse, .. } = operands;
    let (mut sums, mut shift) = ([isa.zero(); V], [isa.zero(); V]);
    for (v, shift) in shift.iter_mut().enumerate() {
        // SAFETY (this and all below): a vector of a row, or of the lanes of a block.
        *shift = unsafe { isa.load(shifts.as_ptr().add(v * I::LANES)) };
    }
    // Several keys interleaved: one alone would wait for each of its operations.
    let whole = keys - keys % KEYS_AT_ONCE;
    for key in (0..whole).step_by(KEYS_AT_ONCE) {
        unsafe { exp_and_sum_keys::<I, E, V, KEYS_AT_ONCE>(isa, scores.add(key * V * I::LANES), shift, &mut sums) };
    }
    for key in whole..keys {
        unsafe { exp_and_sum_keys::<I, E, V, 1>(isa, scores.add(key * V * I::LANES), shift, &mut sums) };
    }
    for (v, &sum) in sums.iter().enumerate() {
        unsafe { isa.store(inverse.as_mut_ptr().add(v * I::LANES), isa.div(isa.splat(1.0), sum)) };
    }
    inverse[..V * I::LANES].iter().all(|inverse| EXACT_INVERSES.contains(inverse))
}

/// Keys that are processed at a time.
const KEYS_AT_ONCE: usize = 4;

/// Exponentiates `N` rows of scores in place and adds them to the sums.
///
/// # Safety
/// `N` rows of `V` vectors can be read and written.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment covers all of them")]
#[inline(always)]
unsafe fn exp_and_sum_keys<I: Isa, E: Function, const V: usize, const N: usize>(
    isa: I,
    scores: *mut f32,
    shift: [I::F; V],
    sums: &mut [I::F; V],
) {
    for (v, sum) in sums.iter_mut().enumerate() {
        let mut weights = [isa.zero(); N];
        for (n, weight) in weights.iter_mut().enumerate() {
            // SAFETY (this and below): a vector of a row.
            *weight = isa.sub(unsafe { isa.load(scores.add((n * V + v) * I::LANES)) }, shift[v]);
        }
        for (n, weight) in E::of_each(isa, weights).into_iter().enumerate() {
            *sum = isa.add(*sum, weight);
            unsafe { isa.store(scores.add((n * V + v) * I::LANES), weight) };
        }
    }
}

/// The largest score of each query whose sum lost precision, and 0 for the others: a query's result must not
/// depend on those beside it.
pub(super) struct FindLargest<'a> {
    scores: *const f32,
    keys: usize,
    vectors: usize,
    inverse: &'a [f32; MAX_VECTORS * MAX_LANES],
    shifts: &'a mut [f32; MAX_VECTORS * MAX_LANES],
}

impl<'a> FindLargest<'a> {
    /// # Safety
    /// As [`ExpAndSum::new`].
    pub(super) unsafe fn new(
        scores: *const f32,
        keys: usize,
        vectors: usize,
        inverse: &'a [f32; MAX_VECTORS * MAX_LANES],
        shifts: &'a mut [f32; MAX_VECTORS * MAX_LANES],
    ) -> Self {
        FindLargest { scores, keys, vectors, inverse, shifts }
    }
}

impl Kernel for FindLargest<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for v in 0..self.vectors {
            let mut largest = isa.splat(f32::NEG_INFINITY);
            for key in 0..self.keys {
                // SAFETY: a vector of a row.
                let score = unsafe { isa.load(self.scores.add((key * self.vectors + v) * I::LANES)) };
                largest = isa.max(largest, score);
            }
            // SAFETY: lanes of the block.
            unsafe { isa.store(self.shifts.as_mut_ptr().add(v * I::LANES), largest) };
        }
        for (shift, inverse) in self.shifts.iter_mut().zip(self.inverse) {
            if EXACT_INVERSES.contains(inverse) {
                *shift = 0.0;
            }
        }
    }
}
