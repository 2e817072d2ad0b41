//! Attention of one sequence: scores, softmax and weighted sum, without padding and without a mask.
//!
//! The lanes of a vector are queries. Keys and values are then read in place, element by element, so that no
//! head width (26, 4) wastes a lane; the softmax runs along the keys, which are different vectors, and needs no
//! sum across lanes. Only the queries and the result are transposed, a group of heads at a time.

mod bias;
mod block;
mod narrow;
mod softmax;
mod strided_product;

use std::ops::Range;

use crate::buffer::{Buffer, Rows, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math;

pub use self::bias::RelativeBias;
use self::bias::Start;
use self::block::{Lanes, MAX_LANES, MAX_VECTORS};
use self::narrow::narrow;
use self::softmax::{ExpAndSum, FindLargest};
use self::strided_product::strided_product;

/// Columns that are transposed at a time; at least one head.
const GROUP: usize = 64;
/// How exactly a softmax is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// To the precision of 32-bit floats.
    Exact,
    /// Weights off by at most [`Softmax::COARSE_ERROR`] of themselves: for a result that is quantized to int8.
    Coarse,
}

impl Softmax {
    /// Largest relative error of a weight before it is divided by their sum.
    pub const COARSE_ERROR: f32 = 7.6e-5;
}

/// Scratch memory of [`attention`], reused from call to call.
#[derive(Debug, Default)]
pub struct AttentionScratch {
    /// Queries of a group of heads, transposed: `[D of each head, queries]`.
    queries: Buffer<f32>,
    /// Scores, then weights: `[keys, queries]`.
    scores: Buffer<f32>,
    /// Weighted sums of a group, transposed: `[D of each head, queries]`.
    context: Buffer<f32>,
}

/// `softmax(Q Kᵀ / √D + bias) V` of each head (Vaswani et al. 2017, equation 1) for some queries of a sequence; without a
/// bias the one of BERT.
///
/// `qkv` `[T, 3H]` holds queries, keys and values of the whole sequence side by side, `context`
/// `[queries, H]` receives the result of the rows `queries` alone. The result of a query does not depend on which
/// other queries are computed with it.
///
/// A score `s` is off by at most `e = (D + 4) ε/2 (Σ |q k| / √D + |bias|)`; a weight, relatively, by `exp(2 max e + 4 ε max |s| +
/// (T + 8) ε) - 1`, and twice [`Softmax::COARSE_ERROR`] more if it is coarse, and the result by the same share of
/// `Σ weight |v|`. Scores may be arbitrarily large and far apart. A query or key that is NaN or infinite makes every
/// score it enters NaN, and so a query's whole head.
///
/// # Panics
/// If the shapes do not match: H is a whole number of heads, and the bias has as many and is for as many tokens.
#[expect(clippy::too_many_arguments, reason = "what attention reads and writes")]
#[track_caller]
pub fn attention(
    cpu: Cpu,
    qkv: Rows<'_, f32>,
    heads: usize,
    queries: Range<usize>,
    bias: Option<&RelativeBias>,
    softmax: Softmax,
    context: RowsMut<'_, f32>,
    scratch: &mut AttentionScratch,
) {
    let hidden = qkv.columns / 3;
    assert!(
        heads > 0 && qkv.columns == 3 * hidden && hidden.is_multiple_of(heads),
        "queries, keys and values of {heads} heads"
    );
    assert!(queries.start <= queries.end && queries.end <= qkv.rows, "queries {queries:?} of {}", qkv.rows);
    assert_eq!([context.rows, context.columns], [queries.len(), hidden], "rows and columns of the context");
    if let Some(bias) = bias {
        bias.check(heads, qkv.rows);
    }
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
            cpu.run(unsafe {
                TransposeBlock::new(from, qkv.stride, rows, columns, block.queries, vectors, Some(block.factor))
            });
            for h in 0..columns / width {
                let (column, group_column) = ((head + h) * width, h * width);
                // The softmax is computed with powers of 2.
                let start = bias.map(|bias| bias.start(head + h, first, std::f32::consts::LOG2_E));
                // SAFETY: a head of this group.
                unsafe {
                    match softmax {
                        Softmax::Exact => block.head::<math::Exp2InRange>(column, group_column, vectors, start),
                        Softmax::Coarse => block.head::<math::Exp2Coarse>(column, group_column, vectors, start),
                    }
                };
            }
            // SAFETY: as above, of the context.
            cpu.run(unsafe { TransposeBlock::new(to, context.stride, rows, columns, block.context, vectors, None) });
        }
        first += rows;
    }
}

/// Attention scores before the softmax, `Q Kᵀ / √D + bias`: `[A, T, T]` of one sequence, heads, queries, keys. Off by at
/// most `(D + 4) ε/2 (Σ |q k| / √D + |bias|)`.
///
/// # Panics
/// If the shapes do not match.
#[track_caller]
pub fn attention_scores(
    cpu: Cpu,
    qkv: Rows<'_, f32>,
    heads: usize,
    bias: Option<&RelativeBias>,
    scores: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let (hidden, tokens) = (qkv.columns / 3, qkv.rows);
    assert!(
        heads > 0 && qkv.columns == 3 * hidden && hidden.is_multiple_of(heads),
        "queries, keys and values of {heads} heads"
    );
    assert_eq!(scores.len(), heads * tokens * tokens, "scores of {heads} heads and {tokens} tokens");
    if let Some(bias) = bias {
        bias.check(heads, tokens);
    }
    products_of_heads(cpu, [qkv.columns(0, hidden), qkv.columns(hidden, hidden)], heads, bias, scores, scratch);
}

/// `X Yᵀ / √D` of each head of `x` and `y` `[T, H]`: `[heads, T, T]` of one sequence. With queries and keys
/// these are attention scores; with one matrix twice, MiniLM's relations (Wang et al. 2021).
///
/// # Panics
/// If the shapes do not match.
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
    assert_eq!([y.rows, y.columns], [tokens, hidden], "x and y have one shape");
    assert!(heads > 0 && hidden.is_multiple_of(heads), "{hidden} columns do not divide into {heads} heads");
    assert_eq!(result.len(), heads * tokens * tokens, "results of {heads} heads and {tokens} tokens");
    products_of_heads(cpu, [x, y], heads, None, result, scratch);
}

/// `X Yᵀ / √D + bias` of each head; the caller has checked the shapes.
fn products_of_heads(
    cpu: Cpu,
    [x, y]: [Rows<'_, f32>; 2],
    heads: usize,
    bias: Option<&RelativeBias>,
    result: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let (tokens, hidden) = (x.rows, x.columns);
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
            let (transposed, products) = (scratch.queries.as_mut_ptr(), scratch.scores.as_mut_ptr());
            // SAFETY: `rows` rows of `width` numbers; the scratch was made for a block.
            cpu.run(unsafe { TransposeBlock::new(from, x.stride, rows, width, transposed, vectors, Some(scale)) });
            let keys = y.data[head * width..].as_ptr();
            let start = bias.map(|bias| bias.start(head, first, 1.0));
            // SAFETY: `tokens` keys of `width` numbers.
            unsafe {
                strided_product(cpu, [tokens, width], keys, [y.stride, 1], transposed, products, start, None, vectors);
            }
            let to = result[(head * tokens + first) * tokens..][..rows * tokens].as_mut_ptr();
            // SAFETY: `rows` rows of `tokens` results; as many products have just been written.
            cpu.run(unsafe { TransposeBlock::new(to, tokens, rows, tokens, products, vectors, None) });
        }
    }
}

/// What all heads of one block of queries share.
struct Block {
    cpu: Cpu,
    keys: *const f32,
    values: *const f32,
    stride: usize,
    tokens: usize,
    width: usize,
    /// `log₂ e / √D`: the softmax is computed with powers of 2.
    factor: f32,
    queries: *mut f32,
    scores: *mut f32,
    context: *mut f32,
}

impl Block {
    /// Computes the head whose columns begin at `column` of the rows and at `group_column` of the transposed group.
    ///
    /// # Safety
    /// The pointers are those of [`attention`], the columns are inside, and biases are there for the block's queries.
    unsafe fn head<E: math::Function>(&self, column: usize, group_column: usize, vectors: usize, start: Option<Start>) {
        let Block { cpu, stride, tokens, width, scores, .. } = *self;
        let at = group_column * vectors * cpu.run(Lanes);
        let mut inverse = [0.0; MAX_VECTORS * MAX_LANES];
        let mut shifts = [0.0; MAX_VECTORS * MAX_LANES];
        // SAFETY: keys and values are rows of `width` numbers from their column on.
        unsafe {
            let (keys, queries) = (self.keys.add(column), self.queries.add(at));
            let (values, context) = (self.values.add(column), self.context.add(at));
            if narrow::<E>(cpu, [tokens, width], keys, values, stride, queries, context, start, vectors) {
                return;
            }
            strided_product(cpu, [tokens, width], keys, [stride, 1], queries, scores, start, None, vectors);
            if !cpu.run(ExpAndSum::<E>::new(scores, tokens, vectors, &shifts, &mut inverse)) {
                strided_product(cpu, [tokens, width], keys, [stride, 1], queries, scores, start, None, vectors);
                cpu.run(FindLargest::new(scores, tokens, vectors, &inverse, &mut shifts));
                cpu.run(ExpAndSum::<E>::new(scores, tokens, vectors, &shifts, &mut inverse));
            }
            strided_product(cpu, [width, tokens], values, [1, stride], scores, context, None, Some(&inverse), vectors);
        }
    }
}

/// Transposes a block: in, multiplied by a factor, or out, if there is none.
struct TransposeBlock {
    rows: *const f32,
    stride: usize,
    count: usize,
    columns: usize,
    transposed: *mut f32,
    vectors: usize,
    factor: Option<f32>,
}

impl TransposeBlock {
    /// # Safety
    /// `count` rows of `columns` numbers, `stride` apart, can be read (in) or written (out); `transposed`
    /// has `columns` rows of `vectors` vectors, which hold `count` lanes.
    unsafe fn new(
        rows: *const f32,
        stride: usize,
        count: usize,
        columns: usize,
        transposed: *mut f32,
        vectors: usize,
        factor: Option<f32>,
    ) -> Self {
        TransposeBlock { rows, stride, count, columns, transposed, vectors, factor }
    }
}

impl Kernel for TransposeBlock {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let TransposeBlock { rows, stride, count, columns, transposed, vectors, factor } = self;
        for v in 0..vectors {
            let here = count.saturating_sub(v * I::LANES).min(I::LANES);
            // SAFETY: the promise of `new`.
            unsafe {
                let (rows, transposed) = (rows.add(v * I::LANES * stride), transposed.add(v * I::LANES));
                if let Some(factor) = factor {
                    isa.transpose_in(rows, stride, here, columns, transposed, vectors * I::LANES);
                    for c in 0..columns {
                        let at = transposed.add(c * vectors * I::LANES);
                        isa.store(at, isa.mul(isa.load(at), isa.splat(factor)));
                    }
                } else {
                    isa.transpose_out(transposed, vectors * I::LANES, here, columns, rows.cast_mut(), stride);
                }
            }
        }
    }
}
