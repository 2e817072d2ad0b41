//! What can be wrong with a model in one file.

/// Why bytes are not a model in one file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SingleFileError {
    /// Not an archive at all.
    #[error("this is not a zip archive: name a file that `attar export single` wrote, or the folder of a model")]
    NotAnArchive,
    /// The archive is damaged.
    #[error("the archive is damaged: make or download it again")]
    Damaged {
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// The archive cannot be made.
    #[error("the model cannot be written as one file: keep its folder")]
    Unwritable {
        /// Why.
        source: zip::result::ZipError,
    },
    /// An entry is compressed or encrypted.
    #[error(
        "its entry `{entry}` is compressed or encrypted: pack it with `attar export single`, or without compression (`zip -0`)"
    )]
    NotStored {
        /// The entry.
        entry: String,
    },
    /// An entry lies outside the file.
    #[error("its entry `{entry}` lies outside the file: make or download it again")]
    OutOfBounds {
        /// The entry.
        entry: String,
    },
    /// The bytes of an entry are not those that were written.
    #[error("its entry `{entry}` is damaged (checksum {got:08x}, expected {expected:08x}): make or download it again")]
    Checksum {
        /// The entry.
        entry: String,
        /// The checksum in the archive.
        expected: u32,
        /// That of the bytes.
        got: u32,
    },
    /// Entries that share bytes.
    #[error("its entry `{entry}` overlaps another: make or download it again")]
    Overlap {
        /// The entry.
        entry: String,
    },
    /// Two entries of one name.
    #[error("two entries have the same name: make it again")]
    DuplicateEntry,
}
