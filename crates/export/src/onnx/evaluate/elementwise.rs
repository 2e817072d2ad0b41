//! Operations on each element by itself.

use super::value::{Numbers, Value};
use crate::onnx::proto::data_type;

/// An operation of two tensors, of which the smaller one is repeated along dimensions of length 1.
pub(super) fn of_two(operation: &str, a: &Value, b: &Value) -> Result<Value, String> {
    let shape = common_shape(&a.shape, &b.shape)?;
    let (left, right) = (places(&a.shape, &shape), places(&b.shape, &shape));
    let pairs = left.iter().zip(&right);
    let numbers = match (&a.numbers, &b.numbers) {
        (Numbers::Floats(a), Numbers::Floats(b)) => {
            let function: fn(f32, f32) -> f32 = match operation {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Max" => f32::max,
                _ => return Err(format!("{operation} of floats")),
            };
            Numbers::Floats(pairs.map(|(&i, &j)| function(a[i], b[j])).collect())
        }
        (Numbers::Integers(a), Numbers::Integers(b)) => {
            let function: fn(i64, i64) -> i64 = match operation {
                "Add" => i64::wrapping_add,
                "Sub" => i64::wrapping_sub,
                "Mul" => i64::wrapping_mul,
                "Equal" => {
                    return Ok(Value { shape, numbers: Numbers::Truths(pairs.map(|(&i, &j)| a[i] == b[j]).collect()) });
                }
                _ => return Err(format!("{operation} of integers")),
            };
            Numbers::Integers(pairs.map(|(&i, &j)| function(a[i], b[j])).collect())
        }
        _ => return Err("two different types of elements".into()),
    };
    Ok(Value { shape, numbers })
}

/// A function of floats.
pub(super) fn of_one(x: &Value, function: impl Fn(f32) -> f32) -> Result<Value, String> {
    Ok(Value::floats(&x.shape, x.as_floats()?.iter().map(|&x| function(x)).collect()))
}

/// The elements as another type.
pub(super) fn cast(x: &Value, to: Option<i64>) -> Result<Value, String> {
    if to == Some(i64::from(data_type::UINT8)) {
        let levels = x.as_floats()?.iter().map(|&x| x as u8).collect();
        return Ok(Value { shape: x.shape.clone(), numbers: Numbers::Unsigned(levels) });
    }
    if to != Some(i64::from(data_type::FLOAT)) {
        return Err(format!("a cast to the type {to:?}"));
    }
    let floats = match &x.numbers {
        Numbers::Floats(all) => all.clone(),
        Numbers::Integers(all) => all.iter().map(|&x| x as f32).collect(),
        Numbers::Unsigned(all) => all.iter().map(|&x| f32::from(x)).collect(),
        Numbers::Signed(all) => all.iter().map(|&x| f32::from(x)).collect(),
        Numbers::Truths(all) => all.iter().map(|&x| f32::from(u8::from(x))).collect(),
    };
    Ok(Value::floats(&x.shape, floats))
}

/// `erf x`, in double precision: the series `2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!`, whose terms have one sign.
pub(super) fn erf(x: f32) -> f32 {
    let x = f64::from(x);
    if x.abs() > 6.0 || x.is_nan() {
        return if x.is_nan() { f32::NAN } else { x.signum() as f32 };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    (std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum) as f32
}

/// The shape that both can be repeated to.
pub(super) fn common_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], from_end: usize| shape.len().checked_sub(from_end).map_or(1, |at| shape[at]);
    (0..rank)
        .rev()
        .map(|from_end| match (length(a, from_end + 1), length(b, from_end + 1)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("{a:?} beside {b:?}")),
        })
        .collect()
}

/// Where the elements of a tensor of the larger shape come from in one of the smaller shape.
pub(super) fn places(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut all = vec![0];
    let missing = to.len() - from.len();
    let mut stride: usize = from.iter().product();
    for (dimension, &length) in to.iter().enumerate() {
        let own = dimension.checked_sub(missing).map_or(1, |at| from[at]);
        stride /= own.max(1);
        let step = if own == 1 { 0 } else { stride };
        all = all.iter().flat_map(|&place| (0..length).map(move |index| place + index * step)).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_repeated_from_the_right() {
        let a = Value::floats(&[2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let b = Value::floats(&[2, 1], vec![10.0, 20.0]);
        let sum = of_two("Add", &a, &b).unwrap();
        assert_eq!(sum, Value::floats(&[2, 2, 2], vec![11.0, 12.0, 21.0, 22.0, 13.0, 14.0, 23.0, 24.0]));
        assert_eq!(of_two("Sub", &b, &Value::floats(&[], vec![1.0])).unwrap(), Value::floats(&[2, 1], vec![9.0, 19.0]));
        assert!(of_two("Add", &a, &Value::floats(&[3], vec![0.0; 3])).is_err());
        assert!(of_two("Add", &a, &Value::integers(&[1], vec![1])).is_err());
    }

    #[test]
    fn erf_is_that_of_tables() {
        for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_9), (-1.0, -0.842_700_8), (2.5, 0.999_593_1), (7.0, 1.0)] {
            assert!((erf(x) - expected).abs() < 1e-7, "{x}: {}", erf(x));
        }
        assert!(erf(f32::NAN).is_nan());
    }
}
