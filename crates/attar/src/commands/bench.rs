//! `attar bench`: models side by side on this machine.

mod contender;
mod limit;
mod machine;
mod measure;
mod noise;
mod plan;
mod render;
mod result;
mod start;

use attar_meter::{Meter, MeterOptions};

use crate::cli::bench::{BenchArgs, BenchFormatArg, Threads};
use crate::{console, progress};

use contender::Contender;
use machine::Machine;
use noise::Watch;
use plan::BenchPlan;
use result::BenchReport;

pub(crate) use start::first_answer;

pub(crate) fn run(args: &BenchArgs, threads: Option<&Threads>) -> anyhow::Result<()> {
    let mut plan = BenchPlan::new(args, threads)?;
    let spinner = progress::waiting("reading the models");
    let mut contenders = Contender::load_all(&plan)?;
    for contender in &contenders {
        plan.fit(&contender.name, contender.positions())?;
    }
    let options = MeterOptions { sources: attar_distill::energy_source(&plan.energy)?, ..MeterOptions::default() };
    let meter = Meter::start(options, None)?;

    let watch = Watch::begin();
    spinner.set_message("measuring the machine");
    let mut machine = Machine::measure(&plan.threads);
    spinner.finish_and_clear();
    let measured = measure::run(&plan, &mut contenders, &mut machine, meter)?;
    let starts = start::run(&plan, &contenders)?;

    let mut warnings = watch.end(&plan.threads);
    warnings.extend(noise::of_drift(machine.drift()));
    let report = BenchReport::new(&plan, machine, &mut contenders, &measured, &starts, warnings);
    report.warnings.iter().for_each(console::note);
    match if args.json { BenchFormatArg::Json } else { args.form } {
        BenchFormatArg::Json => console::json(&report)?,
        BenchFormatArg::Table => console::say(render::tables(&report))?,
        BenchFormatArg::Markdown => console::say(render::markdown(&report))?,
    }
    Ok(())
}
