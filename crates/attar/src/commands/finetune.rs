//! `attar finetune`: a model that exists learns labels.

use crate::cli::FinetuneArgs;
use crate::recipes;

use super::training;

pub(crate) fn run(args: &FinetuneArgs) -> anyhow::Result<()> {
    let recipe = recipes::finetune(args)?;
    let within = args.quality.within.filter(|_| args.run.recipe.is_none());
    let out = training::folder("finetune", &recipe, &args.run);
    training::run("finetune", training::within(recipe, within, &out)?, &args.run)
}
