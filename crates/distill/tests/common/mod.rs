//! What the fixture tests share: reading models and batches, comparing by file names.
#![expect(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::path::Path;

use attar_distill::engine::{Encoder, Parameters};
use attar_distill::recipe::DeviceChoice;
use attar_model::{EncoderConfig, Weights, checkpoint, family_name};
use attar_testing::Array;
use attar_text::batch::Batch;
use burn::tensor::{Device, Tensor};

/// The device under test: the processor, or the one that `ATTAR_TEST_DEVICE` names.
pub(crate) fn device() -> Device {
    let name = std::env::var("ATTAR_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    let choice: DeviceChoice = serde_json::from_value(name.into()).expect("a known device");
    attar_distill::device::open(choice).expect("the device under test")
}

/// An encoder with its parameters on the device under test.
pub(crate) struct Model {
    pub(crate) encoder: Encoder,
    pub(crate) parameters: Parameters,
}

pub(crate) fn load(dir: &Path) -> Model {
    let loaded = checkpoint::load(dir).unwrap();
    assert!(loaded.missing.is_empty() && loaded.unexpected.is_empty(), "{}: {loaded:?}", dir.display());
    let encoder = Encoder::new(loaded.config);
    let mut parameters = Parameters::empty(&device());
    parameters.load(encoder.slots(), &loaded.weights).unwrap();
    Model { encoder, parameters }
}

/// The real tokens of padded arrays `[B, S]`.
pub(crate) fn batch(ids: &[i64], types: Option<&[i64]>, mask: &[i64], longest: usize) -> Batch {
    let real: Vec<usize> = (0..mask.len()).filter(|&i| mask[i] == 1).collect();
    let take = |values: &[i64]| real.iter().map(|&i| values[i] as u32).collect::<Vec<u32>>();
    let lengths: Vec<u32> = mask.chunks(longest).map(|row| row.iter().sum::<i64>() as u32).collect();
    Batch {
        rows: (0..lengths.len() as u32).collect(),
        ids: take(ids),
        types: types.map_or_else(|| vec![0; real.len()], take),
        lengths,
    }
}

/// A batch out of the arrays of a fixture file.
pub(crate) fn batch_of(arrays: &BTreeMap<String, Array>) -> Batch {
    let get = |name: &str| arrays.get(name).map(Array::i64);
    let longest = arrays["input_ids"].shape[1];
    batch(&get("input_ids").unwrap(), get("token_type_ids").as_deref(), &get("attention_mask").unwrap(), longest)
}

/// One sequence.
pub(crate) fn single(ids: &serde_json::Value, types: Option<&serde_json::Value>) -> Batch {
    let numbers = |v: &serde_json::Value| v.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect::<Vec<_>>();
    let ids = numbers(ids);
    let types = types.filter(|v| v.is_array()).map(numbers);
    let mask = vec![1; ids.len()];
    batch(&ids, types.as_deref(), &mask, ids.len())
}

pub(crate) fn numbers<const D: usize>(t: Tensor<D>) -> Vec<f64> {
    t.try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Rows of the real tokens of a padded array `[B, S, …]`.
pub(crate) fn real_rows(array: &Array, lengths: &[u32]) -> Vec<f64> {
    let width: usize = array.shape[2..].iter().product();
    let rows = array.data.chunks(array.shape[1] * width);
    lengths.iter().zip(rows).flat_map(|(&n, row)| row[..n as usize * width].to_vec()).collect()
}

/// Real query-key pairs of scores `[B, A, S, S]`, in the order sequence, head, query, key.
pub(crate) fn real_pairs(array: &Array, lengths: &[u32]) -> Vec<f64> {
    let [_, heads, longest, _] = array.shape[..] else { panic!("scores have four dimensions") };
    let mut pairs = Vec::new();
    for (b, &n) in lengths.iter().enumerate() {
        for head in 0..heads {
            for query in 0..n as usize {
                let row = ((b * heads + head) * longest + query) * longest;
                pairs.extend_from_slice(&array.data[row..row + n as usize]);
            }
        }
    }
    pairs
}

/// Weights under the names that the family's files use; others, such as projections, keep theirs.
pub(crate) fn by_file_name(weights: &Weights, config: &EncoderConfig) -> BTreeMap<String, Vec<f64>> {
    let name = |n: &str| if n.starts_with("projection") { n.to_string() } else { family_name(config, n) };
    weights.iter().map(|(n, t)| (name(n), t.data.iter().map(|&x| f64::from(x)).collect())).collect()
}
