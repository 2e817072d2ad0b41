//! `attar energy compare`: ledgers side by side.

use attar_bill::Bill;
use attar_bill::report::{Comparison, Report};

use super::setup;
use crate::cli::energy::{CompareArgs, CompareFormatArg};
use crate::{console, tables};

pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let factors = setup::factors(&args.factors)?;
    let units = setup::units(&args.units)?;
    let hourly = setup::hourly(&args.hourly)?;
    let read = |path| -> anyhow::Result<Report> {
        let report = Report::read(&[path], |totals| Bill::from_factors(totals, &factors))?;
        Ok(setup::refined(report, &args.share, &factors, hourly.as_ref())?.with_units(units.clone()))
    };
    let reports = args.runs.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let comparison = Comparison::new(&reports)?;
    match args.format {
        CompareFormatArg::Json => console::json(&comparison.json())?,
        CompareFormatArg::Markdown => console::say(comparison.markdown().trim_end())?,
        CompareFormatArg::Table => {
            for table in comparison.tables() {
                console::say(tables::titled(&table) + "\n")?;
            }
            for paragraph in comparison.statement() {
                console::say(paragraph)?;
            }
        }
    }
    Ok(())
}
