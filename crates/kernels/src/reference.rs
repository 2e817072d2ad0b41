//! Scalar references in double precision, slow and plain, against which the kernels are tested.
//!
//! Matrices are slices in row-major order without gaps. Arguments are only checked by the
//! bounds of slices.

use crate::{EmbeddingTable, Epilogue};

/// `x Wᵀ + b`: `x` `[rows, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]`, to `[rows, outputs]`.
///
/// Applied to absolute values, it bounds rounding errors.
pub fn linear(x: &[f64], weight: &[f64], bias: &[f64], [rows, inputs, outputs]: [usize; 3]) -> Vec<f64> {
    let mut y = Vec::with_capacity(rows * outputs);
    for r in 0..rows {
        for o in 0..outputs {
            let products = x[r * inputs..][..inputs].iter().zip(&weight[o * inputs..][..inputs]).map(|(x, w)| x * w);
            y.push(products.sum::<f64>() + bias[o]);
        }
    }
    y
}

/// What [`Epilogue`] makes of a sum with its bias over an `existing` output.
pub fn epilogue(epilogue: Epilogue, sum: f64, existing: f64) -> f64 {
    match epilogue {
        Epilogue::Write => sum,
        Epilogue::Add => existing + sum,
        Epilogue::Gelu | Epilogue::GeluCoarse => gelu(sum),
        Epilogue::GeluTanh => gelu_tanh(sum),
        Epilogue::Relu => sum.max(0.0),
        Epilogue::Tanh => sum.tanh(),
    }
}

/// `e^(x - max) / Σ e^(x - max)` in place.
pub fn softmax(x: &mut [f64]) {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum: f64 = x.iter().sum();
    x.iter_mut().for_each(|x| *x /= sum);
}

/// `X Yᵀ / √D` of each head: `x` and `y` `[T, A D]` to `[A, T, T]`.
pub fn relations(x: &[f64], y: &[f64], [tokens, heads, width]: [usize; 3]) -> Vec<f64> {
    let hidden = heads * width;
    let mut result = Vec::with_capacity(heads * tokens * tokens);
    for h in 0..heads {
        for i in 0..tokens {
            for j in 0..tokens {
                let (x, y) = (&x[i * hidden + h * width..][..width], &y[j * hidden + h * width..][..width]);
                result.push(x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / (width as f64).sqrt());
            }
        }
    }
    result
}

/// The sums of values `[T, A D]`, weighted by `weights` `[A, T, T]`, for each query: `[T, A D]`.
pub fn context(weights: &[f64], values: &[f64], [tokens, heads, width]: [usize; 3]) -> Vec<f64> {
    let hidden = heads * width;
    let mut result = vec![0.0; tokens * hidden];
    for h in 0..heads {
        for i in 0..tokens {
            let weights = &weights[(h * tokens + i) * tokens..][..tokens];
            for d in h * width..(h + 1) * width {
                result[i * hidden + d] = weights.iter().enumerate().map(|(j, w)| w * values[j * hidden + d]).sum();
            }
        }
    }
    result
}

/// Adds to scores `[A, T, T]` the bias of their head and distance, `by_distance` `[A, 2 longest - 1]` at
/// `longest - 1 + key - query`.
pub fn add_bias(scores: &mut [f64], by_distance: &[f64], [tokens, heads, longest]: [usize; 3]) {
    for h in 0..heads {
        for (query, key) in (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key))) {
            let distances = &by_distance[h * (2 * longest - 1)..];
            scores[(h * tokens + query) * tokens + key] += distances[longest - 1 + key - query];
        }
    }
}

/// `(x - mean) / √(variance + ε) gain + bias` of a row that is not empty.
pub fn layer_norm(x: &[f64], gain: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let (mean, variance) = moments(x);
    let normal = x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt());
    normal.zip(gain.iter().zip(bias)).map(|(x, (gain, bias))| x * gain + bias).collect()
}

/// Mean and biased variance.
pub fn moments(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64)
}

/// Row `row` of a table of `columns` columns.
pub fn row(table: EmbeddingTable<'_>, row: usize, columns: usize) -> Vec<f64> {
    match table {
        EmbeddingTable::F32(numbers) => numbers[row * columns..][..columns].iter().map(|&x| f64::from(x)).collect(),
        EmbeddingTable::Int8 { bytes, scales } => {
            bytes[row * columns..][..columns].iter().map(|&q| f64::from(q) * f64::from(scales[row])).collect()
        }
        EmbeddingTable::Int4 { bytes, scales, group } => {
            let (bytes, groups) = (&bytes[row * columns.div_ceil(2)..], columns.div_ceil(group));
            let half = |c: usize| i32::from((bytes[c / 2] >> (4 * (c % 2))) & 15);
            let signed = |c: usize| if half(c) < 8 { half(c) } else { half(c) - 16 };
            (0..columns).map(|c| f64::from(signed(c)) * f64::from(scales[row * groups + c / group])).collect()
        }
    }
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the GELU of the original BERT code.
pub fn gelu_tanh(x: f64) -> f64 {
    // tanh(t) + 1 = 2 / (1 + e^-2t), without the cancellation.
    let t = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    x / (1.0 + (-2.0 * t).exp())
}

/// `x/2 (1 + erf(x/√2))` (Hendrycks & Gimpel, arXiv 1606.08415).
pub fn gelu(x: f64) -> f64 {
    x * normal_cdf(x)
}

/// Derivative of [`gelu`]: `Φ(x) + x φ(x)`.
pub fn gelu_slope(x: f64) -> f64 {
    normal_cdf(x) + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// `Φ(x)`, the distribution function of the standard normal distribution.
///
/// By the series `Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + …)`, whose terms all have one sign, so
/// that nothing cancels; beyond ±8 it is 0 or 1 to double precision's tenth digit.
fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while sum + term != sum {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Φ(1), Φ(2), Φ(-3) from tables of the normal distribution.
        let known = [(1.0, 0.841_344_746_068_543), (2.0, 0.977_249_868_051_821), (-3.0, 0.001_349_898_031_630_1)];
        for (x, cdf) in known {
            assert!((normal_cdf(x) - cdf).abs() < 1e-14, "{x}: {}", normal_cdf(x));
        }
        assert_eq!(gelu(0.0), 0.0);
        assert_eq!(gelu_slope(0.0), 0.5);
    }

    #[test]
    fn small_cases_by_hand() {
        // [1 2; 3 4] times the transpose of [5 6], plus 7.
        assert_eq!(linear(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0], &[7.0], [2, 2, 1]), [24.0, 46.0]);
        let mut x = [0.0, 3.0f64.ln()];
        softmax(&mut x);
        assert!((x[0] - 0.25).abs() < 1e-15 && (x[1] - 0.75).abs() < 1e-15);
        // Two heads of one column: scores are products of numbers.
        let (q, k) = ([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 2.0, 20.0]);
        assert_eq!(relations(&q, &k, [2, 2, 1]), [1.0, 2.0, 3.0, 6.0, 20.0, 40.0, 40.0, 80.0]);
        let mut scores = [0.0; 8];
        add_bias(&mut scores, &[9.0, 1.0, 2.0, 3.0, 9.0, 9.0, 4.0, 5.0, 6.0, 9.0], [2, 2, 3]);
        assert_eq!(scores, [2.0, 3.0, 1.0, 2.0, 5.0, 6.0, 4.0, 5.0]);
        let weights = [0.5, 0.5, 0.0, 1.0, 1.0, 0.0, 0.25, 0.75];
        assert_eq!(context(&weights, &k, [2, 2, 1]), [1.5, 10.0, 2.0, 17.5]);
        assert_eq!(layer_norm(&[1.0, 3.0], &[2.0, 1.0], &[0.5, 0.0], 3.0), [-0.5, 0.5]);
        let int4 = EmbeddingTable::Int4 { bytes: &[0, 0, 0x8f, 0x07], scales: &[1.0, 1.0, 0.5, 2.0], group: 2 };
        assert_eq!(row(int4, 1, 3), [-0.5, -4.0, 14.0]);
        assert!((gelu_tanh(1.0) - 0.841_191_990_608_3).abs() < 1e-12);
        assert_eq!(epilogue(Epilogue::Add, 2.0, 3.0), 5.0);
    }

    #[test]
    fn the_slope_is_the_derivative() {
        for i in -600..=600 {
            let (x, h) = (f64::from(i) / 100.0, 1e-5);
            let difference = (gelu(x + h) - gelu(x - h)) / (2.0 * h);
            // A central difference is exact to about h²; rounding adds ε/h.
            assert!((gelu_slope(x) - difference).abs() < 1e-9, "{x}");
        }
    }
}
