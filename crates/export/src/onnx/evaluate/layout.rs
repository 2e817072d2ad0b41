//! Operations that move elements and leave them as they are.

use super::value::{Value, around, axis_of};

/// Rows of `x` along an axis, by the numbers of `indices`.
pub(super) fn gather(x: &Value, indices: &Value, axis: i64) -> Result<Value, String> {
    let axis = x.axis(axis)?;
    let [before, length, after] = around(&x.shape, axis);
    let rows: Vec<usize> =
        indices.as_integers()?.iter().map(|&index| axis_of(index, length)).collect::<Result<_, _>>()?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    let mut places = Vec::with_capacity(before * rows.len() * after);
    for outer in 0..before {
        for &row in &rows {
            let first = (outer * length + row) * after;
            places.extend(first..first + after);
        }
    }
    Ok(x.taken(shape, &places))
}

/// A part of `x` along one axis.
pub(super) fn slice(x: &Value, axis: usize, first: usize, end: usize) -> Value {
    let [before, length, after] = around(&x.shape, axis);
    let (first, end) = (first.min(length), end.min(length));
    let mut shape = x.shape.clone();
    shape[axis] = end.saturating_sub(first);
    let places: Vec<usize> =
        (0..before).flat_map(|outer| (outer * length + first) * after..(outer * length + end) * after).collect();
    x.taken(shape, &places)
}

/// A part from one place to another along one axis, both given as lists of one number.
pub(super) fn slice_by_lists(x: &Value, first: &Value, end: &Value, axis: &Value) -> Result<Value, String> {
    match (first.as_integers()?, end.as_integers()?, axis.as_integers()?) {
        (&[first], &[end], &[axis]) if first >= 0 && end >= first => {
            Ok(slice(x, x.axis(axis)?, first as usize, end as usize))
        }
        _ => Err("a slice that is no range of one axis".into()),
    }
}

/// Parts of these lengths along an axis.
pub(super) fn split(x: &Value, lengths: &Value, axis: i64) -> Result<Vec<Value>, String> {
    let axis = x.axis(axis)?;
    let lengths: Vec<usize> =
        lengths.as_integers()?.iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect();
    if lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length)) != Some(x.shape[axis]) {
        return Err(format!("parts of {lengths:?} of {:?}", x.shape));
    }
    let mut first = 0;
    let part = |length: usize| {
        first += length;
        slice(x, axis, first - length, first)
    };
    Ok(lengths.into_iter().map(part).collect())
}

/// Other lengths for the same elements: 0 keeps a length, -1 is what is left.
pub(super) fn reshape(x: &Value, lengths: &Value) -> Result<Value, String> {
    let lengths = lengths.as_integers()?;
    let mut shape = Vec::with_capacity(lengths.len());
    for (place, &length) in lengths.iter().enumerate() {
        shape.push(match length {
            0 => *x.shape.get(place).ok_or("a length of 0 without one to keep")?,
            -1 => 1,
            length => usize::try_from(length).map_err(|_| format!("a length of {length}"))?,
        });
    }
    if let Some(open) = lengths.iter().position(|&length| length == -1) {
        shape[open] = x.len() / shape.iter().product::<usize>().max(1);
    }
    x.reshaped(shape)
}

/// The dimensions in another order.
pub(super) fn transpose(x: &Value, order: &[i64]) -> Result<Value, String> {
    let order: Vec<usize> = order.iter().map(|&axis| x.axis(axis)).collect::<Result<_, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape.len()) {
        return Err(format!("the order {order:?} of {} dimensions", x.shape.len()));
    }
    let strides: Vec<usize> = (0..x.shape.len()).map(|axis| x.shape[axis + 1..].iter().product()).collect();
    let mut places = vec![0];
    for &axis in &order {
        let (length, stride) = (x.shape[axis], strides[axis]);
        places = places.iter().flat_map(|&place| (0..length).map(move |index| place + index * stride)).collect();
    }
    Ok(x.taken(order.iter().map(|&axis| x.shape[axis]).collect(), &places))
}

/// More dimensions of length 1, at these places of the result.
pub(super) fn unsqueeze(x: &Value, axes: &Value) -> Result<Value, String> {
    let axes = axes.as_integers()?;
    let rank = x.shape.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<_, _>>()?;
    let mut old = x.shape.iter();
    let shape = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { old.next().copied() });
    x.reshaped(shape.collect::<Option<_>>().ok_or("an axis twice")?)
}

/// Without these dimensions of length 1.
pub(super) fn squeeze(x: &Value, axes: &Value) -> Result<Value, String> {
    let axes: Vec<usize> = axes.as_integers()?.iter().map(|&axis| x.axis(axis)).collect::<Result<_, _>>()?;
    let shape = x.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &length)| length);
    x.reshaped(shape.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[usize]) -> Value {
        Value::integers(shape, (0..shape.iter().product::<usize>() as i64).collect())
    }

    #[test]
    fn elements_go_where_they_belong() {
        let x = numbers(&[2, 3]);
        let index = Value::integers(&[2], vec![2, 0]);
        assert_eq!(gather(&x, &index, 1).unwrap(), Value::integers(&[2, 2], vec![2, 0, 5, 3]));
        assert_eq!(gather(&x, &Value::integers(&[], vec![1]), 0).unwrap(), Value::integers(&[3], vec![3, 4, 5]));
        assert!(gather(&x, &Value::integers(&[1], vec![3]), 1).is_err());
        assert_eq!(transpose(&x, &[1, 0]).unwrap(), Value::integers(&[3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert!(transpose(&x, &[0, 0]).is_err());
        assert_eq!(reshape(&x, &Value::integers(&[3], vec![0, -1, 1])).unwrap().shape, [2, 3, 1]);
        assert!(reshape(&x, &Value::integers(&[1], vec![5])).is_err());
        assert_eq!(slice(&x, 1, 1, 9), Value::integers(&[2, 2], vec![1, 2, 4, 5]));
        let parts = split(&x, &Value::integers(&[2], vec![1, 2]), -1).unwrap();
        assert_eq!(parts[0], Value::integers(&[2, 1], vec![0, 3]));
        assert_eq!(parts[1], Value::integers(&[2, 2], vec![1, 2, 4, 5]));
        assert!(split(&x, &Value::integers(&[1], vec![1]), 0).is_err());
        let more = unsqueeze(&x, &Value::integers(&[2], vec![0, 2])).unwrap();
        assert_eq!(more.shape, [1, 2, 1, 3]);
        assert_eq!(squeeze(&more, &Value::integers(&[1], vec![-2])).unwrap().shape, [1, 2, 3]);
        assert!(squeeze(&x, &Value::integers(&[1], vec![0])).is_err());
    }
}
