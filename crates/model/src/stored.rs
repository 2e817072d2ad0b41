//! The location of a tensor in a file, and how it is decoded.

use half::{bf16, f16};

use crate::weights::element_count;

/// The element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// IEEE 16-bit float.
    F16,
    /// The upper half of a 32-bit float.
    Bf16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 16-bit signed integer.
    I16,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// One byte, zero or not.
    Bool,
    /// A type attar does not read, with its name and width in bits.
    Other(&'static str, usize),
}

impl ElementType {
    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::F64 => "f64",
            ElementType::F32 => "f32",
            ElementType::F16 => "f16",
            ElementType::Bf16 => "bf16",
            ElementType::I64 => "i64",
            ElementType::I32 => "i32",
            ElementType::I16 => "i16",
            ElementType::I8 => "i8",
            ElementType::U8 => "u8",
            ElementType::Bool => "bool",
            ElementType::Other(name, _) => name,
        }
    }

    /// Whether attar reads it as floats.
    pub fn is_float(self) -> bool {
        matches!(self, ElementType::F64 | ElementType::F32 | ElementType::F16 | ElementType::Bf16)
    }

    pub(crate) fn bits(self) -> usize {
        match self {
            ElementType::F64 | ElementType::I64 => 64,
            ElementType::F32 | ElementType::I32 => 32,
            ElementType::F16 | ElementType::Bf16 | ElementType::I16 => 16,
            ElementType::I8 | ElementType::U8 | ElementType::Bool => 8,
            ElementType::Other(_, bits) => bits,
        }
    }
}

/// A tensor in a file: type, shape and location.
///
/// It is only constructed for elements inside the file, and for no more of them than its storage has, so decoding it
/// allocates memory in proportion to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    element: ElementType,
    shape: Vec<usize>,
    /// Distance between neighbors in each dimension, in elements.
    strides: Vec<usize>,
    /// First byte of the first element in the file.
    start: usize,
    /// Number of elements.
    count: usize,
}

/// The contents of a weights file.
#[derive(Debug)]
pub(crate) struct FileIndex {
    /// Tensors, sorted by name, each name once.
    pub(crate) tensors: Vec<(String, StoredTensor)>,
    /// Names of entries that are not tensors.
    pub(crate) others: Vec<String>,
}

/// The tensor of a name in a list that is sorted by name.
pub(crate) fn find<'a>(sorted: &'a [(String, StoredTensor)], name: &str) -> Option<&'a StoredTensor> {
    let at = sorted.binary_search_by(|(its, _)| its.as_str().cmp(name)).ok()?;
    sorted.get(at).map(|(_, tensor)| tensor)
}

/// Consecutive elements of one type in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) element: ElementType,
    /// First byte in the file.
    pub(crate) start: usize,
    /// Number of elements; all of them lie inside the file.
    pub(crate) count: usize,
}

/// Why a view is outside its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewError {
    /// Shape and strides have different lengths.
    Rank,
    /// The view has more elements than its storage.
    Repeats,
    /// An element is outside.
    Outside,
}

impl StoredTensor {
    /// The type of its numbers.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// Lengths of its dimensions; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// First byte in the file.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Number of elements.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// A tensor that is all of a storage, in row-major order. The caller has checked that the shape has that
    /// many elements.
    pub(crate) fn contiguous(storage: Storage, shape: Vec<usize>) -> Self {
        let strides = row_major_strides(&shape);
        StoredTensor { element: storage.element, shape, strides, start: storage.start, count: storage.count }
    }

    /// A view of a storage; offset and strides in elements.
    pub(crate) fn view(
        storage: Storage,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, ViewError> {
        if shape.len() != strides.len() {
            return Err(ViewError::Rank);
        }
        let count = element_count(&shape).ok_or(ViewError::Repeats)?;
        if count > storage.count {
            return Err(ViewError::Repeats);
        }
        if count == 0 {
            return Ok(StoredTensor { element: storage.element, shape, strides, start: storage.start, count });
        }
        let reach = |last: usize, (length, stride): (&usize, &usize)| {
            (length - 1).checked_mul(*stride).and_then(|step| last.checked_add(step))
        };
        match shape.iter().zip(&strides).try_fold(offset, reach) {
            Some(last) if last < storage.count => {}
            _ => return Err(ViewError::Outside),
        }
        // A dimension of length 1 is never stepped along, so its stride may be anything; give it the usual one.
        let usual = row_major_strides(&shape);
        let lengths = shape.iter().zip(strides).zip(usual);
        let strides = lengths.map(|((&length, its), usual)| if length == 1 { usual } else { its }).collect();
        // The offset is below the count, and all of the storage lies in memory.
        let start = storage.start + offset * (storage.element.bits() / 8);
        Ok(StoredTensor { element: storage.element, shape, strides, start, count })
    }

    /// The numbers as f32 in row-major order; `None` if they are not floats.
    pub(crate) fn floats(&self, file: &[u8]) -> Option<Vec<f32>> {
        Some(match self.element {
            ElementType::F32 => self.collect(file, f32::from_le_bytes),
            ElementType::F64 => self.collect(file, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::F16 => self.collect(file, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ElementType::Bf16 => self.collect(file, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => return None,
        })
    }

    /// The numbers as i64 in row-major order; `None` if they are not integers.
    pub(crate) fn integers(&self, file: &[u8]) -> Option<Vec<i64>> {
        Some(match self.element {
            ElementType::I64 => self.collect(file, i64::from_le_bytes),
            ElementType::I32 => self.collect(file, |bytes| i64::from(i32::from_le_bytes(bytes))),
            ElementType::I16 => self.collect(file, |bytes| i64::from(i16::from_le_bytes(bytes))),
            ElementType::I8 => self.collect(file, |bytes| i64::from(i8::from_le_bytes(bytes))),
            ElementType::U8 => self.collect(file, |[byte]| i64::from(byte)),
            ElementType::Bool => self.collect(file, |[byte]| i64::from(byte != 0)),
            _ => return None,
        })
    }

    fn collect<T, const WIDTH: usize>(&self, file: &[u8], decode: impl Fn([u8; WIDTH]) -> T) -> Vec<T> {
        if self.count == 0 {
            return Vec::new();
        }
        // Both constructors have made sure that every index below lies inside the file.
        let rest = &file[self.start..];
        let (elements, _) = rest.as_chunks::<WIDTH>();
        if self.strides == row_major_strides(&self.shape) {
            return elements[..self.count].iter().map(|&bytes| decode(bytes)).collect();
        }
        let mut data = Vec::with_capacity(self.count);
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.count {
            data.push(decode(elements[at]));
            // Count up like an odometer, the last dimension fastest.
            for dimension in (0..self.shape.len()).rev() {
                index[dimension] += 1;
                at += self.strides[dimension];
                if index[dimension] < self.shape[dimension] {
                    break;
                }
                at -= self.strides[dimension] * self.shape[dimension];
                index[dimension] = 0;
            }
        }
        data
    }
}

/// Strides of a row-major tensor; only meaningful where the number of elements can be counted.
fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for dimension in (0..shape.len().saturating_sub(1)).rev() {
        strides[dimension] = strides[dimension + 1].saturating_mul(shape[dimension + 1]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn view(count: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Result<StoredTensor, ViewError> {
        let storage = Storage { element: ElementType::F32, start: 4, count };
        StoredTensor::view(storage, offset, shape.to_vec(), strides.to_vec())
    }

    #[test]
    fn views_are_read_in_row_major_order() {
        // One float before the storage, then 0 to 5.
        let file = bytes(&[9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let read = |offset, shape: &[usize], strides: &[usize]| {
            view(6, offset, shape, strides).unwrap().floats(&file).unwrap()
        };
        assert_eq!(read(0, &[2, 3], &[3, 1]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(read(0, &[3, 2], &[1, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(read(1, &[2, 2], &[3, 1]), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(read(5, &[], &[]), [5.0]);
        assert_eq!(read(2, &[1, 3], &[77, 0]), [2.0, 2.0, 2.0]);
        assert_eq!(read(0, &[2, 1, 2], &[1, usize::MAX, 2]), [0.0, 2.0, 1.0, 3.0]);
        assert_eq!(read(0, &[0, 3], &[3, 1]), [0.0f32; 0]);
    }

    #[test]
    fn views_outside_their_storage_are_refused() {
        assert_eq!(view(6, 0, &[2, 3], &[3]), Err(ViewError::Rank));
        assert_eq!(view(6, 0, &[7], &[0]), Err(ViewError::Repeats));
        assert_eq!(view(6, 0, &[usize::MAX, 2], &[0, 0]), Err(ViewError::Repeats));
        assert_eq!(view(6, 1, &[2, 3], &[3, 1]), Err(ViewError::Outside));
        assert_eq!(view(6, 0, &[2], &[usize::MAX]), Err(ViewError::Outside));
        assert_eq!(view(6, usize::MAX, &[1], &[1]), Err(ViewError::Outside));
        assert_eq!(view(6, 6, &[], &[]), Err(ViewError::Outside));
        assert_eq!(view(0, 0, &[], &[]), Err(ViewError::Repeats));
    }

    #[test]
    fn half_precision_and_integers() {
        let read = |element, file: &[u8]| {
            let tensor = StoredTensor::contiguous(Storage { element, start: 0, count: 1 }, vec![1]);
            (tensor.floats(file), tensor.integers(file))
        };
        assert_eq!(read(ElementType::F16, &[0x00, 0x3e]), (Some(vec![1.5]), None));
        assert_eq!(read(ElementType::Bf16, &[0xc0, 0x3f]), (Some(vec![1.5]), None));
        assert_eq!(read(ElementType::F64, &1.5f64.to_le_bytes()), (Some(vec![1.5]), None));
        assert_eq!(read(ElementType::I8, &[0xff]), (None, Some(vec![-1])));
        assert_eq!(read(ElementType::Bool, &[7]), (None, Some(vec![1])));
        assert_eq!(read(ElementType::Other("u16", 16), &[0, 0]), (None, None));
    }
}
