//! What the card says to people.

use std::fmt::{self, Write};

use super::{BillLine, Card, Origin, Relation, Score, SizeRow, Snippet};

pub(super) fn write(card: &Card, out: &mut String) {
    // Writing to a string cannot fail.
    _ = try_write(card, out);
}

fn try_write(card: &Card, out: &mut String) -> fmt::Result {
    writeln!(out, "\n# {}", line(&card.title))?;
    if !card.summary.is_empty() {
        writeln!(out, "\n{}", card.summary.trim())?;
    }
    if let Some(Origin { relation, model }) = &card.origin {
        let made = match relation {
            Relation::Distilled => "Distilled",
            Relation::FineTuned => "Fine-tuned",
            Relation::Quantized => "Quantized",
        };
        writeln!(out, "\n{made} from {}.", line(model))?;
    }
    if !card.results.is_empty() {
        writeln!(out, "\n## Scores\n\n| data | metric | value | interval | rows |\n|---|---|---|---|---|")?;
        card.results.iter().try_for_each(|score| write_score(out, score))?;
    }
    if !card.sizes.is_empty() {
        writeln!(out, "\n## Size\n\n| model | parameters | size | operations |\n|---|---|---|---|")?;
        card.sizes.iter().try_for_each(|row| write_size(out, row))?;
    }
    if !card.usage.is_empty() {
        writeln!(out, "\n## How to use")?;
        card.usage.iter().try_for_each(|snippet| write_snippet(out, snippet))?;
    }
    if !card.bill.is_empty() || card.bill_note.is_some() || card.emissions.is_some() {
        write_bill(out, card)?;
    }
    card.sections
        .iter()
        .try_for_each(|section| writeln!(out, "\n## {}\n\n{}", line(&section.title), section.text.trim()))
}

fn write_score(out: &mut String, score: &Score) -> fmt::Result {
    let data = match &score.split {
        Some(split) => format!("{}, {}", score.dataset_name, split),
        None => score.dataset_name.clone(),
    };
    let interval = match &score.interval {
        Some(interval) => format!(
            "{} to {} ({} %)",
            significant(interval.low),
            significant(interval.high),
            significant(100.0 * interval.level)
        ),
        None => "–".into(),
    };
    let value = significant(score.value);
    writeln!(out, "| {} | {} | {value} | {interval} | {} |", cell(&data), cell(&score.metric), score.rows)
}

fn write_size(out: &mut String, row: &SizeRow) -> fmt::Result {
    let (megabytes, giga) = (significant(row.bytes as f64 / 1e6), significant(row.flops / 1e9));
    let (model, tokens) = (cell(&row.model), row.tokens);
    writeln!(out, "| {model} | {} | {megabytes} MB | {giga} GFLOP for {tokens} tokens |", grouped(row.parameters))
}

fn write_snippet(out: &mut String, snippet: &Snippet) -> fmt::Result {
    // A fence longer than any in the code cannot be closed by it.
    let longest = snippet.code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let (title, language, code) = (line(&snippet.title), line(&snippet.language), snippet.code.trim_end());
    writeln!(out, "\n{title}\n\n{fence}{language}\n{code}\n{fence}")
}

fn write_bill(out: &mut String, card: &Card) -> fmt::Result {
    writeln!(out, "\n## What it cost")?;
    if !card.bill.is_empty() {
        writeln!(out, "\n| what | energy | CO2e | money | found by |\n|---|---|---|---|---|")?;
        card.bill.iter().try_for_each(|bill| write_bill_line(out, bill))?;
    }
    if let Some(emissions) = &card.emissions {
        let place = emissions.geographical_location.iter().map(|place| format!(" in {}", line(place)));
        let machine = emissions.hardware_used.iter().map(|machine| format!(" on {}", line(machine)));
        let how = emissions.source.iter().map(|source| format!(" ({})", line(source)));
        let details: String = machine.chain(place).chain(how).collect();
        writeln!(out, "\nEmissions of the making: {} g CO2e{details}.", significant(emissions.grams))?;
    }
    match &card.bill_note {
        Some(note) => writeln!(out, "\n{}", note.trim()),
        None => Ok(()),
    }
}

fn write_bill_line(out: &mut String, bill: &BillLine) -> fmt::Result {
    let emissions = bill.co2e_grams.map_or("–".into(), |grams| format!("{} g", significant(grams)));
    let money = bill.money.as_ref();
    let money = money.map_or("–".into(), |(amount, currency)| format!("{} {}", significant(*amount), cell(currency)));
    let (what, energy, method) = (cell(&bill.what), significant(bill.energy_kwh), cell(&bill.method));
    writeln!(out, "| {what} | {energy} kWh | {emissions} | {money} | {method} |")
}

/// Text that must stay on its line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text inside a table.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// Four significant digits, without an exponent and without zeros at the end.
fn significant(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let before_point = if value == 0.0 { 1 } else { value.abs().log10().floor() as i32 + 1 };
    let decimals = usize::try_from(4 - before_point).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (value, expected) in [
            (0.0, "0"),
            (0.91234, "0.9123"),
            (100.0, "100"),
            (12.3456, "12.35"),
            (123_456.7, "123457"),
            (0.000_012_346, "0.00001235"),
            (-1.5, "-1.5"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(significant(value), expected);
        }
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (109_482_240, "109,482,240")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn tables_and_fences_hold_what_they_are_given() {
        assert_eq!(cell("a|b\n| c"), "a\\|b \\| c");
        let mut out = String::new();
        let snippet = Snippet { title: "t".into(), language: "md".into(), code: "````\nx\n````".into() };
        write_snippet(&mut out, &snippet).unwrap();
        assert_eq!(out, "\nt\n\n`````md\n````\nx\n````\n`````\n");
    }
}
