//! `attar glue`: teachers and students of many tasks, made and scored by several seeds.

pub(crate) mod render;
mod submission;
mod task;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use attar_distill::recipe::Recipe;
use attar_distill::suite::{SuiteRow, SuiteSummary};
use attar_distill::{RunLock, model_directory};
use attar_model::atomic::write_file;
use attar_text::layout::Layout;
use serde_json::json;

use crate::cli::glue::GlueArgs;
use crate::{console, recipes};

use task::Task;

pub(crate) fn run(args: &GlueArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let suite = Suite::new(args, threads)?;
    let _lock = RunLock::take(&args.out)?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    let count = suite.seeds.len() * suite.tasks.len();
    for (index, (&seed, task)) in
        suite.seeds.iter().flat_map(|seed| suite.tasks.iter().map(move |t| (seed, t))).enumerate()
    {
        console::note(format!("{}, seed {seed}: {} of {count}", task.name(), index + 1));
        match task.run(&suite, seed) {
            Ok(scored) => rows.extend(scored),
            // One task that cannot be had takes none of the others with it.
            Err(error) if crate::is_stop(&error) => return Err(error),
            Err(error) => {
                console::warning(format!("{}, seed {seed} failed: {error:#}", task.name()));
                failed.push(format!("{}, seed {seed}", task.name()));
            }
        }
        keep(&args.out, &rows)?;
    }
    ensure!(!rows.is_empty(), "every task failed: see the warnings above");
    let summary = SuiteSummary::of(&rows);
    match args.json {
        true => console::json(&json!({ "rows": rows, "summary": summary, "failed": failed }))?,
        false => console::say(render::terminal(&summary))?,
    }
    ensure!(failed.is_empty(), "failed: {}; run the same command again to retry", failed.join("; "));
    Ok(())
}

/// Writes what there is so far: all rows, those of other calls included, and the table of them.
fn keep(out: &Path, rows: &[SuiteRow]) -> anyhow::Result<()> {
    let is_here = |other: &SuiteRow| rows.iter().any(|row| (&row.task, row.seed) == (&other.task, other.seed));
    let others = task::stored_rows(out).into_iter().filter(|other| !is_here(other));
    let rows: Vec<SuiteRow> = rows.iter().cloned().chain(others).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let summary = SuiteSummary::of(&rows);
    write_file(&out.join("suite.json"), &serde_json::to_vec_pretty(&json!({ "rows": rows, "summary": summary }))?)?;
    write_file(&out.join("suite.md"), render::markdown(&summary).as_bytes())?;
    Ok(())
}

/// What is to be run, checked as far as files go.
struct Suite<'a> {
    args: &'a GlueArgs,
    threads: Option<usize>,
    /// The recipe of the students, where there is one.
    recipe: Option<Recipe>,
    tasks: Vec<Task>,
    seeds: Vec<u64>,
}

impl<'a> Suite<'a> {
    fn new(args: &'a GlueArgs, threads: Option<usize>) -> anyhow::Result<Suite<'a>> {
        for folder in [&args.teacher, &args.teachers].into_iter().flatten() {
            model_directory::existing(folder)?;
        }
        recipes::energy(&args.energy)?;
        ensure!(
            args.recipe.is_none() || args.shape.is_default(),
            "a recipe says what shape its students have: leave out {} or the flags of a shape",
            args.recipe.as_deref().unwrap_or(Path::new("the recipe")).display()
        );
        let recipe = args.recipe.as_deref().map(recipes::read).transpose()?;
        let distinct: BTreeSet<u64> = args.seeds.iter().copied().collect();
        ensure!(distinct.len() == args.seeds.len(), "--seeds names a seed twice");
        let mut tasks = found(&args.data)?;
        if !args.tasks.is_empty() {
            let wanted: Vec<Layout> =
                args.tasks.iter().map(|name| Layout::from_name(name)).collect::<Result<_, _>>().context("--tasks")?;
            for layout in &wanted {
                ensure!(
                    tasks.iter().any(|task| task.layout == *layout),
                    "--tasks: {} is in none of the folders of --data, which have {}",
                    layout.name(),
                    tasks.iter().map(Task::name).collect::<Vec<_>>().join(", ")
                );
            }
            tasks.retain(|task| wanted.contains(&task.layout));
        }
        Ok(Suite { args, threads, recipe, tasks, seeds: args.seeds.clone() })
    }
}

/// The data sets in these folders that can be learned from and scored.
fn found(folders: &[PathBuf]) -> anyhow::Result<Vec<Task>> {
    let mut tasks: Vec<Task> = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let mut candidates = vec![folder.clone()];
        candidates.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()));
        candidates.sort();
        for path in candidates {
            let Ok(layout) = Layout::detect(&path) else { continue };
            if tasks.iter().any(|task| task.layout == layout) {
                continue;
            }
            match Task::of(layout, path) {
                Ok(task) => tasks.push(task),
                Err(error) => console::note(format!("{} is left out: {error}", layout.name())),
            }
        }
    }
    ensure!(
        !tasks.is_empty(),
        "no known data set with training rows in {}: name the folder that holds GLUE's folders, or that of a data set",
        folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    Ok(tasks)
}
