//! Element-wise kernels beside their scalar references, on the sizes of a training step.

use attar_kernels::{AdamWUpdate, adamw, gelu, gelu_backward, reference};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

/// Feed-forward activations of 400 tokens: of a 312-wide and of a 768-wide encoder.
const ACTIVATIONS: [usize; 2] = [400 * 1200, 400 * 3072];

#[expect(clippy::print_stdout, reason = "a benchmark prints what it ran on")]
fn main() {
    println!("{} threads", rayon::current_num_threads());
    divan::main();
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.37).sin() * 3.0).collect()
}

#[divan::bench(args = ACTIVATIONS)]
fn gelu_forward(bencher: Bencher<'_, '_>, count: usize) {
    let (x, mut y) = (numbers(count), vec![0.0; count]);
    bencher.counter(ItemsCount::new(count)).bench_local(|| gelu(black_box(&x), &mut y));
}

#[divan::bench(args = ACTIVATIONS)]
fn gelu_forward_reference(bencher: Bencher<'_, '_>, count: usize) {
    let (x, mut y) = (numbers(count), vec![0.0; count]);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        for (&x, y) in black_box(&x).iter().zip(&mut y) {
            *y = reference::gelu(f64::from(x)) as f32;
        }
    });
}

#[divan::bench(args = ACTIVATIONS)]
fn gelu_gradient(bencher: Bencher<'_, '_>, count: usize) {
    let (x, g, mut dx) = (numbers(count), numbers(count), vec![0.0; count]);
    bencher.counter(ItemsCount::new(count)).bench_local(|| gelu_backward(black_box(&x), &g, &mut dx));
}

/// Parameters of TinyBERT's four layers, and of the word embeddings of a 384-wide encoder.
#[divan::bench(args = [4_700_000, 11_700_000])]
fn adamw_update(bencher: Bencher<'_, '_>, count: usize) {
    let update =
        AdamWUpdate { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, scale: 1.0, kept: 1.0, rate: 1e-5, correction: 1.0 };
    let (mut p, g, mut m, mut v) = (numbers(count), numbers(count), vec![0.0; count], vec![0.1; count]);
    // Four arrays are read and three written.
    let moved = BytesCount::new(7 * 4 * count);
    bencher.counter(moved).bench_local(|| adamw(&mut p, black_box(&g), &mut m, &mut v, &update));
}
