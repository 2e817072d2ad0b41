//! Weights of any shape survive being written and read, bit for bit.

use attar_model::safetensors_file;
use attar_model::{Tensor, Weights, WeightsFile};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::common::bits;

/// Shapes with up to three dimensions, zeros and none at all included; numbers by their bits, NaN included.
fn tensor() -> impl Strategy<Value = Tensor> {
    vec(0usize..5, 0..=3).prop_flat_map(|shape| {
        let count: usize = shape.iter().product();
        vec(any::<u32>(), count)
            .prop_map(move |bits| Tensor::new(shape.clone(), bits.into_iter().map(f32::from_bits).collect()))
    })
}

proptest! {
    #[test]
    fn weights_are_read_as_they_were_written(tensors in btree_map("[ -~é]{0,12}", tensor(), 0..6)) {
        // The format keeps one name to itself.
        prop_assume!(!tensors.contains_key("__metadata__"));
        let weights: Weights = tensors.into_iter().collect();
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model.safetensors");
        safetensors_file::write(&path, &weights).unwrap();
        let read = WeightsFile::read(&path).unwrap().all_floats().unwrap();
        prop_assert_eq!(read.len(), weights.len());
        for (name, tensor) in weights.iter() {
            prop_assert_eq!(read.get(name).map(bits), Some(bits(tensor)));
        }
        // Same tensors, same bytes.
        prop_assert_eq!(safetensors_file::to_bytes(read.iter()), std::fs::read(&path).unwrap());
    }
}
