//! Which tensors a quantised file holds, in which types, where.

use serde_json::{Map, Value, json};

use super::int4::Int4Group;
use crate::config::EncoderConfig;
use crate::family_names::family_name;
use crate::names::expected_shapes;

/// How a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// Floats rounded to 16 bits.
    F16,
    /// 8-bit integers with a scale a row: matrices only.
    Int8,
    /// 4-bit integers with a scale a row or a group of columns: embedding tables only.
    Int4(Int4Group),
}

impl Storage {
    /// The usual choice: every matrix (embedding tables, weights of dense layers) as int8, biases and layer
    /// normalisations as f32.
    pub fn int8_matrices(canonical: &str) -> Self {
        if is_matrix(canonical) { Storage::Int8 } else { Storage::F32 }
    }

    /// What a tensor may be stored as, if not as this.
    pub(super) fn refusal(self, canonical: &str) -> Option<&'static str> {
        match self {
            Storage::Int8 if !is_matrix(canonical) => Some("integers are for matrices, use f32 or f16"),
            Storage::Int4(_) if !is_embedding_table(canonical) => Some("int4 is for embedding tables, use int8"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
            Storage::Int8 => "int8",
            Storage::Int4(Int4Group::Row) => "int4",
            Storage::Int4(Int4Group::Columns32) => "int4 in groups of 32",
            Storage::Int4(Int4Group::Columns64) => "int4 in groups of 64",
        })
    }
}

/// Whether a tensor is an embedding table or the weight of a dense layer.
pub(super) fn is_matrix(canonical: &str) -> bool {
    canonical.ends_with(".weight") && !canonical.contains("LayerNorm")
}

/// Whether a tensor is looked up by rows.
pub(super) fn is_embedding_table(canonical: &str) -> bool {
    canonical.starts_with("embeddings.") && canonical.ends_with("_embeddings.weight")
}

/// The name of the scales of a tensor.
pub(super) fn scale_name(tensor: &str) -> String {
    format!("{tensor}.scale")
}

/// A tensor of the file.
pub(super) struct Part {
    /// Its name in the file.
    pub(super) name: String,
    /// Which of the model's tensors it belongs to, in the order of [`expected_shapes`].
    pub(super) tensor: usize,
    pub(super) field: Field,
    element: Element,
    shape: Vec<usize>,
}

/// What a part holds of its tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Values,
    Scales,
}

/// In the order of the file: the widest first, so that all lie at multiples of their width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Element {
    F32,
    F16,
    I8,
    U8,
}

impl Part {
    fn bytes(&self) -> usize {
        let width = match self.element {
            Element::F32 => 4,
            Element::F16 => 2,
            Element::I8 | Element::U8 => 1,
        };
        width * self.shape.iter().product::<usize>()
    }
}

/// The tensors of a file in their order.
pub(super) fn parts(config: &EncoderConfig, storage: impl Fn(&str) -> Storage) -> Vec<Part> {
    let mut parts = Vec::new();
    for (tensor, (canonical, shape)) in expected_shapes(config).into_iter().enumerate() {
        let name = family_name(config, &canonical);
        let columns = shape.last().copied().unwrap_or(1);
        let (element, shape, scales) = match storage(&canonical) {
            Storage::F32 => (Element::F32, shape, None),
            Storage::F16 => (Element::F16, shape, None),
            Storage::Int8 => (Element::I8, shape.clone(), Some(shape[..1].to_vec())),
            Storage::Int4(group) => {
                let packed = vec![shape[0], columns.div_ceil(2)];
                (Element::U8, packed, Some(int4_scale_shape(shape[0], columns, group)))
            }
        };
        if let Some(shape) = scales {
            let (field, element) = (Field::Scales, Element::F32);
            parts.push(Part { name: scale_name(&name), tensor, field, element, shape });
        }
        parts.push(Part { name, tensor, field: Field::Values, element, shape });
    }
    parts.sort_by(|left, right| (left.element, &left.name).cmp(&(right.element, &right.name)));
    parts
}

/// `[rows]` for a scale a row, `[rows, groups]` for a scale a group.
pub(super) fn int4_scale_shape(rows: usize, columns: usize, group: Int4Group) -> Vec<usize> {
    match group.within(columns) {
        Int4Group::Row => vec![rows],
        group => vec![rows, group.per_row(columns)],
    }
}

/// The start of a file of these parts, up to the first number.
pub(super) fn header(parts: &[Part], source: &str) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": FORMAT, "version": VERSION, "source": source}));
    let mut start = 0;
    for part in parts {
        let end = start + part.bytes();
        let dtype = match part.element {
            Element::F32 => "F32",
            Element::F16 => "F16",
            Element::I8 => "I8",
            Element::U8 => "U8",
        };
        header.insert(part.name.clone(), json!({"dtype": dtype, "shape": part.shape, "data_offsets": [start, end]}));
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    // Blanks up to a multiple of eight, so that the numbers lie at multiples of their width in the file too.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

pub(super) const FORMAT: &str = "attar-int8";
pub(super) const VERSION: &str = "1";

/// Length in bytes of the file of a model of this configuration, each tensor stored as the function says for its
/// canonical name.
///
/// ```
/// use attar_model::{EncoderConfig, quantised};
///
/// let extreme = EncoderConfig { hidden: 48, heads: 12, feed_forward: 192, ..EncoderConfig::bert_base() };
/// let bytes = quantised::file_length(&extreme, quantised::Storage::int8_matrices);
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
    let parts = parts(config, storage);
    // Every source has the length of a hash.
    header(&parts, &"0".repeat(64)).len() + parts.iter().map(Part::bytes).sum::<usize>()
}
