//! How the student answers: by class, how sure, what it gets wrong, where it looks.

use attar_chart::{HeatMap, heat_map};
use attar_text::metrics::{ClassReport, ClassScores};

use crate::charts::reliability;
use crate::document::{Block, Cell, Figure, Table};
use crate::numbers::{UNKNOWN, count, or_unknown, percent};
use crate::run::{Attention, MOST_TOKENS, ModelKind, Run, TokenAttention};

/// Most classes of a table: of more the worst are shown.
const CLASSES: usize = 30;
/// Most characters of a text that is shown.
const TEXT: usize = 400;

pub(super) fn of(run: &Run) -> Vec<Block> {
    let mut blocks = Vec::new();
    let answering =
        [ModelKind::Student, ModelKind::Quantized, ModelKind::Teacher].into_iter().find_map(|kind| run.model(kind));
    if let Some((model, report)) = answering.and_then(|model| Some((model, model.classes.as_ref()?))) {
        blocks.push(Block::Heading(2, "By class".into()));
        blocks.push(classes(&model.name, report));
        blocks.push(confusion(&model.name, report));
    }
    if let Some(calibration) = &run.calibration {
        blocks.push(Block::Heading(2, "Calibration".into()));
        let error = or_unknown(calibration.error, |error| format!("{error:.4}"));
        blocks.push(Block::Paragraph(format!(
            "The expected calibration error of {} is {error}: the average gap between its stated probability and its accuracy.",
            calibration.model
        )));
        blocks.push(Block::Figures(vec![reliability(calibration)]));
    }
    if !run.mistakes.is_empty() {
        blocks.push(Block::Heading(2, "Most confident mistakes".into()));
        blocks.push(mistakes(run));
    }
    if let Some(attention) = &run.attention {
        blocks.push(Block::Heading(2, "Attention".into()));
        blocks.push(Block::Paragraph(format!(
            "Attention of the last layer, the mean over its heads, on: “{}”; of longer texts the first {MOST_TOKENS} tokens.",
            attar_chart::shortened(&attention.text, TEXT)
        )));
        blocks.push(Block::Hint("The token of a row looks at the tokens of the columns; darker is more.".into()));
        blocks.push(Block::Figures(heat_maps(attention)));
    }
    blocks
}

fn classes(name: &str, report: &ClassReport) -> Block {
    let row = |class: &ClassScores| {
        let share = |share: Option<f64>| or_unknown(share, |share| format!("{share:.4}"));
        let counts = [class.support, class.predicted].map(count);
        [class.name.clone(), share(class.precision), share(class.recall), share(class.f1)]
            .into_iter()
            .chain(counts)
            .collect()
    };
    let head = ["class", "precision", "recall", "F1", "rows of it", "predicted as it"];
    let all = report.classes.len();
    let mut shown: Vec<&ClassScores> = report.classes.iter().collect();
    let mut caption = format!("Each class as {name} answers it");
    if all > CLASSES {
        shown.sort_by(|a, b| a.f1.unwrap_or(0.0).total_cmp(&b.f1.unwrap_or(0.0)));
        shown.truncate(CLASSES);
        caption = format!("The {CLASSES} classes of {all} that {name} answers worst; the JSON form has all");
    }
    Block::Table(Table::new(&caption, &head, shown.into_iter().map(row).collect()))
}

fn confusion(name: &str, report: &ClassReport) -> Block {
    let Some(matrix) = &report.matrix else {
        let rows = report
            .confused
            .iter()
            .map(|pair| vec![pair.truth.clone(), pair.predicted.clone(), count(pair.rows)])
            .collect();
        let caption = format!("Classes that {name} takes for one another most often");
        return Block::Table(Table::new(&caption, &["true class", "predicted as", "rows"], rows));
    };
    let names: Vec<&str> = report.classes.iter().map(|class| class.name.as_str()).collect();
    let rows = matrix.iter().zip(&names).map(|(row, name)| {
        let all = row.iter().sum::<u64>().max(1) as f64;
        let cell = |rows: &u64| Cell { text: count(*rows), shade: Some(*rows as f64 / all) };
        [Cell::from((*name).to_string())].into_iter().chain(row.iter().map(cell)).collect()
    });
    Block::Table(Table {
        caption: format!("Confusion matrix of {name}: true classes are rows, predicted ones columns"),
        head: ["true \\ predicted"].into_iter().chain(names.iter().copied()).map(String::from).collect(),
        rows: rows.collect(),
    })
}

fn mistakes(run: &Run) -> Block {
    let rows = run.mistakes.iter().map(|mistake| {
        let text = match &mistake.pair {
            Some(pair) => format!("{} ‖ {pair}", mistake.text),
            None => mistake.text.clone(),
        };
        vec![
            attar_chart::shortened(&text, TEXT),
            mistake.truth.clone(),
            mistake.predicted.clone(),
            percent(mistake.probability),
            mistake.teacher.clone().unwrap_or_else(|| UNKNOWN.into()),
        ]
    });
    let head = ["text", "true class", "student's answer", "probability", "teacher's answer"];
    Block::Table(Table::new("Wrong answers of the student, the most confident first", &head, rows.collect()))
}

fn heat_maps(attention: &Attention) -> Vec<Figure> {
    let map = |of: &TokenAttention| {
        let caption = format!("{}, layer {}, {} heads", of.model, of.layer, of.heads);
        let description = description(of);
        let svg = heat_map(&HeatMap {
            title: format!("Attention of {caption}"),
            description: description.clone(),
            rows: of.tokens.clone(),
            columns: of.tokens.clone(),
            values: of.shares.clone(),
        });
        Figure { caption, description, svg, is_wide: false }
    };
    attention.teacher.iter().chain([&attention.student]).map(map).collect()
}

/// At which token each looks most.
fn description(of: &TokenAttention) -> String {
    let most = of.shares.chunks_exact(of.tokens.len().max(1)).zip(&of.tokens).map(|(row, token)| {
        let most = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place);
        format!("{token} looks most at {}", of.tokens[most])
    });
    format!("{}.", most.collect::<Vec<_>>().join("; "))
}
