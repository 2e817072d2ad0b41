//! `attar energy record`: what the meters show, for replaying.

use std::time::Instant;

use anyhow::ensure;
use attar_meter::source::{Recorder, Scope, select};
use attar_meter::{Clock, Host, Method, SystemClock};

use super::setup;
use crate::cli::energy::RecordArgs;
use crate::{console, progress};

pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<()> {
    ensure!(args.length >= args.interval, "--length must be at least --interval");
    let options = setup::meter(&args.source, args.interval)?;
    let (host, clock) = (Host::local(), SystemClock::new());
    let mut selection = select(options.sources, &options.gpus, Scope::Machine, &host, &clock);
    if let Some(weakest) = options.require {
        selection
            .require(weakest)
            .map_err(|reasons| anyhow::anyhow!("nothing is {weakest} here: {}", reasons.join("; ")))?;
    }
    ensure!(!selection.sources.is_empty(), "no source of energy: {}", selection.reasons.join("; "));
    selection.reasons.iter().for_each(console::note);
    let methods = selection.sources.iter().map(|source| source.describe().method);
    let how = Method::weakest(methods).map_or_else(String::new, |method| format!(" ({method} power)"));
    // Whoever makes the file has it.
    std::fs::File::create_new(&args.out).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{} is there already: choose another file with --out", args.out.display())
        }
        _ => anyhow::anyhow!("cannot create {}: {error}", args.out.display()),
    })?;
    let mut recorder = Recorder::start(&args.out, selection.sources, &host, args.interval, &clock)?;
    let mut bar = progress::counting(args.length.as_secs() as usize, "recording, in seconds");
    let begin = Instant::now();
    while begin.elapsed() < args.length {
        let wait = recorder.next().saturating_sub(clock.now().elapsed);
        std::thread::sleep(wait.min(args.length.saturating_sub(begin.elapsed())));
        recorder.tick(&clock)?;
        bar.set_position(begin.elapsed().as_secs());
    }
    bar.finish_and_clear();
    recorder.finish()?;
    console::say(format!("recorded to {}{how}; replay it with --source replay --trace {0}", args.out.display()))?;
    Ok(())
}
