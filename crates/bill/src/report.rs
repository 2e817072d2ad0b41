//! Reports: what ledgers hold, billed again, as tables, text and plots; and reports against each other.
//!
//! A [`Report`] is read from ledgers or run folders and given a bill with whatever factors the
//! reader wants, so a ledger can be billed again years later or for another place. Everything that
//! is shown comes from the same rows ([`Report::tables`]), so the forms cannot disagree.
//!
//! ```
//! use attar_bill::report::Report;
//! use attar_bill::{Bill, Grid, Tariff, Unit};
//! use attar_meter::{Ledger, Meter, MeterOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let ledger = Ledger::append_to(folder.path().join("ledger.jsonl"))?;
//! Meter::start(MeterOptions::default(), Some(ledger))?.finish();
//!
//! let grid = Grid::for_region("SE")?;
//! let report = Report::read(&[folder.path()], |totals| Bill::new(totals, &grid, &Tariff::own_machine()))?
//!     .with_units([Unit::new("request", 41_000.0)?]);
//! assert!(report.markdown().contains("Sweden"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod card;
mod codecarbon;
mod columns;
mod compare;
mod describe;
mod json;
mod latex;
mod markdown;
mod overlap;
mod profile;
mod ratio;
mod share;
mod statement;
mod svg;
mod tables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use attar_meter::{
    Attribution, Ledger, LedgerContents, LedgerError, LedgerHeader, Seconds, TornLine, Totals, Window, is_idle,
};

use crate::bill::{Bill, BillLine};
use crate::grid::{Grid, HourlyError, HourlyIntensity};
use crate::unit::Unit;
use overlap::Metered;

pub use codecarbon::emissions_csv;
pub use compare::{Basis, Comparison, Pair, Ratio};
pub use json::REPORT_SCHEMA;
pub use overlap::Overlap;
pub use ratio::{ComparisonVerdict, Interval};
pub use share::BillShare;
pub use tables::ReportTable;

/// Name of the ledger in the folder of a run.
pub const LEDGER_FILE: &str = "ledger.jsonl";

/// What ledgers hold and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    name: String,
    headers: Vec<LedgerHeader>,
    /// For each header, how many windows come before it.
    starts: Vec<usize>,
    windows: Vec<Window>,
    overlaps: Vec<Overlap>,
    torn: Vec<TornLedgerLine>,
    totals: Totals,
    idle: Totals,
    attribution: Attribution,
    bill: Bill,
    units: Vec<Unit>,
}

/// A line that a crash tore, and the ledger that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornLedgerLine {
    /// Name of the ledger.
    pub ledger: String,
    /// Where in it, and how long.
    pub torn: TornLine,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The ledger cannot be read, or has another schema.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing is where the path points.
    #[error("{} does not exist; give a ledger, or the folder of a run that holds {LEDGER_FILE}", path.display())]
    NotFound {
        /// The path given.
        path: PathBuf,
    },
    /// A folder without a ledger.
    #[error("folder {} must hold {LEDGER_FILE}, but it does not{}; give the folder of a run, or the ledger itself", path.display(), nearest.as_ref().map(|name| format!(" (nearest: {name})")).unwrap_or_default())]
    NoLedger {
        /// The folder.
        path: PathBuf,
        /// A file in it that ends in `.jsonl`, if there is one.
        nearest: Option<String>,
    },
    /// A file of which no line is one of a ledger.
    #[error(
        "{place} is not a ledger: each line must be a JSON object, but none of its {lines} lines is one; give the {LEDGER_FILE} of a run"
    )]
    NotALedger {
        /// Path or name of the ledger.
        place: String,
        /// How many lines it has.
        lines: usize,
    },
    /// A ledger without windows.
    #[error(
        "{place} must hold at least one window, but it holds none (headers: {headers}); a meter writes one when its first interval ends, so run it to the end or longer"
    )]
    Empty {
        /// Path or name of the ledger.
        place: String,
        /// How many meters wrote to them.
        headers: usize,
    },
    /// A window that no meter writes.
    #[error(
        "{place} window {number} (phase `{phase}`): {what} must be {expected}, got {got}; repair or remove that line"
    )]
    Window {
        /// Path or name of the ledger.
        place: String,
        /// Its number among the windows, from 1.
        number: usize,
        /// Its phase.
        phase: String,
        /// Which of its fields.
        what: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        got: f64,
    },
    /// A phase that no ledger has.
    #[error("no ledger has a phase `{got}`; nearest: {}", nearest.join(", "))]
    NoPhase {
        /// The name given.
        got: String,
        /// The closest names, best first.
        nearest: Vec<String>,
    },
    /// No CPU time by which a share could go.
    #[error(
        "{name} does not tell the CPU time of its processes beside that of all others, so their share of the machine is not known; bill the whole machine"
    )]
    NoShare {
        /// Name of the report.
        name: String,
    },
    /// No path was given.
    #[error("a report needs at least one ledger, but no path was given; name a ledger or the folder of a run")]
    NoPath,
    /// One report alone is compared.
    #[error("a comparison needs at least two reports, but got only `{name}`; name another")]
    Alone {
        /// The one that is there.
        name: String,
    },
}

/// Longer than anything a clock of ours shows, in seconds: thirty thousand years.
const LONGEST: f64 = 1e12;
/// More than a window can hold, in joules: what the Earth receives from the sun in a day is 1.5e22.
const MOST: f64 = 1e22;

impl Report {
    /// Reads ledgers, or the ledgers of run folders, into one report, and bills it with what `bill`
    /// makes of the totals.
    ///
    /// # Errors
    /// If a path holds no ledger, one of another schema or one without windows.
    pub fn read<P: AsRef<Path>>(paths: &[P], bill: impl FnOnce(&Totals) -> Bill) -> Result<Self, ReportError> {
        Self::read_with_idle(paths, &[], bill)
    }

    /// The same where the machine was left alone in the phases of these names too, besides those whose
    /// names begin with `idle`: what it drew then is its idle power.
    ///
    /// # Errors
    /// As [`read`](Self::read), or if no ledger has such a phase.
    pub fn read_with_idle<P: AsRef<Path>>(
        paths: &[P],
        idle: &[String],
        bill: impl FnOnce(&Totals) -> Bill,
    ) -> Result<Self, ReportError> {
        let mut ledgers = Vec::new();
        for path in paths {
            let file = ledger_file(path.as_ref())?;
            let (name, place) = (name_of(&file), file.display().to_string());
            ledgers.push(Read { name, place, contents: Ledger::read(&file)? });
        }
        let name = ledgers.iter().map(|ledger| ledger.name.as_str()).collect::<Vec<_>>().join(" + ");
        if ledgers.is_empty() {
            return Err(ReportError::NoPath);
        }
        let mut unseen: Vec<&String> = idle.iter().collect();
        for window in ledgers.iter_mut().flat_map(|ledger| &mut ledger.contents.windows) {
            if idle.contains(&window.phase) {
                unseen.retain(|phase| **phase != window.phase);
                if !is_idle(&window.phase) {
                    window.phase = format!("idle ({})", window.phase);
                }
            }
        }
        if let Some(phase) = unseen.first() {
            let phases = ledgers.iter().flat_map(|ledger| &ledger.contents.windows).map(|window| window.phase.as_str());
            let nearest = attar_meter::table::nearest(phase, phases.collect::<BTreeSet<_>>(), 3);
            let nearest = nearest.into_iter().map(str::to_owned).collect();
            return Err(ReportError::NoPhase { got: (*phase).clone(), nearest });
        }
        Self::over(name, ledgers, bill)
    }

    /// The report of what was read from a ledger, under a name.
    ///
    /// # Errors
    /// If it holds no window, or one that no meter writes.
    pub fn from_contents(
        name: &str,
        contents: &LedgerContents,
        bill: impl FnOnce(&Totals) -> Bill,
    ) -> Result<Self, ReportError> {
        let ledger = Read { name: name.to_owned(), place: name.to_owned(), contents: contents.clone() };
        Self::over(name.to_owned(), vec![ledger], bill)
    }

    /// Several reports as one, under a name. Its units are theirs, added up by name.
    ///
    /// # Errors
    /// If there is none.
    pub fn merged(name: &str, reports: &[Self], bill: impl FnOnce(&Totals) -> Bill) -> Result<Self, ReportError> {
        let (mut ledgers, mut torn, mut units) = (Vec::new(), Vec::new(), Vec::<Unit>::new());
        let (mut attribution, mut overlaps) = (Attribution::default(), Vec::new());
        for report in reports {
            let contents = LedgerContents {
                headers: report.headers.clone(),
                starts: report.starts.clone(),
                windows: report.windows.clone(),
                ..LedgerContents::default()
            };
            ledgers.push(Read { name: report.name.clone(), place: report.name.clone(), contents });
            torn.extend(report.torn.iter().cloned());
            overlaps.extend(report.overlaps.iter().cloned());
            attribution.add(&report.attribution);
            for unit in &report.units {
                match units.iter_mut().find(|known| known.name() == unit.name()) {
                    Some(known) => *known = known.plus(unit),
                    None => units.push(unit.clone()),
                }
            }
        }
        if ledgers.is_empty() {
            return Err(ReportError::Empty { place: name.to_owned(), headers: 0 });
        }
        let merged = Self::over(name.to_owned(), ledgers, bill)?;
        // Headers may be missing: then each report knows better where its energy went.
        let attribution = if merged.overlaps.is_empty() { attribution } else { merged.attribution };
        overlaps.extend(merged.overlaps);
        Ok(Self { torn, units, attribution, overlaps, ..merged })
    }

    /// Times that two of the ledgers have in common.
    pub fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// Where the energy went: idle, active, the metered processes, others.
    pub fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// The same report with other factors.
    pub fn with_bill(self, bill: impl FnOnce(&Totals) -> Bill) -> Self {
        let bill = bill(&self.totals);
        Self { bill, ..self }
    }

    /// The same report with the carbon of each window by the intensity of its own time.
    ///
    /// # Errors
    /// If the table of intensities does not cover a window.
    pub fn with_hourly(mut self, hourly: &HourlyIntensity) -> Result<Self, HourlyError> {
        let grams =
            |line: &BillLine, grid: &Grid| line.facility_kwh.map(|energy| energy.map(|energy| energy * grid.g_per_kwh));
        let phases = hourly.of_phases(&self.totals, &self.windows)?;
        for (line, grid) in self.bill.phases.iter_mut().zip(&phases) {
            line.carbon_g = grams(line, grid);
        }
        let grid = hourly.of_windows(&self.windows)?;
        self.bill.total.carbon_g = grams(&self.bill.total, &grid);
        self.bill.grid = grid;
        Ok(self)
    }

    /// The same report, divided also by what was done.
    pub fn with_units(self, units: impl IntoIterator<Item = Unit>) -> Self {
        Self { units: units.into_iter().collect(), ..self }
    }

    /// The same report under another name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Its name: of the run's folder or the ledger's file, unless given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One for each meter that wrote to the ledgers.
    pub fn headers(&self) -> &[LedgerHeader] {
        &self.headers
    }

    /// All windows, in order.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Lines that a crash tore: they are in no number.
    pub fn torn(&self) -> &[TornLedgerLine] {
        &self.torn
    }

    /// Time and energy.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What they come to.
    pub fn bill(&self) -> &Bill {
        &self.bill
    }

    /// What the bill is divided by.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    fn over(name: String, ledgers: Vec<Read>, bill: impl FnOnce(&Totals) -> Bill) -> Result<Self, ReportError> {
        let (mut meters, mut torn) = (Vec::new(), Vec::new());
        for Read { name, place, contents } in ledgers {
            if contents.headers.is_empty() && contents.windows.is_empty() && !contents.torn.is_empty() {
                return Err(ReportError::NotALedger { place, lines: contents.torn.len() });
            }
            if contents.windows.is_empty() {
                return Err(ReportError::Empty { place, headers: contents.headers.len() });
            }
            check(&place, &contents.windows)?;
            for (header, windows) in contents.meters() {
                let (ledger, header) = (name.clone(), header.cloned());
                meters.push(Metered { ledger, header, windows: windows.to_vec() });
            }
            // Where windows are not told apart by meter, all headers still tell of the machines.
            if contents.starts.len() < contents.headers.len() {
                let unused = contents.headers.into_iter().skip(contents.starts.len());
                meters.extend(unused.map(|header| Metered {
                    ledger: name.clone(),
                    header: Some(header),
                    windows: Vec::new(),
                }));
            }
            torn.extend(contents.torn.into_iter().map(|torn| TornLedgerLine { ledger: name.clone(), torn }));
        }
        let overlaps = overlap::count_once(&mut meters);
        let (mut headers, mut starts, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        let mut attribution = Attribution::default();
        for meter in meters {
            let sources = meter.header.as_ref().map(|header| header.sources.as_slice()).unwrap_or_default();
            attribution.add(&Attribution::for_meter(&meter.windows, sources));
            if let Some(header) = meter.header {
                headers.push(header);
                starts.push(windows.len());
            }
            windows.extend(meter.windows);
        }
        // What the machine drew while it was left alone is nobody's cost: it gives idle power.
        let busy: Vec<Window> = windows.iter().filter(|window| !is_idle(&window.phase)).cloned().collect();
        let totals = Totals::from_windows(&busy);
        let idle = Totals::from_windows(&windows.iter().filter(|w| is_idle(&w.phase)).cloned().collect::<Vec<_>>());
        let bill = bill(&totals);
        Ok(Self { name, headers, starts, windows, overlaps, torn, totals, idle, attribution, bill, units: Vec::new() })
    }
}

/// A ledger that was read.
struct Read {
    /// For people who read the report.
    name: String,
    /// For people who look for the mistake.
    place: String,
    contents: LedgerContents,
}

/// The ledger that a path means: itself, or the one in its folder.
fn ledger_file(path: &Path) -> Result<PathBuf, ReportError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Err(ReportError::NotFound { path: path.to_owned() });
    }
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(LEDGER_FILE);
    if file.is_file() {
        return Ok(file);
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // The first by name, so that the message does not depend on the order of the disk.
    let nearest = names.filter(|name| name.ends_with(".jsonl")).min();
    Err(ReportError::NoLedger { path: path.to_owned(), nearest })
}

/// A run is known by its folder, any other ledger by its own name.
fn name_of(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let of_run = absolute.file_name().is_some_and(|name| name == LEDGER_FILE);
    let named = if of_run { absolute.parent().and_then(Path::file_name) } else { absolute.file_stem() };
    named.map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Refuses numbers with which sums and plots would overflow: a line may hold anything.
fn check(place: &str, windows: &[Window]) -> Result<(), ReportError> {
    for (number, window) in (1..).zip(windows) {
        let refuse = |what, expected, got: f64| {
            let (place, phase) = (place.to_owned(), window.phase.clone());
            Err(ReportError::Window { place, number, phase, what, expected, got })
        };
        let (start, end) = (window.start_s.get(), window.end_s.get());
        if !(start..=LONGEST).contains(&end) {
            return refuse("end_s", "at least start_s and at most 1e12 s", end);
        }
        let gaps = window.gaps.iter().map(|gap| ("seconds of a gap", gap.seconds));
        let times = [("active_s", window.active_s), ("cpu_s", window.cpu_s.unwrap_or(Seconds::ZERO))];
        if let Some((what, time)) = times.into_iter().chain(gaps).find(|(_, time)| time.get() > LONGEST) {
            return refuse(what, "at most 1e12 s", time.get());
        }
        if let Some(energy) = window.energy.values().find(|energy| energy.joules.high().get() > MOST) {
            return refuse("high of an energy", "at most 1e22 J", energy.joules.high().get());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_meter::Split;

    /// A window without time or energy.
    pub(super) fn window() -> Window {
        Window {
            phase: String::new(),
            start: jiff::Timestamp::UNIX_EPOCH,
            end: jiff::Timestamp::UNIX_EPOCH,
            start_s: Seconds::ZERO,
            end_s: Seconds::ZERO,
            active_s: Seconds::ZERO,
            cpu_s: None,
            others_cpu_s: None,
            own_share: Default::default(),
            energy: Default::default(),
            split: Split::Whole,
            gaps: Vec::new(),
        }
    }

    #[test]
    fn runs_are_named_by_their_folder_and_other_ledgers_by_their_file() {
        assert_eq!(name_of(Path::new("/runs/small run/ledger.jsonl")), "small run");
        assert_eq!(name_of(Path::new("/runs/night.jsonl")), "night");
    }
}
