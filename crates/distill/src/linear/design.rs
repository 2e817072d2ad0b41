//! The rows that a linear model is fitted to, and their products with its weights.

use std::borrow::Cow;

use attar_kernels::Cpu;
use attar_kernels::train::{InputGradient, Linear, linear, linear_backward};
use rayon::prelude::*;

use super::{Features, LinearModel, SparseRows};

/// Rows or columns of a sparse matrix in a thread's share; with 16, frequent columns are spread over many shares.
const SHARE: usize = 16;
/// Products below which one thread finishes before others have woken up.
const FEWEST_PARALLEL_PRODUCTS: usize = 1 << 17;

/// Rows that a model is fitted to. Dense rows are centered, which makes the solver converge in far fewer steps; the bias, which has
/// no penalty, absorbs the shift.
pub(super) struct Design {
    pub(super) rows: usize,
    pub(super) columns: usize,
    matrix: Matrix,
}

enum Matrix {
    Dense { centered: Vec<f32>, means: Vec<f64>, cpu: Cpu },
    Sparse { rows: SparseRows, columns: SparseRows },
}

impl Design {
    /// These rows of the features, or all of them.
    pub(super) fn new(features: &Features, chosen: Option<&[usize]>) -> Design {
        let all: Vec<usize>;
        let chosen = match chosen {
            Some(chosen) => chosen,
            None => {
                all = (0..features.len()).collect();
                &all
            }
        };
        let columns = features.columns();
        let matrix = match features {
            Features::Dense(dense) => {
                let row = |row: usize| &dense.values[row * columns..][..columns];
                let mut means = vec![0.0f64; columns];
                for &index in chosen {
                    means.iter_mut().zip(row(index)).for_each(|(mean, &x)| *mean += f64::from(x));
                }
                means.iter_mut().for_each(|mean| *mean /= chosen.len().max(1) as f64);
                let center = |&index: &usize| {
                    row(index).iter().zip(&means).map(|(&x, &mean)| (f64::from(x) - mean) as f32).collect::<Vec<f32>>()
                };
                let centered: Vec<f32> = chosen.iter().flat_map(center).collect();
                Matrix::Dense { centered, means, cpu: Cpu::detect() }
            }
            Features::Sparse(sparse) => {
                let rows = if chosen.len() == features.len() { Cow::Borrowed(sparse) } else { subset(sparse, chosen) };
                Matrix::Sparse { columns: transposed(&rows), rows: rows.into_owned() }
            }
        };
        Design { rows: chosen.len(), columns, matrix }
    }

    /// Length of the parameters of a model with `width` outputs: weights `[columns, width]`, then the bias `[width]`.
    pub(super) fn parameter_count(&self, width: usize) -> usize {
        (self.columns + 1) * width
    }

    /// Outputs `[rows, width]` of a model with these parameters.
    pub(super) fn forward(&self, parameters: &[f32], width: usize) -> Vec<f32> {
        let (weights, bias) = parameters.split_at(self.columns * width);
        match &self.matrix {
            Matrix::Dense { centered, cpu, .. } => {
                linear(*cpu, centered, self.rows, Linear { weight: weights, bias, inputs: self.columns })
            }
            Matrix::Sparse { rows, .. } => {
                let mut outputs = vec![0.0; self.rows * width];
                sums(rows, weights, width, &mut outputs);
                outputs.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, &b)| *y += b));
                outputs
            }
        }
    }

    /// The gradient of the parameters, given that of the outputs `[rows, width]`.
    pub(super) fn backward(&self, output_gradient: &[f32], width: usize) -> Vec<f32> {
        match &self.matrix {
            Matrix::Dense { centered, cpu, .. } => {
                // The kernel wants a layer, of which it looks at the shape alone.
                let (weight, bias) = (vec![0.0; self.columns * width], vec![0.0; width]);
                let layer = Linear { weight: &weight, bias: &bias, inputs: self.columns };
                let gradients = linear_backward(*cpu, centered, self.rows, layer, output_gradient, InputGradient::Skip);
                let mut all = gradients.weight;
                all.extend(gradients.bias);
                all
            }
            Matrix::Sparse { columns, .. } => {
                let mut all = vec![0.0; self.parameter_count(width)];
                let (weights, bias) = all.split_at_mut(self.columns * width);
                sums(columns, output_gradient, width, weights);
                for (output, bias) in bias.iter_mut().enumerate() {
                    let sum: f64 = output_gradient.iter().skip(output).step_by(width).map(|&y| f64::from(y)).sum();
                    *bias = sum as f32;
                }
                all
            }
        }
    }

    /// Mean square of each column, `[columns]`.
    pub(super) fn mean_squares(&self) -> Vec<f32> {
        let mut squares = vec![0.0f64; self.columns];
        let mut add = |column: usize, x: f32| squares[column] += f64::from(x) * f64::from(x);
        match &self.matrix {
            Matrix::Dense { centered, .. } => {
                for row in centered.chunks_exact(self.columns) {
                    row.iter().enumerate().for_each(|(column, &x)| add(column, x));
                }
            }
            Matrix::Sparse { rows, .. } => {
                rows.indices.iter().zip(&rows.values).for_each(|(&column, &x)| add(column as usize, x));
            }
        }
        squares.into_iter().map(|square| (square / self.rows.max(1) as f64) as f32).collect()
    }

    /// Mean subtracted from each column of dense rows.
    pub(super) fn means(&self) -> Option<&[f64]> {
        match &self.matrix {
            Matrix::Dense { means, .. } => Some(means),
            Matrix::Sparse { .. } => None,
        }
    }

    /// Outputs `[rows, outputs]` of a finished model, whose weights apply to rows that are not centered.
    pub(super) fn outputs(&self, model: &LinearModel) -> Vec<f32> {
        let (columns, width) = (self.columns, model.bias.len());
        let mut parameters: Vec<f32> = (0..columns)
            .flat_map(|column| (0..width).map(move |output| output * columns + column))
            .map(|place| model.weights[place])
            .collect();
        let bias = model.bias.iter().enumerate().map(|(output, &bias)| {
            let weights = &model.weights[output * columns..][..columns];
            let shift: f64 = match &self.matrix {
                Matrix::Dense { means, .. } => weights.iter().zip(means).map(|(&w, mean)| f64::from(w) * mean).sum(),
                Matrix::Sparse { .. } => 0.0,
            };
            (f64::from(bias) + shift) as f32
        });
        parameters.extend(bias);
        self.forward(&parameters, width)
    }
}

fn subset(all: &SparseRows, chosen: &[usize]) -> Cow<'static, SparseRows> {
    let mut rows = SparseRows::new(all.columns);
    for &row in chosen {
        let (indices, values) = all.row(row);
        rows.push(indices.iter().copied().zip(values.iter().copied()));
    }
    Cow::Owned(rows)
}

fn transposed(rows: &SparseRows) -> SparseRows {
    let count = rows.starts.len() - 1;
    let mut starts = vec![0; rows.columns + 1];
    for &column in &rows.indices {
        starts[column as usize + 1] += 1;
    }
    for column in 0..rows.columns {
        starts[column + 1] += starts[column];
    }
    let mut next = starts.clone();
    let (mut indices, mut values) = (vec![0; rows.indices.len()], vec![0.0; rows.values.len()]);
    for row in 0..count {
        let (columns, numbers) = rows.row(row);
        for (&column, &value) in columns.iter().zip(numbers) {
            let place = &mut next[column as usize];
            (indices[*place], values[*place]) = (row as u32, value);
            *place += 1;
        }
    }
    SparseRows { columns: count, starts, indices, values }
}

/// For each row of `lists` the sum of the rows of `matrix` `[columns, width]` that it names, times its values.
fn sums(lists: &SparseRows, matrix: &[f32], width: usize, results: &mut [f32]) {
    let part = |(share, results): (usize, &mut [f32])| {
        for (number, result) in results.chunks_exact_mut(width).enumerate() {
            let entries = lists.row(share * SHARE + number);
            let mut first = 0;
            // Sums of a few outputs stay in registers while the entries go by.
            while first < width {
                first += match width - first {
                    16.. => outputs_from::<16>(entries, matrix, width, first, result),
                    8.. => outputs_from::<8>(entries, matrix, width, first, result),
                    4.. => outputs_from::<4>(entries, matrix, width, first, result),
                    _ => outputs_from::<1>(entries, matrix, width, first, result),
                };
            }
        }
    };
    if lists.indices.len() * width < FEWEST_PARALLEL_PRODUCTS {
        results.chunks_mut(SHARE * width).enumerate().for_each(part);
    } else {
        results.par_chunks_mut(SHARE * width).enumerate().for_each(part);
    }
}

/// Computes `W` outputs from the output `first` on; returns `W`.
fn outputs_from<const W: usize>(
    (indices, values): (&[u32], &[f32]),
    matrix: &[f32],
    width: usize,
    first: usize,
    result: &mut [f32],
) -> usize {
    let mut sums = [0.0f32; W];
    for (&index, &value) in indices.iter().zip(values) {
        let row = &matrix[index as usize * width + first..][..W];
        for (sum, &number) in sums.iter_mut().zip(row) {
            *sum += value * number;
        }
    }
    result[first..first + W].copy_from_slice(&sums);
    W
}
