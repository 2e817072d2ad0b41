//! Embeddings as narrow ones behind a linear map (factorized embeddings: Lan et al., ALBERT, arXiv 1909.11942, section
//! 3.1), beginning with the nearest approximation of those that they replace.
//!
//! Where embeddings are normalized before they are mapped, as in ELECTRA's layout, a row `s` of width n is read as
//! `g C s √n / |C s| + b`, in which `C` takes the mean away. With the principal directions `U [n, E - 1]` of the rows `C s`
//! and any orthonormal `Q [E, E - 1]` whose columns have the mean 0, the narrow row is `z = Q Uᵀ C s`: its own mean is 0, so
//! that its normalization `√E z / |z|` loses nothing, and the map `r √(n / E) diag(g) U Qᵀ` with the bias `b` gives the wide
//! row back as far as `U` spans it. `r` is the mean of `|z| / |C s|`, by which the narrow rows are shorter.

use attar_model::{EMBEDDING_PROJECTION, Tensor as Stored, Weights};
use nalgebra::DMatrix;

use super::principal::{Directions, matrix, stored};
use super::{BeginningProgress, Progress};

/// The tables whose rows are added, in the order in which they are read.
const TABLES: [&str; 3] = [
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
];
const GAIN: &str = "embeddings.LayerNorm.weight";
const BIAS: &str = "embeddings.LayerNorm.bias";
/// Rows whose products are added at a time.
const BLOCK: usize = 4096;

/// Replaces the embeddings among these weights, and the map behind them if they have one, by embeddings of this smaller
/// width with their map. Tables that are not there are left to whoever makes them.
pub(super) fn factorize(weights: &mut Weights, width: usize, progress: Progress<'_>) {
    let (Some(gain), Some(bias)) = (weights.remove(GAIN), weights.remove(BIAS)) else { return };
    let wide = gain.data.len();
    let tables: Vec<(&str, DMatrix<f64>)> =
        TABLES.into_iter().filter_map(|name| Some((name, centered(&weights.remove(name)?)))).collect();
    let directions = Directions::of(moments(&tables, wide, progress), width - 1);
    let narrow = mean_free_basis(width);
    let kept: Vec<DMatrix<f64>> = tables.iter().map(|(_, table)| table * directions.matrix()).collect();
    let shorter = mean_length_ratio(&tables, &kept);
    for ((name, _), rows) in tables.iter().zip(&kept) {
        weights.insert(*name, stored(&(rows * narrow.transpose())));
    }
    let scale = shorter * (wide as f64 / width as f64).sqrt();
    let mut map = directions.matrix() * narrow.transpose() * scale;
    map.row_iter_mut().zip(&gain.data).for_each(|(mut row, &gain)| row *= f64::from(gain));
    let mut offset = DMatrix::from_iterator(wide, 1, bias.data.iter().map(|&x| f64::from(x)));
    let [weight, constant] = ["weight", "bias"].map(|part| format!("{EMBEDDING_PROJECTION}.{part}"));
    if let (Some(outer), Some(shift)) = (weights.remove(&weight), weights.remove(&constant)) {
        let outer = matrix(&outer);
        map = &outer * map;
        offset = outer * offset + DMatrix::from_iterator(shift.data.len(), 1, shift.data.iter().map(|&x| f64::from(x)));
    }
    weights.insert(GAIN, Stored::new(vec![width], vec![1.0; width]));
    weights.insert(BIAS, Stored::zeros(vec![width]));
    weights.insert(weight, stored(&map));
    weights.insert(constant, Stored::new(vec![offset.nrows()], offset.iter().map(|&x| x as f32).collect()));
}

/// The second moments `[n, n]` of the sum of one row from each table, rows drawn uniformly and independently: the
/// tables' covariances plus the outer product of the sum of their means.
fn moments(tables: &[(&str, DMatrix<f64>)], wide: usize, progress: Progress<'_>) -> DMatrix<f64> {
    let of = tables.iter().map(|(_, table)| table.nrows()).sum();
    let mut done = 0;
    let mut sum = DMatrix::zeros(wide, wide);
    let mut mean = DMatrix::zeros(1, wide);
    for (_, table) in tables {
        let (count, own) = (table.nrows().max(1) as f64, DMatrix::from_rows(&[table.row_mean()]));
        for first in (0..table.nrows()).step_by(BLOCK) {
            let rows = table.rows(first, BLOCK.min(table.nrows() - first));
            sum += rows.tr_mul(&rows) / count;
            done += rows.nrows();
            progress(BeginningProgress { what: "principal directions of the embeddings", done, of });
        }
        sum -= own.tr_mul(&own);
        mean += own;
    }
    sum + mean.tr_mul(&mean)
}

/// The mean ratio of the length of a projected row to that of the row, over the rows of the first table plus the mean
/// of each other table.
fn mean_length_ratio(tables: &[(&str, DMatrix<f64>)], kept: &[DMatrix<f64>]) -> f64 {
    let length = |parts: &[&DMatrix<f64>]| -> Vec<f64> {
        let Some((first, others)) = parts.split_first() else { return Vec::new() };
        let mut means = DMatrix::zeros(1, first.ncols());
        for other in others {
            means += DMatrix::from_rows(&[other.row_mean()]);
        }
        first.row_iter().map(|row| (row + &means).norm()).collect()
    };
    let whole = length(&tables.iter().map(|(_, table)| table).collect::<Vec<_>>());
    let part = length(&kept.iter().collect::<Vec<_>>());
    let ratios: Vec<f64> = part.iter().zip(&whole).filter(|(_, whole)| **whole > 0.0).map(|(p, w)| p / w).collect();
    if ratios.is_empty() { 1.0 } else { ratios.iter().sum::<f64>() / ratios.len() as f64 }
}

/// Orthonormal columns `[E, E - 1]` whose elements add up to 0 (Helmert's).
fn mean_free_basis(width: usize) -> DMatrix<f64> {
    DMatrix::from_fn(width, width - 1, |row, column| {
        let count = (column + 1) as f64;
        let length = (count * (count + 1.0)).sqrt();
        match row.cmp(&(column + 1)) {
            std::cmp::Ordering::Less => 1.0 / length,
            std::cmp::Ordering::Equal => -count / length,
            std::cmp::Ordering::Greater => 0.0,
        }
    })
}

/// The rows of a table, each less its mean.
fn centered(table: &Stored) -> DMatrix<f64> {
    let mut rows = matrix(table);
    rows.row_iter_mut().for_each(|mut row| row.add_scalar_mut(-row.mean()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern that matters.
    fn numbers(rows: usize, columns: usize, seed: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |row, column| {
            ((row * 131 + column * 37 + seed * 71) * 2_654_435_761 % 1009) as f64 / 1009.0 - 0.5
        })
    }

    /// The normalization of a row without its gain and bias.
    fn normalized(row: &DMatrix<f64>) -> DMatrix<f64> {
        let centered = row.add_scalar(-row.mean());
        &centered * ((row.len() as f64).sqrt() / centered.norm())
    }

    fn sum_of_rows(weights: &Weights, places: [usize; 3]) -> DMatrix<f64> {
        let row = |(name, place): (&str, usize)| DMatrix::from_rows(&[matrix(weights.get(name).unwrap()).row(place)]);
        TABLES
            .into_iter()
            .zip(places)
            .map(row)
            .fold(DMatrix::zeros(1, weights.get(TABLES[0]).unwrap().shape[1]), |a, b| a + b)
    }

    fn vector(weights: &Weights, name: &str) -> DMatrix<f64> {
        let tensor = weights.get(name).unwrap();
        DMatrix::from_iterator(1, tensor.data.len(), tensor.data.iter().map(|&x| f64::from(x)))
    }

    /// Tables of 9 columns whose rows lie in so many dimensions, and their normalization.
    fn wide(dimensions: usize) -> Weights {
        let span = numbers(dimensions, 9, 1);
        let mut weights = Weights::new();
        for (index, (name, rows)) in TABLES.into_iter().zip([40, 6, 2]).enumerate() {
            weights.insert(name, stored(&(numbers(rows, dimensions, 2 + index) * &span)));
        }
        weights.insert(GAIN, Stored::new(vec![9], (0..9).map(|i| 0.5 + 0.1 * i as f32).collect()));
        weights.insert(BIAS, Stored::new(vec![9], (0..9).map(|i| 0.3 - 0.05 * i as f32).collect()));
        weights
    }

    /// States after the embeddings: mapped where there is a map.
    fn state(weights: &Weights, places: [usize; 3]) -> DMatrix<f64> {
        let x = normalized(&sum_of_rows(weights, places)).component_mul(&vector(weights, GAIN)) + vector(weights, BIAS);
        match weights.get("embeddings_project.weight") {
            None => x,
            Some(map) => x * matrix(map).transpose() + vector(weights, "embeddings_project.bias"),
        }
    }

    const PLACES: [[usize; 3]; 4] = [[0, 0, 0], [39, 5, 1], [17, 2, 0], [8, 4, 1]];

    #[test]
    fn rows_of_few_dimensions_are_read_as_before() {
        for (outer, from) in [(false, 9), (true, 9), (true, 7)] {
            let mut weights = wide(4);
            if outer {
                weights.insert("embeddings_project.weight", stored(&numbers(from, 9, 7)));
                weights.insert("embeddings_project.bias", Stored::new(vec![from], vec![0.25; from]));
            }
            let before = PLACES.map(|places| state(&weights, places));
            let mut told = Vec::new();
            factorize(&mut weights, 5, &mut |progress| told.push((progress.done, progress.of)));
            assert_eq!(told.last(), Some(&(48, 48)));
            assert_eq!(weights.get(TABLES[0]).unwrap().shape, [40, 5]);
            assert_eq!(weights.get("embeddings_project.weight").unwrap().shape, [if outer { from } else { 9 }, 5]);
            for (places, before) in PLACES.into_iter().zip(before) {
                let difference = (state(&weights, places) - &before).amax();
                assert!(difference < 1e-4 * before.amax(), "{places:?}: off by {difference}");
            }
        }
    }

    #[test]
    fn rows_of_more_dimensions_come_as_near_as_the_width_allows() {
        let weights = wide(9);
        let error = |width: usize| {
            let mut narrow = weights.clone();
            factorize(&mut narrow, width, &mut |_| {});
            let squares =
                (0..40).map(|row| (state(&narrow, [row, 1, 0]) - state(&weights, [row, 1, 0])).norm_squared());
            squares.sum::<f64>()
        };
        let errors = [2, 4, 6, 8].map(error);
        assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
        // Rows of mean 0 span eight directions. A width of 8 loses the weakest, a width of 2 the seven weakest, so the error of the
        // first should be at most a seventh of that of the second; lengths are matched only on average, so the bound is two sevenths.
        assert!(errors[3] < 2.0 / 7.0 * errors[0] && errors[3] > 1e-6, "{errors:?}");
    }

    #[test]
    fn a_table_that_is_missing_is_left_to_others() {
        let mut weights = wide(9);
        weights.remove(TABLES[0]);
        factorize(&mut weights, 4, &mut |_| {});
        assert!(weights.get(TABLES[0]).is_none());
        assert_eq!(weights.get(TABLES[1]).unwrap().shape, [6, 4]);
        assert!(weights.get("embeddings_project.weight").unwrap().data.iter().all(|x| x.is_finite()));
    }
}
