//! The operations of a training step: milliseconds, and GFLOP/s of their products.
//!
//! `cargo bench -p attar-kernels --bench train`; the least of some runs, on all threads of rayon.

use std::time::Instant;

use attar_kernels::train::{
    Activation, FeedForward, InputGradient, Linear, Mask, Ragged, attention_context, attention_context_backward,
    attention_scores, attention_scores_backward, feed_forward, feed_forward_backward, linear, linear_backward,
    linear_residual_norm, linear_residual_norm_backward, pool,
};
use attar_kernels::{Cpu, Norm};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 255) as f32 / 127.0 - 1.0).collect()
}

/// Prints the least time of some runs, each of which releases its buffers.
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn measure(name: &str, products: f64, mut run: impl FnMut() -> Vec<Vec<f32>>) {
    let mut least = f64::MAX;
    for _ in 0..12 {
        let start = Instant::now();
        let made = run();
        least = least.min(start.elapsed().as_secs_f64());
        made.into_iter().for_each(pool::release);
    }
    println!("  {name:<24} {:>8.3} ms {:>8.1} GFLOP/s", least * 1e3, products / least * 1e-9);
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() {
    let cpu = Cpu::detect();
    println!("{cpu}, {} threads", rayon::current_num_threads());
    for (hidden, heads, width, sequences, tokens) in
        [(312, 12, 1200, 32, 64), (312, 12, 1200, 32, 13), (192, 12, 768, 32, 64), (48, 12, 192, 32, 64)]
    {
        println!("{hidden} wide, {heads} heads, {sequences} texts of {tokens} tokens");
        let rows = sequences * tokens;
        let ragged = Ragged::new((0..sequences).map(|_| (tokens, tokens)));
        let pairs = ragged.pairs(heads) as f64;
        let mask = |len| {
            Mask::draw(len, 6554, |first, words| {
                words.iter_mut().zip(first..).for_each(|(w, i)| *w = (i as u32).wrapping_mul(2_654_435_761))
            })
        };
        let (of_rows, of_pairs) = (mask(rows * hidden), mask(ragged.pairs(heads)));
        let (x, qkv) = (numbers(rows * hidden), numbers(rows * 3 * hidden));
        let (w, b) = (numbers(hidden * 3 * hidden), numbers(3 * hidden));
        let product = |inputs: usize, outputs: usize| 2.0 * (rows * inputs * outputs) as f64;
        measure("mask", 0.0, || vec![vec![mask(rows * hidden).factor_at(0)]]);

        let layer = Linear { weight: &w, bias: &b, inputs: hidden };
        measure("linear", product(hidden, 3 * hidden), || vec![linear(cpu, &x, rows, layer)]);
        measure("linear backward", 2.0 * product(hidden, 3 * hidden), || {
            let made = linear_backward(cpu, &x, rows, layer, &qkv, InputGradient::New);
            vec![made.input.unwrap_or_default(), made.weight, made.bias]
        });

        let per_pair = 2.0 * (hidden / heads) as f64 * pairs;
        let scores = attention_scores(cpu, &qkv, heads, &ragged, None);
        measure("scores", per_pair, || vec![attention_scores(cpu, &qkv, heads, &ragged, None)]);
        measure("scores backward", 2.0 * per_pair, || {
            vec![attention_scores_backward(cpu, &qkv, heads, &ragged, &scores, None)]
        });
        let some = Some(&of_pairs);
        measure("context", per_pair, || vec![attention_context(cpu, &scores, &qkv, heads, &ragged, some)]);
        measure("context backward", 2.0 * per_pair, || {
            attention_context_backward(cpu, &scores, &qkv, heads, &ragged, some, &x, None).into()
        });

        let (w, b) = (numbers(hidden * hidden), numbers(hidden));
        let layer = Linear { weight: &w, bias: &b, inputs: hidden };
        let norm = Norm { gain: &b, bias: &b, epsilon: 1e-12 };
        let some = Some(&of_rows);
        measure("residual norm", product(hidden, hidden), || {
            vec![linear_residual_norm(cpu, &x, rows, layer, &x, norm, some).0]
        });
        let (_, kept) = linear_residual_norm(cpu, &x, rows, layer, &x, norm, some);
        measure("residual norm backward", 2.0 * product(hidden, hidden), || {
            let made = linear_residual_norm_backward(cpu, &x, rows, layer, norm, some, &kept, &x, true);
            vec![made.linear.input.unwrap_or_default(), made.linear.weight, made.residual]
        });

        let (w1, b1, w2) = (numbers(hidden * width), numbers(width), numbers(hidden * width));
        let inner = Linear { weight: &w1, bias: &b1, inputs: hidden };
        let outer = Linear { weight: &w2, bias: &b, inputs: width };
        let layers = FeedForward { inner, activation: Activation::Gelu, outer, norm };
        measure("feed forward", 2.0 * product(hidden, width), || vec![feed_forward(cpu, &x, rows, layers, some).0]);
        let (_, kept) = feed_forward(cpu, &x, rows, layers, some);
        measure("feed forward backward", 4.0 * product(hidden, width), || {
            let made = feed_forward_backward(cpu, &x, rows, layers, some, &kept, &x);
            vec![made.input, made.inner.weight, made.outer.weight]
        });
    }
}
