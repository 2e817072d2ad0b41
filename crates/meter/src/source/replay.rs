//! Replay: a trace as a source, or as a GPU.
//!
//! A counter in a trace goes through the same arithmetic as one of this machine, and sampled power
//! through the same integration. Between two samples the energy is taken as spread evenly, so any
//! two moments can be asked for, and what is asked for piece by piece adds up.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::component_counter::ComponentCounter;
use super::power_integrator::PowerIntegrator;
use super::trace::{Trace, TraceDevice, TraceError, TraceHeader, TraceSample};
use super::{
    Component, ComponentReading, Counter, Description, GpuBoard, GpuError, Liveness, Reading, Source, SourceError,
};
use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::host::Host;
use crate::quantity::{Joules, Seconds, Watts};

/// A trace as a source: its time begins with the first read.
pub struct Replay {
    tracks: Vec<Track>,
    begin: Duration,
    origin: Option<Duration>,
    /// How far it was returned, in the trace's time.
    done: Duration,
    notes: Vec<String>,
    /// Whether this machine recorded it, since it was started.
    recorded_here: bool,
}

/// What one device used, piece by piece.
struct Track {
    component: Component,
    name: String,
    /// How its numbers came about when they were recorded.
    recorded: Method,
    spread: Spread,
    pieces: Vec<Piece>,
    /// Gaps and when they were found.
    gaps: Vec<(Duration, Gap)>,
    samples: u32,
    begin: Duration,
    end: Duration,
}

/// Energy of a stretch of time. Pieces follow each other without overlap.
struct Piece {
    begin: Duration,
    end: Duration,
    energy: Estimate<Joules>,
}

const REFRESH: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);

impl Replay {
    /// Opens a trace of this machine or another.
    ///
    /// # Errors
    /// If it cannot be read (see [`Trace::read`]), or holds the whole machine beside its parts.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        Self::open_on(&Host::local(), path)
    }

    /// Opens a trace on a machine of the caller's choice.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(host: &Host, path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let trace = Trace::read(path)?;
        let whole = trace.header.devices.iter().any(|device| device.component == Component::Machine);
        if whole && trace.header.devices.len() > 1 {
            return Err(TraceError::Value {
                path: path.to_owned(),
                line: 1,
                field: "devices",
                expected: "the machine alone or parts of it alone, because it contains them".to_owned(),
                got: "both".to_owned(),
            });
        }
        let mut replay = Self::new(&trace);
        let recorded_on = trace.header.host.as_ref().and_then(|host| host.boot.as_ref());
        replay.recorded_here = recorded_on.is_some() && recorded_on == host.facts().boot.as_ref();
        replay.notes.insert(0, format!("replayed from {}, recorded {}", path.display(), trace.header.start));
        Ok(replay)
    }

    fn new(trace: &Trace) -> Self {
        let torn = trace.torn.as_ref().map(|torn| format!("line {} was torn by a crash: skipped", torn.line));
        Self {
            tracks: trace.header.devices.iter().map(|device| Track::new(device, trace)).collect(),
            begin: trace.samples.first().map_or(Duration::ZERO, time),
            origin: None,
            done: Duration::ZERO,
            notes: torn.into_iter().collect(),
            recorded_here: false,
        }
    }
}

impl Source for Replay {
    fn describe(&self) -> Description {
        let widest = |a: Spread, b: Spread| if b.high() > a.high() { b } else { a };
        let spacing = |track: &Track| (track.end - track.begin) / track.samples.saturating_sub(1).max(1);
        Description {
            name: "replay".to_owned(),
            components: self.tracks.iter().map(|track| track.component).collect(),
            method: Method::weakest(self.tracks.iter().map(Track::method)).unwrap_or(Method::Replayed),
            spread: self.tracks.iter().map(|track| track.spread).reduce(widest).unwrap_or(Spread::NONE),
            spreads: self.tracks.iter().map(|track| (track.component, track.spread)).collect(),
            between_loads: BTreeMap::new(),
            resolution: self.tracks.iter().map(spacing).max().unwrap_or_default().into(),
            poll: None,
            scope: "as recorded".to_owned(),
            idle: BTreeMap::new(),
            notes: self.notes.clone(),
        }
    }

    fn stands_for(&self) -> Method {
        let recorded = Method::weakest(self.tracks.iter().map(|track| track.recorded));
        recorded.filter(|_| self.recorded_here).unwrap_or_else(|| self.describe().method)
    }

    /// A trace proved itself when it was recorded; a device that used nothing in all of it tells
    /// nothing.
    fn probe(&mut self, _clock: &dyn Clock) -> Liveness {
        let (alive, dead): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tracks)
            .into_iter()
            .partition(|track| track.pieces.iter().any(|piece| piece.energy.value() > Joules::ZERO));
        self.tracks = alive;
        let faults: Vec<String> = dead
            .iter()
            .map(|track| format!("{} ({}) used nothing in the trace", track.component, track.name))
            .collect();
        if self.tracks.is_empty() {
            return Liveness::Dead(faults.join("; "));
        }
        self.notes.extend(faults.into_iter().map(|fault| format!("not counted: {fault}")));
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        let Some(origin) = self.origin else {
            self.origin = Some(now.elapsed);
            self.done = self.begin;
            return Ok(reading);
        };
        let until = self.begin + now.elapsed.saturating_sub(origin);
        let from = std::mem::replace(&mut self.done, until);
        self.tracks.iter().for_each(|track| track.hand_out(from, until, &mut reading));
        Ok(reading)
    }
}

impl Track {
    fn new(device: &TraceDevice, trace: &Trace) -> Self {
        let TraceHeader { method, spread, .. } = trace.header;
        let (method, spread) = (device.method.unwrap_or(method), device.spread.unwrap_or(spread));
        let samples = || trace.samples.iter().filter(|sample| sample.device == device.component);
        let mut track = Self {
            component: device.component,
            name: device.name.clone(),
            recorded: method,
            spread,
            pieces: Vec::new(),
            gaps: Vec::new(),
            samples: samples().count().try_into().unwrap_or(u32::MAX),
            begin: samples().next().map_or(Duration::ZERO, time),
            end: samples().next_back().map_or(Duration::ZERO, time),
        };
        if samples().any(|sample| sample.energy_j.is_some()) {
            let mut metered = ComponentCounter {
                component: device.component,
                counter: Counter::new(device.unit_j, device.range, most(device.component), REFRESH),
                spread,
                method,
                patience: PATIENCE,
                tried: None,
            };
            for sample in samples() {
                let counts = |energy: Joules| (energy.get() / device.unit_j.get()).round() as u64;
                if let Some(raw) = shown(sample.energy_j.map(counts), sample) {
                    track.collect(time(sample), |reading| metered.take(raw, time(sample), reading));
                }
            }
        } else {
            let mut sampled = PowerIntegrator::new(spread, method);
            for sample in samples() {
                if let Some(power) = shown(sample.power_w, sample) {
                    track.collect(time(sample), |reading| {
                        sampled.sample(power, time(sample), device.component);
                        sampled.hand_out(device.component, reading);
                    });
                }
            }
        }
        track
    }

    /// What was measured then is not measured now; what was modeled stays so.
    fn method(&self) -> Method {
        self.recorded.max(Method::Replayed)
    }

    /// Keeps what a sample gave, with its time.
    fn collect(&mut self, at: Duration, give: impl FnOnce(&mut Reading)) {
        let mut reading = Reading::default();
        give(&mut reading);
        let piece = |part: ComponentReading| {
            // A jump in no time, which a trace may hold, gets the shortest time that there is.
            let over = part.over.max(Duration::from_nanos(1));
            let begin = at.saturating_sub(over);
            Piece { begin, end: begin + over, energy: part.energy }
        };
        self.pieces.extend(reading.parts.into_iter().map(piece));
        self.gaps.extend(reading.gaps.into_iter().map(|gap| (at, gap)));
    }

    /// Energy and gaps after one moment and up to another.
    fn hand_out(&self, from: Duration, until: Duration, reading: &mut Reading) {
        let first = self.pieces.partition_point(|piece| piece.end <= from);
        let (mut energy, mut over) = (None, Duration::ZERO);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.begin < until) {
            let inside = piece.end.min(until).saturating_sub(piece.begin.max(from));
            let whole = piece.end.saturating_sub(piece.begin);
            let more = piece.energy.scaled(inside.as_secs_f64() / whole.as_secs_f64());
            energy = Some(energy.map_or(more, |so_far: Estimate<Joules>| so_far + more));
            over += inside;
        }
        if let Some(energy) = energy {
            let (component, method) = (self.component, self.method());
            reading.parts.push(ComponentReading { component, energy, background: Joules::ZERO, over, method });
        }
        let found = self.gaps.iter().filter(|(at, _)| from < *at && *at <= until);
        reading.gaps.extend(found.map(|(_, gap)| gap.clone()));
        if until > self.end {
            let beyond = Seconds::from(until - self.end.max(from));
            let detail = format!("the trace ends at {}", Seconds::from(self.end));
            reading.gaps.push(Gap::new(self.component.to_string(), GapKind::ReadFailed, beyond, detail));
        }
    }
}

/// A GPU that shows what a trace holds, each sample until the next one.
pub struct ReplayBoard {
    index: u16,
    name: String,
    samples: Vec<TraceSample>,
    clock: Box<dyn Clock>,
    origin: Duration,
}

impl ReplayBoard {
    /// The board `gpuN` of a trace, whose time begins now on this clock; `None` if the trace has
    /// no such board or no sample of it.
    pub fn new(trace: &Trace, index: u16, clock: Box<dyn Clock>) -> Option<Self> {
        let component = Component::Gpu(index);
        let device = trace.header.devices.iter().find(|device| device.component == component)?;
        let samples: Vec<TraceSample> =
            trace.samples.iter().filter(|sample| sample.device == component).cloned().collect();
        let origin = clock.now().elapsed;
        (!samples.is_empty()).then(|| Self { index, name: device.name.clone(), samples, clock, origin })
    }

    fn now(&self) -> &TraceSample {
        let at = time(&self.samples[0]) + self.clock.now().elapsed.saturating_sub(self.origin);
        let next = self.samples.partition_point(|sample| time(sample) <= at);
        &self.samples[next.saturating_sub(1)]
    }

    /// A number of the current sample in thousandths, or why it is not there.
    fn milli(&self, value: impl Fn(&TraceSample) -> Option<f64>) -> Result<u64, GpuError> {
        let sample = self.now();
        match (value(sample), sample.error.as_deref()) {
            (Some(value), _) => Ok((value * 1e3).round() as u64),
            (None, None) => Err(GpuError::NotSupported),
            (None, Some(error)) => {
                let known = [GpuError::NotSupported, GpuError::Lost];
                let same = known.into_iter().find(|known| known.to_string() == error);
                Err(same.unwrap_or_else(|| GpuError::Driver(error.to_owned())))
            }
        }
    }
}

impl GpuBoard for ReplayBoard {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn index(&self) -> u16 {
        self.index
    }

    fn energy_millijoules(&mut self) -> Result<u64, GpuError> {
        self.milli(|sample| sample.energy_j.map(Joules::get))
    }

    fn power_milliwatts(&mut self) -> Result<u64, GpuError> {
        self.milli(|sample| sample.power_w.map(Watts::get))
    }

    fn utilization(&mut self) -> Option<f64> {
        self.now().utilization
    }
}

/// A number of a sample or the reason why it is missing; `None` where the sample is about
/// something else.
fn shown<T>(value: Option<T>, sample: &TraceSample) -> Option<Result<T, String>> {
    value.map(Ok).or_else(|| sample.error.clone().map(Err))
}

/// The time of a sample, which the reader has found to be no more than decades.
fn time(sample: &TraceSample) -> Duration {
    Duration::try_from_secs_f64(sample.t_s.get()).unwrap_or_default()
}

/// What no such device exceeds, to tell a wrap from a reset.
fn most(component: Component) -> Watts {
    Watts::raw(match component {
        Component::Cpu(_) | Component::Memory(_) => 1e3,
        Component::Gpu(_) => 3e3,
        Component::Machine => 1e5,
    })
}
