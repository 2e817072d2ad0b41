//! Softmax regression by Newton's method.
//!
//! The objective is the mean loss and `λ ‖W‖² / 2` with `λ = 1 / (c · rows)`, which has the minimum of scikit-learn's. Each
//! step solves `H d = −g` by conjugate gradients, as exactly as the gradient is small (Eisenstat and Walker 1996), with the
//! diagonal as preconditioner: features differ in frequency by a thousand. Outputs are linear in the step, so that the
//! search along it needs no product.

use rayon::prelude::*;

use super::design::Design;
use super::{Labels, LinearModel};

/// Largest element of the gradient at which a model that is kept counts as solved.
pub(super) const FINAL_TOLERANCE: f64 = 1e-5;
/// The same where models are only compared.
pub(super) const COMPARISON_TOLERANCE: f64 = 1e-4;
/// Most Newton steps; about ten are typical.
const STEPS: usize = 100;
/// Most products with the Hessian in a step.
const INNER_STEPS: usize = 100;
/// Rows in a thread's share.
const ROWS: usize = 64;
/// Parameters in a thread's share.
const NUMBERS: usize = 1 << 14;

/// Outputs of a model for so many classes: one for two classes; otherwise their number rounded up to a multiple of 4, where the
/// outputs added stay 0.
pub(super) fn width(classes: usize) -> usize {
    match classes {
        0..=2 => 1,
        _ => classes.next_multiple_of(4),
    }
}

struct Problem<'a> {
    design: &'a Design,
    labels: Labels<'a>,
    width: usize,
    /// Weight of each row in the loss.
    row_weights: Vec<f32>,
    /// λ
    penalty: f64,
}

/// Parameters `[columns, width]` and `[width]` at the minimum, from `start` or from 0.
#[track_caller]
pub(super) fn solve(design: &Design, labels: Labels<'_>, c: f64, start: Option<Vec<f32>>, tolerance: f64) -> Vec<f32> {
    assert!(c > 0.0, "an inverse penalty above 0, got {c}");
    let width = width(labels.count);
    let mut parameters = start.unwrap_or_else(|| vec![0.0; design.parameter_count(width)]);
    if design.rows == 0 || labels.count < 2 {
        return parameters;
    }
    let penalty = 1.0 / (c * design.rows as f64);
    let row_weights = labels.classes.iter().map(|&class| labels.weight(class)).collect();
    let problem = Problem { design, labels, width, row_weights, penalty };
    let squares = design.mean_squares();
    let mut logits = design.forward(&parameters, width);
    let mut probabilities = vec![0.0; logits.len()];
    let mut first_norm = None;
    for _ in 0..STEPS {
        problem.probabilities(&logits, &mut probabilities);
        let gradient = problem.gradient(&parameters, &probabilities);
        let largest = gradient.iter().fold(0.0f32, |most, g| most.max(g.abs()));
        if f64::from(largest) <= tolerance {
            break;
        }
        let norm = dot(&gradient, &gradient).sqrt();
        let forcing = (norm / *first_norm.get_or_insert(norm)).sqrt().min(0.3);
        let step = problem.newton_step(&gradient, &probabilities, &squares, forcing * norm);
        let along = design.forward(&step, width);
        let length = problem.line_search(&parameters, &step, &logits, &along);
        if length == 0.0 {
            // As far as 32-bit numbers go.
            break;
        }
        add(&mut parameters, length, &step);
        add(&mut logits, length, &along);
    }
    parameters
}

/// Converts parameters fitted to centered rows into a model for rows as they were.
pub(super) fn model(design: &Design, parameters: &[f32], classes: usize) -> LinearModel {
    let (columns, width) = (design.columns, width(classes));
    let number = |column: usize, class: usize| match (width, classes) {
        (1, 2) => (class as f32 - 0.5) * parameters[column],
        (1, _) => 0.0,
        _ => parameters[column * width + class],
    };
    let weights: Vec<f32> = (0..classes)
        .flat_map(|class| (0..columns).map(move |column| (column, class)))
        .map(|(column, class)| number(column, class))
        .collect();
    let mut bias: Vec<f64> = (0..classes).map(|class| f64::from(number(columns, class))).collect();
    if let Some(means) = design.means() {
        for (bias, weights) in bias.iter_mut().zip(weights.chunks(columns.max(1))) {
            *bias -= weights.iter().zip(means).map(|(&w, mean)| f64::from(w) * mean).sum::<f64>();
        }
    }
    // The same number on every bias changes nothing; their mean is 0 then.
    let mean = bias.iter().sum::<f64>() / classes.max(1) as f64;
    LinearModel { weights, bias: bias.into_iter().map(|bias| (bias - mean) as f32).collect(), columns }
}

impl Problem<'_> {
    /// Probabilities `[rows, width]` of these outputs.
    fn probabilities(&self, logits: &[f32], probabilities: &mut [f32]) {
        let rows = probabilities.par_chunks_mut(self.width).zip(logits.par_chunks(self.width));
        rows.with_min_len(ROWS).for_each(|(probabilities, logits)| {
            self.row(logits, probabilities);
        });
    }

    /// Probabilities of a row; returns the logarithm of the sum that they were divided by.
    fn row(&self, logits: &[f32], probabilities: &mut [f32]) -> f64 {
        if self.width == 1 {
            let z = f64::from(logits[0]);
            probabilities[0] = (1.0 / (1.0 + (-z).exp())) as f32;
            return z.max(0.0) + (-z.abs()).exp().ln_1p();
        }
        let known = &logits[..self.labels.count];
        let largest = known.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0f32;
        for (chance, &logit) in probabilities.iter_mut().zip(known) {
            *chance = (logit - largest).exp();
            sum += *chance;
        }
        probabilities.iter_mut().for_each(|chance| *chance /= sum);
        f64::from(largest) + f64::from(sum).ln()
    }

    fn gradient(&self, parameters: &[f32], probabilities: &[f32]) -> Vec<f32> {
        let share = 1.0 / self.design.rows as f32;
        let mut residuals = probabilities.to_vec();
        let rows = residuals.chunks_exact_mut(self.width).zip(self.labels.classes).zip(&self.row_weights);
        for ((row, &label), count) in rows {
            match self.width {
                1 => row[0] -= label as f32,
                _ => row[label as usize] -= 1.0,
            }
            row.iter_mut().for_each(|residual| *residual *= count * share);
        }
        let mut gradient = self.design.backward(&residuals, self.width);
        self.add_penalty(&mut gradient, parameters);
        gradient
    }

    /// Adds `λ` times the weights; the bias is not penalized.
    fn add_penalty(&self, result: &mut [f32], parameters: &[f32]) {
        let weights = self.design.columns * self.width;
        add(&mut result[..weights], self.penalty, &parameters[..weights]);
    }

    /// `H v`, the Hessian times a direction.
    fn hessian_product(&self, probabilities: &[f32], direction: &[f32]) -> Vec<f32> {
        let share = 1.0 / self.design.rows as f32;
        let mut along = self.design.forward(direction, self.width);
        let rows = along.par_chunks_mut(self.width).zip(probabilities.par_chunks(self.width)).zip(&self.row_weights);
        rows.with_min_len(ROWS).for_each(|((along, probabilities), count)| {
            let share = count * share;
            if self.width == 1 {
                along[0] *= share * probabilities[0] * (1.0 - probabilities[0]);
                return;
            }
            let mean: f32 = along.iter().zip(probabilities).map(|(v, p)| v * p).sum();
            along.iter_mut().zip(probabilities).for_each(|(v, p)| *v = share * p * (*v - mean));
        });
        let mut product = self.design.backward(&along, self.width);
        self.add_penalty(&mut product, direction);
        product
    }

    /// `d` with `|H d + g|` below `tolerance`.
    fn newton_step(&self, gradient: &[f32], probabilities: &[f32], squares: &[f32], tolerance: f64) -> Vec<f32> {
        let inverse = self.inverse_diagonal(probabilities, squares);
        let precondition = |residual: &[f32]| -> Vec<f32> {
            residual.par_iter().zip(&inverse).with_min_len(NUMBERS).map(|(r, i)| r * i).collect()
        };
        let mut step = vec![0.0; gradient.len()];
        let mut residual: Vec<f32> = gradient.iter().map(|g| -g).collect();
        let mut direction = precondition(&residual);
        let mut size = dot(&residual, &direction);
        for _ in 0..INNER_STEPS {
            let product = self.hessian_product(probabilities, &direction);
            let bend = dot(&direction, &product);
            if bend.is_nan() || bend <= 0.0 {
                break;
            }
            add(&mut step, size / bend, &direction);
            add(&mut residual, -size / bend, &product);
            if dot(&residual, &residual).sqrt() <= tolerance {
                break;
            }
            let next = precondition(&residual);
            let next_size = dot(&residual, &next);
            let share = (next_size / size) as f32;
            direction.par_iter_mut().zip(&next).with_min_len(NUMBERS).for_each(|(d, n)| *d = n + share * *d);
            size = next_size;
        }
        step
    }

    /// One over the diagonal of the Hessian, as if the probabilities of a class were the same in all rows.
    fn inverse_diagonal(&self, probabilities: &[f32], squares: &[f32]) -> Vec<f32> {
        let mut spread = vec![0.0f64; self.width];
        for (row, count) in probabilities.chunks_exact(self.width).zip(&self.row_weights) {
            spread.iter_mut().zip(row).for_each(|(sum, &p)| *sum += f64::from(count * p * (1.0 - p)));
        }
        let spread: Vec<f32> = spread.iter().map(|sum| (sum / self.design.rows as f64) as f32).collect();
        let penalty = self.penalty as f32;
        let weights = squares.iter().flat_map(|square| spread.iter().map(move |s| 1.0 / (square * s + penalty)));
        // Without a penalty, the bias of a class that is certain in every row would be unbounded.
        weights.chain(spread.iter().map(|s| 1.0 / (s + penalty.max(1e-6)))).collect()
    }

    /// How far to go along a step: approximately to the minimum, by one-dimensional Newton steps.
    fn line_search(&self, parameters: &[f32], step: &[f32], logits: &[f32], along: &[f32]) -> f64 {
        let weights = self.design.columns * self.width;
        let (parameters, step) = (&parameters[..weights], &step[..weights]);
        let (own, cross, square) = (dot(parameters, parameters), dot(parameters, step), dot(step, step));
        let at = |length: f64| -> [f64; 3] {
            let [loss, slope, bend] = self.loss_along(logits, along, length);
            [
                loss + 0.5 * self.penalty * (own + length * (2.0 * cross + length * square)),
                slope + self.penalty * (cross + length * square),
                bend + self.penalty * square,
            ]
        };
        let [start, start_slope, _] = at(0.0);
        if start_slope >= 0.0 {
            return 0.0;
        }
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
        for _ in 0..20 {
            let [value, slope, bend] = at(length);
            // The strong Wolfe condition on the slope, and no increase; the objective is convex, so a small slope means a value near the
            // minimum.
            if slope.abs() <= 0.3 * start_slope.abs() && value <= start {
                return length;
            }
            if slope < 0.0 {
                low = length
            } else {
                high = length
            }
            let next = length - slope / bend;
            length = if next > low && next < high {
                next.min(4.0 * length)
            } else {
                0.5 * (low + high.min(2.0 * length + low))
            };
        }
        low
    }

    /// The mean loss at `logits + length · along`, and its first two derivatives by the length.
    fn loss_along(&self, logits: &[f32], along: &[f32], length: f64) -> [f64; 3] {
        let size = ROWS * self.width;
        let shares = logits.par_chunks(size).zip(along.par_chunks(size)).zip(self.labels.classes.par_chunks(ROWS));
        let sums: Vec<[f64; 3]> = shares
            .map(|((logits, along), labels)| {
                let (mut moved, mut probabilities) = (vec![0.0; self.width], vec![0.0; self.width]);
                let mut sums = [0.0; 3];
                let rows = logits.chunks_exact(self.width).zip(along.chunks_exact(self.width)).zip(labels);
                for ((logits, along), &label) in rows {
                    let numbers = moved.iter_mut().zip(logits).zip(along);
                    numbers.for_each(|((moved, &z), &v)| *moved = z + length as f32 * v);
                    let logarithm = self.row(&moved, &mut probabilities);
                    let [mut mean, mut square] = [0.0f32; 2];
                    for (&p, &v) in probabilities.iter().zip(along) {
                        mean += p * v;
                        square += p * v * v;
                    }
                    let (logit, direction) = match self.width {
                        1 => (moved[0] * label as f32, along[0] * label as f32),
                        _ => (moved[label as usize], along[label as usize]),
                    };
                    let count = f64::from(self.labels.weight(label));
                    sums[0] += count * (logarithm - f64::from(logit));
                    sums[1] += count * (f64::from(mean) - f64::from(direction));
                    sums[2] += count * f64::from(square - mean * mean);
                }
                sums
            })
            .collect();
        let total = sums.iter().fold([0.0; 3], |total, sum| [0, 1, 2].map(|i| total[i] + sum[i]));
        total.map(|sum| sum / self.design.rows as f64)
    }
}

/// `Σ aᵢ bᵢ`, split at fixed places.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let part = |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let parts: Vec<f64> = a.par_chunks(NUMBERS).zip(b.par_chunks(NUMBERS)).map(part).collect();
    parts.iter().sum()
}

/// `a += factor · b`.
pub(super) fn add(a: &mut [f32], factor: f64, b: &[f32]) {
    let factor = factor as f32;
    a.par_iter_mut().zip(b).with_min_len(NUMBERS).for_each(|(a, &b)| *a += factor * b);
}
