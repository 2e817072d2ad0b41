//! How a run went, and what it was made of.

use crate::charts;
use crate::document::{Block, Table};
use crate::run::Run;

/// The curves of training.
pub(super) fn training(run: &Run) -> Vec<Block> {
    let losses = run.stages.iter().filter_map(charts::losses);
    let figures: Vec<_> = losses.chain(run.stages.iter().filter_map(charts::scores)).collect();
    if figures.is_empty() {
        return Vec::new();
    }
    vec![Block::Heading(2, "Training".into()), Block::Figures(figures)]
}

/// Recipe, hashes, versions, machine.
pub(super) fn provenance(run: &Run) -> Vec<Block> {
    let mut blocks = Vec::new();
    if run.provenance.is_empty() && run.recipe.is_none() {
        return blocks;
    }
    blocks.push(Block::Heading(2, "Recipe and provenance".into()));
    if !run.provenance.is_empty() {
        let rows = run.provenance.iter().map(|fact| vec![fact.name.clone(), fact.value.clone()]).collect();
        blocks.push(Block::Table(Table::new("What decides the bytes of the student", &["what", "is"], rows)));
    }
    if let Some(recipe) = &run.recipe {
        blocks.push(Block::Heading(3, "Recipe".into()));
        blocks.push(Block::Code(recipe.clone()));
    }
    blocks
}
