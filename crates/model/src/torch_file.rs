//! PyTorch's `pytorch_model.bin`, without running it.
//!
//! `torch.save` writes a pickle, which is a program, and raw numbers, in one of two containers: a zip archive
//! (since 1.6) or a stream (before). The program of a dictionary of weights is simple: it builds strings,
//! numbers, tuples, lists and dictionaries, and calls `_rebuild_tensor_v2` with a storage, an offset, a size
//! and strides. The `pickle` module runs exactly that and refuses everything else by name: no code of the
//! file is ever executed. The containers give the location of each storage.

mod error;
mod globals;
mod legacy_stream;
mod pickle;
mod state_dict;
mod zip_container;

pub use error::TorchError;

use crate::stored::FileIndex;

/// Whether these bytes begin like a PyTorch file of either kind.
pub(crate) fn is_torch(bytes: &[u8]) -> bool {
    zip_container::is_zip(bytes) || legacy_stream::is_legacy(bytes)
}

/// Finds the tensors of a file.
pub(crate) fn index(bytes: &[u8]) -> Result<FileIndex, TorchError> {
    // An optimizing compiler leaves the rest out then.
    if cfg!(not(feature = "pickles")) {
        return Err(TorchError::LeftOut);
    }
    if zip_container::is_zip(bytes) {
        zip_container::index(bytes)
    } else if legacy_stream::is_legacy(bytes) {
        legacy_stream::index(bytes)
    } else {
        Err(TorchError::NotTorch)
    }
}
