//! Operations over whole rows: products, sums, normalizations, quantization.

use super::elementwise::{common_shape, places};
use super::layout::slice;
use super::value::{Numbers, Value, around};

/// The product of matrices `[…, M, K]` and `[…, K, N]`; leading dimensions are repeated where they are 1.
pub(super) fn matmul(a: &Value, b: &Value) -> Result<Value, String> {
    let wrong = || format!("a product of {:?} and {:?}", a.shape, b.shape);
    let ([outer_a @ .., m, k], [outer_b @ .., rows, n]) = (&a.shape[..], &b.shape[..]) else { return Err(wrong()) };
    if k != rows {
        return Err(wrong());
    }
    let outer = common_shape(outer_a, outer_b)?;
    let (x, y) = (a.as_floats()?, b.as_floats()?);
    let mut out = Vec::with_capacity(outer.iter().product::<usize>() * m * n);
    for (left, right) in places(outer_a, &outer).into_iter().zip(places(outer_b, &outer)) {
        let y = &y[right * k * n..][..k * n];
        for row in x[left * m * k..][..m * k].chunks_exact((*k).max(1)) {
            let mut sums = vec![0.0f32; *n];
            for (&factor, y) in row.iter().zip(y.chunks_exact((*n).max(1))) {
                sums.iter_mut().zip(y).for_each(|(sum, &y)| *sum += factor * y);
            }
            out.extend(sums);
        }
    }
    Ok(Value::floats(&[&outer[..], &[*m, *n]].concat(), out))
}

/// Shares that add up to 1, along the last axis.
pub(super) fn softmax(x: &Value, axis: i64) -> Result<Value, String> {
    let width = last_axis(x, axis)?;
    let mut out = x.as_floats()?.to_vec();
    for row in out.chunks_exact_mut(width) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    Ok(Value::floats(&x.shape, out))
}

/// Rows of mean 0 and variance 1, times a gain and plus a bias, along the last axis.
pub(super) fn layer_norm(x: &Value, gain: &Value, bias: &Value, axis: i64, epsilon: f32) -> Result<Value, String> {
    let width = last_axis(x, axis)?;
    let (gain, bias) = (gain.as_floats()?, bias.as_floats()?);
    if gain.len() != width || bias.len() != width {
        return Err(format!("gain and bias of {} and {} for {width} columns", gain.len(), bias.len()));
    }
    let mut out = x.as_floats()?.to_vec();
    for row in out.chunks_exact_mut(width) {
        let count = width as f64;
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
        for ((x, &gain), &bias) in row.iter_mut().zip(gain).zip(bias) {
            *x = ((f64::from(*x) - mean) * scale) as f32 * gain + bias;
        }
    }
    Ok(Value::floats(&x.shape, out))
}

fn last_axis(x: &Value, axis: i64) -> Result<usize, String> {
    match x.shape.last() {
        Some(&width) if x.axis(axis)? + 1 == x.shape.len() && width > 0 => Ok(width),
        _ => Err(format!("expected the last axis of {:?}, got {axis}", x.shape)),
    }
}

/// Sums, or the largest or smallest elements, along one axis.
pub(super) fn reduce(x: &Value, axes: &[i64], keep: bool, operation: &str) -> Result<Value, String> {
    let &[axis] = axes else { return Err(format!("one axis at a time, got {axes:?}")) };
    let axis = x.axis(axis)?;
    let [before, length, after] = around(&x.shape, axis);
    let mut shape = x.shape.clone();
    if keep {
        shape[axis] = 1;
    } else {
        shape.remove(axis);
    }
    let cells = (0..before).flat_map(|outer| (0..after).map(move |inner| outer * length * after + inner));
    let along = |first: usize| (0..length).map(move |index| first + index * after);
    Ok(match &x.numbers {
        Numbers::Floats(all) if operation == "ReduceSum" => {
            Value::floats(&shape, cells.map(|first| along(first).map(|at| all[at]).sum()).collect())
        }
        Numbers::Floats(all) => {
            let (begin, further): (f32, fn(f32, f32) -> f32) = match operation {
                "ReduceMax" => (f32::NEG_INFINITY, f32::max),
                _ => (f32::INFINITY, f32::min),
            };
            let extreme = |first| along(first).map(|at| all[at]).fold(begin, further);
            Value::floats(&shape, cells.map(extreme).collect())
        }
        Numbers::Integers(all) if operation == "ReduceSum" => {
            Value::integers(&shape, cells.map(|first| along(first).map(|at| all[at]).sum()).collect())
        }
        _ => return Err("a reduction of that type".into()),
    })
}

/// Running sums along an axis, each with its own element.
pub(super) fn running_sums(x: &Value, axis: &Value) -> Result<Value, String> {
    let &[axis] = axis.as_integers()? else { return Err("expected one axis".into()) };
    let [_, length, after] = around(&x.shape, x.axis(axis)?);
    let mut out = x.as_integers()?.to_vec();
    for place in 0..out.len() {
        if (place / after) % length > 0 {
            out[place] += out[place - after];
        }
    }
    Ok(Value::integers(&x.shape, out))
}

/// The product of levels `[…, M, K]` and `[K, N]`, each counted from its level of 0; exact.
pub(super) fn matmul_of_levels(a: &Value, b: &Value, zero_a: &Value, zero_b: &Value) -> Result<Value, String> {
    let levels = |value: &Value, zero: &Value| {
        let counted = match (&value.numbers, &zero.numbers) {
            (Numbers::Unsigned(all), Numbers::Unsigned(zero)) if zero.len() == 1 => {
                all.iter().map(|&x| f32::from(x) - f32::from(zero[0])).collect()
            }
            (Numbers::Signed(all), Numbers::Signed(zero)) if zero.len() == 1 => {
                all.iter().map(|&x| f32::from(x) - f32::from(zero[0])).collect()
            }
            _ => return Err("expected bytes with one level of 0 of their kind".to_string()),
        };
        Ok(Value::floats(&value.shape, counted))
    };
    let (a, b) = (levels(a, zero_a)?, levels(b, zero_b)?);
    let rows = a.shape.last().copied().unwrap_or(0);
    // Floats add whole numbers exactly up to 2²⁴; more are added in parts.
    let part = (1 << 24) / (255 * 255);
    let mut sums: Option<Vec<i64>> = None;
    let mut shape = Vec::new();
    for first in (0..rows).step_by(part) {
        let end = (first + part).min(rows);
        let product = matmul(&slice(&a, a.shape.len() - 1, first, end), &slice(&b, 0, first, end))?;
        shape.clone_from(&product.shape);
        let exact = product.as_floats()?.iter().map(|&x| x as i64);
        sums = Some(match sums {
            None => exact.collect(),
            Some(sums) => sums.iter().zip(exact).map(|(sum, more)| sum + more).collect(),
        });
    }
    Ok(Value::integers(&shape, sums.ok_or("a product of nothing")?))
}

/// Levels of all numbers, their step and the level of 0, which is one of them.
pub(super) fn levels(x: &Value) -> Result<Vec<Value>, String> {
    let all = x.as_floats()?;
    let [least, most] =
        [f32::min as fn(f32, f32) -> f32, f32::max].map(|further| all.iter().copied().fold(0.0, further));
    let scale = if most > least { (most - least) / 255.0 } else { 1.0 };
    let zero = (-least / scale).round_ties_even().clamp(0.0, 255.0);
    let level = |&x: &f32| ((x / scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8;
    let unsigned = |shape: &[usize], data| Value { shape: shape.to_vec(), numbers: Numbers::Unsigned(data) };
    let levels = unsigned(&x.shape, all.iter().map(level).collect());
    Ok(vec![levels, Value::floats(&[], vec![scale]), unsigned(&[], vec![zero as u8])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_repeat_what_they_lack() {
        let a = Value::floats(&[2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let b = Value::floats(&[2, 1], vec![10.0, 1.0]);
        assert_eq!(matmul(&a, &b).unwrap(), Value::floats(&[2, 1, 1], vec![12.0, 34.0]));
        assert!(matmul(&b, &b).is_err());
    }

    #[test]
    fn rows_are_normalized_and_reduced() {
        let x = Value::floats(&[1, 2], vec![1.0, 3.0]);
        let [gain, bias] = [[2.0, 2.0], [0.5, 1.0]].map(|data| Value::floats(&[2], data.to_vec()));
        assert_eq!(layer_norm(&x, &gain, &bias, -1, 0.0).unwrap(), Value::floats(&[1, 2], vec![-1.5, 3.0]));
        let shares = softmax(&Value::floats(&[1, 2], vec![0.0, 3f32.ln()]), -1).unwrap();
        assert!((shares.as_floats().unwrap()[1] - 0.75).abs() < 1e-6);
        let x = Value::floats(&[2, 2], vec![1.0, 5.0, 3.0, 2.0]);
        assert_eq!(reduce(&x, &[0], false, "ReduceSum").unwrap(), Value::floats(&[2], vec![4.0, 7.0]));
        assert_eq!(reduce(&x, &[1], true, "ReduceMax").unwrap(), Value::floats(&[2, 1], vec![5.0, 3.0]));
        assert_eq!(reduce(&x, &[-1], false, "ReduceMin").unwrap(), Value::floats(&[2], vec![1.0, 2.0]));
        let counts = Value::integers(&[2, 3], vec![1, 1, 0, 0, 1, 1]);
        let sums = running_sums(&counts, &Value::integers(&[], vec![1])).unwrap();
        assert_eq!(sums, Value::integers(&[2, 3], vec![1, 2, 2, 0, 1, 2]));
    }

    #[test]
    fn levels_reach_from_the_least_to_the_most_and_hold_zero() {
        let all = levels(&Value::floats(&[2, 2], vec![-1.0, 0.0, 0.004, 1.55])).unwrap();
        assert_eq!(all[0], Value { shape: vec![2, 2], numbers: Numbers::Unsigned(vec![0, 100, 100, 255]) });
        assert_eq!(all[1], Value::floats(&[], vec![0.01]));
        assert_eq!(all[2], Value { shape: vec![], numbers: Numbers::Unsigned(vec![100]) });
        let positive = levels(&Value::floats(&[2], vec![2.0, 5.1])).unwrap();
        assert_eq!(positive[0].numbers, Numbers::Unsigned(vec![100, 255]));
        assert_eq!(levels(&Value::floats(&[1], vec![0.0])).unwrap()[1], Value::floats(&[], vec![1.0]));
    }

    #[test]
    fn products_of_levels_are_exact() {
        let bytes = |shape: &[usize], data: Vec<u8>| Value { shape: shape.to_vec(), numbers: Numbers::Unsigned(data) };
        let zero = bytes(&[], vec![128]);
        let a = bytes(&[1, 2, 2], vec![129, 126, 255, 128]);
        let b = bytes(&[2, 1], vec![131, 120]);
        assert_eq!(matmul_of_levels(&a, &b, &zero, &zero).unwrap(), Value::integers(&[1, 2, 1], vec![19, 381]));
        // More than a float holds exactly, an odd number at the end.
        let count = 3000;
        let long = |shape: &[usize]| bytes(shape, (0..count).map(|i| if i == 0 { 129 } else { 255 }).collect());
        let sum = matmul_of_levels(&long(&[1, count]), &long(&[count, 1]), &zero, &zero).unwrap();
        assert_eq!(sum, Value::integers(&[1, 1], vec![127 * 127 * (count as i64 - 1) + 1]));
        assert!(matmul_of_levels(&a, &b, &zero, &bytes(&[1], vec![])).is_err());
        // Signed weights.
        let signed = |shape: &[usize], data| Value { shape: shape.to_vec(), numbers: Numbers::Signed(data) };
        let sum = matmul_of_levels(&a, &signed(&[2, 1], vec![3, -8]), &zero, &signed(&[], vec![0])).unwrap();
        assert_eq!(sum, Value::integers(&[1, 2, 1], vec![19, 381]));
        assert!(matmul_of_levels(&a, &b, &zero, &signed(&[], vec![0])).is_err());
    }
}
