//! Ridge regression by its normal equations: from second moments where columns are few, else by conjugate gradients.

use rayon::prelude::*;

use super::design::Design;
use super::newton::{add, dot};
use super::{DenseRows, Features, LinearModel};

/// Columns up to which the matrix of second moments is made and factored.
const MOST_COLUMNS: usize = 1024;
/// Parts in which second moments are summed at most, and rows of one at least.
const PARTS: usize = 16;
const PART_ROWS: usize = 256;
/// Steps of conjugate gradients at most, and the share of the first residual at which they end.
const STEPS: usize = 500;
const CLOSE: f64 = 1e-6;

/// Ridge regression: the least `Σ (target − w x − b)² + penalty · ‖w‖²`, scikit-learn's `Ridge`; the bias has no penalty.
///
/// Without rows, weights and bias are 0.
///
/// # Panics
/// If there are not as many targets as rows, or the penalty is not above 0.
#[track_caller]
pub fn ridge(rows: &Features, targets: &[f32], penalty: f64) -> LinearModel {
    assert_eq!(rows.len(), targets.len(), "a target for each row");
    match rows {
        Features::Dense(dense) if dense.columns <= MOST_COLUMNS => {
            let all: Vec<usize> = (0..rows.len()).collect();
            Moments::of(dense, targets, &all).solve(penalty)
        }
        _ => by_steps(&Design::new(rows, None), targets, penalty, None).0,
    }
}

/// Sums of products of all pairs of `columns`, target and 1, over some rows: moments of different rows add up.
#[derive(Clone)]
pub(super) struct Moments {
    /// Columns of the rows, without target and 1.
    columns: usize,
    /// `[columns + 2, columns + 2]`, of which the part from the diagonal on is there.
    sums: Vec<f64>,
}

impl Moments {
    pub(super) fn fit(columns: usize) -> bool {
        columns <= MOST_COLUMNS
    }

    pub(super) fn of(rows: &DenseRows, targets: &[f32], chosen: &[usize]) -> Moments {
        let side = rows.columns + 2;
        let size = chosen.len().div_ceil(PARTS).max(PART_ROWS);
        let parts: Vec<Vec<f64>> = chosen
            .par_chunks(size)
            .map(|chosen| {
                let mut sums = vec![0.0; side * side];
                let mut row = vec![1.0f64; side];
                for &index in chosen {
                    let numbers = &rows.values[index * rows.columns..][..rows.columns];
                    row.iter_mut().zip(numbers).for_each(|(to, &from)| *to = f64::from(from));
                    row[rows.columns] = f64::from(targets[index]);
                    for (first, &x) in row.iter().enumerate() {
                        let sums = &mut sums[first * side + first..(first + 1) * side];
                        sums.iter_mut().zip(&row[first..]).for_each(|(sum, y)| *sum += x * y);
                    }
                }
                sums
            })
            .collect();
        let mut moments = Moments { columns: rows.columns, sums: vec![0.0; side * side] };
        parts.into_iter().for_each(|part| moments.add(&Moments { columns: rows.columns, sums: part }, 1.0));
        moments
    }

    pub(super) fn add(&mut self, other: &Moments, factor: f64) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += factor * b);
    }

    #[track_caller]
    pub(super) fn solve(&self, penalty: f64) -> LinearModel {
        assert!(penalty > 0.0, "a penalty above 0, got {penalty}");
        let (columns, side) = (self.columns, self.columns + 2);
        let rows = self.sums[side * side - 1];
        if rows < 0.5 {
            return LinearModel { weights: vec![0.0; columns], bias: vec![0.0], columns };
        }
        let mean = |column: usize| self.sums[column * side + side - 1] / rows;
        let centered = |a: usize, b: usize| self.sums[a * side + b] - rows * mean(a) * mean(b);
        // The lower triangle of the factor, row by row.
        let mut factor = vec![0.0f64; columns * columns];
        for a in 0..columns {
            for b in 0..=a {
                let (before, own) = factor.split_at(a * columns);
                let earlier = if a == b { &own[..b] } else { &before[b * columns..][..b] };
                let sum: f64 = own[..b].iter().zip(earlier).map(|(x, y)| x * y).sum();
                let rest = centered(b, a) + if a == b { penalty } else { 0.0 } - sum;
                factor[a * columns + b] =
                    if a == b { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / factor[b * columns + b] };
            }
        }
        let mut weights: Vec<f64> = (0..columns).map(|column| centered(column, columns)).collect();
        for a in 0..columns {
            let sum: f64 = factor[a * columns..][..a].iter().zip(&weights).map(|(x, y)| x * y).sum();
            weights[a] = (weights[a] - sum) / factor[a * columns + a];
        }
        for a in (0..columns).rev() {
            let sum: f64 = (a + 1..columns).map(|b| factor[b * columns + a] * weights[b]).sum();
            weights[a] = (weights[a] - sum) / factor[a * columns + a];
        }
        let bias = mean(columns) - weights.iter().enumerate().map(|(column, w)| w * mean(column)).sum::<f64>();
        LinearModel { weights: weights.into_iter().map(|w| w as f32).collect(), bias: vec![bias as f32], columns }
    }
}

/// By conjugate gradients, from `start`; returns the model and its parameters, to start from.
#[track_caller]
pub(super) fn by_steps(
    design: &Design,
    targets: &[f32],
    penalty: f64,
    start: Option<Vec<f32>>,
) -> (LinearModel, Vec<f32>) {
    assert!(penalty > 0.0, "a penalty above 0, got {penalty}");
    let columns = design.columns;
    let mut solution = start.unwrap_or_else(|| vec![0.0; design.parameter_count(1)]);
    // The mean goes first: a bias of its own size would be all that the first steps see.
    let mean = targets.iter().map(|&y| f64::from(y)).sum::<f64>() / targets.len().max(1) as f64;
    let centered: Vec<f32> = targets.iter().map(|&y| (f64::from(y) - mean) as f32).collect();
    let squares = design.mean_squares();
    let rows = design.rows as f64;
    let inverse: Vec<f32> = squares
        .iter()
        .map(|&square| (1.0 / (rows * f64::from(square) + penalty)) as f32)
        .chain([(1.0 / rows.max(1.0)) as f32])
        .collect();
    let normal = |v: &[f32]| {
        let mut product = design.backward(&design.forward(v, 1), 1);
        add(&mut product[..columns], penalty, &v[..columns]);
        product
    };
    let mut residual = design.backward(&centered, 1);
    let first = dot(&residual, &residual);
    add(&mut residual, -1.0, &normal(&solution));
    let precondition = |r: &[f32]| -> Vec<f32> { r.iter().zip(&inverse).map(|(r, i)| r * i).collect() };
    let mut direction = precondition(&residual);
    let mut size = dot(&residual, &direction);
    for _ in 0..STEPS {
        if dot(&residual, &residual) <= CLOSE * CLOSE * first {
            break;
        }
        let product = normal(&direction);
        let bend = dot(&direction, &product);
        if bend.is_nan() || bend <= 0.0 {
            break;
        }
        add(&mut solution, size / bend, &direction);
        add(&mut residual, -size / bend, &product);
        let next = precondition(&residual);
        let next_size = dot(&residual, &next);
        direction.iter_mut().zip(&next).for_each(|(d, n)| *d = n + (next_size / size) as f32 * *d);
        size = next_size;
    }
    let weights = solution[..columns].to_vec();
    let mut bias = f64::from(solution[columns]) + mean;
    if let Some(means) = design.means() {
        bias -= weights.iter().zip(means).map(|(&w, mean)| f64::from(w) * mean).sum::<f64>();
    }
    (LinearModel { weights, bias: vec![bias as f32], columns }, solution)
}
