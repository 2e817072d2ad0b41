//! `attar energy strubell`: a published table, recomputed from its inputs.

use attar_bill::strubell::{self, RecomputedCell, StrubellRow, TpuPricing};
use serde_json::json;

use crate::cli::energy::{ReadingArg, StrubellArgs};
use crate::{console, tables};

pub(crate) fn run(args: &StrubellArgs) -> anyhow::Result<()> {
    let reading = match args.reading {
        ReadingArg::Paper => TpuPricing::Paper,
        ReadingArg::Device => TpuPricing::Device,
    };
    let rows = strubell::table(reading);
    if args.json {
        return console::json(&json!({
            "reading": reading, "rows": rows, "comparators": strubell::comparators(),
            "development": strubell::lisa(), "notes": strubell::notes(),
        }));
    }
    console::say("Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 3: recomputed | printed\n")?;
    let mut table = tables::table(&[
        "model", "hardware", "W", "hours", "kWh·PUE", "lb CO2e", "USD low", "USD high", "cars", "note",
    ]);
    let mut notes: Vec<String> = Vec::new();
    for row in &rows {
        let marks: Vec<String> = row
            .remarks
            .iter()
            .map(|remark| {
                let known = notes.iter().position(|note| note == remark);
                let number = known.unwrap_or_else(|| {
                    notes.push(remark.clone());
                    notes.len() - 1
                });
                (number + 1).to_string()
            })
            .collect();
        let dash = || "–".to_owned();
        table.add_row([
            row.model.clone(),
            row.hardware.clone(),
            row.power_w.map_or_else(dash, |power| format!("{:.2}", power.get())),
            hours(row),
            row.facility_kwh.as_ref().map_or_else(dash, cell),
            row.carbon_lb.as_ref().map_or_else(dash, cell),
            cell(&row.usd_low),
            cell(&row.usd_high),
            cars(row).map_or_else(dash, |cars| format!("{cars:.2}")),
            marks.join(" "),
        ]);
    }
    console::say(table.to_string())?;
    let cells: Vec<&RecomputedCell> = rows.iter().flat_map(cells).collect();
    let count = |of: fn(&RecomputedCell) -> bool| cells.iter().filter(|cell| of(cell)).count();
    console::say(format!(
        "\n{} of {} printed cells come out{}; {} with the hours as printed.",
        count(|cell| cell.matches),
        cells.len(),
        if reading == TpuPricing::Paper {
            ", two rows with the hours that they were computed with"
        } else {
            " in this reading"
        },
        count(|cell| cell.matches_as_printed),
    ))?;
    console::say("= as printed, ≠ another number. Cars: lifetimes of an average car with its fuel (table 1).\n")?;
    for (number, note) in (1..).zip(&notes) {
        console::say(format!("{number}. {note}"))?;
    }

    console::say("\nTable 4, development of LISA: recomputed | printed\n")?;
    let mut table = tables::table(&["models", "GPU hours", "USD low", "USD high"]);
    for row in strubell::lisa() {
        table.add_row([
            tables::count(u64::from(row.models)),
            tables::count(row.gpu_hours as u64),
            cell(&row.usd_low),
            cell(&row.usd_high),
        ]);
    }
    console::say(format!("{table}\n"))?;
    for note in strubell::notes() {
        console::say(format!("- {note}"))?;
    }
    Ok(())
}

fn cells(row: &StrubellRow) -> impl Iterator<Item = &RecomputedCell> {
    row.facility_kwh.iter().chain(&row.carbon_lb).chain([&row.usd_low, &row.usd_high])
}

fn cell(cell: &RecomputedCell) -> String {
    let equal = if cell.matches { '=' } else { '≠' };
    format!("{} {equal} {}", tables::count(cell.rounded), tables::count(cell.printed))
}

fn hours(row: &StrubellRow) -> String {
    if row.hours == row.hours_printed {
        format!("{}", row.hours)
    } else {
        format!("{} (printed {})", row.hours, row.hours_printed)
    }
}

fn cars(row: &StrubellRow) -> Option<f64> {
    row.comparisons.iter().find(|comparison| comparison.comparator.id == "car").map(|comparison| comparison.ratio)
}
