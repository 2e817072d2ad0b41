//! The metadata between the two lines `---`.

use std::fmt::{self, Write};

use super::yaml::{number, quoted};
use super::{Card, Emissions, Origin, Relation, Score};

pub(super) fn write(card: &Card, out: &mut String) {
    // Writing to a string cannot fail.
    _ = try_write(card, out);
}

fn try_write(card: &Card, out: &mut String) -> fmt::Result {
    out.write_str("---\n")?;
    scalar(out, 0, "license", card.license.as_deref())?;
    list(out, "language", &card.language)?;
    scalar(out, 0, "library_name", card.library_name.as_deref())?;
    scalar(out, 0, "pipeline_tag", card.pipeline_tag.as_deref())?;
    list(out, "tags", &card.tags)?;
    if let Some(Origin { relation, model }) = &card.origin {
        scalar(out, 0, "base_model", Some(model))?;
        // The hub has no word for a student.
        let relation = match relation {
            Relation::Distilled => None,
            Relation::FineTuned => Some("finetune"),
            Relation::Quantized => Some("quantized"),
        };
        scalar(out, 0, "base_model_relation", relation)?;
    }
    list(out, "datasets", &card.datasets)?;
    list(out, "metrics", &card.metrics)?;
    if let Some(emissions) = &card.emissions {
        write_emissions(out, emissions)?;
    }
    if !card.results.is_empty() {
        out.write_str("model-index:\n")?;
        writeln!(out, "- name: {}\n  results:", quoted(&card.title))?;
        card.results.iter().try_for_each(|score| write_score(out, score))?;
    }
    out.write_str("---\n")
}

fn write_emissions(out: &mut String, emissions: &Emissions) -> fmt::Result {
    out.write_str("co2_eq_emissions:\n")?;
    writeln!(out, "  emissions: {}", number(emissions.grams))?;
    scalar(out, 2, "source", emissions.source.as_deref())?;
    scalar(out, 2, "training_type", emissions.training_type.as_deref())?;
    scalar(out, 2, "geographical_location", emissions.geographical_location.as_deref())?;
    scalar(out, 2, "hardware_used", emissions.hardware_used.as_deref())
}

fn write_score(out: &mut String, score: &Score) -> fmt::Result {
    writeln!(out, "  - task:\n      type: {}", quoted(&score.task))?;
    writeln!(out, "    dataset:\n      type: {}", quoted(&score.dataset))?;
    writeln!(out, "      name: {}", quoted(&score.dataset_name))?;
    scalar(out, 6, "split", score.split.as_deref())?;
    writeln!(out, "    metrics:\n    - type: {}\n      value: {}", quoted(&score.metric), number(score.value))
}

fn scalar(out: &mut String, indent: usize, key: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => writeln!(out, "{:indent$}{key}: {}", "", quoted(value)),
        None => Ok(()),
    }
}

fn list(out: &mut String, key: &str, values: &[String]) -> fmt::Result {
    if values.is_empty() {
        return Ok(());
    }
    writeln!(out, "{key}:")?;
    values.iter().try_for_each(|value| writeln!(out, "- {}", quoted(value)))
}
