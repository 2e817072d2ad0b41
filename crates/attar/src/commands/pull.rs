//! `attar pull`: a model of the hub in the cache.

use crate::cli::PullArgs;
use crate::console;
use crate::hub::HubModel;

pub(crate) fn run(args: &PullArgs) -> anyhow::Result<()> {
    console::say(HubModel::parse(&args.model)?.fetch()?.display().to_string())?;
    Ok(())
}
