//! The files of a model: a folder, or a folder in one file.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::sentence_transformers;
use crate::single_file::Archive;

/// Longest JSON or text file that is read, in bytes. The longest legitimate ones are vocabularies of about 20 MB.
const TEXT_LIMIT: u64 = 64 << 20;

/// Where the files of a model are read: a folder, or a [single file](crate::single_file), which holds a folder.
///
/// Everything that reads models reads them from here, so that both are read by the same code. Paths in errors are
/// those in the folder, or begin with the path of the single file.
///
/// ```no_run
/// use attar_model::{Bundle, ModelFiles, ReadWeights};
///
/// let bytes = std::fs::read("student.attar")?;
/// let files = ModelFiles::from_bytes("student.attar".as_ref(), bytes)?;
/// let bundle = Bundle::read_from(&files, ReadWeights::QuantizedOrF32)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelFiles<'a> {
    root: PathBuf,
    archive: Option<Archive<'a>>,
}

impl ModelFiles<'static> {
    /// The files of a path: those of a folder, of which nothing is read yet, or of a single file, which is read whole
    /// and checked.
    ///
    /// # Errors
    /// For a file: if it cannot be read, and [`Error::SingleFile`] if it is damaged or no such file. Whatever else is
    /// wrong with the path is an error of those who read from it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_file() {
            return ModelFiles::from_bytes(path, fs::read(path).map_err(|source| failed(path, source))?);
        }
        Ok(ModelFiles::folder(path))
    }

    pub(crate) fn folder(path: &Path) -> Self {
        ModelFiles { root: path.into(), archive: None }
    }
}

impl<'a> ModelFiles<'a> {
    /// The files of a single file that is in memory; the path is for errors.
    ///
    /// # Errors
    /// [`Error::SingleFile`] if it is damaged or no such file.
    pub fn from_bytes(path: &Path, bytes: impl Into<std::borrow::Cow<'a, [u8]>>) -> Result<Self, Error> {
        let archive = Archive::read(bytes.into());
        let archive = archive.map_err(|source| Error::SingleFile { path: path.into(), source: source.into() })?;
        Ok(ModelFiles { root: path.into(), archive: Some(archive) })
    }

    /// The folder, or the path of the single file.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.archive.is_none()
    }

    /// Whether there are quantized weights among the files.
    ///
    /// # Errors
    /// As [`ModelFiles::encoder_directory`].
    pub fn has_quantized(&self) -> Result<bool, Error> {
        Ok(self.exists(&self.encoder_directory()?.join(crate::quantized::QUANTIZED_FILE)))
    }

    /// As [`encoder_directory`](crate::encoder_directory): the path of the encoder's files below the root.
    ///
    /// # Errors
    /// As [`encoder_directory`](crate::encoder_directory).
    pub fn encoder_directory(&self) -> Result<PathBuf, Error> {
        sentence_transformers::transformer_of(self)
    }

    /// What the model says of its making (`attar.json`); `None` if it says nothing.
    ///
    /// # Errors
    /// If the file cannot be read or is not JSON.
    pub fn provenance(&self) -> Result<Option<Value>, Error> {
        self.read_optional_json(&self.root.join("attar.json"))
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        match &self.archive {
            Some(archive) => self.name(path).is_some_and(|name| archive.entry(&name).is_some()),
            None => path.exists(),
        }
    }

    /// Reads a file whole, following links.
    ///
    /// Allocates the length of the file, which is checked first; running out of memory is an error of the operating
    /// system, not an abort.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        if self.archive.is_some() {
            return self.held(path).map(<[u8]>::to_vec);
        }
        regular_length(path)?;
        fs::read(path).map_err(|source| failed(path, source))
    }

    /// A file to be read from the beginning, and its length.
    pub(crate) fn reader(&self, path: &Path) -> Result<(FileReader<'_>, u64), Error> {
        if self.archive.is_some() {
            let bytes = self.held(path)?;
            return Ok((FileReader::Held(Cursor::new(bytes)), bytes.len() as u64));
        }
        let length = regular_length(path)?;
        let file = File::open(path).map_err(|source| failed(path, source))?;
        Ok((FileReader::Open(file), length))
    }

    /// Reads a regular file that is text, JSON or the like, if it exists.
    pub(crate) fn read_optional(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let (mut reader, length) = match self.reader(path) {
            Ok(found) => found,
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if length > TEXT_LIMIT {
            return Err(Error::TooLong { path: path.into(), bytes: length, limit: TEXT_LIMIT });
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| failed(path, source))?;
        if is_lfs_pointer(&bytes) { Err(Error::LfsPointer { path: path.into() }) } else { Ok(Some(bytes)) }
    }

    /// Reads a text file, if it exists.
    pub(crate) fn read_optional_text(&self, path: &Path) -> Result<Option<String>, Error> {
        match self.read_optional(path)? {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.into() }),
        }
    }

    /// Reads a JSON file, if it exists.
    pub(crate) fn read_optional_json(&self, path: &Path) -> Result<Option<Value>, Error> {
        match self.read_optional(path)? {
            None => Ok(None),
            Some(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Json { path: path.into(), source })
            }
        }
    }

    /// The bytes of a file in the archive.
    fn held(&self, path: &Path) -> Result<&[u8], Error> {
        let entry = self.archive.as_ref().zip(self.name(path)).and_then(|(archive, name)| archive.entry(&name));
        entry.ok_or_else(|| failed(path, io::ErrorKind::NotFound.into()))
    }

    /// The name in an archive of a path below the root.
    fn name(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.root).ok()?.components();
        let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
        Some(parts.join("/"))
    }
}

/// A file of a folder, or a part of one in memory.
#[derive(Debug)]
pub(crate) enum FileReader<'a> {
    Open(File),
    Held(Cursor<&'a [u8]>),
}

impl Read for FileReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            FileReader::Open(file) => file.read(into),
            FileReader::Held(bytes) => bytes.read(into),
        }
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            FileReader::Open(file) => file.seek(to),
            FileReader::Held(bytes) => bytes.seek(to),
        }
    }
}

/// Whether this is the text that Git LFS leaves in place of a file.
pub(crate) fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/")
}

/// Describes a JSON value in an error: its kind, and the value itself if it is short.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 60 => format!("\"{text}\""),
        Value::String(_) => "a long string".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

fn regular_length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(Error::NotAFile { path: path.into() }) }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Read { path: path.into(), source }
}
