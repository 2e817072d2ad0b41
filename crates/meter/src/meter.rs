//! The meter: keeps account of time and energy by phase.
//!
//! No thread of its own. A counter of 65 kJ wraps in 65 s at a kilowatt, so a read every ten
//! seconds misses nothing, and a thread beside the measured work would use CPU time of its own and
//! race with the change of phases. Instead every [`Meter::enter`] and [`Meter::tick`] looks at the
//! clock and reads the sources when an interval is over. The price: a phase that runs for minutes
//! without a tick gets one long window (its energy is still right, unless a counter wrapped twice,
//! which is then said), and a crash loses at most the interval that had begun.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, Moment, SystemClock};
use crate::coverage::Coverage;
use crate::estimate::{Estimate, Method};
use crate::gap::{Gap, GapKind};
use crate::host::Host;
use crate::job::Job;
use crate::ledger::{Ledger, LedgerError};
use crate::outbox::Outbox;
use crate::quantity::{Seconds, Watts};
use crate::source::{self, Component, ComponentReading, GpuChoice, Scope, Selection, Source, SourceChoice, proc};
use crate::split::{self, PhaseShare};
use crate::totals::Totals;
use crate::window::{ComponentEnergy, LedgerHeader, Span, Window};

pub use error::MeterError;

/// What a meter reads and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterOptions {
    /// Where energy comes from.
    pub sources: SourceChoice,
    /// Which GPUs are read.
    pub gpus: GpuChoice,
    /// Whose energy a model charges.
    pub scope: Scope,
    /// Least time between two reads of the sources, 10 s by default and 30 s at most.
    pub interval: Duration,
    /// The weakest method that will do: sources below it are left out, and a processor that is not
    /// covered then is an error. Nothing: whatever there is.
    pub require: Option<Method>,
}

impl Default for MeterOptions {
    fn default() -> Self {
        Self {
            sources: SourceChoice::Auto,
            gpus: GpuChoice::All,
            scope: Scope::Machine,
            interval: Duration::from_secs(10),
            require: None,
        }
    }
}

/// Longest interval: less than half of the 65 s in which the smallest known counter (65 kJ) wraps
/// at a kilowatt.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// Keeps account of time and energy by phase. For one thread: its owner tells it what is being done.
///
/// Dropping it writes what it has, as [`finish`](Self::finish) does.
pub struct Meter {
    clock: Box<dyn Clock>,
    sources: Vec<Box<dyn Source>>,
    reasons: Vec<String>,
    outbox: Outbox,
    interval: Duration,
    /// How often some source wants to be sampled, and when next.
    sampling: Option<(Duration, Duration)>,

    origin: Duration,
    begin: (Duration, Timestamp),
    last: Moment,
    suspended: Duration,
    phases: Vec<(String, PhaseShare)>,
    current: usize,
    gaps: Vec<Gap>,
    spans: Vec<OpenSpan>,
    spans_opened: u64,
    proc: PathBuf,
    /// CPU seconds of all processes at the last read, where the system reports it.
    machine_cpu: Option<f64>,

    totals: Totals,
    /// What each component has given so far, and for which time.
    coverage: Coverage,
    power: Option<Estimate<Watts>>,
    overhead: Duration,
    finished: bool,
}

/// A span that has begun, to end it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

struct OpenSpan {
    id: SpanId,
    name: String,
    start: Duration,
    totals: Totals,
}

impl Meter {
    /// The phase before the first [`enter`](Self::enter).
    pub const FIRST_PHASE: &'static str = "start";

    /// Starts on this machine. Probing the sources keeps one core busy for up to some 200 ms, and
    /// half a second for each GPU.
    ///
    /// # Errors
    /// If the interval is too long or the ledger cannot be written.
    pub fn start(options: MeterOptions, ledger: Option<Ledger>) -> Result<Self, MeterError> {
        Self::start_on(&Host::local(), Box::new(SystemClock::new()), options, ledger)
    }

    /// Starts on a machine and a clock of the caller's choice.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_on(
        host: &Host,
        clock: Box<dyn Clock>,
        options: MeterOptions,
        ledger: Option<Ledger>,
    ) -> Result<Self, MeterError> {
        let mut selection = source::select(options.sources, &options.gpus, options.scope, host, &*clock);
        if let Some(required) = options.require {
            selection.require(required).map_err(|reasons| MeterError::Method { required, reasons })?;
        }
        Self::start_with(selection, host, clock, options.interval, ledger)
    }

    /// Starts with sources that the caller has chosen and probed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        selection: Selection,
        host: &Host,
        clock: Box<dyn Clock>,
        interval: Duration,
        ledger: Option<Ledger>,
    ) -> Result<Self, MeterError> {
        if interval > MAX_INTERVAL {
            return Err(MeterError::Interval { got: interval });
        }
        let Selection { mut sources, reasons } = selection;
        let start = clock.utc();
        let mut outbox = Outbox::new(ledger);
        outbox.write_header(&LedgerHeader {
            start,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host.facts(),
            job: Job::from_env(),
            sources: sources.iter().map(|source| source.describe()).collect(),
            reasons: reasons.clone(),
        })?;
        let now = clock.now();
        let mut gaps = Vec::new();
        for source in &mut sources {
            // The first read only sets the start: without it the next one does.
            match source.read(now) {
                Ok(reading) => gaps.extend(reading.gaps),
                Err(error) => gaps.push(failed(&**source, Seconds::ZERO, &error)),
            }
        }
        let polls = sources.iter().filter_map(|source| source.describe().poll);
        let every = polls.map(|every| Duration::from_secs_f64(every.get())).min();
        Ok(Self {
            suspended: clock.suspended(),
            clock,
            sources,
            reasons,
            outbox,
            interval,
            sampling: every.map(|every| (every, now.elapsed + every)),
            origin: now.elapsed,
            begin: (now.elapsed, start),
            last: now,
            phases: vec![(Self::FIRST_PHASE.to_owned(), PhaseShare::default())],
            current: 0,
            gaps,
            spans: Vec::new(),
            spans_opened: 0,
            machine_cpu: proc::busy_seconds(&host.proc).ok(),
            proc: host.proc.clone(),
            totals: Totals::default(),
            coverage: Coverage::default(),
            power: None,
            overhead: Duration::ZERO,
            finished: false,
        })
    }

    /// Names the phase that the meter began in, as if it had been entered at the start.
    pub fn name_first_phase(&mut self, phase: &str) {
        if let Some((first, _)) = self.phases.first_mut().filter(|_| self.totals.phases.is_empty()) {
            phase.clone_into(first);
        }
    }

    /// From now on time and energy belong to this phase. Costs two clock reads (about half a
    /// microsecond), except when an interval is over: then the sources are read too. Names are few:
    /// each one is kept.
    pub fn enter(&mut self, phase: &str) {
        self.poll();
        if self.phases[self.current].0 != phase {
            self.current = self.phases.iter().position(|(name, _)| name == phase).unwrap_or_else(|| {
                self.phases.push((phase.to_owned(), PhaseShare::default()));
                self.phases.len() - 1
            });
        }
    }

    /// Stays in the phase, and reads the sources if an interval is over. For phases that last long.
    pub fn tick(&mut self) {
        self.poll();
    }

    /// Reads the sources now, whatever the interval: what was used so far and what comes after are in
    /// windows of their own. Costs what a read costs, some tens of microseconds.
    pub fn flush(&mut self) {
        let now = self.accrue();
        self.flush_at(now);
    }

    /// Like [`flush`](Self::flush), and waits for counters that are renewed only now and then to move, so
    /// that a short stretch begins and ends with whole periods of theirs: up to three periods of
    /// some 100 ms on GPUs, which keep a core busy and belong to the phase that ends.
    pub fn flush_at_counter_update(&mut self) {
        let parts = self.read(None);
        let now = self.accrue();
        self.flush_readings(now, parts);
    }

    /// Begins a span, which may lie inside others or overlap them. Reads the sources.
    pub fn begin_span(&mut self, name: &str) -> SpanId {
        self.flush();
        let id = SpanId(self.spans_opened);
        self.spans_opened += 1;
        let start = self.last.elapsed - self.origin;
        self.spans.push(OpenSpan { id, name: name.to_owned(), start, totals: Totals::default() });
        id
    }

    /// Ends a span and returns what was used in it; `None` if it has ended before. Reads the
    /// sources.
    pub fn end_span(&mut self, id: SpanId) -> Option<(Span, Totals)> {
        self.flush();
        let open = self.spans.iter().position(|open| open.id == id).map(|place| self.spans.remove(place))?;
        let end = self.last.elapsed - self.origin;
        let span = Span { name: open.name, start_s: open.start.into(), end_s: end.into() };
        self.outbox.span(&span);
        Some((span, open.totals))
    }

    /// Time and energy up to the last read of the sources.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Mean power of the last interval, all components together; `None` before the first read or
    /// where no source gave anything.
    pub fn power(&self) -> Option<Estimate<Watts>> {
        self.power
    }

    /// Whether any source is read.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Why these sources and not others, one sentence each.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Time spent so far in reading sources and writing the ledger. It is inside the measured time.
    pub fn overhead(&self) -> Seconds {
        self.overhead.into()
    }

    /// Why the last write to the ledger failed. Its windows are kept and tried again with the next.
    pub fn ledger_error(&self) -> Option<&LedgerError> {
        self.outbox.error()
    }

    /// Ends the last interval, completes the ledger and returns the totals. Windows that the
    /// ledger would not take are named among [`Totals::gaps`].
    pub fn finish(mut self) -> Totals {
        self.close();
        std::mem::take(&mut self.totals)
    }

    /// Accrues the time since the last poll to the current phase, and flushes the interval if it is over.
    fn poll(&mut self) {
        let now = self.accrue();
        if now.elapsed - self.begin.0 >= self.interval {
            self.flush_at(now);
        } else if let Some((every, next)) = &mut self.sampling
            && now.elapsed >= *next
        {
            *next = now.elapsed + *every;
            self.sources.iter_mut().for_each(|source| source.poll(now));
        }
    }

    fn accrue(&mut self) -> Moment {
        let now = self.clock.now();
        let share = &mut self.phases[self.current].1;
        share.wall += now.elapsed.saturating_sub(self.last.elapsed);
        if let (Some(cpu), Some(before)) = (now.cpu, self.last.cpu) {
            share.cpu += cpu.saturating_sub(before);
        }
        // A steady clock that steps back is none: time then stands still for the meter.
        self.last = Moment { elapsed: now.elapsed.max(self.last.elapsed), cpu: now.cpu };
        self.last
    }

    /// Reads the sources and shares the energy of the interval among the phases seen in it.
    fn flush_at(&mut self, now: Moment) {
        if now.elapsed == self.begin.0 {
            return;
        }
        let mut parts = self.read(Some(now));
        if self.finished {
            let covered = self.coverage.with(&parts);
            let lost = covered.lost(now.elapsed - self.origin, self.sources.iter().map(|source| source.describe()));
            for (part, gap) in lost {
                parts.push(part);
                self.gaps.push(gap);
            }
        }
        self.flush_readings(now, parts);
    }

    fn flush_readings(&mut self, now: Moment, parts: Vec<ComponentReading>) {
        let (begin, start) = self.begin;
        if now.elapsed == begin {
            return;
        }
        self.coverage = self.coverage.with(&parts);
        let end = self.clock.utc();
        let length = Seconds::from(now.elapsed - begin);
        self.power = parts
            .iter()
            .filter(|part| !part.over.is_zero())
            .map(|part| part.energy.map(|energy| energy / Seconds::from(part.over)))
            .reduce(|a, b| a + b);

        let seen: Vec<usize> = (0..self.phases.len()).filter(|i| self.phases[*i].1 != PhaseShare::default()).collect();
        let shares: Vec<PhaseShare> = seen.iter().map(|i| self.phases[*i].1).collect();
        let own_share = self.own_shares(&parts);
        let others = self.others_cpu(&shares).map(|others| others / length.get());
        let mut windows: Vec<Window> = seen
            .iter()
            .zip(&shares)
            .map(|(i, share)| Window {
                phase: self.phases[*i].0.clone(),
                start,
                end,
                start_s: (begin - self.origin).into(),
                end_s: (now.elapsed - self.origin).into(),
                active_s: share.wall.into(),
                cpu_s: now.cpu.map(|_| share.cpu.into()),
                own_share: own_share.clone(),
                others_cpu_s: others.map(|rate| Seconds::raw(rate * share.wall.as_secs_f64())),
                energy: Default::default(),
                split: split::rule(&shares),
                gaps: Vec::new(),
            })
            .collect();
        for part in &parts {
            for (window, joules) in windows.iter_mut().zip(split::split(part, &shares)) {
                let energy = ComponentEnergy { joules, method: part.method };
                window.energy.entry(part.component).and_modify(|so_far| so_far.add(energy)).or_insert(energy);
            }
        }
        if let Some(first) = windows.first_mut() {
            first.gaps = std::mem::take(&mut self.gaps);
        }
        for window in &windows {
            self.totals.add(window);
            self.spans.iter_mut().for_each(|span| span.totals.add(window));
        }
        self.outbox.windows(windows);

        self.phases.iter_mut().for_each(|(_, share)| *share = PhaseShare::default());
        self.begin = (now.elapsed, end);
        if let Some((every, next)) = &mut self.sampling {
            *next = now.elapsed + *every;
        }
        self.overhead += self.clock.now().elapsed.saturating_sub(now.elapsed);
    }

    /// What devices tell of the metered processes' part in their work.
    fn own_shares(&mut self, parts: &[ComponentReading]) -> BTreeMap<Component, f64> {
        let boards = parts.iter().map(|part| part.component).filter(|of| matches!(of, Component::Gpu(_)));
        let boards: BTreeSet<Component> = boards.collect();
        if boards.is_empty() {
            return BTreeMap::new();
        }
        let processes = self.clock.processes();
        let sources = &mut self.sources;
        let share = |board: Component| {
            sources.iter_mut().find_map(|source| source.process_share(board, &processes)).map(|share| (board, share))
        };
        boards.into_iter().filter_map(share).collect()
    }

    /// CPU seconds that other processes used since the last read. The machine's count is coarser than
    /// the process's own and read a moment apart, so it never falls below it here.
    fn others_cpu(&mut self, shares: &[PhaseShare]) -> Option<f64> {
        let machine = proc::busy_seconds(&self.proc).ok();
        let before = std::mem::replace(&mut self.machine_cpu, machine);
        let own: f64 = shares.iter().map(|share| share.cpu.as_secs_f64()).sum();
        self.last.cpu.and(Some((machine? - before? - own).max(0.0)))
    }

    /// The sources at a moment, or else at the next edge of their counters.
    fn read(&mut self, now: Option<Moment>) -> Vec<ComponentReading> {
        let length = Seconds::from(now.unwrap_or(self.last).elapsed - self.begin.0);
        let suspended = self.clock.suspended();
        // The two clocks are not read at one instant, so a little is noise.
        let slept = suspended.saturating_sub(self.suspended);
        if slept > Duration::from_millis(100) {
            let detail = "counters may have lost their place".to_owned();
            self.gaps.push(Gap::new("machine", GapKind::Suspended, slept.into(), detail));
        }
        self.suspended = suspended;
        let mut parts = Vec::new();
        for source in &mut self.sources {
            let reading = match now {
                Some(now) => source.read(now),
                None => source.read_at_counter_update(&*self.clock),
            };
            match reading {
                Ok(reading) => {
                    parts.extend(reading.parts);
                    self.gaps.extend(reading.gaps);
                }
                Err(error) => self.gaps.push(failed(&**source, length, &error)),
            }
        }
        parts
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let now = self.accrue();
        let total = Seconds::from(now.elapsed - self.origin);
        for source in &self.sources {
            let description = source.describe();
            // Ten periods of a counter: below that its edges are a good part of the reading.
            if total > Seconds::ZERO && total.get() < description.resolution.get() * 10.0 {
                let detail = format!("{} is renewed every {}", description.name, description.resolution);
                let of = description.components.iter().map(Component::to_string).collect::<Vec<_>>().join(" ");
                self.gaps.push(Gap::new(of, GapKind::BelowResolution, total, detail));
            }
        }
        self.flush_at(now);
        let open: Vec<SpanId> = self.spans.iter().map(|open| open.id).collect();
        for id in open {
            self.end_span(id);
        }
        self.totals.gaps.extend(self.outbox.finish());
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.close();
    }
}

fn failed(source: &dyn Source, seconds: Seconds, error: &dyn std::error::Error) -> Gap {
    Gap::new(source.describe().name, GapKind::ReadFailed, seconds, error.to_string())
}

#[cfg(test)]
mod tests;
