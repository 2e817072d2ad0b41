//! SHA-256 as hexadecimal text.

use sha2::{Digest, Sha256};

/// A running hash.
pub(crate) struct Sha256Hex(Sha256);

impl Sha256Hex {
    pub(crate) fn new() -> Self {
        Sha256Hex(Sha256::new())
    }

    /// The hash of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut hash = Self::new();
        hash.update(bytes);
        hash.finish()
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds bytes after their length, so that adjacent fields cannot be confused.
    pub(crate) fn field(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.update(bytes);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.update(&number.to_le_bytes());
    }

    /// 64 lower-case hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(Sha256Hex::of(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
