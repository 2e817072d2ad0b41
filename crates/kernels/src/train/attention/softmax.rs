//! The softmax of one head and its gradient, row by row.

use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math::exp2_in_range;

/// The softmax of one head of one sequence.
pub(super) struct HeadSoftmax {
    /// `[rows, rows]`
    pub(super) scores: *const f32,
    pub(super) rows: usize,
    pub(super) keys: usize,
    /// `[rows, weight_stride]`: softmax times mask, 0 beyond the keys.
    pub(super) weights: *mut f32,
    pub(super) weight_stride: usize,
    /// Of `[rows, rows]`, and a vector more; and its factor.
    pub(super) mask: Option<(*const i8, f32)>,
    pub(super) gradient: Option<SoftmaxGradient>,
}

/// Where the gradients of a [`HeadSoftmax`] are.
#[derive(Clone, Copy)]
pub(super) struct SoftmaxGradient {
    /// Gradients of the weights `[rows, weight_stride]`; overwritten.
    pub(super) of_weights: *mut f32,
    /// Gradients of the scores `[rows, rows]`, the result.
    pub(super) of_scores: *mut f32,
    /// Whether the result is added to what is already in `of_scores`.
    pub(super) add: bool,
}

impl HeadSoftmax {
    /// # Safety
    /// All memory that the fields describe is valid, and `weight_stride` is a whole number of vectors.
    pub(super) unsafe fn run(self, cpu: Cpu) {
        cpu.run(RunSoftmax(self));
    }
}

struct RunSoftmax(HeadSoftmax);

impl Kernel for RunSoftmax {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let HeadSoftmax { scores, rows, keys, weights, weight_stride, mask, gradient } = self.0;
        let factor = isa.splat(mask.map_or(1.0, |(_, factor)| factor));
        for r in 0..rows {
            // SAFETY: the promise of `HeadSoftmax::run`, for row `r`.
            unsafe {
                let row = SoftmaxRow {
                    scores: scores.add(r * rows),
                    keys,
                    weights: weights.add(r * weight_stride),
                    weight_stride,
                    mask: mask.map(|(mask, _)| (mask.add(r * rows), factor)),
                };
                let inverse = row.exponentials(isa);
                match gradient {
                    None => row.scale(isa, inverse),
                    Some(SoftmaxGradient { of_weights, of_scores, add }) => {
                        row.backward(
                            isa,
                            inverse,
                            of_weights.add(r * weight_stride),
                            of_scores.add(r * rows),
                            rows,
                            add,
                        );
                    }
                }
            }
        }
    }
}

/// One row of a [`HeadSoftmax`].
struct SoftmaxRow<F> {
    scores: *const f32,
    keys: usize,
    weights: *mut f32,
    weight_stride: usize,
    mask: Option<(*const i8, F)>,
}

impl<F: Copy> SoftmaxRow<F> {
    /// Writes `e^(score - largest)` for each key and 0 beyond as weights, and returns the reciprocal of their sum.
    ///
    /// # Safety
    /// As [`HeadSoftmax::run`].
    #[inline(always)]
    unsafe fn exponentials<I: Isa<F = F>>(&self, isa: I) -> F {
        let &SoftmaxRow { scores, keys, weights, weight_stride, .. } = self;
        let log2 = isa.splat(std::f32::consts::LOG2_E);
        let whole = keys / I::LANES * I::LANES;
        let rest = keys - whole;
        let mut largest = isa.splat(f32::NEG_INFINITY);
        let mut c = 0;
        // SAFETY (all blocks): the caller's promise; `c` is in a row of `weight_stride` elements.
        while c < whole {
            largest = isa.max(largest, unsafe { isa.load(scores.add(c)) });
            c += I::LANES;
        }
        // In the last vector, the lanes beyond the keys hold a score of -∞ first and a weight of 0 in the end.
        if rest > 0 {
            unsafe {
                isa.store(weights.add(whole), isa.splat(f32::NEG_INFINITY));
                isa.store_part(weights.add(whole), isa.load_part(scores.add(whole), rest), rest);
                largest = isa.max(largest, isa.load(weights.add(whole)));
            }
        }
        let shift = isa.splat(-isa.largest(largest) * std::f32::consts::LOG2_E);
        let mut sum = isa.zero();
        let mut c = 0;
        while c < whole {
            unsafe {
                let x = exp2_in_range(isa, isa.fma(isa.load(scores.add(c)), log2, shift));
                sum = isa.add(sum, x);
                isa.store(weights.add(c), x);
            }
            c += I::LANES;
        }
        if rest > 0 {
            unsafe {
                let x = exp2_in_range(isa, isa.fma(isa.load(weights.add(whole)), log2, shift));
                isa.store(weights.add(whole), isa.zero());
                isa.store_part(weights.add(whole), x, rest);
                sum = isa.add(sum, isa.load(weights.add(whole)));
            }
        }
        let mut c = keys.next_multiple_of(I::LANES);
        while c < weight_stride {
            unsafe { isa.store(weights.add(c), isa.zero()) };
            c += I::LANES;
        }
        isa.splat(1.0 / isa.sum(sum))
    }

    /// Multiplies the exponentials by the reciprocal of their sum and the mask.
    ///
    /// # Safety
    /// As [`HeadSoftmax::run`].
    #[inline(always)]
    unsafe fn scale<I: Isa<F = F>>(&self, isa: I, inverse: F) {
        let &SoftmaxRow { keys, weights, mask, .. } = self;
        let mut c = 0;
        while c < keys {
            // SAFETY: the caller's promise; `c` is in the row.
            unsafe {
                let factor = match mask {
                    Some((mask, factor)) => isa.mul(inverse, isa.mul(isa.load_signed_bytes(mask.add(c)), factor)),
                    None => inverse,
                };
                isa.store(weights.add(c), isa.mul(isa.load(weights.add(c)), factor));
            }
            c += I::LANES;
        }
    }

    /// As [`scale`](Self::scale), and `w (g - Σ w g)` for the scores, where `w` is a weight before the mask and `g` the
    /// gradient at it.
    ///
    /// # Safety
    /// As [`HeadSoftmax::run`], with the rows of [`SoftmaxGradient`].
    #[inline(always)]
    unsafe fn backward<I: Isa<F = F>>(
        &self,
        isa: I,
        inverse: F,
        of_weights: *mut f32,
        of_scores: *mut f32,
        rows: usize,
        add: bool,
    ) {
        let &SoftmaxRow { keys, weights, mask, .. } = self;
        let mut weighted = isa.zero();
        let mut c = 0;
        // SAFETY (all blocks): the caller's promise; `c` is in the row.
        while c < keys {
            unsafe {
                let weight = isa.mul(isa.load(weights.add(c)), inverse);
                let mut g = isa.load(of_weights.add(c));
                if let Some((mask, factor)) = mask {
                    g = isa.mul(g, isa.mul(isa.load_signed_bytes(mask.add(c)), factor));
                    isa.store(of_weights.add(c), g);
                }
                weighted = isa.fma(weight, g, weighted);
                isa.store(weights.add(c), weight);
            }
            c += I::LANES;
        }
        let weighted = isa.splat(isa.sum(weighted));
        let mut c = 0;
        while c < rows {
            let n = (rows - c).min(I::LANES);
            unsafe {
                let weight = isa.load(weights.add(c));
                let g = isa.mul(weight, isa.sub(isa.load(of_weights.add(c)), weighted));
                let existing = if add { isa.load_part(of_scores.add(c), n) } else { isa.zero() };
                isa.store_part(of_scores.add(c), isa.add(existing, g), n);
                if let Some((mask, factor)) = mask {
                    let factor = isa.mul(isa.load_signed_bytes(mask.add(c)), factor);
                    isa.store(weights.add(c), isa.mul(weight, factor));
                }
            }
            c += I::LANES;
        }
    }
}
