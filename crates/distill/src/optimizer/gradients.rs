//! Gradients of all parameters, in their order: collecting, adding up, measuring.

use burn::backend::Flex;
use burn::tensor::{Gradients as Tape, Tensor};
use rayon::prelude::*;

use crate::Error;
use crate::engine::{Parameters, Value, Values};

/// Elements whose squares are summed before the partial sums are added in order: the norm does not
/// depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// The gradient of one parameter.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are some hundred of them, and nearly all are the large one")]
pub enum Gradient {
    /// Of every element.
    Dense(Value),
    /// Of some rows of a table; the others are zero.
    Rows(RowGradients),
}

/// Gradients of rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct RowGradients {
    /// Row numbers, ascending.
    pub rows: Vec<u32>,
    /// `[rows, columns]`
    pub gradients: Vec<f32>,
}

/// A gradient for each parameter; `None` where no objective reached it.
#[derive(Debug, Clone)]
pub struct Gradients(Vec<Option<Gradient>>);

impl Gradients {
    /// Takes the gradients of the leaves of a batch out of a finished backward pass. `ids` are the
    /// token ids of the batch, whose rows a table gave.
    ///
    /// # Errors
    /// If the device fails to hand out a number.
    pub fn collect(leaves: Values, ids: &[u32], mut tape: Tape) -> Result<Gradients, Error> {
        let mut take = |leaf: &Value| -> Result<Option<Gradient>, Error> {
            Ok(match leaf {
                Value::Vector(t) => t.grad_remove(&mut tape).map(|g| Gradient::Dense(Value::Vector(g))),
                Value::Matrix(t) => t.grad_remove(&mut tape).map(|g| Gradient::Dense(Value::Matrix(g))),
                Value::Rows(t) => match t.grad_remove(&mut tape) {
                    Some(g) => {
                        Some(Gradient::Rows(RowGradients::gather(ids, &g.try_to_vec_as().map_err(Error::device)?)))
                    }
                    None => None,
                },
            })
        };
        Ok(Gradients(leaves.iter().map(&mut take).collect::<Result<_, _>>()?))
    }

    /// Adds the gradients of another micro-batch of the same parameters.
    pub fn plus(self, other: Gradients) -> Gradients {
        let add = |pair| match pair {
            (Some(a), Some(b)) => Some(match (a, b) {
                (Gradient::Dense(Value::Vector(a)), Gradient::Dense(Value::Vector(b))) => {
                    Gradient::Dense(Value::Vector(a + b))
                }
                (Gradient::Dense(Value::Matrix(a)), Gradient::Dense(Value::Matrix(b))) => {
                    Gradient::Dense(Value::Matrix(a + b))
                }
                (Gradient::Rows(a), Gradient::Rows(b)) => Gradient::Rows(a.plus(&b)),
                _ => unreachable!("a parameter keeps its kind of gradient"),
            }),
            (a, None) => a,
            (None, b) => b,
        };
        Gradients(self.0.into_iter().zip(other.0).map(add).collect())
    }

    /// Euclidean norm over all gradients together.
    ///
    /// # Errors
    /// If the device fails to hand out a number.
    pub fn norm(&self) -> Result<f64, Error> {
        let mut squares = 0.0;
        for gradient in self.0.iter().flatten() {
            squares += match gradient {
                Gradient::Dense(Value::Vector(t)) => squares_of(t)?,
                Gradient::Dense(Value::Matrix(t) | Value::Rows(t)) => squares_of(t)?,
                Gradient::Rows(rows) => sum_of_squares(&rows.gradients),
            };
        }
        Ok(squares.sqrt())
    }

    /// The gradients in the order of the parameters.
    pub fn into_parts(self) -> Vec<Option<Gradient>> {
        self.0
    }

    /// The gradients of all elements, zero where no objective reached, in the order of the parameters.
    ///
    /// For looking at, not for training: this is the large array that row gradients avoid.
    pub fn into_dense(self, parameters: &Parameters) -> Vec<Value> {
        let dense = |(slot, gradient): (&crate::engine::Slot, Option<Gradient>)| match gradient {
            Some(Gradient::Dense(value)) => value,
            other => {
                let mut all = vec![0.0; slot.len()];
                if let Some(Gradient::Rows(rows)) = other {
                    let columns = slot.shape[1];
                    for (&row, gradient) in rows.rows.iter().zip(rows.gradients.chunks(columns)) {
                        all[row as usize * columns..][..columns].copy_from_slice(gradient);
                    }
                }
                Value::new(all, &slot.shape, parameters.device())
            }
        };
        parameters.slots().iter().zip(self.0).map(dense).collect()
    }
}

impl RowGradients {
    /// Sums the gradients `[N, columns]` of looked-up rows by row, in the order of the look-ups.
    fn gather(ids: &[u32], gradients: &[f32]) -> RowGradients {
        let columns = gradients.len() / ids.len().max(1);
        let mut rows = ids.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let mut sums = vec![0.0; rows.len() * columns];
        for (id, gradient) in ids.iter().zip(gradients.chunks(columns.max(1))) {
            // Every id is among the rows.
            let place = rows.partition_point(|row| row < id);
            for (sum, g) in sums[place * columns..].iter_mut().zip(gradient) {
                *sum += g;
            }
        }
        RowGradients { rows, gradients: sums }
    }

    fn plus(&self, other: &RowGradients) -> RowGradients {
        let ids = [self.rows.as_slice(), &other.rows].concat();
        RowGradients::gather(&ids, &[self.gradients.as_slice(), &other.gradients].concat())
    }
}

fn squares_of<const D: usize>(t: &Tensor<D>) -> Result<f64, Error> {
    match t.clone().try_into_primitive::<Flex>() {
        Ok(primitive) => Ok(sum_of_squares(primitive.to_contiguous().storage())),
        Err(_) => t.clone().square().sum().try_into_scalar::<f32>().map(f64::from).map_err(Error::device),
    }
}

fn sum_of_squares(numbers: &[f32]) -> f64 {
    let square = |chunk: &[f32]| chunk.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    let partial: Vec<f64> = numbers.par_chunks(CHUNK).map(square).collect();
    partial.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_by_id() {
        let rows = RowGradients::gather(&[7, 2, 7], &[1.0, 2.0, 10.0, 20.0, 100.0, 200.0]);
        assert_eq!(rows, RowGradients { rows: vec![2, 7], gradients: vec![10.0, 20.0, 101.0, 202.0] });
        let more = RowGradients { rows: vec![0, 7], gradients: vec![1.0, 1.0, 0.5, 0.5] };
        let sum = rows.plus(&more);
        assert_eq!(sum.rows, [0, 2, 7]);
        assert_eq!(sum.gradients, [1.0, 1.0, 10.0, 20.0, 101.5, 202.5]);
        assert_eq!(RowGradients::gather(&[], &[]), RowGradients { rows: vec![], gradients: vec![] });
    }

    #[test]
    fn squares_do_not_depend_on_chunks() {
        let numbers: Vec<f32> = (0..3 * CHUNK + 5).map(|i| (i % 13) as f32).collect();
        let plain: f64 = numbers.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        // Whole numbers below 2^53 add exactly in any order.
        assert_eq!(sum_of_squares(&numbers), plain);
    }
}
