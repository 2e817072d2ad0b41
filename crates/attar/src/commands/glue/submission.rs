//! Answers to the rows that GLUE keeps the labels of, in the files that its server takes.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use attar_distill::score::Answers;
use attar_model::atomic::write_file;
use attar_runtime::Text;
use attar_text::glue::Task;
use attar_text::labeled::{DataError, Example};

use super::Suite;
use crate::commands::eval::Contender;
use crate::{console, engine};

/// The folder of the files.
const FOLDER: &str = "submission";

/// Writes the files of a task, as many as its test parts are here.
pub(super) fn write(task: Task, data: &Path, model: &Path, suite: &Suite<'_>) -> anyhow::Result<()> {
    let args = engine::defaults();
    let session = Box::new(engine::open(model, &args, suite.threads)?);
    let mut contender = Contender::Encoder { name: task.name().into(), session, bytes: 0 };
    let folder = suite.args.out.join(FOLDER);
    for &(part, file) in task.submitted() {
        let rows = match task.load(data, part) {
            Err(DataError::NoSplit { .. }) => continue,
            rows => rows?,
        };
        let texts: Vec<Text<'_>> = rows.examples.iter().map(Example::texts).collect();
        let mut notes = Vec::new();
        let answers = contender.answers(&rows, &texts, &mut notes)?;
        notes.iter().for_each(console::note);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        write_file(&folder.join(file), table(task, &answers).as_bytes())?;
    }
    Ok(())
}

/// `index<TAB>prediction`, rows numbered from 0.
fn table(task: Task, answers: &Answers) -> String {
    let mut table = "index\tprediction\n".to_string();
    let mut row = |index: usize, answer: &dyn std::fmt::Display| {
        // Writing to a string never fails.
        let _ = writeln!(table, "{index}\t{answer}");
    };
    match answers {
        Answers::Classes(classes) => {
            let names = task.written_classes();
            classes.iter().enumerate().for_each(|(index, &class)| row(index, &names[class as usize]));
        }
        // The server takes scores of STS-B in its range.
        Answers::Scores(scores) => {
            scores.iter().enumerate().for_each(|(index, score)| row(index, &format!("{:.3}", score.clamp(0.0, 5.0))));
        }
        // No task of GLUE asks for them.
        Answers::LabelSets(_) | Answers::Tags(_) | Answers::Spans(_) => {}
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_as_the_files_have_them() {
        assert_eq!(table(Task::Sst2, &Answers::Classes(vec![1, 0])), "index\tprediction\n0\t1\n1\t0\n");
        assert_eq!(table(Task::Rte, &Answers::Classes(vec![1])), "index\tprediction\n0\tnot_entailment\n");
        assert_eq!(table(Task::StsB, &Answers::Scores(vec![5.2, 1.25])), "index\tprediction\n0\t5.000\n1\t1.250\n");
    }
}
