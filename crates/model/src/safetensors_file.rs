//! The safetensors format: reading its header, writing files.
//!
//! A file is eight bytes of header length, a JSON header that gives each tensor its type, shape and byte
//! range, and the bytes. See <https://github.com/huggingface/safetensors#format>.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, View};

use crate::atomic;
use crate::error::Error;
use crate::sorting::sort_by;
use crate::stored::{ElementType, FileIndex, Storage, StoredTensor};
use crate::weights::{Tensor, Weights};

/// Why bytes are not a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// Shorter than the length of its header.
    #[error("the file has {got} bytes, expected at least 8: download it again")]
    Short {
        /// Length of the file in bytes.
        got: usize,
    },
    /// The header is longer than the file, or than any header may be.
    #[error("the header claims {claimed} bytes, at most {available} are possible: download the file again")]
    HeaderLength {
        /// The claimed length in bytes.
        claimed: u64,
        /// The longest it can be.
        available: usize,
    },
    /// The header is not UTF-8.
    #[error("the header is not text: the file is damaged or of another format")]
    HeaderText,
    /// The header is no such JSON, or its byte ranges overlap, leave gaps or do not fit the shapes.
    #[error("the header is not valid: the file is damaged or of another format")]
    Header {
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The tensors need more or fewer bytes than there are.
    #[error("the header describes {expected} bytes of tensors, the file has {got}: download it again")]
    Length {
        /// Bytes by the header.
        expected: usize,
        /// Bytes after the header.
        got: usize,
    },
}

/// Writes tensors as f32, under the given names, into a file that is complete or absent at any moment.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, weights: &Weights) -> Result<(), Error> {
    atomic::write_file(path, &to_bytes(weights.iter()))
}

/// The bytes of a safetensors file that holds these tensors as f32.
///
/// The order in the file is the alphabetical one, and the metadata is `{"format": "pt"}`, which
/// `transformers` wants to see: the same tensors always give the same bytes.
///
/// # Panics
/// If a tensor does not have as many elements as its shape says, or two have one name, or the header exceeds
/// 100 MB, the limit of the format.
pub fn to_bytes<'a>(tensors: impl IntoIterator<Item = (impl AsRef<str>, &'a Tensor)>) -> Vec<u8> {
    let mut named: Vec<(String, F32)> =
        tensors.into_iter().map(|(name, tensor)| (name.as_ref().to_string(), F32(tensor))).collect();
    named.sort_by(|(left, _), (right, _)| left.cmp(right));
    assert!(named.windows(2).all(|pair| pair[0].0 != pair[1].0), "two tensors have one name");
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    match safetensors::serialize(named, Some(metadata)) {
        Ok(bytes) => bytes,
        Err(error) => panic!("cannot be written as safetensors: {error}"),
    }
}

/// Finds the tensors of a file in memory.
pub(crate) fn index(bytes: &[u8]) -> Result<FileIndex, SafetensorsError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(SafetensorsError::Short { got: bytes.len() });
    };
    let (header, data) = rest.split_at(header_length(*length, rest.len())?);
    let Header { tensors, .. } = parse_header(header, data.len())?;
    Ok(FileIndex { tensors, others: Vec::new() })
}

/// Bytes before the header that say how long it is.
pub(crate) const LENGTH_BYTES: usize = 8;

/// The length of the header by the first bytes of a file, if the `rest` bytes after them can hold it.
pub(crate) fn header_length(first: [u8; LENGTH_BYTES], rest: usize) -> Result<usize, SafetensorsError> {
    let claimed = u64::from_le_bytes(first);
    let available = rest.min(HEADER_LIMIT);
    let length = usize::try_from(claimed).ok().filter(|&length| length <= available);
    length.ok_or(SafetensorsError::HeaderLength { claimed, available })
}

/// What the header of a file says.
pub(crate) struct Header {
    /// Tensors, sorted by name, each name once; all of them lie inside the file.
    pub(crate) tensors: Vec<(String, StoredTensor)>,
    /// The free texts beside them.
    pub(crate) metadata: HashMap<String, String>,
}

/// Reads a header that `data` bytes of tensors follow.
pub(crate) fn parse_header(header: &[u8], data: usize) -> Result<Header, SafetensorsError> {
    let data_start = LENGTH_BYTES + header.len();
    let header = std::str::from_utf8(header).map_err(|_| SafetensorsError::HeaderText)?;
    // Deserializing checks that the ranges follow each other without gap and fit types and shapes.
    let header: safetensors::tensor::Metadata =
        serde_json::from_str(header).map_err(|source| SafetensorsError::Header { source })?;
    if header.data_len() != data {
        return Err(SafetensorsError::Length { expected: header.data_len(), got: data });
    }
    let mut tensors: Vec<(String, StoredTensor)> = Vec::new();
    for (name, info) in header.tensors() {
        let element = element_type(info.dtype);
        let (start, end) = info.data_offsets;
        let count = (end - start) / element.bits().div_ceil(8).max(1);
        let storage = Storage { element, start: data_start + start, count };
        tensors.push((name, StoredTensor::contiguous(storage, info.shape.clone())));
    }
    sort_by(&mut tensors, |(left, _), (right, _)| left.cmp(right));
    Ok(Header { tensors, metadata: header.metadata().clone().unwrap_or_default() })
}

/// Longest header, in bytes, by the format's own definition.
const HEADER_LIMIT: usize = 100_000_000;

/// A tensor as the bytes of its numbers.
struct F32<'a>(&'a Tensor);

impl View for F32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        for number in &self.0.data {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.data.as_slice())
    }
}

fn element_type(dtype: Dtype) -> ElementType {
    match dtype {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        Dtype::U16 => ElementType::Other("u16", 16),
        Dtype::U32 => ElementType::Other("u32", 32),
        Dtype::U64 => ElementType::Other("u64", 64),
        other => ElementType::Other("a type of fewer than 16 bits, or complex", other.bitsize()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn a_written_file_is_read_back() {
        let weights: Weights =
            [("b".to_string(), Tensor::new(vec![2], vec![1.0, -0.0])), ("a".to_string(), Tensor::zeros(vec![0, 3]))]
                .into_iter()
                .collect();
        let bytes = to_bytes(weights.iter());
        let index = index(&bytes).unwrap();
        assert_eq!(index.tensors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(index.tensors[1].1.floats(&bytes).unwrap()[1].to_bits(), (-0.0f32).to_bits());
        assert!(String::from_utf8_lossy(&bytes).contains(r#""__metadata__":{"format":"pt"}"#));
    }

    #[test]
    fn each_damage_has_its_error() {
        let good = file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]);
        assert!(index(&good).is_ok());
        assert!(matches!(index(&good[..5]), Err(SafetensorsError::Short { got: 5 })));
        assert!(matches!(index(&good[..20]), Err(SafetensorsError::HeaderLength { .. })));
        assert!(matches!(index(&good[..good.len() - 1]), Err(SafetensorsError::Length { expected: 8, got: 7 })));
        let trailing = [good.as_slice(), &[0]].concat();
        assert!(matches!(index(&trailing), Err(SafetensorsError::Length { expected: 8, got: 9 })));
        let claimed = u64::MAX.to_le_bytes();
        assert!(matches!(index(&claimed), Err(SafetensorsError::HeaderLength { claimed: u64::MAX, .. })));
        assert!(matches!(index(&file("\u{0}", &[])), Err(SafetensorsError::Header { .. })));
        let not_text = [&2u64.to_le_bytes()[..], &[0xff, 0xff]].concat();
        assert!(matches!(index(&not_text), Err(SafetensorsError::HeaderText)));
    }

    #[test]
    fn lying_headers_are_refused() {
        for (header, data) in [
            // Overlap, gap, start after end, shape and range that differ, product that overflows.
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12,
            ),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[4611686018427387903],"data_offsets":[0,18446744073709551612]}}"#, 0),
        ] {
            let error = index(&file(header, &vec![0; data])).expect_err(header);
            assert!(matches!(error, SafetensorsError::Header { .. } | SafetensorsError::Length { .. }), "{header}");
        }
    }
}
