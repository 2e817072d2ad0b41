//! `attar distill`: a student of a teacher, which is fine-tuned first where it has no head, and its int8 form.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attar_distill::data::LabeledData;
use attar_distill::model_directory::{self, SMALL};
use attar_distill::recipe::Recipe;
use attar_distill::{ExportedStudent, RunLock};
use attar_model::{Bundle, Head};
use attar_text::random::Streams;

use super::quantize::{self, Shipped};
use super::training;
use crate::cli::DistillArgs;
use crate::{console, recipes, tables};

pub(crate) fn run(args: &DistillArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.run.recipe {
        return training::run("distill", recipes::read(file)?, &args.run);
    }
    let Some(given) = &args.teacher else { anyhow::bail!("no teacher was given: name one with --teacher") };
    if !args.corpus.corpus.is_empty() {
        let recipe = training::within(recipes::general(args, given)?, args.quality.within)?;
        return training::run("distill", recipe, &args.run);
    }
    let out = match &args.run.out {
        Some(out) => out.clone(),
        None => training::default_folder("distill", &recipes::data(&args.data)?),
    };
    let lock = if args.run.print_recipe { None } else { Some(RunLock::take(&out)?) };
    // Where a teacher is made first it has half of the time.
    let has_teacher = answers(given)?;
    anyhow::ensure!(
        !has_teacher || args.gold_only || args.classes.class_weights.is_none(),
        "--class-weights applies to labels, and this student learns the answers of {} alone: fine-tune that teacher with \
         `attar finetune --class-weights`, give an encoder without a head, which is fine-tuned here, or add --gold-only",
        given.display()
    );
    if args.run.print_recipe && !has_teacher {
        return print_both(args, given, &out);
    }
    let within = args.quality.within.map(|time| if has_teacher { time } else { time / 2 });
    let teacher = match has_teacher {
        true => given.clone(),
        false => make_teacher(args, given, &out, within)?,
    };
    let recipe = training::within(recipes::distill(args, &teacher)?, within)?;
    let Some(lock) = lock else { return training::run("distill", recipe, &args.run) };
    let (exported, shipped) = train_and_ship(recipe, lock)?;
    if args.run.json {
        let mut all = serde_json::to_value(&exported)?;
        all["small"] = serde_json::to_value(&shipped)?;
        return console::json(&all);
    }
    console::say(tables::exported(&exported))?;
    console::say(shipped.summary())?;
    console::say(format!("\ntry it:  attar predict {} \"some text\"", shipped.directory))?;
    Ok(())
}

/// Trains a student of labeled rows and writes it beside in small integers. The folder is held until both are written.
pub(crate) fn train_and_ship(recipe: Recipe, lock: RunLock) -> anyhow::Result<(ExportedStudent, Shipped)> {
    let out = lock.folder().to_path_buf();
    let data = LabeledData::load(&recipe.data, &Streams::new(recipe.seed))?;
    let exported = training::execute_locked(recipe, lock.clone())?;
    let shipped = quantize::ship(&out, &out.join(SMALL), data)?;
    Ok((exported, shipped))
}

/// Whether a model answers anything, so that it can teach.
fn answers(model: &Path) -> anyhow::Result<bool> {
    Ok(matches!(Bundle::read_config(&model_directory::existing(model)?)?.head, Head::Classification { .. }))
}

/// Prints the recipe of a teacher that is made first, and that of its student.
fn print_both(args: &DistillArgs, encoder: &Path, out: &Path) -> anyhow::Result<()> {
    let folder = out.join(model_directory::TEACHER);
    let teacher = recipes::teacher(args, encoder)?;
    // The student's follows from the encoder's shape, which the teacher has too.
    let mut student = recipes::distill(args, encoder)?;
    student.teacher.iter_mut().for_each(|teacher| teacher.path = Some(folder.clone()));
    console::say(format!("# The teacher, made first in {}:\n{}", folder.display(), teacher.absolute()?.to_toml()))?;
    console::say(format!("# The student:\n{}", student.absolute()?.to_toml()))?;
    Ok(())
}

/// Fine-tunes an encoder on the data; gives the folder of that run, which has a bill of its own.
fn make_teacher(args: &DistillArgs, encoder: &Path, out: &Path, within: Option<Duration>) -> anyhow::Result<PathBuf> {
    let folder = out.join(model_directory::TEACHER);
    let recipe = training::within(recipes::teacher(args, encoder)?, within)?;
    console::note(format!("{} has no head: it is fine-tuned first, in {}", encoder.display(), folder.display()));
    let exported = training::execute(recipe, &folder)?;
    if !args.run.json {
        console::say(format!("the teacher\n{}\n\nthe student", tables::exported(&exported)))?;
    }
    Ok(folder)
}
