//! Weights are numbers.

use std::path::Path;

use crate::error::Error;

/// Elements that are looked at at a time.
const BLOCK: usize = 4096;

/// The index of the first element that is infinite or not a number.
///
/// ```
/// assert_eq!(attar_model::first_not_finite(&[1.0, f32::INFINITY, f32::NAN]), Some(1));
/// assert_eq!(attar_model::first_not_finite(&[f32::MAX, -0.0]), None);
/// ```
pub fn first_not_finite(numbers: &[f32]) -> Option<usize> {
    // Without a branch for each element, so that the loop is vectorized.
    let is_bad = |block: &&[f32]| block.iter().fold(false, |found, number| found | !number.is_finite());
    let block = numbers.chunks(BLOCK).position(|block| is_bad(&block))?;
    let at = numbers[block * BLOCK..].iter().position(|number| !number.is_finite())?;
    Some(block * BLOCK + at)
}

/// Refuses a tensor of a file with such an element.
pub(crate) fn check_finite(path: &Path, tensor: &str, numbers: &[f32]) -> Result<(), Error> {
    match first_not_finite(numbers) {
        None => Ok(()),
        Some(index) => Err(Error::NotFinite { path: path.into(), tensor: tensor.into(), index, value: numbers[index] }),
    }
}
