//! Suites as `attar glue` keeps them.

use std::path::Path;

use anyhow::Context;
use attar_distill::model_directory;
use attar_distill::suite::{SuiteRow, SuiteSummary};
use attar_report::{Suite, SuiteLine};
use serde::Deserialize;

#[derive(Deserialize)]
struct Kept {
    rows: Vec<SuiteRow>,
}

/// The suite in a folder; `None` if there is none.
pub(super) fn read(folder: &Path) -> anyhow::Result<Option<Suite>> {
    let file = folder.join("suite.json");
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", file.display())),
    };
    let kept: Kept = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged: run `attar glue` again, which keeps what is done", file.display()))?;
    let summary = SuiteSummary::of(&kept.rows);
    let lines = summary.lines.into_iter().map(|line| SuiteLine {
        task: line.task,
        model: line.model,
        metric: line.metric.map(|metric| metric.name().into()),
        score: line.score,
        kept: line.kept,
        bytes: Some(line.bytes),
        micros: line.micros,
        joules_per_thousand: line.joules_per_thousand,
    });
    let averages = summary.averages.into_iter().map(|average| SuiteLine {
        task: format!("{} tasks", average.tasks),
        model: average.model,
        metric: None,
        score: average.score,
        kept: average.kept,
        bytes: None,
        micros: None,
        joules_per_thousand: None,
    });
    Ok(Some(Suite { name: model_directory::name(folder), lines: lines.collect(), averages: averages.collect() }))
}
