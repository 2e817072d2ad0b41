//! Attention of narrow heads in one pass: scores, weights and sums of a block of queries stay in registers.
//!
//! A head of 4 columns has 8 products for each weight, so that writing scores and reading them again would cost as much
//! as the products. The sums of wider heads do not fit into registers.

use std::marker::PhantomData;

use super::bias::Start;
use super::block::{Lanes, MAX_LANES};
use super::softmax::EXACT_INVERSES;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math::Function;

/// Widest head.
const MAX_WIDTH: usize = 8;

/// Whether queries, sums and the weights of a key fit into registers.
const fn fits<I: Isa>(width: usize) -> bool {
    2 * width + 4 <= I::REGISTERS
}

/// Keys that are processed at a time: the chain of operations from a score to its weight is so long that only several
/// interleaved chains keep the processor busy.
const fn keys_at_once<I: Isa>() -> usize {
    if I::REGISTERS >= 32 { 8 } else { 4 }
}

/// Computes the head at `queries`, transposed, into `context`, transposed. Returns `false` if it is too wide, or if
/// scores are so large that the softmax needs the largest one; then the contents of `context` are unspecified.
///
/// # Safety
/// `tokens` rows of `width` keys and values, `stride` apart, can be read, `width` rows of `vectors` vectors of queries
/// too, and as many written of the context; biases can be read for as many keys and vectors.
#[expect(clippy::too_many_arguments, reason = "a product with strides")]
pub(super) unsafe fn narrow<E: Function>(
    cpu: Cpu,
    [tokens, width]: [usize; 2],
    keys: *const f32,
    values: *const f32,
    stride: usize,
    queries: *const f32,
    context: *mut f32,
    start: Option<Start>,
    vectors: usize,
) -> bool {
    if width == 0 || width > MAX_WIDTH {
        return false;
    }
    let lanes = cpu.run(Lanes);
    (0..vectors).all(|vector| {
        // SAFETY: a vector of each row, by the caller.
        let (queries, context) = unsafe { (queries.add(vector * lanes), context.add(vector * lanes)) };
        let start = start.map(|start| Start { biases: start.biases.wrapping_add(vector * lanes), ..start });
        let narrow = NarrowHead { tokens, keys, values, stride, queries, context, start, row_stride: vectors * lanes };
        macro_rules! widths {
            ($($d:literal)*) => {
                match (width, start.is_some()) {
                    $(
                        // SAFETY: the caller's promise.
                        ($d, false) => cpu.run(unsafe { SizedHead::<E, $d, false>::new(narrow) }),
                        // SAFETY: as above.
                        ($d, true) => cpu.run(unsafe { SizedHead::<E, $d, true>::new(narrow) }),
                    )*
                    _ => false,
                }
            };
        }
        widths!(1 2 3 4 5 6 7 8)
    })
}

#[derive(Clone, Copy)]
struct NarrowHead {
    tokens: usize,
    keys: *const f32,
    values: *const f32,
    stride: usize,
    queries: *const f32,
    context: *mut f32,
    start: Option<Start>,
    /// Stride of the rows of queries and context.
    row_stride: usize,
}

/// A head of `D` columns, with a bias or without.
struct SizedHead<E, const D: usize, const BIASED: bool>(NarrowHead, PhantomData<E>);

impl<E, const D: usize, const BIASED: bool> SizedHead<E, D, BIASED> {
    /// # Safety
    /// As [`narrow`], of one vector.
    unsafe fn new(narrow: NarrowHead) -> Self {
        SizedHead(narrow, PhantomData)
    }
}

impl<E: Function, const D: usize, const BIASED: bool> Kernel for SizedHead<E, D, BIASED> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> bool {
        if !fits::<I>(D) {
            return false;
        }
        let NarrowHead { tokens, keys, values, stride, queries, context, start, row_stride } = self.0;
        let Start { mut biases, factor } = start.unwrap_or(Start { biases: std::ptr::null(), factor: 0.0 });
        let factor = isa.splat(factor);
        let mut q = [isa.zero(); D];
        for (d, q) in q.iter_mut().enumerate() {
            // SAFETY: the promise of `new`.
            *q = unsafe { isa.load(queries.add(d * row_stride)) };
        }
        let mut sums = Sums { weights: isa.zero(), values: [isa.zero(); D] };
        let mut token = 0;
        while token < tokens {
            // SAFETY: inside the rows of `new`.
            let (keys, values) = unsafe { (keys.add(token * stride), values.add(token * stride)) };
            let more = if tokens - token < keys_at_once::<I>() {
                // SAFETY: one row is left.
                unsafe { sums.add::<I, E, 1, BIASED>(isa, &q, keys, values, stride, (biases, factor)) };
                1
            } else {
                // SAFETY: as many rows are left.
                unsafe {
                    match keys_at_once::<I>() {
                        8 => sums.add::<I, E, 8, BIASED>(isa, &q, keys, values, stride, (biases, factor)),
                        _ => sums.add::<I, E, 4, BIASED>(isa, &q, keys, values, stride, (biases, factor)),
                    }
                }
                keys_at_once::<I>()
            };
            token += more;
            biases = biases.wrapping_sub(more);
        }
        let inverse = isa.div(isa.splat(1.0), sums.weights);
        for (d, &sum) in sums.values.iter().enumerate() {
            // SAFETY: the promise of `new`.
            unsafe { isa.store(context.add(d * row_stride), isa.mul(sum, inverse)) };
        }
        let mut lanes = [0.0; MAX_LANES];
        isa.store_slice(&mut lanes[..I::LANES], inverse);
        lanes[..I::LANES].iter().all(|inverse| EXACT_INVERSES.contains(inverse))
    }
}

/// Sums over the keys so far, for each query.
struct Sums<F, const D: usize> {
    weights: F,
    values: [F; D],
}

impl<F: Copy, const D: usize> Sums<F, D> {
    /// Adds `N` keys.
    ///
    /// # Safety
    /// `N` rows of `D` keys and values, `stride` apart, can be read, and, if there are any, their biases.
    #[expect(clippy::undocumented_unsafe_blocks, reason = "one comment covers all of them")]
    #[inline(always)]
    unsafe fn add<I: Isa<F = F>, E: Function, const N: usize, const BIASED: bool>(
        &mut self,
        isa: I,
        queries: &[F; D],
        keys: *const f32,
        values: *const f32,
        stride: usize,
        (biases, factor): (*const f32, F),
    ) {
        let mut weights = [isa.zero(); N];
        if BIASED {
            for (n, score) in weights.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *score = isa.mul(unsafe { isa.load(biases.sub(n)) }, factor);
            }
        }
        for (d, &query) in queries.iter().enumerate() {
            for (n, score) in weights.iter_mut().enumerate() {
                // SAFETY (this and all below): the caller's promise.
                let number = isa.splat(unsafe { *keys.add(n * stride + d) });
                *score = isa.fma(number, query, *score);
            }
        }
        weights = E::of_each(isa, weights);
        for (n, &weight) in weights.iter().enumerate() {
            self.weights = isa.add(self.weights, weight);
            for (d, sum) in self.values.iter_mut().enumerate() {
                let number = isa.splat(unsafe { *values.add(n * stride + d) });
                *sum = isa.fma(number, weight, *sum);
            }
        }
    }
}
