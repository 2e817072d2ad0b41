//! `attar energy watch`: the power of this machine, live.

use std::time::{Duration, Instant};

use attar_bill::Bill;
use attar_meter::Meter;
use console::Term;

use super::setup::{self, Factors};
use crate::cli::energy::WatchArgs;
use crate::{console as output, tables};

pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let factors = setup::placed(&args.place)?;
    let mut meter = Meter::start(setup::meter(&args.source, args.interval)?, None)?;
    setup::must_read(&args.source, &meter)?;
    meter.name_first_phase("watched");
    let reasons: Vec<String> = meter.reasons().to_vec();
    for reason in &reasons {
        output::note(reason);
    }
    // On a terminal the same lines are drawn again; elsewhere a line for each reading.
    let terminal = Term::stdout();
    let live = terminal.is_term();
    let begin = Instant::now();
    let mut drawn = 0;
    while args.length.is_none_or(|length| begin.elapsed() < length) {
        let left = args.length.map_or(args.interval, |length| length.saturating_sub(begin.elapsed()));
        std::thread::sleep(left.min(args.interval).max(Duration::from_millis(1)));
        meter.flush();
        let view = view(&meter, &factors, begin.elapsed(), live);
        if live {
            terminal.clear_last_lines(drawn)?;
            drawn = view.lines().count();
        }
        output::say(view)?;
    }
    Ok(())
}

fn view(meter: &Meter, factors: &Factors, elapsed: Duration, live: bool) -> String {
    let power = meter.power().map_or_else(|| "no reading yet".to_owned(), |power| power.to_string());
    let totals = meter.totals();
    let bill = Bill::from_factors(totals, factors);
    let energy = bill.total.facility_kwh.map_or_else(|| "–".to_owned(), |energy| energy.to_string());
    let carbon = bill.total.carbon_g.map_or_else(|| "–".to_owned(), |carbon| carbon.to_string());
    let time = tables::seconds(elapsed.as_secs_f64());
    if !live {
        let method = totals.method().map_or_else(|| "nothing read".to_owned(), |method| method.to_string());
        return format!("{time}  {power}  {energy}  {carbon}  {method}");
    }
    let mut table = tables::table(&["component", "energy [90 %]", "mean power", "method"]);
    for (component, energy) in &totals.components {
        let mean = energy.joules.map(|joules| joules / totals.active());
        table.add_row([component.to_string(), energy.joules.to_string(), mean.to_string(), energy.method.to_string()]);
    }
    let gaps: String = totals.gaps.iter().map(|gap| format!("gap: {gap}\n")).collect();
    format!("{time}   now {power}\n{table}\nin all {energy}, {carbon}\n{gaps}ctrl-c ends").trim_end().to_owned()
}
