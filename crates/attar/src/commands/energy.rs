//! `attar energy`: what computing costs in joules, grams and money.

mod break_even;
mod compare;
mod doctor;
mod licenses;
mod plan;
mod record;
mod report;
mod run;
mod sci;
mod serve;
pub(crate) mod setup;
mod strubell;
mod supervise;
mod watch;

use std::process::ExitCode;

use crate::cli::energy::EnergyCommand;

pub(crate) fn run(command: &EnergyCommand) -> anyhow::Result<ExitCode> {
    match command {
        // The only one whose exit code is another program's.
        EnergyCommand::Run(args) => return run::run(args),
        EnergyCommand::Doctor(args) => doctor::run(args),
        EnergyCommand::Plan(args) => plan::run(args),
        EnergyCommand::Strubell(args) => strubell::run(args),
        EnergyCommand::Report(args) => report::run(args),
        EnergyCommand::Compare(args) => compare::run(args),
        EnergyCommand::BreakEven(args) => break_even::run(args),
        EnergyCommand::Sci(args) => sci::run(args),
        EnergyCommand::Watch(args) => watch::run(args),
        EnergyCommand::Serve(args) => serve::run(args),
        EnergyCommand::Record(args) => record::run(args),
        EnergyCommand::Licenses => licenses::run(),
    }?;
    Ok(ExitCode::SUCCESS)
}
