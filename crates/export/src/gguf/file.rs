//! The file: version 3 of GGUF, little-endian. Keys and values, then where each tensor is, then the tensors.

use attar_model::Tensor;
use half::f16;

/// Bytes that each tensor begins at a multiple of.
const ALIGNMENT: usize = 32;
const VERSION: u32 = 3;

/// A value of a key.
pub(super) enum MetadataValue {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// A file in the making.
#[derive(Default)]
pub(super) struct Writer {
    keys: u64,
    values: Vec<u8>,
    tensors: u64,
    places: Vec<u8>,
    data: Vec<u8>,
}

impl Writer {
    pub(super) fn set(&mut self, key: &str, value: MetadataValue) {
        self.keys += 1;
        text(&mut self.values, key);
        let (kind, out) = (value.kind(), &mut self.values);
        out.extend(kind.to_le_bytes());
        match value {
            MetadataValue::U32(number) => out.extend(number.to_le_bytes()),
            MetadataValue::F32(number) => out.extend(number.to_le_bytes()),
            MetadataValue::Bool(truth) => out.push(truth.into()),
            MetadataValue::Text(value) => text(out, &value),
            MetadataValue::Texts(all) => {
                out.extend(kinds::TEXT.to_le_bytes());
                out.extend((all.len() as u64).to_le_bytes());
                all.iter().for_each(|value| text(out, value));
            }
            MetadataValue::I32s(all) => {
                out.extend(kinds::I32.to_le_bytes());
                out.extend((all.len() as u64).to_le_bytes());
                out.extend(all.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
    }

    /// Appends a tensor; a number that is too large for 16 bits is an error.
    pub(super) fn tensor(&mut self, name: &str, tensor: &Tensor, half: bool) -> Result<(), f32> {
        self.tensors += 1;
        text(&mut self.places, name);
        self.places.extend((tensor.shape.len() as u32).to_le_bytes());
        // The innermost dimension is the first.
        self.places.extend(tensor.shape.iter().rev().flat_map(|&length| (length as u64).to_le_bytes()));
        self.places.extend(u32::from(half).to_le_bytes());
        self.places.extend((self.data.len() as u64).to_le_bytes());
        if half {
            if let Some(number) = tensor.data.iter().copied().find(|number| !f16::from_f32(*number).is_finite()) {
                return Err(number);
            }
            self.data.extend(tensor.data.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()));
        } else {
            self.data.extend(tensor.data.iter().flat_map(|number| number.to_le_bytes()));
        }
        self.data.resize(self.data.len().next_multiple_of(ALIGNMENT), 0);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(self.tensors.to_le_bytes());
        out.extend(self.keys.to_le_bytes());
        out.extend(self.values);
        out.extend(self.places);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(self.data);
        out
    }
}

/// Numbers of types.
mod kinds {
    pub(super) const U32: u32 = 4;
    pub(super) const I32: u32 = 5;
    pub(super) const F32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const TEXT: u32 = 8;
    pub(super) const LIST: u32 = 9;
}

impl MetadataValue {
    fn kind(&self) -> u32 {
        match self {
            MetadataValue::U32(_) => kinds::U32,
            MetadataValue::F32(_) => kinds::F32,
            MetadataValue::Bool(_) => kinds::BOOL,
            MetadataValue::Text(_) => kinds::TEXT,
            MetadataValue::Texts(_) | MetadataValue::I32s(_) => kinds::LIST,
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
