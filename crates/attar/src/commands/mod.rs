//! One file for each command: parse, call, render.

mod answers;
pub(crate) mod augment;
pub(crate) mod bench;
mod bounded;
pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod distill;
pub(crate) mod embed;
pub(crate) mod energy;
pub(crate) mod eval;
pub(crate) mod finetune;
pub(crate) mod glue;
pub(crate) mod inspect;
pub(crate) mod man;
mod part_file;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod pretrain;
pub(crate) mod quantize;
pub(crate) mod quickstart;
pub(crate) mod serve;
mod suite_rows;
mod texts;
mod training;
pub(crate) mod vocab;
