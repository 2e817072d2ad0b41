//! `attar energy run`: any program with its bill.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use attar_bill::{Bill, Budget, BudgetState, Unit};
use attar_meter::{Attribution, Clock, GapKind, Host, Ledger, LedgerContents, Meter, ProcessTreeClock, SystemClock};

use super::setup::{self, Factors};
use super::supervise::{self, Ending, Verdict};
use crate::cli::energy::RunArgs;
use crate::{console, progress, tables};

/// The phase of the program itself.
const COMMAND: &str = "command";
/// Phases in which the machine is left alone: the names begin with `idle`, which reports know.
const IDLE: [&str; 2] = ["idle before", "idle after"];
/// The exit code of a program that was stopped because its budget was used up.
const OVER_BUDGET: u8 = 3;

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let factors = setup::factors(&args.factors)?;
    let units = setup::units(&args.units)?;
    let options = setup::meter(&args.source, args.interval)?;
    let folder = match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            folder.clone()
        }
        None => new_folder()?,
    };
    let path = folder.join("ledger.jsonl");
    if path.exists() {
        // Of another version it could not be read again at the end.
        Ledger::read(&path)?;
    }

    let host = Host::local();
    let family = ProcessTreeClock::new(&host.proc);
    let mut meter = Meter::start_on(&host, Box::new(family.clone()), options, Some(Ledger::append_to(&path)?))?;
    setup::must_read(&args.source, &meter)?;
    meter.name_first_phase(if args.baseline.is_some() { IDLE[0] } else { COMMAND });
    let mut budgets = Budgets::new(&args.budget, &mut meter, &factors)?;

    leave_alone(&mut meter, args.baseline, IDLE[0], &AtomicBool::new(false));
    meter.enter(COMMAND);
    meter.flush_at_counter_update();
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    let started = Instant::now();
    let ending = supervise::run(
        &mut command,
        args.interval,
        || family.processes(),
        || {
            meter.tick();
            budgets.look(&meter, &factors)
        },
    );
    let wall = started.elapsed();
    meter.flush_at_counter_update();
    let left = family.processes().len();
    if left > 0 {
        console::note(format!("{left} processes of the program still run: what they use from now on is not counted"));
    } else if ending.is_ok() {
        leave_alone(&mut meter, args.baseline, IDLE[1], &supervise::told_to_end());
    }
    let overhead = meter.overhead();
    let totals = meter.finish();
    for gap in totals.gaps.iter().filter(|gap| gap.kind == GapKind::Unwritten) {
        console::note(gap.to_string());
    }
    let ending = match ending {
        Ok(ending) => ending,
        // As shells say it.
        Err(error) => {
            console::error(&error);
            let missing = error.chain().any(|cause| {
                cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::NotFound)
            });
            return Ok(ExitCode::from(if missing { 127 } else { 126 }));
        }
    };

    if !args.quiet {
        // What the ledger holds, not what this process remembers: the report later says the same.
        let contents = Ledger::read(&path).unwrap_or_default();
        let bill = Bill::from_factors(&totals, &factors);
        console::aside(summary(&contents, &bill, &units, wall, ending));
        console::aside(format!("metering took {overhead}; ledger: {}", path.display()));
    }
    Ok(ExitCode::from(if budgets.stopped { OVER_BUDGET } else { ending.code }))
}

/// A new folder named after the moment. Whoever makes it has it: another run of the same second finds it
/// taken and numbers its own.
fn new_folder() -> anyhow::Result<PathBuf> {
    let parent = Path::new("runs/energy");
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
    let now = SystemClock::new().utc().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut number = 1_u32;
    loop {
        let name = if number == 1 { now.clone() } else { format!("{now}-{number}") };
        let folder = parent.join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot make the folder {}", folder.display()));
            }
        }
    }
}

/// Watches the machine while nothing is asked of it.
fn leave_alone(meter: &mut Meter, length: Option<Duration>, phase: &str, enough: &AtomicBool) {
    let Some(length) = length else { return };
    meter.enter(phase);
    meter.flush();
    let mut bar = progress::counting(length.as_secs_f64().ceil() as usize, "idle power, in seconds");
    let end = Instant::now() + length;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(left.min(Duration::from_millis(200)));
        meter.tick();
        bar.set_position((length - end.saturating_duration_since(Instant::now())).as_secs());
    }
    meter.flush();
    bar.finish_and_clear();
}

/// Budgets under watch.
struct Budgets {
    budgets: Vec<(Budget, BudgetState)>,
    stopped: bool,
}

impl Budgets {
    /// Refuses what could not be watched, before anything runs.
    fn new(budgets: &[Budget], meter: &mut Meter, factors: &Factors) -> anyhow::Result<Self> {
        if !budgets.is_empty() {
            // A first reading shows whether there will be any.
            std::thread::sleep(Duration::from_millis(20));
            meter.flush();
            let bill = Bill::from_factors(meter.totals(), factors);
            for budget in budgets {
                budget.used(&bill.total)?;
            }
        }
        Ok(Self { budgets: budgets.iter().map(|budget| (*budget, BudgetState::Within)).collect(), stopped: false })
    }

    fn look(&mut self, meter: &Meter, factors: &Factors) -> Verdict {
        if self.budgets.is_empty() || self.stopped {
            return if self.stopped { Verdict::Stop } else { Verdict::GoOn };
        }
        let bill = Bill::from_factors(meter.totals(), factors);
        let Some(line) = bill.phases.iter().find(|line| line.phase == COMMAND) else { return Verdict::GoOn };
        for (budget, before) in &mut self.budgets {
            // Watchable at the start, and totals only grow.
            let Ok(used) = budget.used(line) else { continue };
            let state = Budget::state(used);
            if state > *before {
                *before = state;
                match state {
                    BudgetState::Used => {
                        console::note(format!("budget of {budget} used up ({used}): the program is told to end"));
                        self.stopped = true;
                    }
                    _ => console::note(format!("{used} of the budget of {budget} are used")),
                }
            }
        }
        if self.stopped { Verdict::Stop } else { Verdict::GoOn }
    }
}

/// What is said at the end.
fn summary(contents: &LedgerContents, bill: &Bill, units: &[Unit], wall: Duration, ending: Ending) -> String {
    let (windows, sources) = match contents.meters().last() {
        Some((header, windows)) => (windows, header.map(|header| header.sources.as_slice()).unwrap_or_default()),
        None => (Default::default(), Default::default()),
    };
    let attribution = Attribution::for_meter(windows, sources);
    let how = match ending.signal {
        Some(signal) => format!("ended by signal {signal}"),
        None => format!("exit code {}", ending.code),
    };
    let mut text = format!("attar energy: {} in {}\n", how, tables::seconds(wall.as_secs_f64()));
    text += &tables::attribution(&attribution);
    for note in &attribution.notes {
        text += &format!("note: {note}\n");
    }
    if let Some(line) = bill.phases.iter().find(|line| line.phase == COMMAND) {
        text += &format!("\nbill of the whole machine while it ran\n{}", tables::bill_of(&[line], bill));
        for unit in units {
            text += &format!("\n{}", line.per_unit(unit, 1));
        }
    }
    for gap in &bill.gaps {
        text += &format!("\ngap: {gap}");
    }
    text
}
