//! What all training commands share: plan, run, hand over.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::plan::Plan;
use attar_distill::recipe::{DataSpec, Recipe};
use attar_distill::train::train;
use attar_distill::{Delivery, RunDirectory, deliver};

use crate::cli::RunArgs;
use crate::progress::{RunProgress, waiting};
use crate::{console, tables};

/// Runs a recipe as the arguments say and prints what comes out.
pub(crate) fn run(command: &str, recipe: Recipe, args: &RunArgs) -> anyhow::Result<()> {
    if args.print_recipe {
        console::say(recipe.absolute()?.to_toml())?;
        return Ok(());
    }
    let out = args.out.clone().unwrap_or_else(|| default_folder(command, &recipe.data));
    let delivery = execute(recipe, &out)?;
    if args.json {
        return console::json(&delivery);
    }
    console::say(tables::delivery(&delivery))?;
    console::say(format!("\ntry it:  attar predict {} \"some text\"", out.display()))?;
    Ok(())
}

/// Plans a recipe, trains, and writes the student.
pub(crate) fn execute(recipe: Recipe, out: &Path) -> anyhow::Result<Delivery> {
    let reading = waiting("reading models and data");
    let plan = Plan::new(recipe).context("the recipe was refused, nothing was computed")?;
    let directory = RunDirectory::open(out, &plan)?;
    reading.finish_and_clear();
    plan.notes.iter().for_each(console::note);
    let trained = train(&plan, &directory, &mut RunProgress::new()).with_context(|| {
        format!("the run stopped; the same command goes on from the last checkpoint in {}", out.display())
    })?;
    Ok(deliver(&plan, &directory, trained)?)
}

/// `runs/distill-sst-2`, say.
pub(crate) fn default_folder(command: &str, data: &DataSpec) -> PathBuf {
    let data = match data {
        DataSpec::Known { layout, .. } => layout.clone(),
        DataSpec::Table { train, .. } => train.file_stem().map_or("data".into(), |stem| stem.to_string_lossy().into()),
        DataSpec::Embedded { .. } => "embedded".into(),
    };
    Path::new("runs").join(format!("{command}-{}", data.to_lowercase().replace([' ', '/'], "-")))
}
