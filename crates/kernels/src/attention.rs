//! Attention of one sequence: scores, softmax and weighted sum, without padding and without a mask.
//!
//! The lanes of a vector are queries. Keys and values are then read number by number as they lie, so that no
//! head width (26, 4) wastes a lane; the softmax goes along the keys, which are different vectors, and needs no
//! sum across lanes. Only the queries and the result are transposed, a group of heads at a time.

use std::ops::Range;

use crate::buffer::{Buffer, Rows, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

/// Columns of heads that are transposed together, at least one head.
const GROUP: usize = 64;
/// Most rows of a tile of sums.
const MAX_ROWS: usize = 13;
/// Most vectors of queries of a block.
const MAX_VECTORS: usize = 2;
/// Most lanes of a vector.
const MAX_LANES: usize = 16;

/// Memory of [`attention`], kept from call to call.
#[derive(Debug, Default)]
pub struct AttentionScratch {
    /// Queries of a group of heads, transposed: `[D of each head, queries]`.
    queries: Buffer<f32>,
    /// Scores, then weights: `[keys, queries]`.
    scores: Buffer<f32>,
    /// Weighted sums of a group, transposed: `[D of each head, queries]`.
    context: Buffer<f32>,
}

/// `softmax(Q Kᵀ / √D) V` of each head (Vaswani et al. 2017, equation 1) for some queries of a sequence.
///
/// `qkv` `[T, 3H]` holds queries, keys and values of the whole sequence side by side, `context`
/// `[queries, H]` takes the result of the rows `queries` alone. The result of a query does not depend on which
/// others are computed with it.
///
/// A score `s` is off by at most `e = (D + 4) ε/2 Σ |q k| / √D`; a weight, relatively, by `exp(2 max e + 4 ε max |s| +
/// (T + 8) ε) - 1`, and the result by what that makes of `Σ weight |v|`. No score is too large or too far from the
/// others. A query or key that is NaN or infinite makes NaN of every score it meets, and so of a query's whole head.
///
/// # Panics
/// If the shapes do not fit: H is a whole number of heads.
#[track_caller]
pub fn attention(
    cpu: Cpu,
    qkv: Rows<'_, f32>,
    heads: usize,
    queries: Range<usize>,
    context: RowsMut<'_, f32>,
    scratch: &mut AttentionScratch,
) {
    let hidden = qkv.columns / 3;
    assert!(heads > 0 && qkv.columns == 3 * hidden && hidden.is_multiple_of(heads), "three times {heads} heads");
    assert!(queries.start <= queries.end && queries.end <= qkv.rows, "queries {queries:?} of {}", qkv.rows);
    assert_eq!([context.rows, context.columns], [queries.len(), hidden], "rows and columns of the context");
    if queries.is_empty() || hidden == 0 {
        return;
    }
    let width = hidden / heads;
    let group = (GROUP / width).clamp(1, heads);
    let lanes = MAX_VECTORS * MAX_LANES;
    scratch.queries.reserve(group * width * lanes);
    scratch.context.reserve(group * width * lanes);
    scratch.scores.reserve(qkv.rows * lanes);
    let block = Block {
        cpu,
        keys: qkv.data[hidden..].as_ptr(),
        values: qkv.data[2 * hidden..].as_ptr(),
        stride: qkv.stride,
        tokens: qkv.rows,
        width,
        factor: std::f32::consts::LOG2_E / (width as f32).sqrt(),
        queries: scratch.queries.as_mut_ptr(),
        scores: scratch.scores.as_mut_ptr(),
        context: scratch.context.as_mut_ptr(),
    };
    let lanes = cpu.run(Lanes);
    let mut first = queries.start;
    while first < queries.end {
        let rows = (queries.end - first).min(MAX_VECTORS * lanes);
        let vectors = rows.div_ceil(lanes);
        for head in (0..heads).step_by(group) {
            let columns = group.min(heads - head) * width;
            let from = qkv.data[first * qkv.stride + head * width..].as_ptr();
            let to = context.data[(first - queries.start) * context.stride + head * width..].as_mut_ptr();
            // SAFETY: `rows` rows of `columns` numbers of the queries; the scratch was made for a block.
            cpu.run(unsafe { Turn::new(from, qkv.stride, rows, columns, block.queries, vectors, Some(block.factor)) });
            for h in 0..columns / width {
                // SAFETY: a head of this group.
                unsafe { block.head((head + h) * width, h * width, vectors) };
            }
            // SAFETY: as above, of the context.
            cpu.run(unsafe { Turn::new(to, context.stride, rows, columns, block.context, vectors, None) });
        }
        first += rows;
    }
}

/// Attention scores before the softmax, `Q Kᵀ / √D`: `[A, T, T]` of one sequence, heads, queries, keys. Off by at most
/// `(D + 4) ε/2 Σ |q k| / √D`.
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn attention_scores(
    cpu: Cpu,
    qkv: Rows<'_, f32>,
    heads: usize,
    scores: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let (hidden, tokens) = (qkv.columns / 3, qkv.rows);
    assert!(heads > 0 && qkv.columns == 3 * hidden && hidden.is_multiple_of(heads), "three times {heads} heads");
    assert_eq!(scores.len(), heads * tokens * tokens, "scores of {heads} heads and {tokens} tokens");
    relations(cpu, qkv.columns(0, hidden), qkv.columns(hidden, hidden), heads, scores, scratch);
}

/// `X Yᵀ / √D` of each head of `x` and `y` `[T, H]`: `[heads, T, T]` of one sequence. With queries and keys
/// these are attention scores; with a thing twice, what MiniLM calls relations (Wang et al. 2021).
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn relations(
    cpu: Cpu,
    x: Rows<'_, f32>,
    y: Rows<'_, f32>,
    heads: usize,
    result: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let (tokens, hidden) = (x.rows, x.columns);
    assert_eq!([y.rows, y.columns], [tokens, hidden], "two equal shapes");
    assert!(heads > 0 && hidden.is_multiple_of(heads), "{hidden} columns are no {heads} heads");
    assert_eq!(result.len(), heads * tokens * tokens, "results of {heads} heads and {tokens} tokens");
    if result.is_empty() {
        return;
    }
    let width = hidden / heads;
    let lanes = cpu.run(Lanes);
    scratch.queries.reserve(width.max(1) * MAX_VECTORS * MAX_LANES);
    scratch.scores.reserve(tokens * MAX_VECTORS * MAX_LANES);
    let scale = 1.0 / (width as f32).sqrt();
    for head in 0..heads {
        for first in (0..tokens).step_by(MAX_VECTORS * lanes) {
            let rows = (tokens - first).min(MAX_VECTORS * lanes);
            let vectors = rows.div_ceil(lanes);
            let from = x.data[first * x.stride + head * width..].as_ptr();
            let (turned, products) = (scratch.queries.as_mut_ptr(), scratch.scores.as_mut_ptr());
            // SAFETY: `rows` rows of `width` numbers; the scratch was made for a block.
            cpu.run(unsafe { Turn::new(from, x.stride, rows, width, turned, vectors, Some(scale)) });
            let keys = y.data[head * width..].as_ptr();
            // SAFETY: `tokens` keys of `width` numbers.
            unsafe { outer(cpu, [tokens, width], keys, [y.stride, 1], turned, products, None, vectors) };
            let stride = vectors * lanes;
            for row in 0..rows {
                let to = &mut result[(head * tokens + first + row) * tokens..][..tokens];
                for (key, to) in to.iter_mut().enumerate() {
                    *to = scratch.scores[key * stride + row];
                }
            }
        }
    }
}

struct Lanes;

impl Kernel for Lanes {
    type Output = usize;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> usize {
        I::LANES
    }
}

/// What the heads of one block of queries share.
struct Block {
    cpu: Cpu,
    keys: *const f32,
    values: *const f32,
    stride: usize,
    tokens: usize,
    width: usize,
    /// `log₂ e / √D`, as the softmax is of powers of 2.
    factor: f32,
    queries: *mut f32,
    scores: *mut f32,
    context: *mut f32,
}

impl Block {
    /// The head whose columns begin at `column` of the rows and at `place` of the transposed group.
    ///
    /// # Safety
    /// The pointers are those of [`attention`], and the columns are inside.
    unsafe fn head(&self, column: usize, place: usize, vectors: usize) {
        let Block { cpu, stride, tokens, width, scores, .. } = *self;
        let at = place * vectors * cpu.run(Lanes);
        let mut inverse = [0.0; MAX_VECTORS * MAX_LANES];
        let mut shifts = [0.0; MAX_VECTORS * MAX_LANES];
        // SAFETY: keys and values are rows of `width` numbers from their column on.
        unsafe {
            let (keys, queries) = (self.keys.add(column), self.queries.add(at));
            outer(cpu, [tokens, width], keys, [stride, 1], queries, scores, None, vectors);
            if !cpu.run(Softmax::new(scores, tokens, vectors, &shifts, &mut inverse)) {
                outer(cpu, [tokens, width], keys, [stride, 1], queries, scores, None, vectors);
                cpu.run(Largest::new(scores, tokens, vectors, &inverse, &mut shifts));
                cpu.run(Softmax::new(scores, tokens, vectors, &shifts, &mut inverse));
            }
            let (values, context) = (self.values.add(column), self.context.add(at));
            outer(cpu, [width, tokens], values, [1, stride], scores, context, Some(&inverse), vectors);
        }
    }
}

/// Transposes a block: in, with a factor, or out.
struct Turn {
    rows: *const f32,
    stride: usize,
    count: usize,
    columns: usize,
    turned: *mut f32,
    vectors: usize,
    factor: Option<f32>,
}

impl Turn {
    /// # Safety
    /// `count` rows of `columns` numbers, `stride` apart, can be read (in) or written (out); `turned`
    /// has `columns` rows of `vectors` vectors, which hold `count` lanes.
    unsafe fn new(
        rows: *const f32,
        stride: usize,
        count: usize,
        columns: usize,
        turned: *mut f32,
        vectors: usize,
        factor: Option<f32>,
    ) -> Self {
        Turn { rows, stride, count, columns, turned, vectors, factor }
    }
}

impl Kernel for Turn {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Turn { rows, stride, count, columns, turned, vectors, factor } = self;
        for v in 0..vectors {
            let here = count.saturating_sub(v * I::LANES).min(I::LANES);
            // SAFETY: the promise of `new`.
            unsafe {
                let (rows, turned) = (rows.add(v * I::LANES * stride), turned.add(v * I::LANES));
                if let Some(factor) = factor {
                    isa.transpose_in(rows, stride, here, columns, turned, vectors * I::LANES);
                    for c in 0..columns {
                        let at = turned.add(c * vectors * I::LANES);
                        isa.store(at, isa.mul(isa.load(at), isa.splat(factor)));
                    }
                } else {
                    isa.transpose_out(turned, vectors * I::LANES, here, columns, rows.cast_mut(), stride);
                }
            }
        }
    }
}

/// `result[r, q] = Σ_k a[r, k] b[k, q]`, times `scale[q]` if there is one: `a` number by number, with strides of its
/// rows and columns, `b` and the result in rows of `vectors` vectors.
///
/// # Safety
/// All numbers of `[rows, depth]` of `a`, `depth` rows of `b` and `rows` rows of the result are there.
#[expect(clippy::too_many_arguments, reason = "a matrix product with strides")]
unsafe fn outer(
    cpu: Cpu,
    [rows, depth]: [usize; 2],
    a: *const f32,
    strides: [usize; 2],
    b: *const f32,
    result: *mut f32,
    scale: Option<&[f32; MAX_VECTORS * MAX_LANES]>,
    vectors: usize,
) {
    let highest = cpu.run(Height);
    let tiles = rows.div_ceil(highest).max(1);
    let (low, higher) = (rows / tiles, rows % tiles);
    let scale = scale.map_or(std::ptr::null(), |scale| scale.as_ptr());
    for (row, tiles, height) in [(0, higher, low + 1), (higher * (low + 1), tiles - higher, low)] {
        if tiles == 0 || height == 0 {
            continue;
        }
        let product = Outer { a, strides, row, tiles, depth, b, result, scale };
        macro_rules! heights {
            ($v:literal: $($m:literal)*) => {
                match height {
                    // SAFETY: the caller's promise.
                    $($m => cpu.run(unsafe { SizedOuter::<$m, $v>::new(product) }),)*
                    _ => unreachable!("a tile has at most {MAX_ROWS} rows"),
                }
            };
        }
        match vectors {
            1 => heights!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13),
            _ => heights!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13),
        }
    }
}

/// Most rows of a tile of two vectors.
struct Height;

impl Kernel for Height {
    type Output = usize;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> usize {
        height::<I>()
    }
}

const fn height<I: Isa>() -> usize {
    if I::REGISTERS >= 32 { MAX_ROWS } else { 5 }
}

#[derive(Clone, Copy)]
struct Outer {
    a: *const f32,
    strides: [usize; 2],
    row: usize,
    tiles: usize,
    depth: usize,
    b: *const f32,
    result: *mut f32,
    scale: *const f32,
}

struct SizedOuter<const M: usize, const V: usize>(Outer);

impl<const M: usize, const V: usize> SizedOuter<M, V> {
    /// # Safety
    /// As [`outer`].
    unsafe fn new(outer: Outer) -> Self {
        SizedOuter(outer)
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment speaks for all of them")]
impl<const M: usize, const V: usize> Kernel for SizedOuter<M, V> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        if M > height::<I>() {
            // Never so: keeps the compiler from making tiles that this set has no registers for.
            return;
        }
        let Outer { a, strides: [down, across], row, tiles, depth, b, result, scale } = self.0;
        for tile in 0..tiles {
            let row = row + tile * M;
            let mut sums = [[isa.zero(); V]; M];
            // SAFETY (this and all below): the promise of `new`.
            let (mut a, mut b) = (unsafe { a.add(row * down) }, b);
            for _ in 0..depth {
                let mut x = [isa.zero(); V];
                for (v, x) in x.iter_mut().enumerate() {
                    *x = unsafe { isa.load(b.add(v * I::LANES)) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let number = isa.splat(unsafe { *a.add(r * down) });
                    for (sum, &x) in sums.iter_mut().zip(&x) {
                        *sum = isa.fma(number, x, *sum);
                    }
                }
                (a, b) = (a.wrapping_add(across), b.wrapping_add(V * I::LANES));
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sum) in sums.iter().enumerate() {
                    let to = unsafe { result.add(((row + r) * V + v) * I::LANES) };
                    let sum =
                        if scale.is_null() { sum } else { isa.mul(sum, unsafe { isa.load(scale.add(v * I::LANES)) }) };
                    unsafe { isa.store(to, sum) };
                }
            }
        }
    }
}

/// `2^(score - shift)` in place, and the reciprocals of their sums; whether all sums are in the range in which
/// nothing was lost.
///
/// A softmax is the same whatever is taken away from all scores. The usual choice, the largest, costs a pass over
/// them; 0 is as good while a sum stays far from what 32 bits can hold.
struct Softmax<'a> {
    scores: *mut f32,
    keys: usize,
    vectors: usize,
    shifts: &'a [f32; MAX_VECTORS * MAX_LANES],
    inverse: &'a mut [f32; MAX_VECTORS * MAX_LANES],
}

/// Reciprocals of sums between which nothing was lost: a weight of 2^100 is still exact, and what is lost below
/// 2^-126 is nothing beside 2^-60.
const TRUSTED: std::ops::RangeInclusive<f32> = 7.888_609e-31..=1.152_921_5e18;

impl<'a> Softmax<'a> {
    /// # Safety
    /// `scores` holds `keys` rows of `vectors` vectors.
    unsafe fn new(
        scores: *mut f32,
        keys: usize,
        vectors: usize,
        shifts: &'a [f32; MAX_VECTORS * MAX_LANES],
        inverse: &'a mut [f32; MAX_VECTORS * MAX_LANES],
    ) -> Self {
        Softmax { scores, keys, vectors, shifts, inverse }
    }
}

impl Kernel for Softmax<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> bool {
        match self.vectors {
            // SAFETY: the promise of `new`.
            1 => unsafe { softmax::<I, 1>(isa, self) },
            // SAFETY: as above.
            _ => unsafe { softmax::<I, 2>(isa, self) },
        }
    }
}

/// # Safety
/// As [`Softmax::new`], with `V` vectors.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one comment speaks for all of them")]
#[inline(always)]
unsafe fn softmax<I: Isa, const V: usize>(isa: I, softmax: Softmax<'_>) -> bool {
    let Softmax { scores, keys, shifts, inverse, .. } = softmax;
    let (mut sums, mut shift) = ([isa.zero(); V], [isa.zero(); V]);
    for (v, shift) in shift.iter_mut().enumerate() {
        // SAFETY (this and all below): a vector of a row, or of the lanes of a block.
        *shift = unsafe { isa.load(shifts.as_ptr().add(v * I::LANES)) };
    }
    for key in 0..keys {
        for (v, sum) in sums.iter_mut().enumerate() {
            let at = unsafe { scores.add((key * V + v) * I::LANES) };
            let weight = math::exp2_inside(isa, isa.sub(unsafe { isa.load(at) }, shift[v]));
            *sum = isa.add(*sum, weight);
            unsafe { isa.store(at, weight) };
        }
    }
    for (v, &sum) in sums.iter().enumerate() {
        unsafe { isa.store(inverse.as_mut_ptr().add(v * I::LANES), isa.div(isa.splat(1.0), sum)) };
    }
    inverse[..V * I::LANES].iter().all(|inverse| TRUSTED.contains(inverse))
}

/// The largest score of each query whose sum cannot be trusted, and 0 for the others: a query's result must not
/// depend on those beside it.
struct Largest<'a> {
    scores: *const f32,
    keys: usize,
    vectors: usize,
    inverse: &'a [f32; MAX_VECTORS * MAX_LANES],
    shifts: &'a mut [f32; MAX_VECTORS * MAX_LANES],
}

impl<'a> Largest<'a> {
    /// # Safety
    /// As [`Softmax::new`].
    unsafe fn new(
        scores: *const f32,
        keys: usize,
        vectors: usize,
        inverse: &'a [f32; MAX_VECTORS * MAX_LANES],
        shifts: &'a mut [f32; MAX_VECTORS * MAX_LANES],
    ) -> Self {
        Largest { scores, keys, vectors, inverse, shifts }
    }
}

impl Kernel for Largest<'_> {
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
            if TRUSTED.contains(inverse) {
                *shift = 0.0;
            }
        }
    }
}
