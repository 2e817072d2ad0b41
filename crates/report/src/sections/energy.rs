//! What training drew, what that is worth, and the break-even.

use attar_bill::equivalents;

use crate::charts::break_even;
use crate::document::{Block, Cell, Figure, Table};
use crate::run::{EnergyReport, Run};

pub(super) fn of(run: &Run) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(EnergyReport(report)) = &run.energy {
        blocks.push(Block::Heading(2, "Energy of training".into()));
        match report.lacks_power() {
            Some(reason) => blocks.push(Block::LeftOut("Power over time".into(), reason.into())),
            None => {
                let figure = Figure::of(&report.power_chart(), "Watts over time, by phase".into(), true);
                blocks.push(Block::Figures(vec![figure]));
            }
        }
        blocks.push(Block::Heading(2, "The bill".into()));
        blocks.extend(report.tables().into_iter().map(|table| {
            Block::Table(Table {
                caption: table.title,
                head: table.head,
                rows: table.rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect()).collect(),
            })
        }));
        let like: Vec<String> = report
            .bill()
            .total
            .carbon_g
            .map(equivalents)
            .into_iter()
            .flatten()
            .filter(|one| one.count.value().get() >= 0.01)
            .map(|one| format!("{one} ({}, {})", one.source, one.year))
            .collect();
        if !like.is_empty() {
            blocks.push(Block::Paragraph("Equivalent CO2e:".into()));
            blocks.push(Block::List(like));
        }
        blocks.push(Block::List(report.statement()));
    }
    if let Some(facts) = &run.break_even {
        blocks.push(Block::Heading(2, "Break-even".into()));
        blocks.push(Block::Paragraph(format!(
            "Training took {}. A text costs {} with {} and {} with {}: break-even {}.",
            facts.making, facts.incumbent.1, facts.incumbent.0, facts.replacement.1, facts.replacement.0, facts.verdict
        )));
        blocks.push(Block::Paragraph(facts.basis.clone()));
        blocks.extend(break_even(facts).map(|figure| Block::Figures(vec![figure])));
    }
    blocks
}
