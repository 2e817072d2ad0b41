//! `attar report`: what runs found, as a page, as Markdown or as data.

mod answers;
mod attention;
mod break_even;
mod curves;
mod facts;
mod run_files;
mod suite;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use attar_bill::Bill;
use attar_distill::energy_rates;
use attar_distill::model_directory::{self, STUDENT, TEACHER};
use attar_model::atomic::write_file;
use attar_report::{EnergyReport, Report, Run};

use crate::cli::report::{ReportArgs, ReportFormat};
use crate::overwriting::refuse_overwriting_other_kind;
use crate::{console, tables};

use run_files::RunFiles;

/// The file of a page, unless another is named.
const PAGE: &str = "report.html";

pub(crate) fn run(args: &ReportArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let page = (args.format == ReportFormat::Html).then(|| Path::new(PAGE));
    let out = args.out.as_deref().or(page);
    // An HTML report can be told from other files everywhere. Markdown and JSON cannot, so inside a run's folder they may not
    // overwrite anything.
    let is_checked = |out: &&Path| page.is_some() || args.runs.iter().any(|run| is_within(out, run));
    if let Some(out) = out.filter(is_checked) {
        refuse_overwriting_other_kind(out, "an HTML report", |beginning| {
            beginning.to_ascii_lowercase().starts_with(b"<!doctype html")
        })?;
    }
    let report = gather(args, threads)?;
    let text = match args.format {
        ReportFormat::Html => report.html(),
        ReportFormat::Md => report.markdown(),
        ReportFormat::Json => format!("{:#}\n", report.json()),
        ReportFormat::Cyclonedx => inventory(&report, Run::cyclonedx)?,
        ReportFormat::Boamps => inventory(&report, Run::boamps)?,
    };
    match out {
        Some(path) => {
            write_file(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
            console::say(format!("{} ({})", path.display(), tables::bytes(text.len() as u64)))?;
        }
        None => console::say(text.trim_end_matches('\n'))?,
    }
    Ok(())
}

/// Whether an existing file is somewhere in a folder.
fn is_within(file: &Path, folder: &Path) -> bool {
    matches!((file.canonicalize(), folder.canonicalize()), (Ok(file), Ok(folder)) if file.starts_with(&folder))
}

/// What an inventory asks of a run: with the version of attar and the time.
type ListRun = fn(&Run, &str, &str) -> Result<serde_json::Value, String>;

/// The only run as an inventory has it.
fn inventory(report: &Report, list: ListRun) -> anyhow::Result<String> {
    let [run] = &report.runs[..] else { bail!("an inventory is of one run: name one, and no suite") };
    Ok(format!("{:#}\n", list(run, &report.attar, &report.time).map_err(anyhow::Error::msg)?))
}

/// Everything that the paths hold.
fn gather(args: &ReportArgs, threads: Option<usize>) -> anyhow::Result<Report> {
    let (mut runs, mut suites) = (Vec::new(), Vec::new());
    let names = names(&args.runs);
    for (place, path) in args.runs.iter().enumerate() {
        ensure!(!args.runs[..place].contains(path), "{} is given twice", path.display());
        if let Some(suite) = suite::read(path)? {
            suites.push(suite);
        } else if let Some(mut files) = RunFiles::find(path)? {
            // Beside others a run needs a name that tells it apart.
            if args.runs.len() > 1 {
                files.name.clone_from(&names[place]);
            }
            runs.push(of_run(&files, args, threads)?);
        } else if path.exists() {
            bail!(
                "{} is neither a run nor a suite: it holds no manifest.json and no suite.json; give a folder that \
                 `attar finetune`, `distill`, `pretrain`, `quickstart` or `glue` made",
                path.display()
            );
        } else {
            bail!("{} does not exist; give the folder of a run", path.display());
        }
    }
    let title = args.title.clone().unwrap_or_else(|| names.join(", "));
    let (attar, time) =
        (env!("CARGO_PKG_VERSION").into(), jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    Ok(Report { title, attar, time, runs, suites })
}

/// What paths are called side by side: those that would be called the same by the whole path.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let short: Vec<String> = paths.iter().map(|path| called(path)).collect();
    let is_single = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let name = |(path, name): (&PathBuf, &String)| {
        if is_single(name) { name.clone() } else { path.display().to_string() }
    };
    paths.iter().zip(&short).map(name).collect()
}

/// What a path is called in a title: a run called `student` or `teacher` says little without its folder.
fn called(path: &Path) -> String {
    let name = model_directory::name(path);
    let above = path.parent().and_then(Path::file_name).map(|above| above.to_string_lossy().into_owned());
    match above {
        Some(above) if [STUDENT, TEACHER].contains(&name.as_str()) => format!("{above}/{name}"),
        _ => name,
    }
}

/// What the folder of a run holds and what its models answer.
fn of_run(files: &RunFiles, args: &ReportArgs, threads: Option<usize>) -> anyhow::Result<Run> {
    let mut run = Run {
        name: files.name.clone(),
        stages: curves::read(&files.folder)?,
        recipe: files.recipe_text.clone(),
        inventory: facts::inventory(files)?,
        ..Run::default()
    };
    if run.stages.iter().all(|stage| stage.losses.is_empty()) {
        run.leave_out("Loss curves", "events.jsonl has no update: only every tenth is logged; a longer run has some");
    }
    if files.outcome.is_none() {
        run.leave_out(
            "The end of the run",
            "there is no result.json: the run has not ended; the same command resumes it",
        );
    }
    match energy(files) {
        Ok(report) => run.energy = Some(EnergyReport(report)),
        Err(error) => run.leave_out("Energy", format!("{error:#}")),
    }
    match &files.recipe {
        Ok(recipe) if args.no_predictions => {
            answers::stored(&mut run, files, Some(recipe))?;
            let why = "no model was to answer (--no-predictions)";
            for what in [
                "Int8 student, n-grams and frozen encoder",
                "Time and energy of a text",
                "Calibration, mistakes and attention",
            ] {
                run.leave_out(what, why);
            }
        }
        Ok(recipe) => answers::compute(&mut run, files, recipe, args, threads)?,
        Err(error) => {
            answers::stored(&mut run, files, None)?;
            run.leave_out("Predictions", format!("the recipe cannot be read: {error}"));
        }
    }
    break_even::add(&mut run);
    run.provenance = facts::provenance(files, run.energy.as_ref());
    run.summary = facts::summary(&run, files);
    Ok(run)
}

/// The ledger of a run, billed as its recipe says.
fn energy(files: &RunFiles) -> anyhow::Result<attar_bill::report::Report> {
    let spec = files.recipe.as_ref().map(|recipe| recipe.energy.clone()).unwrap_or_default();
    let (grid, tariff) = energy_rates(&spec)?;
    let report = attar_bill::report::Report::read(&[&files.folder], |totals| Bill::new(totals, &grid, &tariff))?;
    Ok(report.named(files.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_side_by_side_have_names_of_their_own() {
        let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["a/clinc", "b/clinc", "c/student"]), ["a/clinc", "b/clinc", "c/student"]);
        assert_eq!(of(&["a/clinc", "b/banking"]), ["clinc", "banking"]);
    }
}
