//! `attar energy sci`: Software Carbon Intensity of making a model and of using it.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use attar_bill::report::Report;
use attar_bill::{Bill, ProviderScore, Sci, SciForAi};

use super::setup;
use crate::cli::energy::SciArgs;
use crate::{console, tables};

pub(crate) fn run(args: &SciArgs) -> anyhow::Result<()> {
    ensure!(!args.making.is_empty() || !args.using.is_empty(), "of what? give --making, --using or both");
    let factors = setup::with_hardware(&args.place, &args.machine, &args.hardware)?;
    ensure!(factors.embodied.is_some(), "such a score holds the making of the hardware: add --embodied");
    let read = |runs: &[PathBuf]| -> anyhow::Result<Report> {
        let report = Report::read(runs, |totals| Bill::from_factors(totals, &factors))?;
        report.overlaps().iter().for_each(|overlap| console::note(overlap.to_string()));
        Ok(report)
    };
    let provider = match (args.making.as_slice(), &args.making_per) {
        ([], None) if args.abandoned.is_empty() => None,
        ([], _) => bail!("--making-per and --abandoned go with --making"),
        (_, None) => bail!("--making wants a unit: add --making-per, such as parameters=22000000"),
        (making, Some(unit)) => {
            // A run that is named on both sides would be counted twice.
            if let Some(twice) = args.abandoned.iter().find(|run| making.contains(run)) {
                bail!("{} is given as made and as abandoned", twice.display());
            }
            let making = read(making)?;
            let abandoned = if args.abandoned.is_empty() { None } else { Some(read(&args.abandoned)?) };
            let abandoned = abandoned.as_ref().map(|report| &report.bill().total);
            Some(ProviderScore::new(&unit_of(unit)?, &making.bill().total, abandoned)?)
        }
    };
    let consumer = match (args.using.as_slice(), &args.using_per) {
        ([], None) => None,
        ([], Some(_)) => bail!("--using-per goes with --using"),
        (_, None) => bail!("--using wants a unit: add --using-per, such as requests=41000"),
        (using, Some(unit)) => Some(unit_of(unit)?.of(&read(using)?.bill().total)?),
    };
    let scores = SciForAi { provider, consumer };
    if args.json {
        return console::json(&scores);
    }
    say(&scores)?;
    console::say(format!("grid: {}", factors.grid))?;
    if let Some(embodied) = &factors.embodied {
        console::say(format!("hardware: {embodied}"))?;
    }
    Ok(())
}

fn say(scores: &SciForAi) -> anyhow::Result<()> {
    let mut table = tables::table(&["boundary", "score", "for each", "energy", "hardware", "of it abandoned"]);
    let provider = scores.provider.as_ref().map(|provider| ("provider", &provider.score, provider.abandoned_g));
    let consumer = scores.consumer.as_ref().map(|score| ("consumer", score, None));
    for (boundary, score, abandoned) in provider.into_iter().chain(consumer) {
        table.add_row([
            boundary.to_owned(),
            score.score_g.to_string(),
            score.per.clone(),
            score.operational_g.to_string(),
            score.embodied_g.to_string(),
            abandoned.map_or_else(|| "–".to_owned(), |grams| grams.to_string()),
        ]);
    }
    console::say(table.to_string())?;
    console::say("The two have units of their own and are never added. Runs that were abandoned belong to making.")?;
    Ok(())
}

fn unit_of(text: &str) -> anyhow::Result<Sci> {
    let unit = setup::units_of(&[text.to_owned()])?.pop().context("a unit is missing")?;
    Sci::new(unit.name(), unit.count()).context("the unit")
}
