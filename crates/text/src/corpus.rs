//! Lines of files that need not fit into memory: what a vocabulary is made from, and what models learn from without labels.
//!
//! ```no_run
//! use attar_text::corpus::Corpus;
//! use attar_text::tokenizer::{TrainOptions, train_wordpiece};
//!
//! let mut corpus = Corpus::open(&["books.txt.gz", "mails.txt"])?;
//! let tokenizer = train_wordpiece(&mut corpus, TrainOptions::new(5_000));
//! // An error ends the lines early: ask before the result is used.
//! let lines = corpus.finish()?;
//! println!("{} pieces from {lines} lines", tokenizer?.vocabulary_size());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{compression, files};

/// The lines of some files, one after the other, without blank ones.
///
/// An iterator cannot end with an error: the first one ends the lines, and [`Corpus::finish`] returns it.
pub struct Corpus {
    /// Files that are not open yet, the last one first.
    waiting: Vec<PathBuf>,
    current: Option<TextFile>,
    error: Option<CorpusError>,
    /// Whether the end of a document comes as an empty line.
    marks_documents: bool,
    lines: u64,
    total: u64,
    position: Arc<AtomicU64>,
}

/// Why text could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// The file cannot be read or unpacked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is not text.
    #[error("{}: line {line}: not valid UTF-8: save the file as UTF-8, or fetch it again if it is packed", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl Corpus {
    /// The lines of these files; one that `gzip` or `zstd` packed is unpacked, whatever its name.
    ///
    /// # Errors
    /// [`CorpusError::Io`] if one of them cannot be opened or is not a regular file, before any of them is read.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self, CorpusError> {
        let mut total = 0;
        for path in paths.iter().map(AsRef::as_ref) {
            let io_error = |source| CorpusError::Io { path: path.to_owned(), source };
            total += files::open(path).and_then(|file| file.metadata()).map_err(io_error)?.len();
        }
        let waiting = paths.iter().rev().map(|path| path.as_ref().to_owned()).collect();
        Ok(Self {
            waiting,
            current: None,
            error: None,
            marks_documents: false,
            lines: 0,
            total,
            position: Arc::default(),
        })
    }

    /// Whether an empty line comes wherever a document ends: at blank lines and at the end of each file.
    pub(crate) fn mark_document_ends(&mut self, marks: bool) {
        self.marks_documents = marks;
    }

    /// Bytes of all files as they lie on the disk.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// How many of these bytes have been read; goes on counting while the corpus is borrowed.
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// How many lines were read.
    ///
    /// # Errors
    /// [`CorpusError`] if one ended the lines early.
    pub fn finish(self) -> Result<u64, CorpusError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.lines),
        }
    }

    /// The error that ended the lines early, if one did.
    pub(crate) fn check(&mut self) -> Result<(), CorpusError> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn next_line(&mut self) -> Result<Option<String>, CorpusError> {
        loop {
            if self.current.is_none() {
                let Some(path) = self.waiting.pop() else { return Ok(None) };
                self.current = Some(TextFile::open(path, &self.position)?);
            }
            let Some(file) = &mut self.current else { return Ok(None) };
            match file.lines.next() {
                Ok(Some(line)) if line.trim().is_empty() => {
                    if self.marks_documents {
                        return Ok(Some(String::new()));
                    }
                }
                Ok(Some(line)) => {
                    self.lines += 1;
                    return Ok(Some(line.to_owned()));
                }
                Ok(None) => {
                    self.current = None;
                    if self.marks_documents {
                        return Ok(Some(String::new()));
                    }
                }
                Err(error) => return Err(error.in_file(&file.path)),
            }
        }
    }
}

impl Iterator for Corpus {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.error.is_some() {
            return None;
        }
        self.next_line().unwrap_or_else(|error| {
            self.error = Some(error);
            None
        })
    }
}

/// An open file.
struct TextFile {
    path: PathBuf,
    lines: Lines<Box<dyn BufRead + Send>>,
}

impl TextFile {
    fn open(path: PathBuf, position: &Arc<AtomicU64>) -> Result<Self, CorpusError> {
        let open = || -> io::Result<Box<dyn BufRead + Send>> {
            let counted = Counted { file: files::open(&path)?, position: Arc::clone(position) };
            let mut file = BufReader::new(counted);
            files::refuse_lfs_pointer(file.fill_buf()?)?;
            compression::unpacked(file)
        };
        match open() {
            Ok(file) => Ok(Self { lines: Lines::new(file), path }),
            Err(source) => Err(CorpusError::Io { path, source }),
        }
    }
}

/// A file that counts what is read of it.
struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.position.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The lines of a text, split as [`crate::table`] does it, without a byte order mark.
pub(crate) struct Lines<R> {
    text: R,
    bytes: Vec<u8>,
    /// Lines read.
    count: usize,
}

/// Why there is no next line.
pub(crate) enum LineError {
    Io(io::Error),
    NotUtf8 { line: usize },
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(text: R) -> Self {
        Self { text, bytes: Vec::new(), count: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<&str>, LineError> {
        self.bytes.clear();
        let most = files::MOST_TEXT_BYTES;
        let read = self.text.by_ref().take(most as u64 + 1).read_until(b'\n', &mut self.bytes);
        if read.map_err(LineError::Io)? == 0 {
            return Ok(None);
        }
        self.count += 1;
        if self.bytes.len() > most {
            let what = format!("line {}: longer than {most} bytes, is this a text file?", self.count);
            return Err(LineError::Io(io::Error::new(io::ErrorKind::FileTooLarge, what)));
        }
        let body = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        let body = if self.count == 1 { body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body) } else { body };
        let line = self.count;
        std::str::from_utf8(body).map(Some).map_err(|_| LineError::NotUtf8 { line })
    }
}

impl LineError {
    fn in_file(self, path: &Path) -> CorpusError {
        let path = path.to_owned();
        match self {
            LineError::Io(source) => CorpusError::Io { path, source },
            LineError::NotUtf8 { line } => CorpusError::NotUtf8 { path, line },
        }
    }
}
