//! A safetensors file read tensor by tensor, directly into the tensors' memory.
//!
//! Reading the whole file first takes twice the memory, and new memory is the main cost: the operating system clears
//! it page by page. Here only a block of the file is in memory at any time.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use half::{bf16, f16};

use crate::error::Error;
use crate::files::{self, FileReader, ModelFiles};
use crate::safetensors_file::{Header, LENGTH_BYTES, SafetensorsError, header_length, parse_header};
use crate::stored::{ElementType, StoredTensor, find};
use crate::torch_file;
use crate::weights::Tensor;

/// An open file, its header read.
pub(crate) struct TensorStream<R> {
    path: PathBuf,
    reader: BufReader<R>,
    /// Position of the reader, in bytes from the start.
    position: usize,
    block: Vec<u8>,
    tensors: Vec<(String, StoredTensor)>,
    metadata: HashMap<String, String>,
}

/// Bytes read at a time: they stay in the cache, and no element straddles two blocks.
const BLOCK: usize = 1 << 16;

impl<'a> TensorStream<FileReader<'a>> {
    /// Opens a file. `None` if it is one of PyTorch's, whatever its name.
    pub(crate) fn open(files: &'a ModelFiles<'_>, path: &Path) -> Result<Option<Self>, Error> {
        let (reader, length) = files.reader(path)?;
        let failed = |source| Error::Read { path: path.into(), source };
        let mut reader = BufReader::with_capacity(BLOCK, reader);
        if torch_file::is_torch(reader.fill_buf().map_err(failed)?) {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?;
        Self::new(path, reader, length).map(Some)
    }
}

impl<'a> TensorStream<Cursor<&'a [u8]>> {
    /// The same for bytes in memory; the path is for errors.
    pub(crate) fn from_bytes(path: &Path, bytes: &'a [u8]) -> Result<Self, Error> {
        Self::new(path, BufReader::with_capacity(BLOCK, Cursor::new(bytes)), bytes.len())
    }
}

impl<R: Read + Seek> TensorStream<R> {
    fn new(path: &Path, mut reader: BufReader<R>, length: usize) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.into(), source };
        let broken = |source| Error::Safetensors { path: path.into(), source };
        if files::is_lfs_pointer(reader.fill_buf().map_err(failed)?) {
            return Err(Error::LfsPointer { path: path.into() });
        }
        let Some(rest) = length.checked_sub(LENGTH_BYTES) else {
            return Err(broken(SafetensorsError::Short { got: length }));
        };
        let mut first = [0; LENGTH_BYTES];
        reader.read_exact(&mut first).map_err(failed)?;
        let header_bytes = header_length(first, rest).map_err(broken)?;
        let mut header = reserved(header_bytes).map_err(failed)?;
        header.resize(header_bytes, 0);
        reader.read_exact(&mut header).map_err(failed)?;
        let Header { tensors, metadata } = parse_header(&header, rest - header_bytes).map_err(broken)?;
        let position = LENGTH_BYTES + header_bytes;
        Ok(TensorStream { path: path.into(), reader, position, block: vec![0; BLOCK], tensors, metadata })
    }

    /// The path it was opened at.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors, sorted by name.
    pub(crate) fn tensors(&self) -> &[(String, StoredTensor)] {
        &self.tensors
    }

    /// The tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        find(&self.tensors, name)
    }

    /// A free text of the header.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// A tensor of floats by name.
    pub(crate) fn float_tensor(&mut self, name: &str) -> Result<Tensor, Error> {
        let Some(stored) = self.tensor(name).cloned() else {
            return Err(Error::NoTensor { path: self.path.clone(), tensor: name.into() });
        };
        match self.floats(&stored)? {
            Some(data) => Ok(Tensor { shape: stored.shape().to_vec(), data }),
            None => {
                let (path, tensor, got) = (self.path.clone(), name.into(), stored.element_type().name());
                Err(Error::Element { path, tensor, got })
            }
        }
    }

    /// The numbers of a tensor as f32; `None` if they are no floats. Fastest in the order
    /// of the file.
    pub(crate) fn floats(&mut self, tensor: &StoredTensor) -> Result<Option<Vec<f32>>, Error> {
        match tensor.element_type() {
            ElementType::F32 => self.elements(tensor, f32::from_le_bytes),
            ElementType::F64 => self.elements(tensor, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementType::F16 => self.elements(tensor, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ElementType::Bf16 => self.elements(tensor, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// The numbers of a tensor of one byte each.
    pub(crate) fn bytes<T>(&mut self, tensor: &StoredTensor, decode: impl Fn(u8) -> T) -> Result<Vec<T>, Error> {
        debug_assert_eq!(tensor.element_type().bits(), 8);
        self.elements(tensor, |[byte]| decode(byte))
    }

    /// Tensors of safetensors files are contiguous.
    fn elements<T, const WIDTH: usize>(
        &mut self,
        tensor: &StoredTensor,
        decode: impl Fn([u8; WIDTH]) -> T,
    ) -> Result<Vec<T>, Error> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let mut data = reserved(tensor.count()).map_err(failed)?;
        self.each_block(tensor, |block| {
            let (elements, _) = block.as_chunks::<WIDTH>();
            data.extend(elements.iter().map(|&bytes| decode(bytes)));
        })?;
        Ok(data)
    }

    /// Passes the bytes of a tensor, a block of whole elements at a time, to `visit`.
    pub(crate) fn each_block(&mut self, tensor: &StoredTensor, mut visit: impl FnMut(&[u8])) -> Result<(), Error> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let step = i64::try_from(tensor.start()).unwrap_or(i64::MAX) - i64::try_from(self.position).unwrap_or(i64::MAX);
        self.reader.seek_relative(step).map_err(failed)?;
        self.position = tensor.start();
        let mut left = tensor.count() * (tensor.element_type().bits() / 8);
        while left > 0 {
            let block = &mut self.block[..left.min(BLOCK)];
            self.reader.read_exact(block).map_err(failed)?;
            self.position += block.len();
            left -= block.len();
            visit(block);
        }
        Ok(())
    }
}

/// Allocates memory, or returns an out-of-memory error.
fn reserved<T>(count: usize) -> io::Result<Vec<T>> {
    let mut data = Vec::new();
    data.try_reserve_exact(count).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors_file::to_bytes;

    #[test]
    fn tensors_are_read_in_any_order_and_across_blocks() {
        // Longer than two blocks, and of a length that is no multiple of one.
        let long = Tensor::new(vec![40_001], (0..40_001u16).map(f32::from).collect());
        let short = Tensor::new(vec![3], vec![-0.0, f32::NAN, 1e-42]);
        let empty = Tensor::zeros(vec![0, 7]);
        let bytes = to_bytes([("a", &short), ("b", &long), ("c", &empty), ("d", &short)]);
        let mut stream = TensorStream::from_bytes("x".as_ref(), &bytes).unwrap();
        for name in ["a", "b", "c", "d", "d", "b", "a", "c", "b"] {
            let stored = stream.tensor(name).unwrap().clone();
            let got = stream.floats(&stored).unwrap().unwrap();
            let expected = match name {
                "b" => &long,
                "c" => &empty,
                _ => &short,
            };
            let bits = |data: &[f32]| data.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(&expected.data), "{name}");
        }
        assert_eq!(stream.metadata("format"), Some("pt"));
        assert_eq!(stream.tensors().len(), 4);
    }

    #[test]
    fn other_floats_are_rounded_and_integers_are_none() {
        let header = r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[1],"data_offsets":[8,10]},
            "c":{"dtype":"BF16","shape":[],"data_offsets":[10,12]},
            "d":{"dtype":"I8","shape":[2],"data_offsets":[12,14]}}"#;
        let length = (header.len() as u64).to_le_bytes();
        let data = [&1.5f64.to_le_bytes()[..], &[0x00, 0x3e], &[0xc0, 0x3f], &[0xff, 7]].concat();
        let bytes = [&length, header.as_bytes(), &data].concat();
        let mut stream = TensorStream::from_bytes("x".as_ref(), &bytes).unwrap();
        for name in ["c", "b", "a"] {
            assert_eq!(stream.float_tensor(name).unwrap().data, [1.5], "{name}");
        }
        assert!(matches!(stream.float_tensor("d"), Err(Error::Element { got: "i8", .. })));
        assert!(matches!(stream.float_tensor("e"), Err(Error::NoTensor { .. })));
        let stored = stream.tensor("d").unwrap().clone();
        assert_eq!(stream.bytes(&stored, u8::cast_signed).unwrap(), [-1, 7]);
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_error() {
        let bytes = to_bytes([("a", &Tensor::zeros(vec![50_000]))]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        std::fs::write(&path, &bytes).unwrap();
        let files = ModelFiles::folder(dir.path());
        let mut stream = TensorStream::open(&files, &path).unwrap().unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(150_000).unwrap();
        let stored = stream.tensor("a").unwrap().clone();
        assert!(matches!(stream.floats(&stored), Err(Error::Read { path: its, .. }) if its == path));
    }
}
