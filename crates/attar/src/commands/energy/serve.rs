//! `attar energy serve`: joule counters for Prometheus, at `/metrics`.

use anyhow::Context;
use attar_bill::{Bill, exposition};
use attar_meter::{CgroupClock, Clock, GapKind, Host, Ledger, Meter, SystemClock};
use attar_serve::serve_counters;

use super::setup;
use crate::cli::energy::ServeArgs;
use crate::console;

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let factors = setup::placed(&args.place)?;
    let options = setup::meter(&args.source, args.interval)?;
    // Before anything is written, so that a busy address leaves nothing behind.
    let listener = std::net::TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", args.listen))?;
    let ledger = match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            Some(Ledger::append_to(folder.join("ledger.jsonl"))?)
        }
        None => None,
    };
    let clock: Box<dyn Clock> = match &args.cgroup {
        Some(folder) => Box::new(CgroupClock::new(folder)?),
        None => Box::new(SystemClock::new()),
    };
    let mut meter = Meter::start_on(&Host::local(), clock, options, ledger)?;
    setup::must_read(&args.source, &meter)?;
    meter.name_first_phase("served");
    for reason in meter.reasons() {
        console::note(reason);
    }
    let read = || {
        meter.flush();
        exposition(meter.totals(), meter.power(), &Bill::from_factors(meter.totals(), &factors))
    };
    let started = |address| console::note(format!("counters at http://{address}/metrics"));
    serve_counters(listener, args.interval, read, started).context("the server stopped")?;
    // Writes what is left to the ledger.
    for gap in meter.finish().gaps.iter().filter(|gap| gap.kind == GapKind::Unwritten) {
        console::note(gap.to_string());
    }
    Ok(())
}
