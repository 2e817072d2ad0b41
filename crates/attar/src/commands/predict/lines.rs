//! Answers to single texts: lines of JSON, or a table whose last column is the text, so that no row waits for the
//! longest.

use std::io::Write;

use ::console::{Alignment, pad_str};
use attar_model::Target;
use attar_runtime::{Session, Text};

use super::{Prediction, prediction};
use crate::cli::PredictArgs;
use crate::commands::answers::{TextOutcome, answer_all};
use crate::commands::texts::Texts;
use crate::{console, tables};

/// Answers all texts.
pub(super) fn run(session: &mut Session, target: &Target, args: &PredictArgs) -> anyhow::Result<()> {
    let pair = args.pair.as_deref();
    let table = Columns::of(target);
    let mut has_head = args.json;
    answer_all(
        session,
        &mut Texts::new(&args.texts),
        args.on_error,
        |session, texts| {
            let rows: Vec<Text<'_>> = texts.iter().map(|text| (*text, pair)).collect();
            session.logits(&rows, |_| ())
        },
        |out, row| {
            if !std::mem::replace(&mut has_head, true) {
                table.write(out, &table.names)?;
            }
            match row {
                TextOutcome::Answered { text, answer, is_cut } => {
                    let prediction = Prediction { truncated: is_cut, ..prediction(text, pair, target, &answer) };
                    if args.json { console::write_json_line(out, &prediction) } else { table.answer(out, &prediction) }
                }
                TextOutcome::Refused { place, unit, problem } if args.json => {
                    console::write_refusal(out, unit, place, problem)
                }
                TextOutcome::Refused { place, unit, problem } => {
                    table.refusal(out, &format!("({unit} {place}: {problem})"))
                }
            }
        },
    )
}

/// The columns of a table that is written row by row.
struct Columns {
    names: Vec<String>,
    /// Width of all but the last, in columns of a terminal, and where numbers stand.
    widths: Vec<(usize, Alignment)>,
}

/// Least and greatest width of an answer; longer ones move what follows.
const ANSWER: (usize, usize) = (6, 40);
/// Width of an answer of several labels.
const SEVERAL: usize = 24;

impl Columns {
    fn of(target: &Target) -> Columns {
        let probability = ("probability".len(), Alignment::Right);
        let (names, widths): (&[&str], _) = match target {
            Target::Labels(labels) => {
                let widest = labels.iter().map(|label| ::console::measure_text_width(label)).max().unwrap_or(0);
                let answer = (widest.clamp(ANSWER.0, ANSWER.1), Alignment::Left);
                (&["answer", "probability", "text"], vec![answer, probability])
            }
            Target::MultiLabel(_) => {
                (&["answer", "probability", "text"], vec![(SEVERAL, Alignment::Left), probability])
            }
            Target::Regression => (&["answer", "text"], vec![(8, Alignment::Right)]),
        };
        Columns { names: names.iter().map(|name| (*name).to_string()).collect(), widths }
    }

    fn answer(&self, out: &mut dyn Write, p: &Prediction<'_>) -> anyhow::Result<()> {
        let share = |probability: f64| format!("{probability:.3}");
        let answer = match (p.label, p.score) {
            _ if p.labels.is_some() => {
                let (names, shares): (Vec<&str>, Vec<String>) =
                    p.likely().map(|(name, probability)| (name, share(probability))).unzip();
                vec![names.join(", "), shares.join(", ")]
            }
            (Some(label), _) => {
                let best = p.probabilities.iter().find(|(name, _)| *name == label);
                vec![label.to_string(), best.map_or(String::new(), |(_, probability)| share(*probability))]
            }
            (None, score) => vec![score.map_or(String::new(), |score| format!("{score:.3}"))],
        };
        self.write(out, &[answer, vec![p.text.to_string()]].concat())
    }

    /// A row without an answer.
    fn refusal(&self, out: &mut dyn Write, problem: &str) -> anyhow::Result<()> {
        let mut cells = vec!["–".to_string(); self.widths.len()];
        cells.push(problem.to_string());
        self.write(out, &cells)
    }

    fn write(&self, out: &mut dyn Write, cells: &[String]) -> anyhow::Result<()> {
        for (cell, (width, alignment)) in cells.iter().zip(&self.widths) {
            write!(out, " {} ", pad_str(&tables::harmless(cell), *width, *alignment, None))?;
        }
        Ok(writeln!(out, " {}", tables::harmless(cells.last().map_or("", String::as_str)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(target: &Target, rows: &[(&str, &[f32])]) -> Vec<String> {
        let columns = Columns::of(target);
        let mut out = Vec::new();
        columns.write(&mut out, &columns.names).unwrap();
        for (text, logits) in rows {
            columns.answer(&mut out, &prediction(text, None, target, logits)).unwrap();
        }
        columns.refusal(&mut out, "(line 3: not UTF-8)").unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_string).collect()
    }

    #[test]
    fn rows_are_as_long_as_their_texts() {
        let target = Target::Labels(vec!["off".into(), "turn_on".into()]);
        let rows = shown(&target, &[("lights", &[0.0, 9.0]), ("a\tlong\u{1b}[31m text", &[9.0, 0.0])]);
        let expected = [
            " answer   probability  text",
            " turn_on        1.000  lights",
            " off            1.000  a\u{fffd}long\u{fffd}[31m text",
            " –                  –  (line 3: not UTF-8)",
        ];
        assert_eq!(rows, expected);
        let several = Target::MultiLabel(vec!["bug".into(), "ui".into()]);
        assert!(shown(&several, &[("slow", &[3.0, 2.0])])[1].starts_with(" bug, ui "));
        assert_eq!(shown(&Target::Regression, &[("slow", &[2.5])])[1], "    2.500  slow");
    }
}
