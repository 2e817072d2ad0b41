//! A distillation by several seeds: how much of a score is chance.

use std::collections::BTreeSet;
use std::path::Path;

use attar_distill::data::LabeledData;
use attar_distill::model_directory;
use attar_distill::suite::SuiteSummary;
use attar_text::random::Streams;
use serde_json::json;

use super::make;
use crate::cli::DistillArgs;
use crate::commands::glue::render;
use crate::commands::suite_rows::{STUDENT, Scoring, SuiteModel, TEACHER, score};
use crate::{console, recipes};

/// Makes teacher and student with each seed in a folder of its own, and scores them on the rows that the seed held out.
pub(super) fn run(args: &DistillArgs, given: &Path, has_teacher: bool, out: &Path) -> anyhow::Result<()> {
    let distinct: BTreeSet<u64> = args.seeds.iter().copied().collect();
    anyhow::ensure!(distinct.len() == args.seeds.len(), "--seeds names a seed twice");
    if has_teacher {
        console::warning(format!(
            "{} was made with one seed and may have learned from rows that the others hold out: its scores are inflated then, \
             and the students' shares of them too low; give the encoder that it was made from, and each seed makes its own",
            given.display()
        ));
    }
    let (mut rows, mut runs) = (Vec::new(), Vec::new());
    for (index, &seed) in args.seeds.iter().enumerate() {
        console::note(format!("seed {seed}: {} of {}", index + 1, args.seeds.len()));
        let mut args = args.clone();
        args.training.seed = seed;
        let made = make(&args, given, has_teacher, &out.join(format!("seed-{seed}")))?;
        let teacher = match &made.teacher {
            Some(exported) => SuiteModel::trained(TEACHER, exported),
            None => SuiteModel::given(TEACHER, model_directory::existing(given)?),
        };
        let models =
            [teacher, SuiteModel::trained(STUDENT, &made.student), SuiteModel::small(&made.small, &made.student)];
        let data = LabeledData::load(&recipes::data(&args.data)?, &Streams::new(seed))?;
        let scoring = Scoring {
            task: &data.dev.name,
            part: None,
            seed,
            data: &data.dev,
            metrics: &data.metrics,
            energy: None,
            threads: Some(rayon::current_num_threads()),
        };
        rows.extend(score(&models, None, &scoring)?);
        runs.push(json!({ "seed": seed, "teacher": made.teacher, "student": made.student, "small": made.small }));
    }
    let summary = SuiteSummary::of(&rows);
    if args.run.json {
        return console::json(&json!({ "rows": rows, "summary": summary, "runs": runs }));
    }
    console::say(render::of_one_task(&summary))?;
    Ok(())
}
