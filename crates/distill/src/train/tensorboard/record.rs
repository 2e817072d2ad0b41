//! The frame of a record: its length, and checksums of the length and of the record.
//!
//! `[8] length, [4] checksum of it, [length] bytes, [4] checksum of them`, all little-endian; the checksum is CRC-32C,
//! turned by 15 bits and moved by a constant, so that a checksum of checksums is none by accident.

use prost::Message;

use super::message::EventRecord;

/// Polynomial of CRC-32C (Castagnoli), bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// What a masked checksum is moved by.
const MOVED: u32 = 0xa282_ead8;
/// Longest record that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// A record in its frame.
pub(super) fn framed(entry: &EventRecord) -> Vec<u8> {
    let bytes = entry.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| masked(checksum(bytes)).to_le_bytes();
    [&length[..], &sum(&length), &bytes, &sum(&bytes)].concat()
}

/// All whole records of a file, up to the first one that is damaged.
pub(super) fn entries(mut file: &[u8]) -> Vec<EventRecord> {
    let mut all = Vec::new();
    while let Some((entry, rest)) = first(file) {
        all.push(entry);
        file = rest;
    }
    all
}

fn first(file: &[u8]) -> Option<(EventRecord, &[u8])> {
    let (length, rest) = file.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let count = u64::from_le_bytes(*length);
    if masked(checksum(length)) != u32::from_le_bytes(*sum) || count > LONGEST {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count as usize)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let is_whole = masked(checksum(bytes)) == u32::from_le_bytes(*sum);
    Some((EventRecord::decode(bytes).ok().filter(|_| is_whole)?, rest))
}

fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(MOVED)
}

/// CRC-32C. Bit by bit: a run writes a few hundred bytes a second.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = !0u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tensorboard::message::{Content, Summary, SummaryValue};

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4, and the check value of the catalog of CRCs.
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_damaged_record_ends_the_file() {
        let values = vec![SummaryValue { tag: "loss/gold".into(), number: Some(0.0) }];
        let entry = EventRecord { time: 1.5, step: 10, content: Some(Content::Summary(Summary { values })) };
        let mut file = [framed(&entry), framed(&entry)].concat();
        assert_eq!(entries(&file), [entry.clone(), entry.clone()]);
        let place = file.len() - 6;
        file[place] ^= 1;
        assert_eq!(entries(&file).len(), 1);
        // Of a length nobody believes nothing is allocated.
        let length = u64::MAX.to_le_bytes();
        let frame = [&length[..], &masked(checksum(&length)).to_le_bytes()].concat();
        assert!(entries(&frame).is_empty());
    }
}
