//! The strength of a penalty by cross-validation.

use attar_text::random::Streams;

use super::design::Design;
use super::ridge::{Moments, by_steps};
use super::{Features, Labels, LinearModel, newton, ridge, softmax_regression};

/// A model with the penalty that did best on rows held out.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// Fitted to all rows.
    pub model: LinearModel,
    /// Number of the grid: `c` of softmax regression, the penalty of ridge regression.
    pub penalty: f64,
    /// Of the rows, each held out once: the share whose class was found (accuracy), or 1 less the share of the targets'
    /// variance that was missed (R²).
    pub score: f64,
}

/// How many folds: fewer where rows are many and one fold says enough.
fn folds(rows: usize) -> usize {
    match rows {
        0..3_000 => 5,
        3_000..8_000 => 3,
        _ => 2,
    }
}

/// [`softmax_regression`] with the `c` of the grid that does best on rows held out: by the mean of accuracy and macro-F1, so that
/// it does not pay to forget a rare class; of equals, by the loss.
///
/// Rows are divided into 5 folds, 3 from 3,000 and 2 from 8,000 rows on, each with its share of every class. Each fold's
/// models begin where that of the last `c`, in rising order, ended; after two `c` that did worse than the best
/// none is tried.
///
/// # Panics
/// As [`softmax_regression`], or if the grid is empty.
#[track_caller]
pub fn select_softmax(rows: &Features, labels: Labels<'_>, grid: &[f64], streams: &Streams) -> Selected {
    labels.check(rows);
    let grid = ascending(grid);
    let places = divide(labels.classes, labels.count, folds(rows.len()), streams);
    let mut fits: Vec<Fold> = places
        .iter()
        .map(|held| {
            let kept = others(held, rows.len());
            let of = |rows: &[usize]| rows.iter().map(|&row| labels.classes[row]).collect();
            Fold {
                labels: of(&kept),
                held_labels: of(held),
                kept: Design::new(rows, Some(&kept)),
                held: Design::new(rows, Some(held)),
                parameters: None,
            }
        })
        .collect();
    let mut best: Option<Trial> = None;
    let mut worse = 0;
    for &c in &grid {
        let mut answers = Vec::with_capacity(rows.len());
        let loss = fits.iter_mut().map(|fold| fold.answer(labels, c, &mut answers)).sum();
        let trial = Trial::new(c, &answers, labels.count, loss);
        if best.as_ref().is_none_or(|best| trial.worth > best.worth || (trial.worth == best.worth && loss < best.loss))
        {
            (best, worse) = (Some(trial), 0);
        } else {
            worse += 1;
        }
        if worse == 2 {
            break;
        }
    }
    drop(fits);
    let best = best.expect("the grid has a penalty");
    Selected { model: softmax_regression(rows, labels, best.c), penalty: best.c, score: best.accuracy }
}

/// What a penalty came to on the rows held out.
struct Trial {
    c: f64,
    accuracy: f64,
    /// Mean of accuracy and macro-F1.
    worth: f64,
    loss: f64,
}

impl Trial {
    /// From the pairs of true and predicted class.
    fn new(c: f64, answers: &[[u32; 2]], classes: usize, loss: f64) -> Trial {
        // Rows of a class, answers of it, and those of both.
        let mut counts = vec![[0.0f64; 3]; classes];
        for &[truth, predicted] in answers {
            counts[truth as usize][0] += 1.0;
            counts[predicted as usize][1] += 1.0;
            counts[truth as usize][2] += f64::from(u8::from(truth == predicted));
        }
        let right: f64 = counts.iter().map(|[.., both]| both).sum();
        let present = counts.iter().filter(|[rows, ..]| *rows > 0.0);
        let f1: f64 = present.clone().map(|[rows, answers, both]| 2.0 * both / (rows + answers)).sum();
        let accuracy = right / answers.len().max(1) as f64;
        Trial { c, accuracy, worth: 0.5 * (accuracy + f1 / present.count().max(1) as f64), loss }
    }
}

/// [`ridge()`] with the penalty of the grid that misses rows held out by the least squares; folds as in [`select_softmax`],
/// without classes.
///
/// # Panics
/// As [`ridge()`], or if the grid is empty.
#[track_caller]
pub fn select_ridge(rows: &Features, targets: &[f32], grid: &[f64], streams: &Streams) -> Selected {
    assert_eq!(rows.len(), targets.len(), "a target for each row");
    let grid = ascending(grid);
    let places = divide(&vec![0; rows.len()], 1, folds(rows.len()), streams);
    let mut missed = vec![0.0; grid.len()];
    match rows {
        Features::Dense(dense) if Moments::fit(dense.columns) => {
            let parts: Vec<Moments> = places.iter().map(|held| Moments::of(dense, targets, held)).collect();
            for (part, held) in parts.iter().zip(&places) {
                let mut kept = part.clone();
                kept.add(part, -1.0);
                parts.iter().filter(|other| !std::ptr::eq(*other, part)).for_each(|other| kept.add(other, 1.0));
                for (&penalty, missed) in grid.iter().zip(&mut missed) {
                    let model = kept.solve(penalty);
                    for &row in held {
                        let predicted = model.apply_dense(&dense.values[row * dense.columns..][..dense.columns]);
                        *missed += squared(predicted[0], targets[row]);
                    }
                }
            }
        }
        _ => {
            for held in &places {
                let kept = others(held, rows.len());
                let design = Design::new(rows, Some(&kept));
                let kept: Vec<f32> = kept.iter().map(|&row| targets[row]).collect();
                let held_rows = Design::new(rows, Some(held));
                let mut start = None;
                for (&penalty, missed) in grid.iter().zip(&mut missed).rev() {
                    let (model, parameters) = by_steps(&design, &kept, penalty, start.take());
                    start = Some(parameters);
                    for (predicted, &row) in held_rows.outputs(&model).iter().zip(held) {
                        *missed += squared(*predicted, targets[row]);
                    }
                }
            }
        }
    }
    let mut best = 0;
    for (index, &value) in missed.iter().enumerate() {
        if value < missed[best] {
            best = index;
        }
    }
    let mean = targets.iter().map(|&y| f64::from(y)).sum::<f64>() / targets.len().max(1) as f64;
    let total: f64 = targets.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum();
    Selected {
        model: ridge(rows, targets, grid[best]),
        penalty: grid[best],
        score: 1.0 - missed[best] / total.max(f64::MIN_POSITIVE),
    }
}

/// A part of the rows to fit to, and the others to score by.
struct Fold {
    kept: Design,
    labels: Vec<u32>,
    held: Design,
    held_labels: Vec<u32>,
    /// Where the last model ended.
    parameters: Option<Vec<f32>>,
}

impl Fold {
    /// Adds the true and the predicted class of each row held out; returns their loss.
    fn answer(&mut self, labels: Labels<'_>, c: f64, answers: &mut Vec<[u32; 2]>) -> f64 {
        let classes = labels.count;
        let kept = Labels { classes: &self.labels, ..labels };
        let start = self.parameters.take();
        let parameters = newton::solve(&self.kept, kept, c, start, newton::COMPARISON_TOLERANCE);
        let model = newton::model(&self.kept, &parameters, classes);
        let outputs = self.held.outputs(&model);
        let mut loss = 0.0;
        for (logits, &label) in outputs.chunks_exact(classes.max(1)).zip(&self.held_labels) {
            let own = logits[label as usize];
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Ties go to the first class, as everywhere.
            let first = logits.iter().position(|&logit| logit == largest).unwrap_or(0);
            answers.push([label, first as u32]);
            let missed = logits.iter().map(|logit| f64::from(logit - own).exp()).sum::<f64>().ln();
            loss += f64::from(labels.weight(label)) * missed;
        }
        self.parameters = Some(parameters);
        loss
    }
}

/// The rows of each fold: those of a class in random order, dealt out where those of the last class ended.
fn divide(labels: &[u32], classes: usize, folds: usize, streams: &Streams) -> Vec<Vec<usize>> {
    let mut by_class = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(row, &label)| by_class[label as usize].push(row));
    let mut divided = vec![Vec::new(); folds];
    let mut next = 0;
    for (class, mut rows) in by_class.into_iter().enumerate() {
        streams.stream("cross-validation", &[class as u64]).shuffle(&mut rows);
        for row in rows {
            divided[next % folds].push(row);
            next += 1;
        }
    }
    divided.iter_mut().for_each(|rows| rows.sort_unstable());
    divided
}

/// The rows that are not among these, which are in order.
fn others(held: &[usize], rows: usize) -> Vec<usize> {
    (0..rows).filter(|row| held.binary_search(row).is_err()).collect()
}

#[track_caller]
fn ascending(grid: &[f64]) -> Vec<f64> {
    assert!(!grid.is_empty(), "a grid with a penalty");
    let mut grid = grid.to_vec();
    grid.sort_by(f64::total_cmp);
    grid
}

fn squared(predicted: f32, target: f32) -> f64 {
    (f64::from(predicted) - f64::from(target)).powi(2)
}
