//! Every kernel on every instruction set of this processor beside plain loops.

use attar_kernels::{
    AttentionScratch, Bytes, Cpu, Finish, Norm, PackedBytes, PackedMatrix, QuantisedRows, Rows, RowsMut, attention,
    layer_norm, quantise_rows,
};

fn numbers(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.61 + phase).sin() * 2.0).collect()
}

fn close(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    for (i, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(got) - expected).abs() <= tolerance, "{name} at {i}: got {got}, expected {expected}");
    }
}

#[test]
fn products() {
    for cpu in Cpu::all() {
        for rows in [0, 1, 5, 6, 7, 8, 9, 17] {
            for inputs in [0, 1, 3, 4, 26, 48, 65] {
                for outputs in [0, 1, 4, 15, 16, 17, 24, 31, 47, 48, 49, 72, 97] {
                    let (x, w, b) =
                        (numbers(rows * inputs, 0.1), numbers(outputs * inputs, 0.7), numbers(outputs, 1.9));
                    let mut expected = vec![0.0; rows * outputs];
                    for r in 0..rows {
                        for o in 0..outputs {
                            let sum: f64 =
                                (0..inputs).map(|i| f64::from(x[r * inputs + i]) * f64::from(w[o * inputs + i])).sum();
                            expected[r * outputs + o] = sum + f64::from(b[o]);
                        }
                    }
                    let name = format!("{cpu} {rows}x{inputs}x{outputs}");
                    let packed = PackedMatrix::new(cpu, &w, &b, inputs, outputs);
                    let mut y = vec![7.0; rows * outputs];
                    packed.apply(
                        Rows::new(&x, rows, inputs, inputs),
                        RowsMut::new(&mut y, rows, outputs, outputs),
                        Finish::Write,
                    );
                    close(&name, &y, &expected, 6e-5);
                    packed.apply(
                        Rows::new(&x, rows, inputs, inputs),
                        RowsMut::new(&mut y, rows, outputs, outputs),
                        Finish::Add,
                    );
                    let twice: Vec<f64> = expected.iter().map(|x| 2.0 * x).collect();
                    close(&name, &y, &twice, 1.2e-4);

                    let q: Vec<i8> = w.iter().map(|w| (w * 60.0) as i8).collect();
                    let scales: Vec<f32> = (0..outputs).map(|o| 0.01 + o as f32 * 1e-4).collect();
                    let bytes = PackedBytes::new(cpu, &q, &scales, &b, inputs, outputs);
                    let mut quantised = vec![9; rows * QuantisedRows::stride(inputs)];
                    let (mut s, mut o) = (vec![0.0; rows], vec![0.0; rows]);
                    quantise_rows(cpu, Rows::new(&x, rows, inputs, inputs), &mut quantised, &mut s, &mut o);
                    for r in 0..rows {
                        for i in 0..inputs {
                            let back = o[r] + s[r] * f32::from(quantised[r * QuantisedRows::stride(inputs) + i]);
                            assert!((back - x[r * inputs + i]).abs() <= s[r] * 0.5001 + 1e-6, "{name}");
                        }
                        for c in 0..outputs {
                            let sum: f64 = (0..inputs)
                                .map(|i| {
                                    let x = f64::from(o[r])
                                        + f64::from(s[r]) * f64::from(quantised[r * QuantisedRows::stride(inputs) + i]);
                                    x * f64::from(q[c * inputs + i]) * f64::from(scales[c])
                                })
                                .sum();
                            expected[r * outputs + c] = sum + f64::from(b[c]);
                        }
                    }
                    bytes.apply(
                        QuantisedRows::new(&quantised, inputs, &s, &o),
                        RowsMut::new(&mut y, rows, outputs, outputs),
                        Finish::Write,
                    );
                    close(&format!("{name} bytes"), &y, &expected, 3e-4);
                }
            }
        }
    }
}

#[test]
fn attention_of_a_sequence() {
    for cpu in Cpu::all() {
        for tokens in [1, 2, 7, 15, 16, 17, 33, 70] {
            for (heads, width) in [(1, 1), (3, 4), (12, 4), (2, 26), (3, 17), (1, 64)] {
                let hidden = heads * width;
                let qkv = numbers(tokens * 3 * hidden, 0.3);
                let mut expected = vec![0.0; tokens * hidden];
                for h in 0..heads {
                    for q in 0..tokens {
                        let at = |part: usize, t: usize, d: usize| {
                            f64::from(qkv[t * 3 * hidden + part * hidden + h * width + d])
                        };
                        let scores: Vec<f64> = (0..tokens)
                            .map(|k| (0..width).map(|d| at(0, q, d) * at(1, k, d)).sum::<f64>() / (width as f64).sqrt())
                            .collect();
                        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                        let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                        let sum: f64 = weights.iter().sum();
                        for d in 0..width {
                            expected[q * hidden + h * width + d] =
                                (0..tokens).map(|k| weights[k] / sum * at(2, k, d)).sum();
                        }
                    }
                }
                let mut context = vec![5.0; tokens * hidden];
                let mut scratch = AttentionScratch::default();
                let rows = Rows::new(&qkv, tokens, 3 * hidden, 3 * hidden);
                attention(
                    cpu,
                    rows,
                    heads,
                    0..tokens,
                    RowsMut::new(&mut context, tokens, hidden, hidden),
                    &mut scratch,
                );
                close(&format!("{cpu} {tokens} {heads}x{width}"), &context, &expected, 3e-6);
                let part = tokens / 3..tokens;
                let mut some = vec![0.0; part.len() * hidden];
                attention(
                    cpu,
                    rows,
                    heads,
                    part.clone(),
                    RowsMut::new(&mut some, part.len(), hidden, hidden),
                    &mut scratch,
                );
                assert_eq!(some, context[part.start * hidden..]);
            }
        }
    }
}

#[test]
fn layer_norm_of_rows() {
    for cpu in Cpu::all() {
        for columns in [1, 2, 15, 16, 17, 48, 312] {
            let x = numbers(3 * columns, 0.2);
            let (gain, bias) = (numbers(columns, 0.5), numbers(columns, 0.9));
            let mut expected = vec![0.0; x.len()];
            for r in 0..3 {
                let row: Vec<f64> = x[r * columns..][..columns].iter().map(|&x| f64::from(x)).collect();
                let mean = row.iter().sum::<f64>() / columns as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
                for c in 0..columns {
                    expected[r * columns + c] =
                        (row[c] - mean) / (variance + 1e-5).sqrt() * f64::from(gain[c]) + f64::from(bias[c]);
                }
            }
            let mut y = x.clone();
            let stride = QuantisedRows::stride(columns);
            let (mut bytes, mut scales, mut offsets) = (vec![0; 3 * stride], vec![0.0; 3], vec![0.0; 3]);
            let to = Bytes { bytes: &mut bytes, scales: &mut scales, offsets: &mut offsets };
            layer_norm(
                cpu,
                RowsMut::new(&mut y, 3, columns, columns),
                Norm { gain: &gain, bias: &bias, epsilon: 1e-5 },
                Some(to),
            );
            close(&format!("{cpu} {columns}"), &y, &expected, 5e-6);
            let (mut b2, mut s2, mut o2) = (bytes.clone(), scales.clone(), offsets.clone());
            quantise_rows(cpu, Rows::new(&y, 3, columns, columns), &mut b2, &mut s2, &mut o2);
            assert_eq!((bytes, scales, offsets), (b2, s2, o2));
        }
    }
}
