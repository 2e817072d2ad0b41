//! `attar`: distill BERT-class models into students of a few megabytes, and hand over the bill.

mod class_tables;
mod cli;
mod commands;
mod console;
mod engine;
mod held_out;
mod hub;
mod overwriting;
mod progress;
mod recipes;
mod rows;
mod signals;
mod speed;
mod tables;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Context;

use cli::bench::Threads;
use cli::{Cli, Command};

// Training makes and drops tensors of tens of megabytes at every step. With the system's allocator
// each of them is mapped, zeroed by page faults and unmapped again: a step takes 1.5 times as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::of_process();
    console::be_quiet(cli.quiet);
    match run(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&error);
            if is_stop(&error) { ExitCode::from(signals::exit_code()) } else { ExitCode::FAILURE }
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    let threads = match &cli.command {
        // Takes several numbers.
        Command::Bench(_) | Command::FirstAnswer(_) => None,
        _ => cli.threads.as_ref().map(Threads::one).transpose()?,
    };
    // The runtime starts threads of its own.
    let runs_alone =
        matches!(cli.command, Command::Predict(_) | Command::Embed(_) | Command::Contract(_) | Command::Serve(_));
    if let Some(threads) = threads.filter(|_| !runs_alone) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().context("the threads could not be started")?;
    }
    cli.command.locate_models()?;
    match cli.command {
        Command::Quickstart(args) => commands::quickstart::run(&args),
        Command::Finetune(args) => commands::finetune::run(&args),
        Command::Pretrain(args) => commands::pretrain::run(&args),
        Command::Distill(args) => commands::distill::run(&args),
        Command::Augment(args) => commands::augment::run(&args),
        Command::Glue(args) => commands::glue::run(&args, threads),
        Command::Pull(args) => commands::pull::run(&args),
        Command::Plan(args) => commands::plan::run(&args),
        Command::Eval(args) => commands::eval::run(&args, threads),
        Command::Predict(args) => commands::predict::run(&args, threads),
        Command::Embed(args) => commands::embed::run(&args, threads),
        Command::Serve(args) => commands::serve::run(&args, threads),
        Command::Contract(args) => commands::contract::run(&args, threads),
        Command::Watch(args) => commands::watch::run(&args),
        Command::Report(args) => commands::report::run(&args, threads),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Quantize(args) => commands::quantize::run(&args),
        Command::Export(command) => commands::export::run(&command),
        Command::Vocab(command) => commands::vocab::run(&command),
        Command::Bench(args) => commands::bench::run(&args, cli.threads.as_ref()),
        Command::FirstAnswer(args) => commands::bench::first_answer(&args, cli.threads.as_ref()),
        Command::Energy(command) => return commands::energy::run(&command),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A reader that closed its end, such as `head`, is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe))
}

/// A run that a signal asked to stop.
fn is_stop(error: &anyhow::Error) -> bool {
    let of_distill = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref::<attar_distill::Error>(), Some(attar_distill::Error::Stopped { .. }))
    };
    error.chain().any(of_distill)
}
