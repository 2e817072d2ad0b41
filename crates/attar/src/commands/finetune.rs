//! `attar finetune`: a model that exists learns labels.

use crate::cli::FinetuneArgs;
use crate::recipes;

use super::training;

pub(crate) fn run(args: &FinetuneArgs) -> anyhow::Result<()> {
    training::run("finetune", recipes::finetune(args)?, &args.run)
}
