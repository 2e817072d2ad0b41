//! `attar energy report`: ledgers, billed anew.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use attar_bill::Bill;
use attar_bill::report::{LEDGER_FILE, Report, emissions_csv};
use attar_model::atomic::write_file;

use super::setup;
use crate::cli::energy::{FormatArg, ReportArgs};
use crate::overwriting::refuse_overwriting_input;
use crate::{console, tables};

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let factors = setup::factors(&args.factors)?;
    let units = setup::units(&args.units)?;
    for (place, run) in args.runs.iter().enumerate() {
        ensure!(
            !args.runs[..place].contains(run),
            "{} is given twice: its energy would be counted twice",
            run.display()
        );
    }
    if let Some(out) = &args.out {
        let ledgers: Vec<PathBuf> = args.runs.iter().map(|run| run.join(LEDGER_FILE)).collect();
        refuse_overwriting_input(out, args.runs.iter().chain(&ledgers).map(PathBuf::as_path))?;
    }
    let hourly = setup::hourly(&args.hourly)?;
    let read = |runs: &[PathBuf]| {
        let report = Report::read_with_idle(runs, &args.idle, |totals| Bill::from_factors(totals, &factors))?;
        setup::refined(report, &args.share, &factors, hourly.as_ref())
    };
    let text = if args.format == FormatArg::Csv {
        // A row for each run, as CodeCarbon writes them.
        let each = args.runs.iter().map(|path| read(std::slice::from_ref(path)));
        let reports = each.collect::<anyhow::Result<Vec<_>>>()?;
        emissions_csv(&reports)
    } else {
        let report = read(&args.runs)?.with_units(units);
        match args.format {
            FormatArg::Table => terminal(&report),
            FormatArg::Markdown => report.markdown(),
            FormatArg::Latex => report.latex(),
            FormatArg::Json => format!("{:#}\n", report.json()),
            FormatArg::Svg => report.svg(),
            FormatArg::Card => report.model_card(None).context("no energy was read, so a card has nothing to say")?,
            FormatArg::Csv => String::new(),
        }
    };
    match &args.out {
        Some(path) => {
            write_file(path, text.as_bytes())?;
            console::note(format!("written to {}", path.display()));
        }
        None => console::say(text.trim_end_matches('\n'))?,
    }
    Ok(())
}

fn terminal(report: &Report) -> String {
    let mut text: String = report.tables().iter().map(|table| tables::titled(table) + "\n\n").collect();
    if let Some(like) = report.bill().total.carbon_g.and_then(tables::comparisons) {
        text += &format!("{like}\n\n");
    }
    for paragraph in report.statement() {
        text += &format!("{paragraph}\n");
    }
    text
}
