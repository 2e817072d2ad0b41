//! Tables for people.

use attar_bill::{Bill, BillLine, GridChoice, equivalents};
use attar_distill::ExportedStudent;
use attar_distill::score::{Agreement, AgreementKind};
use attar_meter::{Attribution, Estimate, GramsCo2e, Method};
use attar_text::metrics::Score;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::class_tables;

/// A table with a header line and no frame; all columns but the first are numbers.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `0.9012 [0.8810, 0.9205]`, or why there is none.
pub(crate) fn score(score: &Score) -> String {
    match (score.value, score.interval) {
        (Some(value), Some(i)) => format!("{value:.4} [{:.4}, {:.4}]", i.low, i.high),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "undefined".into(),
    }
}

/// `98.2 %` of equal answers, or a correlation of `0.9312`; nothing where it is undefined.
pub(crate) fn agreement(agreement: &Agreement) -> Option<String> {
    let value = agreement.value?;
    Some(match agreement.kind {
        AgreementKind::SameClass => format!("{:.1} %", 100.0 * value),
        AgreementKind::Correlation => format!("{value:.4}"),
    })
}

/// `14.4 MB`, in units of a thousand.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// `1.25 GFLOP`.
pub(crate) fn flops(flops: f64) -> String {
    let (scaled, unit) = match flops {
        f if f < 1e6 => (f / 1e3, "k"),
        f if f < 1e9 => (f / 1e6, "M"),
        f if f < 1e12 => (f / 1e9, "G"),
        f if f < 1e15 => (f / 1e12, "T"),
        f => (f / 1e15, "P"),
    };
    format!("{scaled:.2} {unit}FLOP")
}

/// `1 h 05 min`, `4 min 10 s` or `3.2 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = [&digits[..first]].into_iter().chain(digits.as_bytes()[first..].chunks(3).map(|group| {
        // A chunk of ASCII digits.
        std::str::from_utf8(group).unwrap_or_default()
    }));
    groups.filter(|group| !group.is_empty()).collect::<Vec<_>>().join(",")
}

/// A table of a report under its title.
pub(crate) fn titled(content: &attar_bill::report::ReportTable) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(&content.head);
    for (number, column) in table.column_iter_mut().enumerate() {
        if content.is_number(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(content.rows.iter().map(|row| row.iter().map(|cell| harmless(cell))));
    format!("{}\n{table}", content.title)
}

/// A text of a file as a cell: it must not move the cursor or turn the line round.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { c }
    };
    text.chars().map(shown).collect()
}

/// `as much CO2e as: 3.2 km by car`, with what is at least a hundredth of something; else nothing.
pub(crate) fn comparisons(carbon: Estimate<GramsCo2e>) -> Option<String> {
    let all = equivalents(carbon);
    let worth = all.iter().filter(|one| one.count.value().get() >= 0.01);
    let words: Vec<String> = worth.map(|one| format!("{} {}", one.count, one.name)).collect();
    (!words.is_empty()).then(|| format!("as much CO2e as: {}", words.join("; ")))
}

/// Where energy went: the machine, idle, active, and of that the program.
pub(crate) fn attribution(attribution: &Attribution) -> String {
    let mut table = table(&["", "energy [90 %]", "method"]);
    let methods = attribution.components.values().map(|shares| shares.method);
    let shares = Method::weakest(methods).map_or_else(String::new, |method| method.to_string());
    let rows = [
        ("machine", attribution.machine()),
        ("  idle", attribution.idle()),
        ("  active", attribution.active()),
        ("    the program", attribution.own()),
        ("    others", attribution.total(|shares| shares.others)),
    ];
    for (name, energy) in rows {
        table.add_row([name.to_owned(), energy.map_or_else(|| "–".to_owned(), |e| e.to_string()), shares.clone()]);
    }
    format!("{table}\n")
}

/// The bill, a line for each phase and the total.
pub(crate) fn bill(bill: &Bill) -> String {
    bill_of(&bill.phases.iter().chain([&bill.total]).collect::<Vec<_>>(), bill)
}

/// Some lines of a bill.
pub(crate) fn bill_of(lines: &[&BillLine], bill: &Bill) -> String {
    let mut table = table(&["phase", "time", "energy [90 %]", "CO2e [90 %]", "money", "method"]);
    let dash = || "–".to_string();
    let row = |line: &BillLine| {
        vec![
            line.phase.clone(),
            seconds(line.active_s.get()),
            line.facility_kwh.map_or_else(dash, |energy| energy.to_string()),
            line.carbon_g.map_or_else(dash, |carbon| carbon.to_string()),
            line.money.map_or_else(dash, |money| money.to_string()),
            line.method.map_or_else(dash, |method| method.to_string()),
        ]
    };
    for line in lines {
        table.add_row(row(line));
    }
    let unknown = lines.iter().filter_map(|line| line.facility_kwh).any(|energy| !energy.has_interval());
    let unknown = if unknown { "energy without […]: a given power, whose error is not known\n" } else { "" };
    let chosen = if bill.grid.choice == GridChoice::Unspecified { "; no region was given" } else { "" };
    let place = format!("grid: {} ({}{chosen})", bill.grid.region, bill.grid.g_per_kwh);
    format!(
        "{table}\n{}\n{unknown}{place}; PUE {}\nleft out: {}",
        bill.scope(),
        bill.tariff.pue().get(),
        bill.exclusions.join("; ")
    )
}

/// What a run handed over.
pub(crate) fn exported(exported: &ExportedStudent) -> String {
    let mut text = String::new();
    if let Some(scores) = &exported.scores {
        let header: &[&str] = match scores.teacher {
            Some(_) => &["on the dev rows", "student", "teacher"],
            None => &["on the dev rows", "score"],
        };
        let mut table = table(header);
        for (index, student) in scores.student.iter().enumerate() {
            let teacher = scores.teacher.iter().map(|teacher| score(&teacher.scores[index]));
            table.add_row([student.metric.name().to_string(), score(student)].into_iter().chain(teacher));
        }
        text += &format!("{table}\n");
        if let Some(teacher) = &scores.teacher {
            let d = &teacher.difference;
            if let (Some(value), Some(i)) = (d.value, d.interval) {
                text += &format!("student less teacher: {value:+.4} [{:+.4}, {:+.4}]", i.low, i.high);
            }
            if let Some(value) = agreement(&teacher.agreement) {
                let rows = teacher.agreement.rows;
                text += &match teacher.agreement.kind {
                    AgreementKind::SameClass => format!("; they agree on {value} of {rows} rows"),
                    AgreementKind::Correlation => format!("; their scores of {rows} rows correlate at {value}"),
                };
            }
            if let (Some(kept), Some(score)) = (teacher.retention, scores.student.first()) {
                text += &format!("; it keeps {:.1} % of the teacher's {}", 100.0 * kept, score.metric.name());
            }
            text += "\n";
        }
        if let Some(classes) = &scores.classes {
            text += &format!("\n{}\n", class_tables::whole(classes));
            if let Some(warning) = class_tables::never_predicted("it", classes) {
                text += &format!("\nwarning: {warning}\n");
            }
        }
    }
    if let Some(loss) = &exported.held_out {
        let mut table = table(&["on held-out text", "value"]);
        for (name, value) in &loss.terms {
            table.add_row([name.clone(), format!("{value:.4}")]);
        }
        if let Some(perplexity) = loss.perplexity {
            table.add_row(["perplexity".into(), format!("{perplexity:.2}")]);
        }
        text += &format!("{table}\n");
    }
    if let Some(traces) = &exported.traces {
        let joules = traces.joules.map_or_else(String::new, |joules| format!(" and {:.1} kJ", joules / 1000.0));
        text += &format!(
            "\nthe teacher computed {} tokens; of {} more its traces were on disk, which saved about {}{joules}\n",
            count(traces.computed),
            count(traces.read),
            seconds(traces.seconds)
        );
    }
    let what =
        if exported.scores.as_ref().is_some_and(|scores| scores.teacher.is_some()) { "student" } else { "model" };
    text += &format!(
        "\n{}\n\n{what}: {} ({} parameters)",
        bill(&exported.bill),
        exported.student.display(),
        count(exported.parameters as u64)
    );
    if let Some(removed) = &exported.removed {
        let (size, path) = (bytes(removed.bytes), removed.path.display());
        text += &format!("\nremoved {size} of checkpoints ({path}); --keep-checkpoints keeps them");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 7, 999, 1000, 1_234_567].map(count), ["0", "7", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 14_350, 57_400_000].map(bytes), ["12 B", "14.3 kB", "57.4 MB"]);
        let agreement = |kind, value| agreement(&Agreement { kind, value, rows: 9 });
        assert_eq!(agreement(AgreementKind::SameClass, Some(0.982)), Some("98.2 %".into()));
        assert_eq!(agreement(AgreementKind::Correlation, Some(0.93124)), Some("0.9312".into()));
        assert_eq!(agreement(AgreementKind::Correlation, None), None);
        assert_eq!(flops(1.247e9), "1.25 GFLOP");
        assert_eq!([3.21, 250.0, 3900.0].map(seconds), ["3.2 s", "4 min 10 s", "1 h 05 min"]);
    }
}
