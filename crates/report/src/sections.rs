//! From what is known to what is shown.

mod answers;
mod energy;
mod making;
mod suites;
mod verdict;

use crate::document::Block;
use crate::report::Report;
use crate::run::Run;

/// Everything that a report shows, in order.
pub(crate) fn of(report: &Report) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(1, report.title.clone())];
    // Beside others a run has a section of its own, which begins with its summary.
    let is_alone = report.runs.len() == 1 && report.suites.is_empty();
    if is_alone {
        blocks.extend(report.runs.iter().map(|run| Block::Lead(run.summary.join(" "))));
    }
    blocks.push(Block::Paragraph(format!("Made by attar {} on {}.", report.attar, report.time)));
    if report.runs.len() > 1 {
        blocks.push(Block::Heading(2, "Runs side by side".into()));
        blocks.extend(verdict::side_by_side(&report.runs));
    }
    report.suites.iter().for_each(|suite| blocks.extend(suites::of(suite)));
    for run in &report.runs {
        if is_alone {
            blocks.extend(of_run(run));
            continue;
        }
        blocks.push(Block::Heading(2, run.name.clone()));
        blocks.push(Block::Lead(run.summary.join(" ")));
        blocks.extend(of_run(run).into_iter().map(|block| match block {
            Block::Heading(level, text) => Block::Heading(level + 1, text),
            other => other,
        }));
    }
    blocks
}

fn of_run(run: &Run) -> Vec<Block> {
    let mut blocks = verdict::of(run);
    blocks.extend(making::training(run));
    blocks.extend(energy::of(run));
    blocks.extend(answers::of(run));
    blocks.extend(making::provenance(run));
    if !run.left_out.is_empty() {
        blocks.push(Block::Heading(2, "Left out".into()));
        blocks.extend(run.left_out.iter().map(|one| Block::LeftOut(one.what.clone(), one.why.clone())));
    }
    blocks
}
