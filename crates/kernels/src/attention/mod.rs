//! Attention of one sequence: scores, softmax and weighted sum, without padding and without a mask.
//!
//! The lanes of a vector are queries. Keys and values are then read number by number as they lie, so that no
//! head width (26, 4) wastes a lane; the softmax goes along the keys, which are different vectors, and needs no
//! sum across lanes. Only the queries and the result are transposed, a group of heads at a time.

mod narrow;
mod outer;
mod softmax;

use std::ops::Range;

use crate::buffer::{Buffer, Rows, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

use self::narrow::narrow;
use self::outer::outer;
use self::softmax::{Largest, Weigh};

/// Columns of heads that are transposed together, at least one head.
const GROUP: usize = 64;
/// Most vectors of queries of a block.
const MAX_VECTORS: usize = 2;
/// Most lanes of a vector.
const MAX_LANES: usize = 16;

/// How exactly a softmax is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// To the precision of 32-bit floats.
    Exact,
    /// Weights off by at most [`Softmax::COARSE_ERROR`] of themselves: for a result that becomes bytes.
    Coarse,
}

impl Softmax {
    /// Largest relative error of a weight before it is divided by their sum.
    pub const COARSE_ERROR: f32 = 7.6e-5;
}

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
/// (T + 8) ε) - 1`, and twice [`Softmax::COARSE_ERROR`] more if it is coarse, and the result by what that makes of
/// `Σ weight |v|`. No score is too large or too far from the
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
    softmax: Softmax,
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
                let (column, place) = ((head + h) * width, h * width);
                // SAFETY: a head of this group.
                unsafe {
                    match softmax {
                        Softmax::Exact => block.head::<math::Exp2Inside>(column, place, vectors),
                        Softmax::Coarse => block.head::<math::Exp2Coarse>(column, place, vectors),
                    }
                };
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
            let to = result[(head * tokens + first) * tokens..][..rows * tokens].as_mut_ptr();
            // SAFETY: `rows` rows of `tokens` results; as many products have just been written.
            cpu.run(unsafe { Turn::new(to, tokens, rows, tokens, products, vectors, None) });
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
    unsafe fn head<E: math::Function>(&self, column: usize, place: usize, vectors: usize) {
        let Block { cpu, stride, tokens, width, scores, .. } = *self;
        let at = place * vectors * cpu.run(Lanes);
        let mut inverse = [0.0; MAX_VECTORS * MAX_LANES];
        let mut shifts = [0.0; MAX_VECTORS * MAX_LANES];
        // SAFETY: keys and values are rows of `width` numbers from their column on.
        unsafe {
            let (keys, queries) = (self.keys.add(column), self.queries.add(at));
            let (values, context) = (self.values.add(column), self.context.add(at));
            if narrow::<E>(cpu, [tokens, width], keys, values, stride, queries, context, vectors) {
                return;
            }
            outer(cpu, [tokens, width], keys, [stride, 1], queries, scores, None, vectors);
            if !cpu.run(Weigh::<E>::new(scores, tokens, vectors, &shifts, &mut inverse)) {
                outer(cpu, [tokens, width], keys, [stride, 1], queries, scores, None, vectors);
                cpu.run(Largest::new(scores, tokens, vectors, &inverse, &mut shifts));
                cpu.run(Weigh::<E>::new(scores, tokens, vectors, &shifts, &mut inverse));
            }
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
