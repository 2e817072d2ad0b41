//! The operations of training on every instruction set of this processor: values beside plain loops in double
//! precision, gradients beside central differences of those loops.

use attar_kernels::train::{
    Activation, FeedForward, InputGradient, Linear, Mask, Ragged, attention_bias_backward, attention_context,
    attention_context_backward, attention_scores, attention_scores_backward, feed_forward, feed_forward_backward,
    linear, linear_backward, linear_residual_norm, linear_residual_norm_backward,
};
use attar_kernels::{Cpu, Norm, reference};

fn numbers(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.61 + phase + (i * i % 97) as f32 * 0.05).sin()).collect()
}

fn mask(len: usize) -> Mask {
    Mask::draw(len, 20_000, |first, words| {
        for (i, word) in words.iter_mut().enumerate() {
            *word = ((first + i) as u32 + 1).wrapping_mul(2_654_435_761);
        }
    })
}

/// Compares values, and the gradients of `Σ dy f(inputs)` along a direction for each input.
fn compare(
    name: &str,
    f: impl Fn(&[Vec<f64>]) -> Vec<f64>,
    inputs: &[&[f32]],
    y: &[f32],
    dy: &[f32],
    gradients: &[&[f32]],
) {
    let exact: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|&x| f64::from(x)).collect()).collect();
    let expected = f(&exact);
    assert_eq!(y.len(), expected.len(), "{name}");
    for (i, (y, expected)) in y.iter().zip(&expected).enumerate() {
        // Sums of some hundred products of numbers around 1.
        assert!((f64::from(*y) - expected).abs() < 3e-5 * (1.0 + expected.abs()), "{name} at {i}: {y} for {expected}");
    }
    assert_eq!(inputs.len(), gradients.len(), "{name}");
    for (input, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.len(), inputs[input].len(), "{name}: gradient {input}");
        let direction = numbers(gradient.len(), 0.77);
        let along = |step: f64| -> f64 {
            let mut moved = exact.clone();
            for (x, d) in moved[input].iter_mut().zip(&direction) {
                *x += step * f64::from(*d);
            }
            f(&moved).iter().zip(dy).map(|(y, dy)| y * f64::from(*dy)).sum()
        };
        let expected = (along(1e-5) - along(-1e-5)) / 2e-5;
        let got: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let size: f64 = gradient.iter().map(|&g| f64::from(g).abs()).sum();
        // Roundings of single precision over the terms of the sum.
        assert!((got - expected).abs() < 1e-5 * (1.0 + size), "{name}: gradient {input} is {got}, not {expected}");
    }
}

fn multiply(x: &[f64], w: &[f64], b: &[f64], inputs: usize) -> Vec<f64> {
    let rows = x.len().checked_div(inputs).unwrap_or(0);
    let sum = |r: usize, o: usize| b[o] + (0..inputs).map(|i| x[r * inputs + i] * w[i * b.len() + o]).sum::<f64>();
    (0..rows).flat_map(|r| (0..b.len()).map(move |o| (r, o))).map(|(r, o)| sum(r, o)).collect()
}

fn normalize(s: &[f64], gain: &[f64], bias: &[f64]) -> Vec<f64> {
    let hidden = gain.len();
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / hidden as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden as f64;
        (0..hidden).map(|c| (row[c] - mean) / (variance + 1e-5).sqrt() * gain[c] + bias[c]).collect()
    };
    s.chunks(hidden).flat_map(row).collect()
}

fn drop(z: Vec<f64>, mask: Option<&Mask>) -> Vec<f64> {
    let factor = |i| mask.map_or(1.0, |mask| f64::from(mask.factor_at(i)));
    z.into_iter().enumerate().map(|(i, z)| z * factor(i)).collect()
}

#[test]
fn a_linear_layer() {
    for cpu in Cpu::all() {
        for rows in [1, 7, 33] {
            for (inputs, outputs) in [(1, 1), (5, 17), (26, 49), (48, 16)] {
                let x = numbers(rows * inputs, 0.1);
                let (weight, bias) = (numbers(inputs * outputs, 0.5), numbers(outputs, 0.9));
                let layer = Linear { weight: &weight, bias: &bias, inputs };
                let y = linear(cpu, &x, rows, layer);
                let dy = numbers(y.len(), 1.3);
                let got = linear_backward(cpu, &x, rows, layer, &dy, InputGradient::New);
                let dx = got.input.unwrap();
                let name = format!("{cpu} {rows}x{inputs}x{outputs}");
                let f = |v: &[Vec<f64>]| multiply(&v[0], &v[1], &v[2], inputs);
                compare(&name, f, &[&x, &weight, &bias], &y, &dy, &[&dx, &got.weight, &got.bias]);
                let more = InputGradient::AddTo(vec![1.0; x.len()]);
                let more = linear_backward(cpu, &x, rows, layer, &dy, more).input.unwrap();
                assert!(dx.iter().zip(&more).all(|(a, b)| (a + 1.0 - b).abs() < 1e-5), "{name}");
                assert!(linear_backward(cpu, &x, rows, layer, &dy, InputGradient::Skip).input.is_none());
            }
        }
    }
}

#[test]
fn linear_residual_and_norm() {
    for cpu in Cpu::all() {
        for rows in [1, 31, 70] {
            for (inputs, hidden) in [(3, 5), (7, 17), (16, 32), (20, 50)] {
                for mask in [None, Some(mask(rows * hidden))] {
                    let mask = mask.as_ref();
                    let (x, residual) = (numbers(rows * inputs, 0.1), numbers(rows * hidden, 0.4));
                    let (weight, bias) = (numbers(inputs * hidden, 0.5), numbers(hidden, 0.9));
                    let (gain, shift) = (numbers(hidden, 0.2), numbers(hidden, 0.3));
                    let layer = Linear { weight: &weight, bias: &bias, inputs };
                    let norm = Norm { gain: &gain, bias: &shift, epsilon: 1e-5 };
                    let (y, kept) = linear_residual_norm(cpu, &x, rows, layer, &residual, norm, mask);
                    let dy = numbers(y.len(), 1.3);
                    let got = linear_residual_norm_backward(cpu, &x, rows, layer, norm, mask, &kept, &dy, true);
                    let f = |v: &[Vec<f64>]| {
                        let z = drop(multiply(&v[0], &v[1], &v[2], inputs), mask);
                        let s: Vec<f64> = z.iter().zip(&v[3]).map(|(z, x)| z + x).collect();
                        normalize(&s, &v[4], &v[5])
                    };
                    compare(
                        &format!("{cpu} {rows}x{inputs}x{hidden} {}", mask.is_some()),
                        f,
                        &[&x, &weight, &bias, &residual, &gain, &shift],
                        &y,
                        &dy,
                        &[
                            got.linear.input.as_ref().unwrap(),
                            &got.linear.weight,
                            &got.linear.bias,
                            &got.residual,
                            &got.norm.gain,
                            &got.norm.bias,
                        ],
                    );
                    let less = linear_residual_norm_backward(cpu, &x, rows, layer, norm, mask, &kept, &dy, false);
                    assert!(less.linear.input.is_none() && less.residual == got.residual);
                }
            }
        }
    }
}

#[test]
fn feed_forward_blocks() {
    for cpu in Cpu::all() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            for (rows, hidden, width) in [(1, 2, 3), (35, 17, 50), (66, 8, 16)] {
                for mask in [None, Some(mask(rows * hidden))] {
                    let mask = mask.as_ref();
                    let x = numbers(rows * hidden, 0.1);
                    let (w1, b1) = (numbers(hidden * width, 0.5), numbers(width, 0.9));
                    let (w2, b2) = (numbers(hidden * width, 0.6), numbers(hidden, 0.8));
                    let (gain, shift) = (numbers(hidden, 0.2), numbers(hidden, 0.3));
                    let layers = FeedForward {
                        inner: Linear { weight: &w1, bias: &b1, inputs: hidden },
                        activation,
                        outer: Linear { weight: &w2, bias: &b2, inputs: width },
                        norm: Norm { gain: &gain, bias: &shift, epsilon: 1e-5 },
                    };
                    let (y, kept) = feed_forward(cpu, &x, rows, layers, mask);
                    let dy = numbers(y.len(), 1.3);
                    let got = feed_forward_backward(cpu, &x, rows, layers, mask, &kept, &dy);
                    let act = |x: f64| match activation {
                        Activation::Gelu => reference::gelu(x),
                        Activation::GeluTanh => {
                            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                            x / 2.0 * (1.0 + u.tanh())
                        }
                        Activation::Relu => x.max(0.0),
                    };
                    let f = |v: &[Vec<f64>]| {
                        let inside: Vec<f64> = multiply(&v[0], &v[1], &v[2], hidden).into_iter().map(act).collect();
                        let z = drop(multiply(&inside, &v[3], &v[4], width), mask);
                        let s: Vec<f64> = z.iter().zip(&v[0]).map(|(z, x)| z + x).collect();
                        normalize(&s, &v[5], &v[6])
                    };
                    compare(
                        &format!("{cpu} {activation:?} {rows}x{hidden}x{width} {}", mask.is_some()),
                        f,
                        &[&x, &w1, &b1, &w2, &b2, &gain, &shift],
                        &y,
                        &dy,
                        &[
                            &got.input,
                            &got.inner.weight,
                            &got.inner.bias,
                            &got.outer.weight,
                            &got.outer.bias,
                            &got.norm.gain,
                            &got.norm.bias,
                        ],
                    );
                }
            }
        }
    }
}

/// For each head of each sequence: sequence's first row, rows, keys, head, first pair.
fn heads_of(sequences: &[(usize, usize)], heads: usize) -> Vec<[usize; 5]> {
    let (mut first, mut pairs, mut all) = (0, 0, Vec::new());
    for &(rows, keys) in sequences {
        for head in 0..heads {
            all.push([first, rows, keys, head, pairs]);
            pairs += rows * rows;
        }
        first += rows;
    }
    all
}

#[test]
fn attention() {
    let batches: [&[(usize, usize)]; 4] =
        [&[(1, 1)], &[(3, 3), (17, 17), (1, 1)], &[(16, 9), (16, 16)], &[(33, 1), (70, 65)]];
    for cpu in Cpu::all() {
        for sequences in batches {
            for (heads, width) in [(1, 1), (3, 4), (2, 26), (1, 17), (2, 48)] {
                let ragged = Ragged::new(sequences.iter().copied());
                let (rows, hidden) = (ragged.rows(), heads * width);
                let qkv = numbers(rows * 3 * hidden, 0.3);
                let at = |v: &[f64], part: usize, row: usize, head: usize, d: usize| {
                    v[row * 3 * hidden + part * hidden + head * width + d]
                };
                let name = format!("{cpu} {sequences:?} {heads}x{width}");

                let scores = attention_scores(cpu, &qkv, heads, &ragged, None);
                let ds = numbers(scores.len(), 0.2);
                let dqkv = attention_scores_backward(cpu, &qkv, heads, &ragged, &ds, None);
                let of_scores = |v: &[Vec<f64>]| {
                    let mut scores = vec![0.0; ragged.pairs(heads)];
                    for [first, rows, _, head, pairs] in heads_of(sequences, heads) {
                        for (q, k) in (0..rows).flat_map(|q| (0..rows).map(move |k| (q, k))) {
                            let product = |d| at(&v[0], 0, first + q, head, d) * at(&v[0], 1, first + k, head, d);
                            scores[pairs + q * rows + k] = (0..width).map(product).sum::<f64>() / (width as f64).sqrt();
                        }
                    }
                    scores
                };
                compare(&name, of_scores, &[&qkv], &scores, &ds, &[&dqkv]);
                let sum = attention_scores_backward(cpu, &qkv, heads, &ragged, &ds, Some(vec![1.0; dqkv.len()]));
                assert!(dqkv.iter().zip(&sum).all(|(a, b)| (a + 1.0 - b).abs() < 1e-4), "{name}");

                for mask in [None, Some(mask(scores.len()))] {
                    let mask = mask.as_ref();
                    let context = attention_context(cpu, &scores, &qkv, heads, &ragged, mask);
                    let dc = numbers(context.len(), 1.1);
                    let [ds, dqkv] = attention_context_backward(cpu, &scores, &qkv, heads, &ragged, mask, &dc, None);
                    let of_context = |v: &[Vec<f64>]| {
                        let mut context = vec![0.0; rows * hidden];
                        for [first, rows, keys, head, pairs] in heads_of(sequences, heads) {
                            for q in 0..rows {
                                let start = pairs + q * rows;
                                let scores = &v[0][start..start + keys];
                                let sum: f64 = scores.iter().map(|s| s.exp()).sum();
                                for d in 0..width {
                                    let term = |k: usize| {
                                        let kept = mask.map_or(1.0, |m| f64::from(m.factor_at(start + k)));
                                        scores[k].exp() / sum * kept * at(&v[1], 2, first + k, head, d)
                                    };
                                    context[(first + q) * hidden + head * width + d] = (0..keys).map(term).sum();
                                }
                            }
                        }
                        context
                    };
                    let name = format!("{name} {}", mask.is_some());
                    compare(&name, of_context, &[&scores, &qkv], &context, &dc, &[&ds, &dqkv]);
                    let more = Some(vec![1.0; ds.len()]);
                    let [sum, _] = attention_context_backward(cpu, &scores, &qkv, heads, &ragged, mask, &dc, more);
                    assert!(ds.iter().zip(&sum).all(|(a, b)| (a + 1.0 - b).abs() < 1e-4), "{name}");
                }
            }
        }
    }
}

#[test]
fn attention_with_a_bias() {
    let batches: [&[(usize, usize)]; 3] = [&[(1, 1)], &[(3, 3), (17, 17), (1, 1)], &[(33, 1), (20, 15)]];
    for cpu in Cpu::all() {
        for sequences in batches {
            for (heads, width) in [(1, 1), (3, 4), (2, 26)] {
                let ragged = Ragged::new(sequences.iter().copied());
                let (rows, hidden) = (ragged.rows(), heads * width);
                for longest in [ragged.longest(), ragged.longest() + 4] {
                    let qkv = numbers(rows * 3 * hidden, 0.3);
                    let bias = numbers(heads * (2 * longest - 1), 0.7);
                    let scores = attention_scores(cpu, &qkv, heads, &ragged, Some(&bias));
                    let ds = numbers(scores.len(), 0.2);
                    let dqkv = attention_scores_backward(cpu, &qkv, heads, &ragged, &ds, None);
                    let dbias = attention_bias_backward(&ds, heads, &ragged, longest);
                    let of_both = |v: &[Vec<f64>]| {
                        let at = |part: usize, row: usize, head: usize, d: usize| {
                            v[0][row * 3 * hidden + part * hidden + head * width + d]
                        };
                        let mut scores = vec![0.0; ragged.pairs(heads)];
                        for [first, rows, _, head, pairs] in heads_of(sequences, heads) {
                            for (q, k) in (0..rows).flat_map(|q| (0..rows).map(move |k| (q, k))) {
                                let product = |d| at(0, first + q, head, d) * at(1, first + k, head, d);
                                let sum: f64 = (0..width).map(product).sum();
                                let bias = v[1][head * (2 * longest - 1) + longest - 1 + k - q];
                                scores[pairs + q * rows + k] = sum / (width as f64).sqrt() + bias;
                            }
                        }
                        scores
                    };
                    let name = format!("{cpu} {sequences:?} {heads}x{width} up to {longest}");
                    compare(&name, of_both, &[&qkv, &bias], &scores, &ds, &[&dqkv, &dbias]);
                }
            }
        }
    }
}

/// Sums are split at places that threads do not change.
#[test]
fn threads_change_no_bit() {
    let (rows, hidden, width) = (1100, 40, 104);
    let outcome = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let cpu = Cpu::detect();
            let x = numbers(rows * hidden, 0.1);
            let (w1, b1) = (numbers(hidden * width, 0.5), numbers(width, 0.9));
            let (w2, b2) = (numbers(hidden * width, 0.6), numbers(hidden, 0.8));
            let ones = vec![1.0; hidden];
            let norm = Norm { gain: &ones, bias: &b2, epsilon: 1e-5 };
            let inner = Linear { weight: &w1, bias: &b1, inputs: hidden };
            let outer = Linear { weight: &w2, bias: &b2, inputs: width };
            let layers = FeedForward { inner, activation: Activation::Gelu, outer, norm };
            let mask = mask(rows * hidden);
            let (y, kept) = feed_forward(cpu, &x, rows, layers, Some(&mask));
            let got = feed_forward_backward(cpu, &x, rows, layers, Some(&mask), &kept, &y);
            let linear = linear_backward(cpu, &x, rows, inner, &numbers(rows * width, 0.2), InputGradient::New);
            [
                y,
                got.input,
                got.inner.weight,
                got.inner.bias,
                got.outer.weight,
                got.outer.bias,
                got.norm.gain,
                got.norm.bias,
                linear.input.unwrap(),
                linear.weight,
                linear.bias,
            ]
        })
    };
    let one = outcome(1);
    for threads in [2, 3] {
        assert!(outcome(threads) == one, "{threads} threads");
    }
}
