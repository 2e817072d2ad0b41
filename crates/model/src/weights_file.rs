//! A file of tensors in memory: what it holds and where.
//!
//! Both formats, safetensors and PyTorch's, come down to the same: raw little-endian numbers and, for each
//! name, the location of a tensor among them. Opening a file reads all of it and checks that every tensor is inside;
//! tensors are decoded only when requested.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::Error;
use crate::files::ModelFiles;
use crate::finite::check_finite;
use crate::hash::Sha256Hex;
use crate::stored::{ElementType, StoredTensor, find};
use crate::weights::{Tensor, Weights, element_count};
use crate::{files, safetensors_file, torch_file};

/// A safetensors or PyTorch file, read whole.
///
/// ```no_run
/// use attar_model::WeightsFile;
///
/// let file = WeightsFile::read("model.safetensors".as_ref())?;
/// for (name, tensor) in file.tensors() {
///     println!("{name}: {} {:?}", tensor.element_type().name(), tensor.shape());
/// }
/// let table = file.floats("embeddings.word_embeddings.weight")?;
/// # Ok::<(), attar_model::Error>(())
/// ```
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Computed when first requested: it takes longer than everything else.
    sha256: OnceLock<String>,
    tensors: Vec<(String, StoredTensor)>,
    others: Vec<String>,
}

impl WeightsFile {
    /// Reads a file, telling the format by its first bytes: a zip archive or a PyTorch stream, else safetensors.
    ///
    /// # Errors
    /// [`Error::Read`] and its like if the file cannot be read, otherwise as [`from_bytes`](Self::from_bytes).
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_from(&ModelFiles::folder(Path::new("")), path)
    }

    pub(crate) fn read_from(files: &ModelFiles<'_>, path: &Path) -> Result<Self, Error> {
        Self::from_bytes(path, files.read(path)?)
    }

    /// As [`read`](Self::read), for bytes that are in memory. The path is for errors, and a name that ends in
    /// `.safetensors` decides the format of bytes without a signature.
    ///
    /// # Errors
    /// [`Error::Safetensors`] or [`Error::Torch`] if the bytes are broken, [`Error::LfsPointer`] if they are the
    /// text Git LFS leaves in place of a file.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        if files::is_lfs_pointer(&bytes) {
            return Err(Error::LfsPointer { path: path.into() });
        }
        let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
        let index = if torch_file::is_torch(&bytes) || !is_safetensors {
            torch_file::index(&bytes).map_err(|source| Error::Torch { path: path.into(), source: source.into() })?
        } else {
            safetensors_file::index(&bytes).map_err(|source| Error::Safetensors { path: path.into(), source })?
        };
        let sha256 = OnceLock::new();
        Ok(WeightsFile { path: path.into(), bytes, sha256, tensors: index.tensors, others: index.others })
    }

    /// The path it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file in bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// SHA-256 of the file, 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| Sha256Hex::of(&self.bytes))
    }

    /// The tensors, sorted by name.
    pub fn tensors(&self) -> &[(String, StoredTensor)] {
        &self.tensors
    }

    /// Top-level entries of a PyTorch file that are not tensors.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        find(&self.tensors, name)
    }

    /// The numbers of a tensor of floats (f32, f16, bf16 or f64), rounded to f32.
    ///
    /// # Errors
    /// [`Error::NoTensor`], or [`Error::Element`] if it does not hold floats.
    pub fn floats(&self, name: &str) -> Result<Tensor, Error> {
        let stored = self.stored(name)?;
        let data = stored.floats(&self.bytes).ok_or_else(|| self.wrong_element(name, stored.element_type()))?;
        Ok(Tensor { shape: stored.shape().to_vec(), data })
    }

    /// As [`floats`](Self::floats), refusing what is infinite or not a number.
    ///
    /// # Errors
    /// As [`floats`](Self::floats), and [`Error::NotFinite`].
    pub fn finite_floats(&self, name: &str) -> Result<Tensor, Error> {
        let tensor = self.floats(name)?;
        check_finite(&self.path, name, &tensor.data)?;
        Ok(tensor)
    }

    /// Checks that tensors of these shapes, as f32, do not take far more memory than the file is long.
    pub(crate) fn check_size<'a>(&self, shapes: impl Iterator<Item = &'a [usize]>) -> Result<(), Error> {
        let elements = shapes.map(|shape| element_count(shape).unwrap_or(usize::MAX) as u64);
        let bytes = elements.fold(0, u64::saturating_add).saturating_mul(4);
        let length = self.length() as u64;
        if bytes > length.saturating_mul(MOST_SHARING) {
            return Err(Error::Shared { path: self.path.clone(), bytes, length });
        }
        Ok(())
    }

    /// The numbers of a tensor of integers or booleans, in row-major order.
    ///
    /// # Errors
    /// [`Error::NoTensor`], or [`Error::Element`] if it holds floats.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, Error> {
        let stored = self.stored(name)?;
        stored.integers(&self.bytes).ok_or_else(|| self.wrong_element(name, stored.element_type()))
    }

    /// All tensors of floats under the names of the file, sorted by name; integer tensors are left out.
    ///
    /// # Errors
    /// As [`floats`](Self::floats), and [`Error::Shared`] if they take far more memory than the file is long.
    pub fn all_floats(&self) -> Result<Weights, Error> {
        let floats = self.tensors.iter().filter(|(_, tensor)| tensor.element_type().is_float());
        self.check_size(floats.clone().map(|(_, tensor)| tensor.shape()))?;
        floats.map(|(name, _)| Ok((name.clone(), self.floats(name)?))).collect()
    }

    fn stored(&self, name: &str) -> Result<&StoredTensor, Error> {
        self.tensor(name).ok_or_else(|| Error::NoTensor { path: self.path.clone(), tensor: name.into() })
    }

    fn wrong_element(&self, name: &str, element: ElementType) -> Error {
        Error::Element { path: self.path.clone(), tensor: name.into(), got: element.name() }
    }
}

/// Times the length of a file that its tensors may take in memory: half precision doubles, and few tensors are stored once
/// under two names.
const MOST_SHARING: u64 = 4;
