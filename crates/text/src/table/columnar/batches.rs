//! Batches of rows of a Parquet or Arrow file.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Columnar, claims};
use crate::files;
use crate::guard::guarded;
use crate::table::TableError;

/// Most rows of a batch.
const MAX_BATCH_ROWS: usize = 1024;
/// How an Arrow file begins; a stream begins otherwise.
const ARROW_FILE: &[u8] = b"ARROW1";

type Source = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The batches of a file, each of at most [`MAX_BATCH_ROWS`] rows.
pub(super) struct Batches {
    kind: Columnar,
    path: PathBuf,
    source: Source,
    /// Rows of the batch read last that were not handed out yet.
    remainder: Option<RecordBatch>,
}

impl Batches {
    /// Opens a file; `choose` says which of its columns are read, by their places.
    pub(super) fn open(
        kind: Columnar,
        path: &Path,
        choose: impl FnOnce(&SchemaRef) -> Result<Vec<usize>, TableError>,
    ) -> Result<Batches, TableError> {
        let io = |source| TableError::Io { path: path.to_owned(), source };
        let mut file = files::open(path).map_err(io)?;
        let start = start(&mut file).map_err(io)?;
        files::refuse_lfs_pointer(&start).map_err(io)?;
        let damaged = |error: ArrowError| damaged(kind, path, error);
        let opened = guarded(|| match kind {
            Columnar::Parquet => parquet(file, choose, damaged),
            Columnar::Arrow if start.starts_with(ARROW_FILE) => arrow_file(file, choose, damaged),
            Columnar::Arrow => arrow_stream(file, choose, damaged),
        });
        let source = opened.unwrap_or_else(|| Err(unreadable(kind, path)))?;
        Ok(Batches { kind, path: path.to_owned(), source, remainder: None })
    }

    /// The next rows.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let batch = match self.remainder.take() {
            Some(remainder) => remainder,
            None => match guarded(|| self.source.next()).ok_or_else(|| unreadable(self.kind, &self.path))? {
                Some(batch) => batch.map_err(|error| damaged(self.kind, &self.path, error))?,
                None => return Ok(None),
            },
        };
        let rows = batch.num_rows();
        if rows > MAX_BATCH_ROWS {
            self.remainder = Some(batch.slice(MAX_BATCH_ROWS, rows - MAX_BATCH_ROWS));
            return Ok(Some(batch.slice(0, MAX_BATCH_ROWS)));
        }
        Ok(Some(batch))
    }

    /// An error of the library in handling a batch.
    pub(super) fn damaged(&self, error: ArrowError) -> TableError {
        damaged(self.kind, &self.path, error)
    }

    /// A batch that the library cannot handle.
    pub(super) fn unreadable(&self) -> TableError {
        unreadable(self.kind, &self.path)
    }
}

fn parquet(
    file: File,
    choose: impl FnOnce(&SchemaRef) -> Result<Vec<usize>, TableError>,
    damaged: impl Fn(ArrowError) -> TableError,
) -> Result<Source, TableError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(error.into()))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), choose(builder.schema())?);
    let reader = builder.with_projection(mask).with_batch_size(MAX_BATCH_ROWS).build();
    Ok(Box::new(reader.map_err(|error| damaged(error.into()))?))
}

fn arrow_file(
    mut file: File,
    choose: impl FnOnce(&SchemaRef) -> Result<Vec<usize>, TableError>,
    damaged: impl Fn(ArrowError) -> TableError,
) -> Result<Source, TableError> {
    claims::check_file(&mut file).map_err(|error| damaged(error.into()))?;
    // The footer is read twice: columns are chosen by it, and a reader takes them when it is made.
    let mut file = BufReader::new(file);
    let schema = FileReader::try_new(&mut file, None).map_err(&damaged)?.schema();
    Ok(Box::new(FileReader::try_new(file, Some(choose(&schema)?)).map_err(&damaged)?))
}

fn arrow_stream(
    mut file: File,
    choose: impl FnOnce(&SchemaRef) -> Result<Vec<usize>, TableError>,
    damaged: impl Fn(ArrowError) -> TableError,
) -> Result<Source, TableError> {
    claims::check_stream(&mut file).map_err(|error| damaged(error.into()))?;
    let schema = StreamReader::try_new(BufReader::new(&mut file), None).map_err(&damaged)?.schema();
    file.rewind().map_err(|error| damaged(error.into()))?;
    Ok(Box::new(StreamReader::try_new(BufReader::new(file), Some(choose(&schema)?)).map_err(&damaged)?))
}

/// The first bytes; the file stands at its beginning again.
fn start(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.by_ref().take(64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

fn damaged(kind: Columnar, path: &Path, error: ArrowError) -> TableError {
    TableError::Columnar { path: path.to_owned(), kind: kind.name(), reason: error.to_string() }
}

fn unreadable(kind: Columnar, path: &Path) -> TableError {
    TableError::Columnar {
        path: path.to_owned(),
        kind: kind.name(),
        reason: "its lengths contradict each other".into(),
    }
}
