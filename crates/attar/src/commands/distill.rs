//! `attar distill`: a student of a teacher, which is fine-tuned first where it has no head, and its int8 form.

mod seeds;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use attar_distill::data::LabeledData;
use attar_distill::model_directory::{self, SMALL};
use attar_distill::plan::Plan;
use attar_distill::recipe::{DataSpec, Recipe};
use attar_distill::{ExportedStudent, RunLock};
use attar_model::Bundle;
use attar_text::random::Streams;

use super::quantize::{self, Shipped};
use super::training;
use crate::cli::DistillArgs;
use crate::progress::waiting;
use crate::{console, recipes, tables};

pub(crate) fn run(args: &DistillArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.run.recipe {
        let recipe = recipes::read(file)?;
        if args.run.print_recipe || matches!(recipe.data, DataSpec::Corpus { .. }) {
            return training::run("distill", recipe, &args.run);
        }
        let out = training::folder("distill", &recipe, &args.run);
        let (student, small) = train_and_ship(recipe, RunLock::take(&out)?)?;
        return deliver(args, &student, &small);
    }
    let Some(given) = &args.teacher else { anyhow::bail!("no teacher was given: name one with --teacher") };
    if !args.corpus.corpus.is_empty() {
        let recipe = recipes::general(args, given)?;
        let out = training::folder("distill", &recipe, &args.run);
        let recipe = training::within(recipe, args.quality.within, &out)?;
        return training::run("distill", recipe, &args.run);
    }
    let data = recipes::data(&args.data)?;
    let out = args.run.out.clone().unwrap_or_else(|| training::default_folder("distill", &data));
    // The plan checks this too, but only after the vocabulary, and possibly the teacher, has been trained.
    let is_by_token = matches!(data, DataSpec::Tagged { .. } | DataSpec::Answers { .. });
    anyhow::ensure!(
        args.shape.own_pieces.is_none() || args.gold_only || !is_by_token,
        "--own-pieces: a student that answers for each token is compared with its teacher token by token, so it needs the teacher's \
         pieces: leave the flag out, or add --gold-only"
    );
    let has_teacher = answers(given)?;
    anyhow::ensure!(
        !has_teacher || args.gold_only || args.classes.class_weights.is_none(),
        "--class-weights applies to labels, and this student learns the answers of {} alone: fine-tune that teacher with \
         `attar finetune --class-weights`, give an encoder without a head, which is fine-tuned here, or add --gold-only",
        given.display()
    );
    if args.run.print_recipe {
        // A vocabulary of the student's own is written into the folder.
        let _lock = args.shape.own_pieces.is_some().then(|| RunLock::take(&out)).transpose()?;
        return match has_teacher {
            true => training::run("distill", planned(args, given, &out, args.quality.within)?, &args.run),
            false => print_both(args, given, &out),
        };
    }
    if !args.seeds.is_empty() {
        return seeds::run(args, given, has_teacher, &out);
    }
    let Made { student, small, .. } = make(args, given, has_teacher, &out)?;
    deliver(args, &student, &small)
}

/// Prints what came out.
fn deliver(args: &DistillArgs, student: &ExportedStudent, small: &Shipped) -> anyhow::Result<()> {
    if args.run.json {
        let mut all = serde_json::to_value(student)?;
        all["small"] = serde_json::to_value(small)?;
        return console::json(&all);
    }
    console::say(tables::exported(student))?;
    console::say(small.summary())?;
    let command = training::predict_command(Path::new(&small.directory), &small.directory)?;
    console::say(format!("\ntry it:  {command}"))?;
    Ok(())
}

/// What a distillation made.
struct Made {
    /// The teacher, if it was fine-tuned first.
    teacher: Option<ExportedStudent>,
    student: ExportedStudent,
    small: Shipped,
}

/// Makes a student of labeled rows in this folder, and its teacher first where there is none.
fn make(args: &DistillArgs, given: &Path, has_teacher: bool, out: &Path) -> anyhow::Result<Made> {
    let lock = RunLock::take(out)?;
    if has_teacher {
        let (student, small) = train_and_ship(planned(args, given, out, args.quality.within)?, lock)?;
        return Ok(Made { teacher: None, student, small });
    }
    // Each has half of the time.
    let within = args.quality.within.map(|time| time / 2);
    let teacher = make_teacher(args, given, out, within)?;
    let folder = out.join(model_directory::TEACHER);
    let (student, small) = train_and_ship(planned(args, &folder, out, within)?, lock)?;
    Ok(Made { teacher: Some(teacher), student, small })
}

/// The recipe of a student, as long as the time allows.
fn planned(args: &DistillArgs, teacher: &Path, out: &Path, within: Option<Duration>) -> anyhow::Result<Recipe> {
    training::within(recipes::distill(args, teacher, Some(out))?, within, out)
}

/// Trains a student of labeled rows and writes it beside in small integers. The folder is held until both are written.
pub(crate) fn train_and_ship(recipe: Recipe, lock: RunLock) -> anyhow::Result<(ExportedStudent, Shipped)> {
    let out = lock.folder().to_path_buf();
    let (data, seed) = (recipe.data.clone(), recipe.seed);
    let exported = training::execute_locked(recipe, lock.clone())?;
    let data = LabeledData::load(&data, &Streams::new(seed))?;
    let shipped = quantize::ship(&out, &out.join(SMALL), data)?;
    Ok((exported, shipped))
}

/// Whether a model answers anything, so that it can teach.
fn answers(model: &Path) -> anyhow::Result<bool> {
    Ok(Bundle::read_config(&model_directory::existing(model)?)?.head.is_task_head())
}

/// Prints the recipe of a teacher that is made first, and that of its student.
fn print_both(args: &DistillArgs, encoder: &Path, out: &Path) -> anyhow::Result<()> {
    let folder = out.join(model_directory::TEACHER);
    let teacher = recipes::teacher(args, encoder)?;
    // The student's follows from the encoder's shape, which the teacher has too.
    let mut student = recipes::distill(args, encoder, Some(out))?;
    student.teacher.iter_mut().for_each(|teacher| teacher.path = Some(folder.clone()));
    // One file holds one recipe: the teacher's is a comment.
    console::say(format!("# The teacher is made first, in {}, by this recipe:", folder.display()))?;
    teacher.absolute()?.to_toml().lines().try_for_each(|line| console::say(format!("# {line}").trim_end()))?;
    console::say(format!("\n# The student:\n{}", student.absolute()?.to_toml()))?;
    Ok(())
}

/// Checks the student before the teacher that this recipe makes of the encoder is trained.
fn check_student(args: &DistillArgs, encoder: &Path, teacher: &Recipe) -> anyhow::Result<()> {
    let student = recipes::distill(args, encoder, None)?;
    let checking = waiting("checking the student");
    let plan = Plan::new(teacher.clone()).context(training::REFUSED)?;
    plan.check_student(student).context(training::REFUSED)?;
    checking.finish_and_clear();
    Ok(())
}

/// Fine-tunes an encoder on the data, as a run with a bill of its own.
fn make_teacher(
    args: &DistillArgs,
    encoder: &Path,
    out: &Path,
    within: Option<Duration>,
) -> anyhow::Result<ExportedStudent> {
    let folder = out.join(model_directory::TEACHER);
    let recipe = recipes::teacher(args, encoder)?;
    check_student(args, encoder, &recipe)?;
    let recipe = training::within(recipe, within, &folder)?;
    console::note(format!("{} has no head: it is fine-tuned first, in {}", encoder.display(), folder.display()));
    let exported = training::execute(recipe, &folder)?;
    if !args.run.json && args.seeds.is_empty() {
        console::say(format!("the teacher\n{}\n\nthe student", tables::exported(&exported)))?;
    }
    Ok(exported)
}
