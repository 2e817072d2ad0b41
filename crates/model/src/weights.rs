//! Named tensors in a fixed order.

use indexmap::IndexMap;

use crate::config::EncoderConfig;
use crate::names::expected_shapes;

/// A dense array of 32-bit floats in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, as many as the product of the shape.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of these elements.
    ///
    /// # Panics
    /// If their number is not the product of the shape.
    #[track_caller]
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(element_count(&shape), Some(data.len()), "{shape:?} does not hold {} elements", data.len());
        Tensor { shape, data }
    }

    /// A tensor of zeros.
    ///
    /// # Panics
    /// If the shape has more elements than memory can hold.
    #[track_caller]
    pub fn zeros(shape: Vec<usize>) -> Self {
        let count = element_count(&shape).unwrap_or_else(|| panic!("{shape:?} overflows"));
        Tensor { data: vec![0.0; count], shape }
    }
}

/// Tensors by name, in the order in which they were inserted.
///
/// What [`checkpoint::load`](crate::checkpoint::load) returns is in the order of
/// [`expected_shapes`], the parameter order of the project. Two weights are equal
/// when they hold equal tensors under equal names, whatever the order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    tensors: IndexMap<String, Tensor>,
}

/// How weights differ from a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor is missing.
    #[error("tensor `{tensor}` is missing, expected with shape {expected:?}: initialize it, or change the head")]
    Missing {
        /// Canonical name.
        tensor: String,
        /// The shape by the configuration.
        expected: Vec<usize>,
    },
    /// A tensor is not part of such a model.
    #[error("tensor `{tensor}` is not part of this configuration: remove it, or change the head")]
    Unexpected {
        /// The name.
        tensor: String,
    },
    /// A tensor has another shape.
    #[error("tensor `{tensor}` has shape {got:?}, the configuration says {expected:?}")]
    Shape {
        /// Canonical name.
        tensor: String,
        /// The shape by the configuration.
        expected: Vec<usize>,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A tensor holds more or fewer elements than its own shape.
    #[error("tensor `{tensor}` has shape {shape:?} but {elements} elements")]
    Elements {
        /// Canonical name.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its number of elements.
        elements: usize,
    },
}

impl Weights {
    /// No tensors.
    pub fn new() -> Self {
        Weights::default()
    }

    /// Adds a tensor at the end, or replaces the one of that name in its place and returns it.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.tensors.insert(name.into(), tensor)
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The tensor of that name, mutable.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.tensors.get_mut(name)
    }

    /// Removes and returns a tensor; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.shift_remove(name)
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Number of elements of all tensors together.
    pub fn elements(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.data.len()).sum()
    }

    /// Whether these are the weights of that configuration: all its tensors, in its shapes, and no others.
    ///
    /// # Errors
    /// [`WeightsError`] for the first difference.
    pub fn check(&self, config: &EncoderConfig) -> Result<(), WeightsError> {
        let expected = expected_shapes(config);
        for (name, shape) in &expected {
            let Some(tensor) = self.get(name) else {
                return Err(WeightsError::Missing { tensor: name.clone(), expected: shape.clone() });
            };
            if tensor.shape != *shape {
                let (expected, got) = (shape.clone(), tensor.shape.clone());
                return Err(WeightsError::Shape { tensor: name.clone(), expected, got });
            }
            if element_count(shape) != Some(tensor.data.len()) {
                let (shape, elements) = (shape.clone(), tensor.data.len());
                return Err(WeightsError::Elements { tensor: name.clone(), shape, elements });
            }
        }
        if self.len() > expected.len() {
            let known: std::collections::BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
            if let Some(tensor) = self.names().find(|name| !known.contains(name)) {
                return Err(WeightsError::Unexpected { tensor: tensor.into() });
            }
        }
        Ok(())
    }
}

impl FromIterator<(String, Tensor)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Weights { tensors: tensors.into_iter().collect() }
    }
}

impl IntoIterator for Weights {
    type Item = (String, Tensor);
    type IntoIter = indexmap::map::IntoIter<String, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

/// The product of a shape, if it can be counted.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the tensor empty, however large the other lengths.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> EncoderConfig {
        EncoderConfig {
            layers: 1,
            hidden: 4,
            heads: 2,
            feed_forward: 8,
            vocabulary: 10,
            positions: 6,
            ..EncoderConfig::bert_base()
        }
    }

    fn weights() -> Weights {
        expected_shapes(&tiny()).into_iter().map(|(name, shape)| (name, Tensor::zeros(shape))).collect()
    }

    #[test]
    fn order_is_that_of_insertion_and_survives_removal() {
        let mut weights = Weights::new();
        for name in ["b", "a", "c"] {
            weights.insert(name, Tensor::zeros(vec![1]));
        }
        weights.insert("b", Tensor::zeros(vec![2]));
        assert_eq!(weights.names().collect::<Vec<_>>(), ["b", "a", "c"]);
        weights.remove("b");
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(weights.elements(), 2);
    }

    #[test]
    fn check_accepts_the_right_weights_and_names_each_difference() {
        weights().check(&tiny()).unwrap();

        let mut short = weights();
        short.remove("pooler.dense.bias");
        assert!(
            matches!(short.check(&tiny()), Err(WeightsError::Missing { tensor, .. }) if tensor == "pooler.dense.bias")
        );

        let mut long = weights();
        long.insert("classifier.bias", Tensor::zeros(vec![2]));
        assert!(matches!(long.check(&tiny()), Err(WeightsError::Unexpected { tensor }) if tensor == "classifier.bias"));

        let mut bent = weights();
        bent.insert("pooler.dense.bias", Tensor::zeros(vec![5]));
        assert!(matches!(bent.check(&tiny()), Err(WeightsError::Shape { got, .. }) if got == [5]));

        let mut hollow = weights();
        hollow.get_mut("pooler.dense.bias").unwrap().data.clear();
        assert!(matches!(hollow.check(&tiny()), Err(WeightsError::Elements { elements: 0, .. })));
    }

    #[test]
    fn scalars_have_one_element_and_empty_tensors_none() {
        assert_eq!(Tensor::zeros(vec![]).data.len(), 1);
        assert_eq!(Tensor::zeros(vec![usize::MAX, 2, 0]).data.len(), 0);
        assert_eq!(element_count(&[usize::MAX, 2]), None);
    }
}
