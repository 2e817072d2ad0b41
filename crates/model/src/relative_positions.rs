//! MPNet's bias of attention scores by the distance from query to key.
//!
//! One table for all layers has a row for each *bucket* of distances and a column for each head (Song et al. 2020, as T5
//! before it: Raffel et al., arXiv 1910.10683, section 2.1). Its entry is added to `q kᵀ / √D`.

/// Rows of the table.
pub const RELATIVE_BUCKETS: usize = 32;

/// Canonical name of the table `[32, A]`.
pub const RELATIVE_BIAS: &str = "encoder.relative_attention_bias.weight";

/// Buckets of each direction.
const HALF: usize = RELATIVE_BUCKETS / 2;
/// Smallest distance that shares its bucket with others.
const EXACT: usize = HALF / 2;

/// The bucket of a distance, key's position minus query's: 0 to 15 to the left and at 0, 16 to 31 to the right.
///
/// Up to 7 each distance has its own; from 8 on there are two buckets for each doubling, and the last of a direction
/// has all from 91 on.
///
/// ```
/// use attar_model::relative_bucket;
///
/// assert_eq!([0, -1, -7, -8, -9, -16, -200].map(relative_bucket), [0, 1, 7, 8, 8, 10, 15]);
/// assert_eq!([1, 7, 8, 16, 64, 128].map(relative_bucket), [17, 23, 24, 26, 30, 31]);
/// ```
pub fn relative_bucket(distance: isize) -> usize {
    let size = distance.unsigned_abs();
    let bucket = if size < EXACT {
        size
    } else {
        // 8 + ⌊8 log(n / 8) / log(128 / 8)⌋ = 8 + ⌊log₂(n² / 64)⌋, without a rounding.
        let square = size.saturating_mul(size).ilog2() as usize;
        (EXACT + square - (EXACT * EXACT).ilog2() as usize).min(HALF - 1)
    };
    bucket + if distance > 0 { HALF } else { 0 }
}

/// The biases of sequences of up to `longest` tokens: table `[32, A]` to `[A, 2 longest - 1]`, where key minus query
/// stands at `longest - 1 + key - query`.
///
/// # Panics
/// If the table has another length.
#[track_caller]
pub fn bias_by_distance(table: &[f32], heads: usize, longest: usize) -> Vec<f32> {
    assert_eq!(table.len(), RELATIVE_BUCKETS * heads, "a table of {heads} heads");
    let farthest = longest.saturating_sub(1) as isize;
    let distances = move || if longest == 0 { 0..0 } else { -farthest..farthest + 1 };
    let entry = |head: usize| distances().map(move |distance| table[relative_bucket(distance) * heads + head]);
    (0..heads).flat_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula as the library writes it, in double precision away from the steps that it rounds at.
    #[test]
    fn buckets_are_those_of_the_formula() {
        for distance in -300_isize..=300 {
            let size = distance.unsigned_abs() as f64;
            let far = 8.0 + ((size / 8.0).ln() / 16f64.ln() * 8.0 + 1e-9).floor();
            let one_way = if size < 8.0 { size } else { far.min(15.0) };
            let expected = one_way as usize + if distance > 0 { 16 } else { 0 };
            assert_eq!(relative_bucket(distance), expected, "{distance}");
        }
        assert_eq!((relative_bucket(isize::MIN), relative_bucket(isize::MAX)), (15, 31));
    }

    #[test]
    fn biases_are_laid_out_by_head_and_distance() {
        let table: Vec<f32> = (0..RELATIVE_BUCKETS * 2).map(|i| i as f32).collect();
        // Buckets 2, 1, 0, 17, 18 of the first head, then of the second.
        let expected = [4.0, 2.0, 0.0, 34.0, 36.0, 5.0, 3.0, 1.0, 35.0, 37.0];
        assert_eq!(bias_by_distance(&table, 2, 3), expected);
        assert_eq!(bias_by_distance(&table, 2, 0), [0.0; 0]);
    }
}
