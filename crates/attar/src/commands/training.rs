//! What all training commands share: plan, run, hand over.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use attar_distill::plan::{Plan, probe};
use attar_distill::recipe::{DataSpec, Recipe, StageLength};
use attar_distill::train::train;
use attar_distill::{Error, ExportedStudent, RunDirectory, RunLock, export, model_directory};
use attar_model::{Bundle, Head};
use attar_text::labeled::name_of;

use crate::cli::training::RunArgs;
use crate::progress::{RunProgress, waiting};
use crate::{console, tables};

/// What an error in a recipe means for the user.
pub(crate) const REFUSED: &str = "the recipe was refused, nothing was computed";

/// Runs a recipe as the arguments say and prints what comes out.
pub(crate) fn run(command: &str, recipe: Recipe, args: &RunArgs) -> anyhow::Result<()> {
    if args.print_recipe {
        console::say(recipe.absolute()?.to_toml())?;
        return Ok(());
    }
    let out = folder(command, &recipe, args);
    let exported = execute(recipe, &out)?;
    if args.json {
        return console::json(&exported);
    }
    console::say(tables::exported(&exported))?;
    console::say(format!("\ntry it:  {}", next_command(&exported, &out)?))?;
    Ok(())
}

/// What the trained model is for.
fn next_command(exported: &ExportedStudent, out: &Path) -> anyhow::Result<String> {
    let out = out.display();
    Ok(match Bundle::read_config(&exported.student)?.head {
        Head::None => format!("attar embed {out} \"some text\""),
        Head::MaskedLm | Head::Pretraining => format!("attar finetune {out} --data rows.csv"),
        _ => predict_command(&exported.student, out)?,
    })
}

/// How the model in this folder, which goes by `name`, is asked; one that has learned from two texts is given two.
pub(crate) fn predict_command(folder: &Path, name: impl Display) -> anyhow::Result<String> {
    Ok(match Bundle::read_config(folder)?.head {
        Head::QuestionAnswering => format!("attar predict {name} \"some question\" --pair \"its context\""),
        _ => match model_directory::has_learned_pairs(folder)? {
            Some(true) => format!("attar predict {name} \"some text\" --pair \"another text\""),
            _ => format!("attar predict {name} \"some text\""),
        },
    })
}

/// Updates of each stage that are timed to make a recipe fit into a time.
const PROBED: usize = 6;
/// How many times as many updates as usual a long time buys.
const MOST: f64 = 3.0;

/// The recipe with as many updates as fit into this time, judged by a few of them run here. A run that is in its folder already
/// keeps its updates, because another timing would give another number of them.
pub(crate) fn within(mut recipe: Recipe, time: Option<Duration>, out: &Path) -> anyhow::Result<Recipe> {
    let Some(seconds) = time.map(|time| time.as_secs_f64()) else { return Ok(recipe) };
    if let Some(begun) = RunDirectory::recipe(out)?.filter(|begun| stage_names(begun) == stage_names(&recipe)) {
        for (stage, begun) in recipe.stages.iter_mut().zip(begun.stages) {
            (stage.length, stage.evaluate_every) = (begun.length, begun.evaluate_every);
        }
        console::note(format!(
            "{}: the run that is there keeps its updates, whatever --within says now",
            out.display()
        ));
        return Ok(recipe);
    }
    let plan = Plan::new(recipe.clone()).context(REFUSED)?;
    let timing = waiting("timing a few updates");
    let usual = probe(&plan, PROBED, || ())?.seconds;
    timing.finish_and_clear();
    let factor = (seconds / usual).min(MOST);
    for (stage, planned) in recipe.stages.iter_mut().zip(plan.stages()) {
        let steps = ((planned.steps as f64 * factor) as usize).max(1);
        stage.length = StageLength::Steps(steps);
        stage.evaluate_every = stage.evaluate_every.min(steps);
    }
    console::note(format!(
        "{} is the usual time here, {} was given: {factor:.2} times the usual updates",
        tables::seconds(usual),
        tables::seconds(seconds)
    ));
    Ok(recipe)
}

fn stage_names(recipe: &Recipe) -> Vec<&str> {
    recipe.stages.iter().map(|stage| stage.name.as_str()).collect()
}

/// Plans a recipe, trains, and writes the student.
pub(crate) fn execute(recipe: Recipe, out: &Path) -> anyhow::Result<ExportedStudent> {
    execute_locked(recipe, RunLock::take(out)?)
}

/// As [`execute`], in a folder that is locked already.
pub(crate) fn execute_locked(recipe: Recipe, lock: RunLock) -> anyhow::Result<ExportedStudent> {
    let out = lock.folder().to_path_buf();
    let reading = waiting("reading models and data");
    let plan = Plan::new(recipe).context(REFUSED)?;
    let directory = RunDirectory::open_locked(lock, &plan)?;
    reading.finish_and_clear();
    plan.notes().iter().for_each(console::note);
    plan.scarce_memory().into_iter().for_each(console::warning);
    let trained = train(&plan, &directory, &mut RunProgress::new()).map_err(|error| {
        let out = out.display();
        let what_next = match error {
            // The same command would fail at the same update.
            Error::NotFinite { .. } => format!("the run in {out} stopped; another rate or `clip` needs another --out"),
            _ => format!("the run stopped; the same command resumes from the last checkpoint in {out}"),
        };
        anyhow::Error::new(error).context(what_next)
    })?;
    Ok(export(&plan, &directory, trained)?)
}

/// Where a run goes.
pub(crate) fn folder(command: &str, recipe: &Recipe, args: &RunArgs) -> PathBuf {
    args.out.clone().unwrap_or_else(|| default_folder(command, &recipe.data))
}

/// `runs/distill-sst-2`, say.
pub(crate) fn default_folder(command: &str, data: &DataSpec) -> PathBuf {
    let data = match data {
        DataSpec::Known { layout, .. } => layout.clone(),
        DataSpec::Table { train, .. } | DataSpec::Tagged { train, .. } | DataSpec::Answers { train, .. } => {
            Some(name_of(train)).filter(|name| !name.is_empty()).unwrap_or_else(|| "data".into())
        }
        DataSpec::Corpus { files, .. } => match files.first().and_then(|path| path.file_name()) {
            // The first of two or three endings, as of `wiki-00.txt.gz`, is where the name ends.
            Some(name) => name.to_string_lossy().split('.').next().unwrap_or("text").into(),
            None => "text".into(),
        },
        DataSpec::Embedded { .. } => "embedded".into(),
        DataSpec::Memory { .. } => "memory".into(),
    };
    Path::new("runs").join(format!("{command}-{}", data.to_lowercase().replace([' ', '/'], "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_folder_is_named_after_its_data() {
        let answers = |file: &str| DataSpec::Answers {
            train: file.into(),
            dev: None,
            dev_share: 0.1,
            metric: None,
            max_tokens: 128,
            rows: None,
        };
        let folder = |file| default_folder("distill", &answers(file)).display().to_string();
        assert_eq!(folder("a/Train v2.0.json.gz"), "runs/distill-train-v2.0");
        assert_eq!(folder(".."), "runs/distill-data");
    }

    #[test]
    fn a_model_of_questions_is_asked_with_a_context() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{ "architectures": ["BertForQuestionAnswering"], "model_type": "bert", "hidden_size": 8,
            "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 9,
            "max_position_embeddings": 8, "type_vocab_size": 2 }"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let command = predict_command(folder.path(), "runs/reader").unwrap();
        assert_eq!(command, "attar predict runs/reader \"some question\" --pair \"its context\"");
    }
}
