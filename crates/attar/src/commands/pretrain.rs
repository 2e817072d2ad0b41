//! `attar pretrain`: an encoder learns from raw text.

use crate::cli::pretrain::PretrainArgs;
use crate::recipes;

use super::training;

pub(crate) fn run(args: &PretrainArgs) -> anyhow::Result<()> {
    let recipe = recipes::pretrain(args)?;
    let within = args.quality.within.filter(|_| args.run.recipe.is_none());
    let out = training::folder("pretrain", &recipe, &args.run);
    training::run("pretrain", training::within(recipe, within, &out)?, &args.run)
}
