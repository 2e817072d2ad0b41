//! Attention, scores and relations.

use attar_kernels::{AttentionScratch, Cpu, RelativeBias, Softmax, attention, attention_scores, reference, relations};
use proptest::prelude::*;

use crate::compare::{Guarded, U, assert_within};
use crate::numbers::{Kind, absolute, doubles, numbers, sizes};

/// Around one and two vectors of 4, 8 and 16 queries, and tiles of 5 and 13 keys.
const TOKENS: [usize; 19] = [0, 1, 5, 2, 3, 4, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 40, 70];
/// Heads of up to 8 columns go a way of their own.
const HEADS: [(usize, usize); 11] =
    [(1, 1), (3, 4), (2, 26), (12, 4), (3, 17), (1, 64), (1, 65), (2, 0), (3, 7), (2, 8), (2, 9)];

/// Queries, keys and values `[T, A D]` apart.
struct Case {
    qkv: Vec<f32>,
    parts: [Vec<f64>; 3],
    /// T, A, D
    shape: [usize; 3],
    /// By distance `[A, 2 longest - 1]`, and the longest sequence that it is for.
    bias: Option<(Vec<f32>, usize)>,
}

impl Case {
    /// From `qkv` `[T, 3 A D]`.
    fn new(qkv: Vec<f32>, shape: [usize; 3]) -> Case {
        let hidden = shape[1] * shape[2];
        let part = |p: usize| {
            let rows = (0..shape[0]).flat_map(|t| &qkv[t * 3 * hidden + p * hidden..][..hidden]);
            rows.map(|&x| f64::from(x)).collect()
        };
        Case { parts: [0, 1, 2].map(part), qkv, shape, bias: None }
    }

    /// With a bias for sequences of up to `longest` tokens.
    fn with_bias(self, longest: usize, bias: impl Fn(usize) -> f32) -> Case {
        let numbers = (0..self.shape[1] * (2 * longest - 1)).map(bias).collect();
        Case { bias: Some((numbers, longest)), ..self }
    }

    fn packed_bias(&self) -> Option<RelativeBias> {
        self.bias.as_ref().map(|(numbers, longest)| RelativeBias::new(numbers, self.shape[1], *longest))
    }

    fn hidden(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    /// Scores, and how far they may be off: `(D + 4) ε/2 (Σ |q k| / √D + |bias|)`.
    fn scores(&self) -> (Vec<f64>, Vec<f64>) {
        let [queries, keys, _] = &self.parts;
        let factor = (self.shape[2] + 4) as f64 * U;
        let mut sizes = reference::relations(&absolute(queries), &absolute(keys), self.shape);
        let mut scores = reference::relations(queries, keys, self.shape);
        if let Some((bias, longest)) = &self.bias {
            let shape = [self.shape[0], self.shape[1], *longest];
            reference::add_bias(&mut scores, &doubles(bias), shape);
            reference::add_bias(&mut sizes, &absolute(&doubles(bias)), shape);
        }
        let errors = sizes.into_iter().map(|size| factor * size + f64::from(f32::MIN_POSITIVE)).collect();
        (scores, errors)
    }

    /// The context and what [`attention`] states of its error.
    fn context(&self, softmax: Softmax) -> (Vec<f64>, Vec<f64>) {
        let coarse = if softmax == Softmax::Coarse { 2.0 * f64::from(Softmax::COARSE_ERROR) } else { 0.0 };
        let [tokens, ..] = self.shape;
        let (mut weights, errors) = self.scores();
        let mut spread = weights.clone();
        for ((weights, spread), errors) in
            weights.chunks_mut(tokens.max(1)).zip(spread.chunks_mut(tokens.max(1))).zip(errors.chunks(tokens.max(1)))
        {
            let largest_score = weights.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
            let largest_error = errors.iter().copied().fold(0.0, f64::max);
            reference::softmax(weights);
            let error = 2.0 * (largest_error + 4.0 * U * largest_score) + (tokens + 8) as f64 * 2.0 * U + coarse;
            spread.iter_mut().zip(&*weights).for_each(|(spread, weight)| *spread = error.exp_m1() * weight);
        }
        let values = &self.parts[2];
        let smallest = f64::from(f32::MIN_POSITIVE) * values.iter().fold(1.0, |a, x| a + x.abs());
        let allowed = reference::context(&spread, &absolute(values), self.shape);
        (reference::context(&weights, values, self.shape), allowed.into_iter().map(|x| x + smallest).collect())
    }
}

fn check(case: &Case, gap: usize) {
    let ([tokens, heads, width], hidden) = (case.shape, case.hidden());
    let qkv = Guarded::new(&case.qkv, tokens, 3 * hidden, 3 * hidden + gap);
    let (scores, score_errors) = case.scores();
    let bias = case.packed_bias();
    let bias = bias.as_ref();
    let mut scratch = AttentionScratch::default();
    for cpu in Cpu::all() {
        let what = format!("{cpu} {:?} gap {gap}", case.shape);
        let mut got = vec![f32::NAN; scores.len()];
        attention_scores(cpu, qkv.read(), heads, bias, &mut got, &mut scratch);
        if tokens > 0 && width > 0 {
            assert_within(&format!("{what} scores"), &got, &scores, &score_errors);
        }
        for softmax in [Softmax::Exact, Softmax::Coarse] {
            let what = format!("{what} {softmax:?}");
            let mut output = Guarded::new(&vec![f32::NAN; tokens * hidden], tokens, hidden, hidden + gap);
            attention(cpu, qkv.read(), heads, 0..tokens, bias, softmax, output.view(), &mut scratch);
            let whole = output.values(&what);
            if tokens == 0 || width == 0 {
                continue;
            }
            let (context, errors) = case.context(softmax);
            assert_within(&what, &whole, &context, &errors);
            // A query's result does not depend on which others come with it.
            for part in [tokens / 3..tokens, 0..tokens / 2, tokens - 1..tokens] {
                let mut some = Guarded::new(&vec![0.0; part.len() * hidden], part.len(), hidden, hidden + 1);
                attention(cpu, qkv.read(), heads, part.clone(), bias, softmax, some.view(), &mut scratch);
                assert_eq!(some.values(&what), whole[part.start * hidden..part.end * hidden], "{what} {part:?}");
            }
        }
    }
}

#[test]
fn at_every_edge() {
    for (i, &tokens) in sizes(&TOKENS, 3).iter().enumerate() {
        for &(heads, width) in HEADS.iter().take(if cfg!(miri) { 2 } else { HEADS.len() }) {
            let qkv = numbers(Kind::Ordinary, tokens * 3 * heads * width, 3 + i as u64);
            check(&Case::new(qkv, [tokens, heads, width]), i % 4);
        }
    }
}

/// A bias for as many tokens as there are, or for more.
#[test]
fn with_a_bias_at_every_edge() {
    for (i, &tokens) in sizes(&TOKENS, 3).iter().enumerate() {
        for &(heads, width) in HEADS.iter().take(if cfg!(miri) { 2 } else { HEADS.len() }) {
            let longest = (tokens + i % 3).max(1);
            let bias = numbers(Kind::Ordinary, heads * (2 * longest - 1), 50 + i as u64);
            let qkv = numbers(Kind::Ordinary, tokens * 3 * heads * width, 3 + i as u64);
            check(&Case::new(qkv, [tokens, heads, width]).with_bias(longest, |at| 3.0 * bias[at]), i % 4);
        }
    }
}

/// Where the bias decides alone, and sums of weights come out of range.
#[test]
fn biases_of_every_size() {
    let tokens = if cfg!(miri) { 5 } else { 37 };
    for (heads, width) in [(2, 1), (3, 4), (2, 26)] {
        let biases: [fn(usize) -> f32; 4] = [
            |at| if at % 7 == 3 { 1e4 } else { 0.5 },
            |at| if at % 2 == 0 { 1e4 } else { -1e4 },
            |at| -2e3 - at as f32,
            |_| 300.0,
        ];
        for bias in biases {
            let qkv = numbers(Kind::Ordinary, tokens * 3 * heads * width, 9);
            check(&Case::new(qkv, [tokens, heads, width]).with_bias(tokens, bias), 1);
        }
    }
}

#[test]
fn a_bias_of_zeros_changes_no_bit() {
    let tokens = 21;
    for (heads, width) in [(3, 4), (2, 26)] {
        let hidden = heads * width;
        let qkv = Guarded::new(&numbers(Kind::Ordinary, tokens * 3 * hidden, 4), tokens, 3 * hidden, 3 * hidden);
        let zeros = RelativeBias::new(&vec![0.0; heads * 63], heads, 32);
        for cpu in Cpu::all() {
            let outcome = |bias| {
                let mut output = Guarded::new(&vec![0.0; tokens * hidden], tokens, hidden, hidden);
                let mut scratch = AttentionScratch::default();
                attention(cpu, qkv.read(), heads, 0..tokens, bias, Softmax::Exact, output.view(), &mut scratch);
                let mut scores = vec![0.0; heads * tokens * tokens];
                attention_scores(cpu, qkv.read(), heads, bias, &mut scores, &mut scratch);
                (output.values("zeros"), scores)
            };
            assert_eq!(outcome(None), outcome(Some(&zeros)), "{cpu} {heads} heads of {width}");
        }
    }
}

/// Two heads of one column, where a score is the product of two numbers and can be chosen.
#[test]
fn scores_of_every_size() {
    let tokens = if cfg!(miri) { 5 } else { 37 };
    type Score = fn(usize) -> f32;
    let scores: [(&str, Score); 6] = [
        ("one huge among small ones", |t| if t == 3 { 1e4 } else { 1e-3 * t as f32 }),
        ("one hugely negative among small ones", |t| if t == 3 { -1e4 } else { 1e-3 * t as f32 }),
        ("of both signs", |t| if t % 2 == 0 { 1e4 } else { -1e4 }),
        ("all equal", |_| 3.0),
        ("all hugely negative", |t| -1e4 - t as f32),
        ("zero", |_| 0.0),
    ];
    for (name, score) in scores {
        let mut qkv = numbers(Kind::Ordinary, tokens * 6, 9);
        for t in 0..tokens {
            qkv[t * 6..][..2].fill(1.0);
            qkv[t * 6 + 2..][..2].fill(score(t));
        }
        println!("{name}");
        check(&Case::new(qkv, [tokens, 2, 1]), 0);
    }
}

/// Queries whose softmax must know the largest score beside others that need not: [`check`] asks for the same bits when
/// they are computed apart.
#[test]
fn queries_of_every_size_side_by_side() {
    let tokens = if cfg!(miri) { 5 } else { 37 };
    for (heads, width) in [(2, 1), (3, 4), (2, 26)] {
        let hidden = heads * width;
        let mut qkv = numbers(Kind::Ordinary, tokens * 3 * hidden, 21);
        for t in (0..tokens).step_by(3) {
            qkv[t * 3 * hidden..][..hidden].iter_mut().for_each(|q| *q *= 1e4);
        }
        check(&Case::new(qkv, [tokens, heads, width]), 1);
    }
}

#[test]
fn what_is_no_number_spoils_its_head_alone() {
    let tokens = 6;
    for cpu in Cpu::all() {
        for (part, value) in [(0, f32::NAN), (1, f32::NAN), (2, f32::NAN), (1, f32::INFINITY)] {
            let mut qkv = vec![0.25; tokens * 3 * 10];
            // Token 2 of the first of two heads of five columns.
            qkv[2 * 30 + part * 10 + 1] = value;
            let qkv = Guarded::new(&qkv, tokens, 30, 30);
            let mut output = Guarded::new(&[0.0; 60], tokens, 10, 10);
            let mut scratch = AttentionScratch::default();
            attention(cpu, qkv.read(), 2, 0..tokens, None, Softmax::Exact, output.view(), &mut scratch);
            for (i, y) in output.values("NaN").iter().enumerate() {
                let (token, column) = (i / 10, i % 10);
                let spoilt = match part {
                    0 => token == 2 && column < 5,
                    1 => column < 5,
                    _ => column == 1,
                };
                assert_eq!(y.is_nan(), spoilt, "{cpu} part {part} token {token} column {column}: {y}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 48 }, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sequence(
        tokens in 0..if cfg!(miri) { 6 } else { 90usize },
        heads in 1..if cfg!(miri) { 3 } else { 13usize },
        width in 1..if cfg!(miri) { 6 } else { 34usize },
        gap in 0..20usize,
        // Queries and keys of 1e±15 leave no softmax worth the name.
        kind in prop::sample::select(&[Kind::Ordinary, Kind::Tiny, Kind::Constant, Kind::Zeros]),
        seed in any::<u32>(),
    ) {
        let qkv = numbers(kind, tokens * 3 * heads * width, u64::from(seed));
        check(&Case::new(qkv, [tokens, heads, width]), gap);
    }

    #[test]
    fn any_relations(
        tokens in 0..if cfg!(miri) { 6 } else { 60usize },
        heads in 1..if cfg!(miri) { 3 } else { 13usize },
        width in 1..if cfg!(miri) { 6 } else { 34usize },
        gap in 0..20usize,
        kind in prop::sample::select(&crate::numbers::KINDS),
        seed in any::<u32>(),
    ) {
        let (hidden, shape) = (heads * width, [tokens, heads, width]);
        let [x, y] = [1, 2].map(|n| numbers(kind, tokens * hidden, u64::from(seed) + n));
        let (x_rows, y_rows) =
            (Guarded::new(&x, tokens, hidden, hidden + gap), Guarded::new(&y, tokens, hidden, hidden + gap / 2));
        let (x, y) = (doubles(&x), doubles(&y));
        let expected = reference::relations(&x, &y, shape);
        let sizes = reference::relations(&absolute(&x), &absolute(&y), shape);
        let bound = |size: &f64| (width + 4) as f64 * U * size + f64::from(f32::MIN_POSITIVE);
        let allowed: Vec<f64> = sizes.iter().map(bound).collect();
        for cpu in Cpu::all() {
            let mut got = vec![f32::NAN; expected.len()];
            relations(cpu, x_rows.read(), y_rows.read(), heads, &mut got, &mut AttentionScratch::default());
            if tokens > 0 {
                assert_within(&format!("{cpu} {shape:?} {kind:?}"), &got, &expected, &allowed);
            }
        }
    }
}
