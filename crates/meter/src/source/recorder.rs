//! The recorder: writes what sources show to a trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::trace::{TraceDevice, TraceError, TraceHeader, TraceSample, TraceWriter};
use super::{Component, RawReading, Reading, Source};
use crate::clock::Clock;
use crate::estimate::{Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::host::Host;
use crate::quantity::{Joules, Seconds};

/// Writes what sources show to a trace, at a given period.
///
/// Raw counters and sensors where a source has them ([`Source::raw_readings`]): their wraps and faults are
/// in the trace as they were. Of other sources (models, replays) the energy that they hand out,
/// added up from zero, without what widened its interval.
pub struct Recorder {
    sources: Vec<(Box<dyn Source>, Kind)>,
    writer: TraceWriter,
    period: Duration,
    origin: Duration,
    next: Duration,
}

enum Kind {
    Raw,
    /// Energy so far.
    Added(BTreeMap<Component, f64>),
}

/// The unit in which returned energy is written: that of sysfs.
const MICROJOULE: Joules = Joules::raw(1e-6);

impl Recorder {
    /// Starts a trace of sources that were probed, in place of what the file held, with a first
    /// look at each.
    ///
    /// # Errors
    /// If the file cannot be accessed, or if no source reads anything.
    pub fn start(
        path: impl AsRef<Path>,
        sources: Vec<Box<dyn Source>>,
        host: &Host,
        period: Duration,
        clock: &dyn Clock,
    ) -> Result<Self, TraceError> {
        let mut devices = Vec::new();
        let sources: Vec<(Box<dyn Source>, Kind)> = sources
            .into_iter()
            .map(|mut source| {
                let shown = source.raw_readings();
                let description = source.describe();
                let kind = if shown.is_empty() {
                    devices.extend(description.components.iter().map(|component| TraceDevice {
                        component: *component,
                        name: description.name.clone(),
                        unit_j: MICROJOULE,
                        range: None,
                        method: Some(description.method),
                        spread: Some(description.spread_of(*component)),
                    }));
                    Kind::Added(description.components.iter().map(|component| (*component, 0.0)).collect())
                } else {
                    devices.extend(shown.into_iter().map(device));
                    Kind::Raw
                };
                (source, kind)
            })
            .collect();
        if devices.is_empty() {
            return Err(TraceError::Value {
                path: path.as_ref().to_owned(),
                line: 1,
                field: "devices",
                expected: "at least one that a source reads".to_owned(),
                got: "none".to_owned(),
            });
        }
        let spread = devices.first().and_then(|device| device.spread).unwrap_or(Spread::NONE);
        // What the devices say themselves; the weakest of them stands at the head.
        let method = Method::weakest(devices.iter().filter_map(|device| device.method)).unwrap_or(Method::Modeled);
        let header = TraceHeader { devices, start: clock.utc(), host: Some(host.facts()), method, spread };
        let writer = TraceWriter::create(path.as_ref(), &header)?;
        let origin = clock.now().elapsed;
        let mut recorder = Self { sources, writer, period, origin, next: origin };
        recorder.tick(clock)?;
        Ok(recorder)
    }

    /// Samples all sources if the period is over, and returns whether it did.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tick(&mut self, clock: &dyn Clock) -> Result<bool, TraceError> {
        let now = clock.now();
        if now.elapsed < self.next {
            return Ok(false);
        }
        // From the plan, not from now, so that lateness does not add up; a period that was missed
        // is not made up for.
        let planned = self.next + self.period;
        self.next = if planned > now.elapsed { planned } else { now.elapsed + self.period };
        for (source, kind) in &mut self.sources {
            let samples = match kind {
                Kind::Raw => raw(&mut **source, self.origin, clock),
                Kind::Added(so_far) => added(&mut **source, so_far, self.origin, clock),
            };
            samples.iter().try_for_each(|sample| self.writer.write(sample))?;
        }
        Ok(true)
    }

    /// When the next sample is due, on the clock's time.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), TraceError> {
        self.writer.finish()
    }
}

fn device(shown: RawReading) -> TraceDevice {
    TraceDevice {
        component: shown.component,
        name: shown.name,
        unit_j: shown.unit,
        range: shown.range,
        method: Some(shown.method),
        spread: Some(shown.spread),
    }
}

fn raw(source: &mut dyn Source, origin: Duration, clock: &dyn Clock) -> Vec<TraceSample> {
    let shown = source.raw_readings();
    let t_s = since(origin, clock);
    let sample = |shown: RawReading| TraceSample {
        t_s,
        device: shown.component,
        energy_j: shown.energy,
        power_w: shown.power,
        utilization: shown.utilization,
        error: shown.error,
    };
    shown.into_iter().map(sample).collect()
}

fn added(
    source: &mut dyn Source,
    so_far: &mut BTreeMap<Component, f64>,
    origin: Duration,
    clock: &dyn Clock,
) -> Vec<TraceSample> {
    let now = clock.now();
    let t_s = Seconds::from(now.elapsed.saturating_sub(origin));
    let (reading, failed) = match source.read(now) {
        Ok(reading) => (reading, None),
        Err(error) => (Reading::default(), Some(error.to_string())),
    };
    for part in &reading.parts {
        *so_far.entry(part.component).or_default() += part.energy.value().get();
    }
    let error = |component: &Component| {
        let name = component.to_string();
        let of_it = |gap: &&Gap| gap.kind == GapKind::ReadFailed && gap.of == name;
        failed.clone().or_else(|| reading.gaps.iter().find(of_it).map(|gap| gap.detail.clone()))
    };
    so_far
        .iter()
        .map(|(component, joules)| {
            let error = error(component);
            let energy_j = error.is_none().then(|| Joules::raw(*joules));
            TraceSample { t_s, device: *component, energy_j, power_w: None, utilization: None, error }
        })
        .collect()
}

fn since(origin: Duration, clock: &dyn Clock) -> Seconds {
    clock.now().elapsed.saturating_sub(origin).into()
}
