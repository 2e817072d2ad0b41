//! Attention over ragged sequences in two operations, scores and context, because objectives look at the scores.
//!
//! Scores are ragged too: in the order sequence, head, query, key. All products read queries, keys, values and their
//! gradients as they lie in `[N, 3H]`; only keys and values are transposed, a head at a time.

use rayon::prelude::*;

use super::mask::Mask;
use super::memory::{give_buffer, take, take_buffer};
use super::product::{Product, Turn};
use super::rows::Place;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::math::exp2_inside;

/// How the sequences of a batch lie: how many rows each one occupies, and how many of them, from its first on, are keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ragged {
    spans: Vec<Span>,
    rows: usize,
    /// Query-key pairs of one head.
    pairs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: usize,
    rows: usize,
    keys: usize,
    /// Pairs of one head of all sequences before.
    pairs: usize,
}

impl Ragged {
    /// Sequences of `rows` rows, the first `keys` of each being looked at.
    ///
    /// # Panics
    /// If a sequence has no key, or more than rows.
    #[track_caller]
    pub fn new(sequences: impl IntoIterator<Item = (usize, usize)>) -> Ragged {
        let mut ragged = Ragged { spans: Vec::new(), rows: 0, pairs: 0 };
        for (rows, keys) in sequences {
            assert!(0 < keys && keys <= rows, "{keys} keys in a sequence of {rows} rows");
            ragged.spans.push(Span { first: ragged.rows, rows, keys, pairs: ragged.pairs });
            ragged.rows += rows;
            ragged.pairs += rows * rows;
        }
        ragged
    }

    /// N, the rows of all sequences.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// P, the query-key pairs of `heads` heads.
    pub fn pairs(&self, heads: usize) -> usize {
        self.pairs * heads
    }

    /// Runs `work` for every head of every sequence, on any thread.
    fn each(&self, heads: usize, width: usize, work: impl Fn(Head) + Sync) {
        if width == 0 {
            return;
        }
        (0..self.spans.len() * heads).into_par_iter().for_each(|unit| {
            let (span, head) = (self.spans[unit / heads], unit % heads);
            let pairs = span.pairs * heads + head * span.rows * span.rows;
            work(Head { span, column: head * width, width, hidden: heads * width, pairs });
        });
    }

    #[track_caller]
    fn check(&self, qkv: &[f32], heads: usize) -> usize {
        assert!(heads > 0, "attention has heads");
        let width = if self.rows == 0 { 0 } else { qkv.len() / (3 * self.rows * heads) };
        assert_eq!(qkv.len(), 3 * self.rows * heads * width, "{} rows of queries, keys and values", self.rows);
        width
    }
}

/// One head of one sequence.
#[derive(Debug, Clone, Copy)]
struct Head {
    span: Span,
    /// Its first column of H.
    column: usize,
    width: usize,
    hidden: usize,
    /// Its first pair.
    pairs: usize,
}

impl Head {
    /// Where its queries (0), keys (1) or values (2) begin in `[N, 3H]`.
    fn third(&self, part: usize) -> usize {
        self.span.first * 3 * self.hidden + part * self.hidden + self.column
    }

    /// Where it begins in `[N, H]`.
    fn context(&self) -> usize {
        self.span.first * self.hidden + self.column
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// Rows of keys in whole vectors.
fn padded(rows: usize) -> usize {
    // The widest vector has 16 lanes.
    rows.next_multiple_of(16)
}

/// `Q Kᵀ / √D` before mask and softmax: `[N, 3H]` to `[P]`.
///
/// # Panics
/// If the lengths do not fit.
#[track_caller]
pub fn attention_scores(cpu: Cpu, qkv: &[f32], heads: usize, ragged: &Ragged) -> Vec<f32> {
    let width = ragged.check(qkv, heads);
    let mut scores = take(ragged.pairs(heads));
    if width == 0 {
        scores.fill(0.0);
    }
    let to = Place::of(&mut scores);
    ragged.each(heads, width, |head| {
        let Span { rows, .. } = head.span;
        let across = padded(rows);
        let mut turned = take_buffer(width * across);
        let stride = 3 * head.hidden;
        let keys = qkv[head.third(1)..].as_ptr();
        // SAFETY: `rows` rows of `width` keys, and a buffer for them.
        cpu.run(unsafe { Turn::new(keys, stride, rows, width, turned.as_mut_ptr(), across) });
        let product = Product {
            a: qkv[head.third(0)..].as_ptr(),
            down: stride,
            across: 1,
            b: turned.as_ptr(),
            b_stride: across,
            // SAFETY: the pairs of this head, which belong to this task.
            c: unsafe { to.at(head.pairs) },
            c_stride: rows,
            rows,
            depth: width,
            columns: rows,
            scale: head.scale(),
            add: false,
        };
        // SAFETY: queries, turned keys and pairs of this head.
        unsafe { product.run(cpu) };
        give_buffer(turned);
    });
    scores
}

/// Gradient of [`attention_scores`] at `[N, 3H]` where the scores have the gradient `ds` `[P]`; that of the values is 0. If
/// `sum` is given, it is added to that.
///
/// # Panics
/// If the lengths do not fit.
#[track_caller]
pub fn attention_scores_backward(
    cpu: Cpu,
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    ds: &[f32],
    sum: Option<Vec<f32>>,
) -> Vec<f32> {
    let width = ragged.check(qkv, heads);
    assert_eq!(ds.len(), ragged.pairs(heads), "a gradient of each pair");
    assert!(sum.as_ref().is_none_or(|sum| sum.len() == qkv.len()), "a gradient of queries, keys and values");
    let add = sum.is_some();
    let mut gradient = sum.unwrap_or_else(|| take(qkv.len()));
    let hidden = heads * width;
    if !add && hidden > 0 {
        gradient.par_chunks_mut(3 * hidden).for_each(|row| row[2 * hidden..].fill(0.0));
    }
    let to = Place::of(&mut gradient);
    ragged.each(heads, width, |head| {
        let Span { rows, .. } = head.span;
        let stride = 3 * hidden;
        let ds = ds[head.pairs..].as_ptr();
        let of_queries = Product {
            a: ds,
            down: rows,
            across: 1,
            b: qkv[head.third(1)..].as_ptr(),
            b_stride: stride,
            // SAFETY: the queries of this head, whose gradients belong to this task.
            c: unsafe { to.at(head.third(0)) },
            c_stride: stride,
            rows,
            depth: rows,
            columns: width,
            scale: head.scale(),
            add,
        };
        let of_keys = Product {
            down: 1,
            across: rows,
            b: qkv[head.third(0)..].as_ptr(),
            // SAFETY: as above, of the keys.
            c: unsafe { to.at(head.third(1)) },
            ..of_queries
        };
        // SAFETY: pairs, queries and keys of this head.
        unsafe {
            of_queries.run(cpu);
            of_keys.run(cpu);
        }
    });
    gradient
}

/// `dropout(softmax(scores)) V` over the keys of each sequence: `[P]` and the values of `[N, 3H]` to `[N, H]`.
///
/// # Panics
/// If the lengths do not fit.
#[track_caller]
pub fn attention_context(
    cpu: Cpu,
    scores: &[f32],
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    mask: Option<&Mask>,
) -> Vec<f32> {
    let width = ragged.check(qkv, heads);
    check_pairs(ragged, heads, scores, mask);
    let mut context = take(ragged.rows * heads * width);
    let to = Place::of(&mut context);
    ragged.each(heads, width, |head| {
        let Span { rows, keys, .. } = head.span;
        let across = padded(rows);
        let mut weights = take_buffer(rows * across);
        let row = Softmax {
            scores: scores[head.pairs..].as_ptr(),
            rows,
            keys,
            weights: weights.as_mut_ptr(),
            across,
            mask: mask.map(|mask| (mask.from(head.pairs), mask.factor())),
            gradient: None,
        };
        let product = Product {
            a: weights.as_ptr(),
            down: across,
            across: 1,
            b: qkv[head.third(2)..].as_ptr(),
            b_stride: 3 * head.hidden,
            // SAFETY: the columns of this head, which belong to this task.
            c: unsafe { to.at(head.context()) },
            c_stride: head.hidden,
            rows,
            depth: keys,
            columns: width,
            scale: 1.0,
            add: false,
        };
        // SAFETY: pairs, weights, values and context of this head.
        unsafe {
            row.run(cpu);
            product.run(cpu);
        }
        give_buffer(weights);
    });
    context
}

/// Gradients of [`attention_context`] at the scores `[P]` and at `[N, 3H]`, where those of queries and keys are 0, if the
/// context has the gradient `dc` `[N, H]`. If `sum` is given, the first is added to that.
///
/// # Panics
/// If the lengths do not fit.
#[expect(clippy::too_many_arguments, reason = "an operation and its gradient")]
#[track_caller]
pub fn attention_context_backward(
    cpu: Cpu,
    scores: &[f32],
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    mask: Option<&Mask>,
    dc: &[f32],
    sum: Option<Vec<f32>>,
) -> [Vec<f32>; 2] {
    let width = ragged.check(qkv, heads);
    let hidden = heads * width;
    check_pairs(ragged, heads, scores, mask);
    assert_eq!(dc.len(), ragged.rows * hidden, "a gradient of the context");
    assert!(sum.as_ref().is_none_or(|sum| sum.len() == scores.len()), "a gradient of each pair");
    let add = sum.is_some();
    let (mut ds, mut dqkv) = (sum.unwrap_or_else(|| take(scores.len())), take(qkv.len()));
    if hidden > 0 {
        dqkv.par_chunks_mut(3 * hidden).for_each(|row| row[..2 * hidden].fill(0.0));
    } else if !add {
        ds.fill(0.0);
    }
    let (to_pairs, to_values) = (Place::of(&mut ds), Place::of(&mut dqkv));
    ragged.each(heads, width, |head| {
        let Span { rows, keys, .. } = head.span;
        let (across, stride) = (padded(rows), 3 * hidden);
        let mut buffer = take_buffer(2 * rows * across + width * across);
        let (weights, rest) = buffer.split_at_mut(rows * across);
        let (gradients, turned) = rest.split_at_mut(rows * across);
        let values = qkv[head.third(2)..].as_ptr();
        let dc = dc[head.context()..].as_ptr();
        let of_weights = Product {
            a: dc,
            down: hidden,
            across: 1,
            b: turned.as_ptr(),
            b_stride: across,
            c: gradients.as_mut_ptr(),
            c_stride: across,
            rows,
            depth: width,
            // The values are followed by zeros, and so are these gradients.
            columns: across,
            scale: 1.0,
            add: false,
        };
        let row = Softmax {
            scores: scores[head.pairs..].as_ptr(),
            rows,
            keys,
            weights: weights.as_mut_ptr(),
            across,
            mask: mask.map(|mask| (mask.from(head.pairs), mask.factor())),
            // SAFETY: the pairs of this head, which belong to this task.
            gradient: Some(SoftmaxGradient {
                of_weights: gradients.as_mut_ptr(),
                to: unsafe { to_pairs.at(head.pairs) },
                add,
            }),
        };
        let of_values = Product {
            a: weights.as_ptr(),
            down: 1,
            across,
            b: dc,
            b_stride: hidden,
            // SAFETY: the values of this head, whose gradients belong to this task.
            c: unsafe { to_values.at(head.third(2)) },
            c_stride: stride,
            rows,
            depth: rows,
            columns: width,
            scale: 1.0,
            add: false,
        };
        // SAFETY: pairs, values and gradients of this head, and buffers as large as they must be.
        unsafe {
            cpu.run(Turn::new(values, stride, rows, width, turned.as_mut_ptr(), across));
            of_weights.run(cpu);
            row.run(cpu);
            of_values.run(cpu);
        }
        give_buffer(buffer);
    });
    [ds, dqkv]
}

#[track_caller]
fn check_pairs(ragged: &Ragged, heads: usize, scores: &[f32], mask: Option<&Mask>) {
    assert_eq!(scores.len(), ragged.pairs(heads), "a score for each pair");
    assert!(mask.is_none_or(|mask| mask.len() == scores.len()), "a mask of each pair");
}

/// The softmax of one head, row by row, and its gradient.
struct Softmax {
    /// `[rows, rows]`
    scores: *const f32,
    rows: usize,
    keys: usize,
    /// `[rows, across]`: softmax times mask, 0 beyond the keys.
    weights: *mut f32,
    across: usize,
    /// Of `[rows, rows]`, and a vector more; and its factor.
    mask: Option<(*const i8, f32)>,
    gradient: Option<SoftmaxGradient>,
}

struct SoftmaxGradient {
    /// Gradients of the weights `[rows, across]`; used up.
    of_weights: *mut f32,
    /// Of the scores `[rows, rows]`.
    to: *mut f32,
    add: bool,
}

impl Softmax {
    /// # Safety
    /// All that the fields say is there, and `across` is a whole number of vectors.
    unsafe fn run(self, cpu: Cpu) {
        cpu.run(RunSoftmax(self));
    }
}

struct RunSoftmax(Softmax);

impl Kernel for RunSoftmax {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Softmax { scores, rows, keys, weights, across, mask, gradient } = self.0;
        let log2 = isa.splat(std::f32::consts::LOG2_E);
        // SAFETY (all blocks): the promise of `Softmax::run`; `c` is in a row of `across` numbers.
        for r in 0..rows {
            let (scores, weights) = unsafe { (scores.add(r * rows), weights.add(r * across)) };
            // Beyond the keys a score of -∞, and at the end a weight of 0.
            let whole = keys / I::LANES * I::LANES;
            let mut largest = isa.splat(f32::NEG_INFINITY);
            let mut c = 0;
            while c < whole {
                largest = isa.max(largest, unsafe { isa.load(scores.add(c)) });
                c += I::LANES;
            }
            let rest = keys - whole;
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
                    let x = exp2_inside(isa, isa.fma(isa.load(scores.add(c)), log2, shift));
                    sum = isa.add(sum, x);
                    isa.store(weights.add(c), x);
                }
                c += I::LANES;
            }
            if rest > 0 {
                unsafe {
                    let x = exp2_inside(isa, isa.fma(isa.load(weights.add(whole)), log2, shift));
                    isa.store(weights.add(whole), isa.zero());
                    isa.store_part(weights.add(whole), x, rest);
                    sum = isa.add(sum, isa.load(weights.add(whole)));
                }
            }
            let mut c = keys.next_multiple_of(I::LANES);
            while c < across {
                unsafe { isa.store(weights.add(c), isa.zero()) };
                c += I::LANES;
            }
            let inverse = isa.splat(1.0 / isa.sum(sum));
            let Some(SoftmaxGradient { of_weights, to, add }) = &gradient else {
                let mut c = 0;
                while c < keys {
                    unsafe {
                        let factor = match mask {
                            Some((mask, factor)) => isa.mul(
                                inverse,
                                isa.mul(isa.load_signed_bytes(mask.add(r * rows + c)), isa.splat(factor)),
                            ),
                            None => inverse,
                        };
                        isa.store(weights.add(c), isa.mul(isa.load(weights.add(c)), factor));
                    }
                    c += I::LANES;
                }
                continue;
            };
            let (of_weights, to) = unsafe { (of_weights.add(r * across), to.add(r * rows)) };
            let mut along = isa.zero();
            let mut c = 0;
            while c < keys {
                unsafe {
                    let weight = isa.mul(isa.load(weights.add(c)), inverse);
                    let mut g = isa.load(of_weights.add(c));
                    if let Some((mask, factor)) = mask {
                        g = isa.mul(g, isa.mul(isa.load_signed_bytes(mask.add(r * rows + c)), isa.splat(factor)));
                        isa.store(of_weights.add(c), g);
                    }
                    along = isa.fma(weight, g, along);
                    isa.store(weights.add(c), weight);
                }
                c += I::LANES;
            }
            let along = isa.splat(isa.sum(along));
            let mut c = 0;
            while c < rows {
                let n = (rows - c).min(I::LANES);
                unsafe {
                    let weight = isa.load(weights.add(c));
                    let g = isa.mul(weight, isa.sub(isa.load(of_weights.add(c)), along));
                    let there = if *add { isa.load_part(to.add(c), n) } else { isa.zero() };
                    isa.store_part(to.add(c), isa.add(there, g), n);
                    if let Some((mask, factor)) = mask {
                        let factor = isa.mul(isa.load_signed_bytes(mask.add(r * rows + c)), isa.splat(factor));
                        isa.store(weights.add(c), isa.mul(weight, factor));
                    }
                }
                c += I::LANES;
            }
        }
    }
}
