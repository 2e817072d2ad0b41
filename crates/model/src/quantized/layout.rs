//! Which tensors a quantized file holds, in which types, where.

use serde_json::{Map, Value, json};

use super::storage::{Int4Group, Storage};
use crate::config::EncoderConfig;
use crate::family_names::family_name;
use crate::names::expected_shapes;
use crate::sorting::sort_by;

/// The name of the scales of a tensor.
pub(super) fn scale_name(tensor: &str) -> String {
    format!("{tensor}.scale")
}

/// The name of the scales of a tensor's columns.
pub(super) fn column_scale_name(tensor: &str) -> String {
    format!("{tensor}.column_scale")
}

/// A tensor of the file.
pub(super) struct FileTensor {
    /// Its name in the file.
    pub(super) name: String,
    /// Which of the model's tensors it belongs to, in the order of [`expected_shapes`].
    pub(super) model_tensor: usize,
    pub(super) field: Field,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// What a tensor of the file has of its tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Values,
    Scales,
    ColumnScales,
}

/// Element types in the order of the file: the widest first, so that all tensors are aligned to their width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dtype {
    F32,
    F16,
    I8,
    U8,
}

impl FileTensor {
    fn bytes(&self) -> usize {
        let width = match self.dtype {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
            Dtype::I8 | Dtype::U8 => 1,
        };
        width * self.shape.iter().product::<usize>()
    }
}

/// The tensors of a file in their order, given for each canonical name how it is stored and whether its columns have
/// scales.
pub(super) fn file_tensors(
    config: &EncoderConfig,
    storage: impl Fn(&str) -> Storage,
    has_column_scales: impl Fn(&str) -> bool,
) -> Vec<FileTensor> {
    let mut tensors = Vec::new();
    for (model_tensor, (canonical, shape)) in expected_shapes(config).into_iter().enumerate() {
        let name = family_name(config, &canonical);
        let columns = shape.last().copied().unwrap_or(1);
        let (dtype, shape, scales) = match storage(&canonical) {
            Storage::F32 => (Dtype::F32, shape, None),
            Storage::F16 => (Dtype::F16, shape, None),
            Storage::Int8 => (Dtype::I8, shape.clone(), Some(shape[..1].to_vec())),
            Storage::Int4(group) => {
                let packed = vec![shape[0], columns.div_ceil(2)];
                (Dtype::U8, packed, Some(int4_scale_shape(shape[0], columns, group)))
            }
        };
        if let Some(shape) = scales {
            let (field, dtype) = (Field::Scales, Dtype::F32);
            tensors.push(FileTensor { name: scale_name(&name), model_tensor, field, dtype, shape });
        }
        if has_column_scales(&canonical) {
            let name = column_scale_name(&name);
            let (field, dtype, shape) = (Field::ColumnScales, Dtype::F16, vec![columns]);
            tensors.push(FileTensor { name, model_tensor, field, dtype, shape });
        }
        tensors.push(FileTensor { name, model_tensor, field: Field::Values, dtype, shape });
    }
    sort_by(&mut tensors, |left, right| (left.dtype, &left.name).cmp(&(right.dtype, &right.name)));
    tensors
}

/// `[rows]` for a scale a row, `[rows, groups]` for a scale a group.
pub(super) fn int4_scale_shape(rows: usize, columns: usize, group: Int4Group) -> Vec<usize> {
    match group.within(columns) {
        Int4Group::Row => vec![rows],
        group => vec![rows, group.per_row(columns)],
    }
}

/// The start of a file of these tensors, up to the first value.
pub(super) fn header(tensors: &[FileTensor], source: &str) -> Vec<u8> {
    let mut header = Map::new();
    let has_column_scales = tensors.iter().any(|tensor| tensor.field == Field::ColumnScales);
    let version = VERSIONS[usize::from(has_column_scales)];
    header.insert("__metadata__".into(), json!({"format": FORMAT, "version": version, "source": source}));
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.bytes();
        let dtype = match tensor.dtype {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::I8 => "I8",
            Dtype::U8 => "U8",
        };
        header
            .insert(tensor.name.clone(), json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]}));
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    // Spaces up to a multiple of eight, so that the values are aligned in the file too.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

pub(super) const FORMAT: &str = "attar-int8";
/// Without scales of columns, and with some.
pub(super) const VERSIONS: [&str; 2] = ["1", "2"];

/// Length in bytes of the file of a model of this configuration, each tensor stored as the function says for its
/// canonical name, and no scales of columns.
///
/// ```
/// use attar_model::{EncoderConfig, quantized};
///
/// let extreme = EncoderConfig { hidden: 48, heads: 12, feed_forward: 192, ..EncoderConfig::bert_base() };
/// let bytes = quantized::file_length(&extreme, quantized::Storage::int8_matrices);
/// assert!(bytes < attar_model::Size::of(&extreme).bytes_f32() * 3 / 10);
/// ```
///
/// # Panics
/// If a tensor is stored as integers that may not be; see [`Storage`].
#[track_caller]
pub fn file_length(config: &EncoderConfig, storage: impl Fn(&str) -> Storage) -> usize {
    let storage = |name: &str| {
        let storage = storage(name);
        if let Some(expected) = storage.refusal(name) {
            panic!("tensor `{name}` cannot be stored as {storage}: {expected}");
        }
        storage
    };
    let tensors = file_tensors(config, storage, |_| false);
    // Every source has the length of a hash.
    header(&tensors, &"0".repeat(64)).len() + tensors.iter().map(FileTensor::bytes).sum::<usize>()
}
