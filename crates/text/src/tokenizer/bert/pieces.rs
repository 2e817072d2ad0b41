//! Pieces of words by their bytes.

use std::collections::HashMap;

/// A map from pieces to ids that finds a piece of up to 16 bytes without a look at memory other than
/// its own slot.
pub(super) struct Pieces {
    /// Up to 8 bytes.
    short: HashTable<u64>,
    /// 9 to 16 bytes.
    medium: HashTable<[u64; 2]>,
    /// Longer ones, and the empty one, which no word begins with.
    long: HashMap<Box<[u8]>, u32>,
    /// Bytes of the longest one.
    longest: usize,
}

/// Up to 16 bytes without NUL, the first one lowest, filled up with 0.
pub(super) type Key = u128;

/// Most bytes of a [`Key`].
pub(super) const KEY_BYTES: usize = size_of::<Key>();

impl Pieces {
    /// `None` if a piece comes twice, holds NUL, or too many fall together.
    pub(super) fn new<'a>(pieces: impl Iterator<Item = (&'a str, u32)> + Clone) -> Option<Self> {
        let of_length = |lengths: std::ops::RangeInclusive<usize>| {
            pieces.clone().filter(move |(piece, _)| lengths.contains(&piece.len()))
        };
        let mut built = Self {
            short: HashTable::with_room_for(of_length(1..=8).count()),
            medium: HashTable::with_room_for(of_length(9..=KEY_BYTES).count()),
            long: HashMap::new(),
            longest: 0,
        };
        for (piece, id) in pieces {
            let bytes = piece.as_bytes();
            if bytes.contains(&0) {
                return None;
            }
            match bytes.len() {
                1..=8 => built.short.insert(key(bytes) as u64, id)?,
                9..=KEY_BYTES => built.medium.insert(halves(key(bytes)), id)?,
                _ => {
                    if built.long.insert(bytes.into(), id).is_some() {
                        return None;
                    }
                }
            }
            built.longest = built.longest.max(bytes.len());
        }
        Some(built)
    }

    /// The id of a piece.
    pub(super) fn id(&self, piece: &str) -> Option<u32> {
        let bytes = piece.as_bytes();
        match bytes.len() {
            1..=KEY_BYTES if !bytes.contains(&0) => self.by_key(key(bytes), bytes.len()),
            _ => self.long.get(bytes).copied(),
        }
    }

    /// The id of a piece of 1 to 8 bytes.
    #[inline]
    pub(super) fn by_short_key(&self, key: u64) -> Option<u32> {
        self.short.get(key)
    }

    /// The id of a piece of 1 to 16 bytes.
    #[inline]
    pub(super) fn by_key(&self, key: Key, length: usize) -> Option<u32> {
        if length <= 8 { self.short.get(key as u64) } else { self.medium.get(halves(key)) }
    }

    /// Length and id of the longest piece that a text of `length` bytes, up to 16, begins with.
    #[inline]
    pub(super) fn longest_of_key(&self, text: Key, length: usize) -> Option<(usize, u32)> {
        (1..=length.min(self.longest))
            .rev()
            .find_map(|length| Some((length, self.by_key(first(text, length), length)?)))
    }

    /// Length and id of the longest piece that a text begins with.
    pub(super) fn longest_of(&self, text: &[u8]) -> Option<(usize, u32)> {
        let longest = text.len().min(self.longest);
        let long = (KEY_BYTES + 1..=longest).rev().find_map(|length| Some((length, *self.long.get(&text[..length])?)));
        let length = longest.min(KEY_BYTES);
        long.or_else(|| self.longest_of_key(key(&text[..length]), length))
    }

    /// Visits all pieces, in no particular order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&str, u32)) {
        let short = self.short.entries().map(|(key, id)| (Key::from(key), id));
        let medium = self.medium.entries().map(|([low, high], id)| (Key::from(low) | Key::from(high) << 64, id));
        for (key, id) in short.chain(medium) {
            let bytes = key.to_le_bytes();
            let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(KEY_BYTES);
            visit(&String::from_utf8_lossy(&bytes[..length]), id);
        }
        self.long.iter().for_each(|(bytes, &id)| visit(&String::from_utf8_lossy(bytes), id));
    }
}

/// The key of up to 16 bytes.
pub(super) fn key(bytes: &[u8]) -> Key {
    let mut filled = [0; KEY_BYTES];
    filled[..bytes.len()].copy_from_slice(bytes);
    Key::from_le_bytes(filled)
}

/// The key of the first `length` bytes, 1 to 16.
#[inline]
fn first(key: Key, length: usize) -> Key {
    key & (Key::MAX >> (8 * (KEY_BYTES - length)))
}

fn halves(key: Key) -> [u64; 2] {
    [key as u64, (key >> 64) as u64]
}

/// A hash table with open addressing; the key 0 marks a free slot.
struct HashTable<K> {
    slots: Vec<(K, u32)>,
    /// A hash shifted right by this is a place.
    shift: u32,
}

trait Hashed: Copy + Eq + Default {
    /// A hash whose upper bits depend on all bits of the key.
    fn hash(self) -> u64;
}

impl Hashed for u64 {
    #[inline]
    fn hash(self) -> u64 {
        (self ^ (self >> 32)).wrapping_mul(GOLDEN)
    }
}

impl Hashed for [u64; 2] {
    #[inline]
    fn hash(self) -> u64 {
        (self[0] ^ self[0] >> 32).wrapping_mul(GOLDEN) ^ (self[1] ^ self[1] >> 32).wrapping_mul(ODD)
    }
}

/// 2^64 divided by the golden ratio, and another odd number without a pattern.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
const ODD: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// Slots that inserting looks at. With half of the slots free, chains of real vocabularies are far
/// shorter; a longer one was made on purpose.
const LONGEST_CHAIN: usize = 256;

impl<K: Hashed> HashTable<K> {
    fn with_room_for(entries: usize) -> Self {
        let slots = (2 * entries).next_power_of_two().max(2);
        Self { slots: vec![(K::default(), 0); slots], shift: 64 - slots.trailing_zeros() }
    }

    /// `None` if the key is there already, or the chain is too long.
    fn insert(&mut self, key: K, id: u32) -> Option<()> {
        let free = self.chain(key).take(LONGEST_CHAIN).find(|&place| {
            let there = self.slots[place].0;
            there == K::default() || there == key
        })?;
        let slot = &mut self.slots[free];
        if slot.0 == key {
            return None;
        }
        *slot = (key, id);
        Some(())
    }

    #[inline]
    fn get(&self, key: K) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut place = (key.hash() >> self.shift) as usize;
        // Half of the slots are free, so the chain ends.
        loop {
            let (there, id) = self.slots[place & mask];
            if there == key {
                return Some(id);
            }
            if there == K::default() {
                return None;
            }
            place += 1;
        }
    }

    fn chain(&self, key: K) -> impl Iterator<Item = usize> + use<K> {
        let mask = self.slots.len() - 1;
        let home = (key.hash() >> self.shift) as usize;
        (0..=mask).map(move |step| (home + step) & mask)
    }

    fn entries(&self) -> impl Iterator<Item = (K, u32)> {
        self.slots.iter().copied().filter(|(key, _)| *key != K::default())
    }
}
