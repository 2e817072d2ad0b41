//! Which parts of a model are stored as small integers, decided by what that does to its answers.

pub(crate) mod bench;
pub(crate) mod card;
pub(crate) mod data;
pub(crate) mod gate;
pub(crate) mod units;
