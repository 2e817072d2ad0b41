//! Files that were packed by `gzip` or `zstd`, told by how they begin, whatever their name.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// How a file begins that `gzip` wrote.
const GZIP: &[u8] = b"\x1f\x8b";
/// How a file begins that `zstd` wrote.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whether bytes begin as those of a packed file.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(GZIP) || bytes.starts_with(ZSTD)
}

/// What a file holds, unpacked where it is packed.
pub(crate) fn unpacked<'a>(mut file: impl BufRead + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let start = file.fill_buf()?;
    Ok(if start.starts_with(GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else if start.starts_with(ZSTD) {
        Box::new(BufReader::new(Zstd { state: State::Between(file) }))
    } else {
        Box::new(file)
    })
}

/// Reads the frames of a `zstd` file one after the other and checks their checksums.
///
/// A frame that asks for a window of more than 100 MiB is refused by the library: memory is not taken on a claim.
struct Zstd<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    /// In front of a frame, or at the end.
    Between(R),
    Within(Box<StreamingDecoder<R, FrameDecoder>>),
    /// After an error, or while a state changes.
    Ended,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut source) => {
                    if source.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(source).map_err(damaged)?;
                    self.state = State::Within(Box::new(decoder));
                }
                State::Within(mut decoder) => {
                    let read = decoder.read(out).map_err(damaged)?;
                    if read > 0 {
                        self.state = State::Within(decoder);
                        return Ok(read);
                    }
                    let frame = &decoder.decoder;
                    if let Some(stored) = frame.get_checksum_from_data()
                        && frame.get_calculated_checksum() != Some(stored)
                    {
                        return Err(damaged("the checksum differs"));
                    }
                    self.state = State::Between(decoder.into_inner());
                }
            }
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a whole zstd file: {error}"))
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
