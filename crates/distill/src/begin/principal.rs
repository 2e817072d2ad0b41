//! The directions in which a model's hidden states vary most.

use attar_model::Tensor as Stored;
use nalgebra::{DMatrix, SymmetricEigen};

use super::{BeginningProgress, Progress};
use crate::Error;
use crate::engine::{Input, Keep};
use crate::plan::Plan;
use crate::train::Teacher;

/// Orthonormal directions `[H, H']` in the space of a model's states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Directions(DMatrix<f64>);

/// The first `count` principal directions of the embeddings' and these layers' outputs over some batches: those of
/// `Σ h hᵀ`, each level scaled to the same size so that no level decides alone. The mean is left in, for states are
/// compared with it.
pub(super) fn of_states(
    plan: &Plan,
    teacher: &Teacher,
    batches: &[Vec<u32>],
    layers: &[usize],
    count: usize,
    progress: Progress<'_>,
) -> Result<Directions, Error> {
    let device = crate::device::open(plan.recipe.device)?;
    let config = teacher.encoder().config();
    let width = config.hidden;
    let levels: Vec<usize> = std::iter::once(0).chain(layers.iter().copied()).collect();
    let mut moments = vec![DMatrix::<f64>::zeros(width, width); levels.len()];
    let (mut done, of) = (0, batches.iter().map(Vec::len).sum());
    for rows in batches {
        let batch = plan.teacher_batch(rows);
        let trace = teacher.trace(&Input::ragged(&batch, config, &device), Keep::Layers, None);
        for (moment, &level) in moments.iter_mut().zip(&levels) {
            let states = trace.hidden(level).clone();
            let product = states.clone().transpose().matmul(states);
            let numbers = product.try_into_vec_as::<f32>().map_err(Error::device)?;
            *moment += DMatrix::from_iterator(width, width, numbers.into_iter().map(f64::from));
        }
        done += rows.len();
        progress(BeginningProgress { what: "principal directions of the teacher's states", done, of });
    }
    let mut sum = DMatrix::<f64>::zeros(width, width);
    for moment in moments {
        let size = moment.trace();
        if size > 0.0 {
            sum += moment / size;
        }
    }
    Ok(Directions::of(sum, count))
}

impl Directions {
    /// The eigenvectors of a symmetric matrix with the largest eigenvalues.
    pub(crate) fn of(matrix: DMatrix<f64>, count: usize) -> Directions {
        let width = matrix.nrows();
        let eigen = SymmetricEigen::new(matrix);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let mut directions = DMatrix::zeros(width, count);
        for (column, &place) in order.iter().take(count).enumerate() {
            let vector = eigen.eigenvectors.column(place);
            // An eigenvector has no sign of its own; the largest element decides, so that builds agree.
            let largest = vector.iter().copied().fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a });
            directions.set_column(column, &(vector * largest.signum()));
        }
        Directions(directions)
    }

    /// H'
    pub(super) fn narrow(&self) -> usize {
        self.0.ncols()
    }

    /// The directions, `[H, H']`.
    pub(super) fn matrix(&self) -> &DMatrix<f64> {
        &self.0
    }

    /// The directions `[H, H']` in row-major order.
    pub(crate) fn columns(&self) -> Vec<f32> {
        self.0.transpose().iter().map(|&x| x as f32).collect()
    }

    /// `[n, H]` to `[n, H']`: what reads states, or is a table of them.
    pub(crate) fn project_rows(&self, tensor: &Stored) -> Stored {
        stored(&(matrix(tensor) * &self.0))
    }

    /// `[H, n]` to `[H', n]`: what writes states.
    pub(super) fn project_columns(&self, tensor: &Stored) -> Stored {
        stored(&(self.0.transpose() * matrix(tensor)))
    }

    /// `[H]` to `[H']`.
    pub(super) fn project_vector(&self, tensor: &Stored) -> Stored {
        let row = Stored::new(vec![1, tensor.data.len()], tensor.data.clone());
        let narrow = self.project_rows(&row);
        Stored::new(vec![self.narrow()], narrow.data)
    }
}

/// The numbers of a tensor of two dimensions.
pub(super) fn matrix(tensor: &Stored) -> DMatrix<f64> {
    DMatrix::from_row_iterator(tensor.shape[0], tensor.shape[1], tensor.data.iter().map(|&x| f64::from(x)))
}

/// The tensor of a matrix.
pub(super) fn stored(matrix: &DMatrix<f64>) -> Stored {
    let data = matrix.transpose().iter().map(|&x| x as f32).collect();
    Stored::new(vec![matrix.nrows(), matrix.ncols()], data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_of_a_flat_cloud_span_it() {
        // States in the plane of (1, 1, 0)/√2 and (0, 0, 1), most along the first.
        let matrix = DMatrix::from_row_slice(3, 3, &[4.5, 4.5, 0.0, 4.5, 4.5, 0.0, 0.0, 0.0, 1.0]);
        let directions = Directions::of(matrix, 2);
        let state = Stored::new(vec![1, 3], vec![2.0, 2.0, 3.0]);
        let narrow = directions.project_rows(&state);
        let expected = [8.0f32.sqrt(), 3.0];
        for (got, expected) in narrow.data.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{:?}", narrow.data);
        }
        // Back again: nothing of the state was outside the plane.
        let back = Stored::new(vec![2, 1], narrow.data.clone());
        let wide: Vec<f32> =
            directions.columns().chunks(2).map(|row| row[0] * back.data[0] + row[1] * back.data[1]).collect();
        assert!(wide.iter().zip(&state.data).all(|(a, b)| (a - b).abs() < 1e-5), "{wide:?}");
        assert_eq!(directions.project_columns(&Stored::new(vec![3, 1], state.data)).data.len(), 2);
    }
}
