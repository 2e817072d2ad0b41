//! Lengths that compressed Arrow files claim: the library takes memory by them before it has unpacked anything.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use arrow_ipc::{Message, RecordBatch, root_as_footer, root_as_message};

/// Most bytes of a column in a batch. Strings with offsets of 31 bits never have more; those with longer offsets may, and are
/// refused.
const MAX_BUFFER_BYTES: i64 = 1 << 31;
/// What stands before the length of a message, except in files of old versions.
const CONTINUATION_MARKER: [u8; 4] = [0xff; 4];
/// What a file ends with: the length of its footer, and six letters.
const TRAILER_BYTES: u64 = 10;

/// Checks a file with a footer.
///
/// # Errors
/// If a length is larger than any column, or leads out of the file.
pub(super) fn check_file(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let end = length.checked_sub(TRAILER_BYTES).ok_or_else(contradiction)?;
    let footer_length = u64::from(u32::from_le_bytes(read(file, end, 4)?.try_into().map_err(|_| contradiction())?));
    let footer = read(file, end.checked_sub(footer_length).ok_or_else(contradiction)?, footer_length)?;
    let footer = root_as_footer(&footer).map_err(|_| contradiction())?;
    let blocks = footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten());
    for block in blocks {
        let (start, metadata) = (position(block.offset())?, position(block.metaDataLength().into())?);
        let message = read(file, start, metadata)?;
        let message =
            message.get(if message.starts_with(&CONTINUATION_MARKER) { 8.. } else { 4.. }).ok_or_else(contradiction)?;
        check(file, &root_as_message(message).map_err(|_| contradiction())?, start.saturating_add(metadata))?;
    }
    file.rewind()
}

/// Checks a stream of messages.
///
/// # Errors
/// As [`check_file`].
pub(super) fn check_stream(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut start: u64 = 0;
    // What is cut off is the library's to report.
    while start.saturating_add(8) <= length {
        let prefix = read(file, start, 8)?;
        let (count, before) =
            if prefix.starts_with(&CONTINUATION_MARKER) { (&prefix[4..], 8) } else { (&prefix[..4], 4) };
        let metadata = u64::from(u32::from_le_bytes(count.try_into().map_err(|_| contradiction())?));
        if metadata == 0 {
            break;
        }
        let message = read(file, start + before, metadata)?;
        let message = root_as_message(&message).map_err(|_| contradiction())?;
        let body = start + before + metadata;
        check(file, &message, body)?;
        start = body.saturating_add(position(message.bodyLength())?);
    }
    file.rewind()
}

/// Checks the buffers of a message whose bodies begin at this byte of the file.
fn check(file: &mut File, message: &Message<'_>, body: u64) -> io::Result<()> {
    let batch: Option<RecordBatch<'_>> =
        message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch()?.data());
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    for buffer in batch.buffers().into_iter().flatten().filter(|buffer| buffer.length() > 0) {
        let claim = read(file, body.saturating_add(position(buffer.offset())?), 8)?;
        if i64::from_le_bytes(claim.try_into().map_err(|_| contradiction())?) > MAX_BUFFER_BYTES {
            return Err(invalid("a compressed column of more than 2 GiB in one batch: write smaller batches"));
        }
    }
    Ok(())
}

/// So many bytes of a file from one on; an error if there are fewer.
fn read(file: &mut File, start: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start)).map_err(|_| contradiction())?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(contradiction()) }
}

fn position(number: i64) -> io::Result<u64> {
    u64::try_from(number).map_err(|_| contradiction())
}

fn contradiction() -> io::Error {
    invalid("its lengths contradict each other")
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
