//! Small products with strides, as attention needs them for every head.

use super::lanes::{load_lanes, store_lanes};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// `C = scale A B`, or `C += scale A B`: A `[rows, depth]` element by element with any strides, B `[depth, columns]` and C
/// `[rows, columns]` along their rows.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) a: *const f32,
    pub(super) a_row_stride: usize,
    pub(super) a_column_stride: usize,
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) columns: usize,
    pub(super) scale: f32,
    pub(super) add: bool,
}

impl Product {
    /// # Safety
    /// All elements of A and B can be read, those of C written.
    pub(super) unsafe fn run(self, cpu: Cpu) {
        cpu.run(Run(self));
    }
}

struct Run(Product);

/// Rows of a tile, and its width in vectors.
const fn size<I: Isa>() -> (usize, usize) {
    if I::REGISTERS >= 32 { (8, 3) } else { (5, 2) }
}

impl Kernel for Run {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Run(product) = self;
        let most = size::<I>().1;
        let vectors = product.columns.div_ceil(I::LANES);
        // As even as possible: 4 vectors are split 2 + 2, not 3 + 1.
        let blocks = vectors.div_ceil(most).max(1);
        let mut first = 0;
        for block in 0..blocks {
            let here = (vectors - first).div_ceil(blocks - block);
            let column = first * I::LANES;
            let columns = (product.columns - column.min(product.columns)).min(here * I::LANES);
            // SAFETY (all arms): the promise of `Product::run`, for the columns of this block.
            unsafe {
                let block = Product { b: product.b.add(column), c: product.c.add(column), columns, ..product };
                match (size::<I>().0, here) {
                    (_, 0) => {}
                    (8, 1) => block.tiles::<I, 8, 1>(isa),
                    (8, 2) => block.tiles::<I, 8, 2>(isa),
                    (8, _) => block.tiles::<I, 8, 3>(isa),
                    (_, 1) => block.tiles::<I, 5, 1>(isa),
                    (_, _) => block.tiles::<I, 5, 2>(isa),
                }
            }
            first += here;
        }
    }
}

impl Product {
    /// # Safety
    /// As [`Product::run`]; the columns fill `V` vectors, the last one perhaps in part.
    #[inline(always)]
    unsafe fn tiles<I: Isa, const M: usize, const V: usize>(self, isa: I) {
        if size::<I>().0 != M || V > size::<I>().1 {
            // Never reached: keeps the compiler from generating tiles that this set has no registers for.
            return;
        }
        let Product { a, a_row_stride, a_column_stride, b, b_stride, c, c_stride, rows, depth, columns, scale, add } =
            self;
        let last = columns - (V - 1) * I::LANES;
        let whole = last == I::LANES;
        let scale = isa.splat(scale);
        let mut row = 0;
        while row < rows {
            let here = (rows - row).min(M);
            // Rows past the last repeat the last; their sums are discarded.
            let mut starts = [0; M];
            for (r, start) in starts.iter_mut().enumerate() {
                *start = (row + r.min(here - 1)) * a_row_stride;
            }
            let mut sums = [[isa.zero(); V]; M];
            let (mut a, mut b) = (a, b);
            for _ in 0..depth {
                let mut x = [isa.zero(); V];
                for (v, x) in x.iter_mut().enumerate() {
                    // SAFETY (this and all below): the caller's promise.
                    unsafe {
                        let at = b.add(v * I::LANES);
                        *x = if v + 1 < V || whole { isa.load(at) } else { isa.load_part(at, last) };
                    }
                }
                for (sums, start) in sums.iter_mut().zip(starts) {
                    let number = isa.splat(unsafe { *a.add(start) });
                    for (sum, &x) in sums.iter_mut().zip(&x) {
                        *sum = isa.fma(number, x, *sum);
                    }
                }
                (a, b) = (a.wrapping_add(a_column_stride), b.wrapping_add(b_stride));
            }
            for (r, sums) in sums.iter().enumerate().take(here) {
                for (v, &sum) in sums.iter().enumerate() {
                    let count = if v + 1 < V { I::LANES } else { last };
                    unsafe {
                        let to = c.add((row + r) * c_stride + v * I::LANES);
                        let existing = if add { load_lanes(isa, to, count) } else { isa.zero() };
                        store_lanes(isa, to, isa.fma(sum, scale, existing), count);
                    }
                }
            }
            row += M;
        }
    }
}

/// Transposes `[rows, columns]`, rows `stride` apart, to `[columns, padded_rows]`, `padded_rows` a whole number of vectors
/// that hold the rows; zeros beyond.
pub(super) struct Transpose {
    from: *const f32,
    stride: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    padded_rows: usize,
}

impl Transpose {
    /// # Safety
    /// The rows can be read and the result written.
    pub(super) unsafe fn new(
        from: *const f32,
        stride: usize,
        rows: usize,
        columns: usize,
        to: *mut f32,
        padded_rows: usize,
    ) -> Self {
        Transpose { from, stride, rows, columns, to, padded_rows }
    }
}

impl Kernel for Transpose {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Transpose { from, stride, rows, columns, to, padded_rows } = self;
        for first in (0..padded_rows).step_by(I::LANES) {
            let here = rows.saturating_sub(first).min(I::LANES);
            // SAFETY: the promise of `new`.
            unsafe {
                isa.transpose_in(from.wrapping_add(first * stride), stride, here, columns, to.add(first), padded_rows)
            };
        }
    }
}
