//! From batches to rows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};
use std::path::Path;

use arrow_array::{Array, RecordBatch};
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{DataType, Schema};

use super::Columnar;
use super::batches::Batches;
use crate::files;
use crate::guard::guarded;
use crate::table::{Column, TableError, TableRow, json_lines};

/// See [`Columnar::rows`].
pub(super) fn read(
    kind: Columnar,
    path: &Path,
    columns: &[Column],
    lists: Option<&Column>,
) -> Result<Vec<TableRow>, TableError> {
    let mut names = Vec::new();
    let mut batches = Batches::open(kind, path, |schema| {
        let indices = column_indices(path, schema, columns, lists)?;
        names = indices.iter().map(|&index| Column::Name(schema.field(index).name().clone())).collect();
        let different: BTreeSet<usize> = indices.into_iter().collect();
        Ok(different.into_iter().collect())
    })?;
    let lists = lists.and_then(|lists| columns.iter().position(|column| column == lists)).map(|index| &names[index]);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = batches.next()? {
        refuse_nulls(path, &batch, rows.len())?;
        let lines = lines(&batches, &batch)?;
        bytes += lines.len() as u64;
        if bytes > files::MOST_TABLE_BYTES {
            return Err(TableError::Io {
                path: path.to_owned(),
                source: files::too_long("more", files::MOST_TABLE_BYTES),
            });
        }
        rows.extend(json_lines::rows_after(rows.len(), path, &lines, &names, lists)?);
    }
    Ok(rows)
}

/// Where the columns asked for are; their values have to be what a text or a label can be.
fn column_indices(
    path: &Path,
    schema: &Schema,
    columns: &[Column],
    lists: Option<&Column>,
) -> Result<Vec<usize>, TableError> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let resolve = |column: &Column| match column.resolve(path, Some(&names), names.len()) {
        Err(TableError::AmbiguousName { path, name, first, second }) => {
            Err(TableError::RepeatedName { path, name, first, second })
        }
        resolved => resolved,
    };
    let mut indices = Vec::with_capacity(columns.len());
    for column in columns {
        let index = resolve(column)?;
        let field = schema.field(index);
        // Rows are objects, which have one value of a name, so a number does not help where names repeat.
        resolve(&Column::Name(field.name().clone()))?;
        let kind = field.data_type();
        if !(is_value(kind) || lists == Some(column) && is_list(kind)) {
            return Err(TableError::ColumnType {
                path: path.to_owned(),
                name: field.name().clone(),
                found: kind.to_string(),
            });
        }
        indices.push(index);
    }
    Ok(indices)
}

/// Refuses a schema in which two columns have the same name: rows are objects, which have one value of a name.
fn refuse_repeated_names(path: &Path, schema: &Schema) -> Result<(), TableError> {
    let mut numbers = BTreeMap::new();
    for (number, field) in (1..).zip(schema.fields()) {
        if let Some(first) = numbers.insert(field.name(), number) {
            let name = field.name().clone();
            return Err(TableError::RepeatedName { path: path.to_owned(), name, first, second: number });
        }
    }
    Ok(())
}

/// Whether values are strings, numbers or booleans.
fn is_value(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Dictionary(_, values) => is_value(values),
        other => other.is_integer() || other.is_floating(),
    }
}

fn is_list(kind: &DataType) -> bool {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::FixedSizeList(item, _) => is_value(item.data_type()),
        _ => false,
    }
}

fn refuse_nulls(path: &Path, batch: &RecordBatch, before: usize) -> Result<(), TableError> {
    for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
        let nulls = column.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(row) = nulls.and_then(|nulls| nulls.iter().position(|is_valid| !is_valid)) {
            let name = field.name().clone();
            return Err(TableError::Null { path: path.to_owned(), row: before + row + 1, name });
        }
    }
    Ok(())
}

/// A batch as JSON lines.
fn lines(batches: &Batches, batch: &RecordBatch) -> Result<Vec<u8>, TableError> {
    let written = guarded(|| {
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        Ok(writer.into_inner())
    });
    written.ok_or_else(|| batches.unreadable())?.map_err(|error| batches.damaged(error))
}

/// A file as JSON lines, of which those of one batch are in memory.
pub(super) struct ColumnarLines {
    batches: Batches,
    lines: Vec<u8>,
    /// Bytes of them that were read.
    read: usize,
}

impl ColumnarLines {
    pub(super) fn open(kind: Columnar, path: &Path) -> Result<ColumnarLines, TableError> {
        let batches = Batches::open(kind, path, |schema| {
            refuse_repeated_names(path, schema)?;
            Ok((0..schema.fields().len()).collect())
        })?;
        Ok(ColumnarLines { batches, lines: Vec::new(), read: 0 })
    }
}

impl BufRead for ColumnarLines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.lines.len() {
            let error = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            let Some(batch) = self.batches.next().map_err(error)? else { break };
            self.lines = lines(&self.batches, &batch).map_err(error)?;
            self.read = 0;
        }
        Ok(&self.lines[self.read..])
    }

    fn consume(&mut self, bytes: usize) {
        self.read += bytes;
    }
}

impl Read for ColumnarLines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
