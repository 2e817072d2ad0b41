//! A file that is nearly another one.

use attar_text::random::Stream;

/// Numbers that readers trip over.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1e999",
    "NaN",
    "-0.0",
];
/// Bytes with a meaning in some format.
const MARKS: &[u8] = b"\0\n\r\t\"'\\,;:{}[]()<>.|#\x1e\x80\xff ";
/// Files do not grow beyond this.
const LONGEST: usize = 1 << 16;

/// One of the seeds after a few changes.
pub(super) fn mutated(seeds: &[Vec<u8>], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = stream.choose(seeds).clone();
    for _ in 0..1 + stream.below(6) {
        mutate(&mut bytes, seeds, stream);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], stream: &mut Stream) {
    let at = below(stream, bytes.len() + 1);
    let end = (at + 1 + below(stream, 16)).min(bytes.len());
    match stream.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << stream.below(8),
        1 if at < bytes.len() => bytes[at] = *stream.choose(MARKS),
        2 => bytes.insert(at, *stream.choose(MARKS)),
        3 => _ = bytes.drain(at..end),
        4 => bytes.truncate(at),
        5 => {
            let part = bytes[at..end].to_vec();
            let copies = 1 + below(stream, 8);
            let to = below(stream, bytes.len() + 1);
            bytes.splice(to..to, part.repeat(copies));
        }
        6 => {
            let other = stream.choose(seeds);
            let from = below(stream, other.len() + 1);
            let to = (from + below(stream, 64)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        7 => number(bytes, at, stream),
        _ if at < bytes.len() => bytes[at] = stream.next_u32() as u8,
        _ => bytes.push(stream.next_u32() as u8),
    }
}

/// Replaces the digits that stand next by another number.
fn number(bytes: &mut Vec<u8>, at: usize, stream: &mut Stream) {
    let Some(begin) = (at..bytes.len()).find(|&place| bytes[place].is_ascii_digit()) else { return };
    let end = (begin..bytes.len()).find(|&place| !bytes[place].is_ascii_digit()).unwrap_or(bytes.len());
    bytes.splice(begin..end, stream.choose(&NUMBERS).bytes());
}

fn below(stream: &mut Stream, count: usize) -> usize {
    stream.below(count as u64) as usize
}
