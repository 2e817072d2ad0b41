//! Files that were packed by `gzip` or `zstd`, told by how they begin, whatever their name.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a file begins that `gzip` wrote.
const GZIP: &[u8] = b"\x1f\x8b";
/// How a file begins that `zstd` wrote.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whether bytes begin as those of a packed file.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(GZIP) || is_zstd(bytes)
}

/// Whether bytes begin as those of a `zstd` file: with a frame, or with one that is passed over.
fn is_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(ZSTD) || matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What a file holds, unpacked where it is packed.
pub(crate) fn unpacked<'a>(mut file: impl BufRead + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let start = file.fill_buf()?;
    Ok(if start.starts_with(GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else if is_zstd(start) {
        Box::new(BufReader::new(Zstd { source: file, decoder: FrameDecoder::new(), is_within: false }))
    } else {
        Box::new(file)
    })
}

/// Reads the frames of a `zstd` file one after the other, passes over those that hold no text, and checks checksums.
///
/// A frame that asks for a window of more than 128 MiB is refused by the library: memory is not taken on a claim.
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    /// Whether a frame has begun and not ended.
    is_within: bool,
}

impl<R: BufRead> Zstd<R> {
    /// Begins the next frame that holds something; false at the end.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.is_within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(damaged("it ends too early"));
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
    }

    /// Checks a frame that has been read to its end.
    fn end(&mut self) -> io::Result<()> {
        self.is_within = false;
        match self.decoder.get_checksum_from_data() {
            Some(stored) if self.decoder.get_calculated_checksum() != Some(stored) => {
                Err(damaged("the checksum differs"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_within && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1)).map_err(damaged)?;
            }
            let read = self.decoder.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            self.end()?;
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        unpacked(bytes)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn zstd(text: &str) -> Vec<u8> {
        compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
    }

    #[test]
    fn packed_files_are_read_as_what_they_hold() {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"a rose").unwrap();
        assert_eq!(read(&gzip.finish().unwrap()).unwrap(), "a rose");
        assert_eq!(read(b"a rose").unwrap(), "a rose");
        assert_eq!(read(b"").unwrap(), "");
        let long = "is a rose ".repeat(30_000);
        // Two frames, as `cat` joins files.
        assert_eq!(read(&[zstd("a rose "), zstd(&long)].concat()).unwrap(), format!("a rose {long}"));
        // A frame of three bytes that readers pass over, as parallel writers put one in front.
        let passed_over = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        assert_eq!(read(&[passed_over.clone(), zstd("a rose")].concat()).unwrap(), "a rose");
        assert!(read(&passed_over[..9]).is_err());
    }

    #[test]
    fn a_part_of_a_file_is_an_error() {
        let whole = zstd(&"a rose is a rose ".repeat(1000));
        for end in [5, whole.len() / 2, whole.len() - 1] {
            let error = read(&whole[..end]).unwrap_err();
            assert!(error.to_string().contains("zstd"), "{end}: {error}");
        }
        let mut trailing = whole.clone();
        trailing.extend(b"rose");
        assert!(read(&trailing).is_err());
    }
}
