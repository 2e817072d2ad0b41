//! Linear models over dense or sparse rows: classes by softmax regression, scores by ridge regression.
//!
//! They serve twice: over counted n-grams as the [baseline](crate::baseline) that a student must beat, and over the
//! sentence vectors of a frozen encoder as the head that fine-tuning begins with.
//!
//! ```
//! use attar_distill::linear::{DenseRows, Features, Labels, SOFTMAX_GRID, select_softmax, softmax_regression};
//! use attar_text::random::Streams;
//!
//! let rows = Features::Dense(DenseRows { columns: 2, values: vec![0.1, 3.0, -0.2, 2.5, 0.3, -1.0, 0.0, -2.0] });
//! let labels = Labels::new(&[0, 0, 1, 1], 2);
//! let model = softmax_regression(&rows, labels, 1.0);
//! let logits = model.apply_dense(&[0.0, 2.0]);
//! assert!(logits[0] > logits[1]);
//!
//! // The strength of the penalty by cross-validation, the model by all rows.
//! let selected = select_softmax(&rows, labels, &SOFTMAX_GRID, &Streams::new(1));
//! assert_eq!(selected.model.weights.len(), 2 * 2);
//! ```
//!
//! # How they are solved
//! Softmax regression by Newton's method, whose steps conjugate gradients find (`linear/newton.rs`); ridge regression by its normal
//! equations (`linear/ridge.rs`). Both are a page each over products that the project has; the crates that solve them bring a
//! tensor library of their own. Sums are split at fixed places: results do not depend on the number of threads.

mod design;
mod newton;
mod one_vs_rest;
mod ridge;
mod select;

use design::Design;

pub use one_vs_rest::select_one_vs_rest;
pub use ridge::ridge;
pub use select::{Selected, select_ridge, select_softmax};

/// Inverse penalties that cover sentence vectors and TF-IDF rows, from strong to weak: a grid for [`select_softmax`].
pub const SOFTMAX_GRID: [f64; 7] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Penalties from weak to strong: a grid for [`select_ridge`].
pub const RIDGE_GRID: [f64; 8] = [0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Rows of features.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// Every number is there.
    Dense(DenseRows),
    /// Most numbers are 0 and left out.
    Sparse(SparseRows),
}

/// Rows in which every number is there.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseRows {
    /// Numbers of a row, at least 1.
    pub columns: usize,
    /// `[rows, columns]`
    pub values: Vec<f32>,
}

/// Rows in which zeros are left out (compressed sparse rows).
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows {
    /// Numbers of a row, zeros included.
    pub columns: usize,
    /// Where each row begins among the entries, and where the last one ends: `[rows + 1]`, the first 0.
    pub starts: Vec<usize>,
    /// Column of each entry; those of a row differ.
    pub indices: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<f32>,
}

impl Features {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Features::Dense(rows) => rows.values.len() / rows.columns.max(1),
            Features::Sparse(rows) => rows.starts.len().saturating_sub(1),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        match self {
            Features::Dense(rows) => rows.columns,
            Features::Sparse(rows) => rows.columns,
        }
    }
}

impl SparseRows {
    /// No rows yet.
    pub fn new(columns: usize) -> SparseRows {
        SparseRows { columns, starts: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    /// Adds a row by its entries.
    ///
    /// # Panics
    /// If a column is not there.
    #[track_caller]
    pub fn push(&mut self, entries: impl IntoIterator<Item = (u32, f32)>) {
        for (column, value) in entries {
            assert!((column as usize) < self.columns, "column {column} of {}", self.columns);
            self.indices.push(column);
            self.values.push(value);
        }
        self.starts.push(self.indices.len());
    }

    /// The entries of a row: their columns and their values.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.indices[range.clone()], &self.values[range])
    }
}

/// `W x + b`: one output for each class, or one score.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// `[outputs, columns]`, as the tensor `classifier.weight` of a model file.
    pub weights: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
    /// Numbers of a row.
    pub columns: usize,
}

impl LinearModel {
    /// Outputs for a row.
    ///
    /// # Panics
    /// If the row has another length than the model's.
    #[track_caller]
    pub fn apply_dense(&self, row: &[f32]) -> Vec<f32> {
        assert_eq!(row.len(), self.columns, "a row of {} numbers", self.columns);
        let product = |(output, &bias): (usize, &f32)| {
            let weights = &self.weights[output * self.columns..][..self.columns];
            let sum: f64 = weights.iter().zip(row).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
            (sum + f64::from(bias)) as f32
        };
        self.bias.iter().enumerate().map(product).collect()
    }

    /// Outputs for a row of which only these columns are not 0.
    ///
    /// # Panics
    /// If a column is not there.
    #[track_caller]
    pub fn apply_sparse(&self, indices: &[u32], values: &[f32]) -> Vec<f32> {
        let product = |(output, &bias): (usize, &f32)| {
            let weights = &self.weights[output * self.columns..][..self.columns];
            let entries = indices.iter().zip(values);
            let sum: f64 = entries.map(|(&column, &x)| f64::from(weights[column as usize]) * f64::from(x)).sum();
            (sum + f64::from(bias)) as f32
        };
        self.bias.iter().enumerate().map(product).collect()
    }
}

/// The class of each row, and how much rows count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labels<'a> {
    /// Of each row, below `count`.
    pub classes: &'a [u32],
    /// Number of classes.
    pub count: usize,
    /// How often the rows of each class count, above 0: scikit-learn's `class_weight`. Once each if left out.
    pub weights: Option<&'a [f32]>,
}

impl<'a> Labels<'a> {
    /// Classes whose rows count once each.
    pub fn new(classes: &'a [u32], count: usize) -> Labels<'a> {
        Labels { classes, count, weights: None }
    }

    fn weight(&self, class: u32) -> f32 {
        self.weights.map_or(1.0, |weights| weights[class as usize])
    }

    #[track_caller]
    fn check(&self, rows: &Features) {
        let count = self.count;
        assert_eq!(rows.len(), self.classes.len(), "a label for each row");
        assert!(self.classes.iter().all(|&class| (class as usize) < count), "labels below {count}");
        assert!(self.weights.is_none_or(|weights| weights.len() == count), "a weight for each class");
    }
}

/// Softmax regression with a penalty on the weights: the objective of scikit-learn's `LogisticRegression`,
/// `c · Σ −log p(label) + ‖W‖² / 2`, in which the bias has no penalty.
///
/// Of two classes, as there, one vector of weights `w` is learned and has the penalty; the classes get `−w/2` and `w/2`. It is
/// solved until no element of the mean loss's gradient exceeds 1e-5; without rows, or with fewer than two classes, the
/// weights are 0.
///
/// # Panics
/// If there are not as many labels as rows or as many weights as classes, a label is not below their number, or `c` is not
/// above 0.
#[track_caller]
pub fn softmax_regression(rows: &Features, labels: Labels<'_>, c: f64) -> LinearModel {
    labels.check(rows);
    let design = Design::new(rows, None);
    let parameters = newton::solve(&design, labels, c, None, newton::FINAL_TOLERANCE);
    newton::model(&design, &parameters, labels.count)
}
