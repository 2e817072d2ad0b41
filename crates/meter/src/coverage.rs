//! How much of a run each component was read for, and what is missing at its end.
//!
//! A read that fails costs nothing if a later one succeeds: that one covers both times. If none does,
//! because a board is lost or a counter stands still to the end, the energy of that time is in no
//! window. It cannot be told, but it can be bounded by the power so far.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::estimate::{Estimate, Method};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds};
use crate::source::{Component, ComponentReading, Description};

/// What each component gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    components: BTreeMap<Component, Covered>,
}

#[derive(Debug, Clone, Copy)]
struct Covered {
    high: f64,
    time: Duration,
    method: Method,
}

/// Periods of a source that may be missing at the end: what it shows is one period old.
const PERIODS: f64 = 2.0;
/// Less than this is no gap.
const LEAST: Duration = Duration::from_millis(100);

impl Coverage {
    /// With what was read.
    pub(crate) fn with(&self, parts: &[ComponentReading]) -> Self {
        let mut components = self.components.clone();
        for part in parts {
            let nothing = Covered { high: 0.0, time: Duration::ZERO, method: part.method };
            let covered = components.entry(part.component).or_insert(nothing);
            covered.high += part.energy.high().get();
            covered.time += part.over;
            covered.method = covered.method.max(part.method);
        }
        Self { components }
    }

    /// What is missing of so long a run: for each component that gave something and then no more, at most
    /// its mean power for the rest.
    pub(crate) fn lost(
        &self,
        run: Duration,
        sources: impl Iterator<Item = Description>,
    ) -> Vec<(ComponentReading, Gap)> {
        let of_source = |source: Description| {
            let late = Duration::try_from_secs_f64(source.resolution.get() * PERIODS).unwrap_or_default().max(LEAST);
            source.components.into_iter().map(move |component| (component, late))
        };
        let lost = |(component, late): (Component, Duration)| {
            let covered = self.components.get(&component)?;
            let over = run.saturating_sub(covered.time);
            if over <= late || covered.time.is_zero() {
                return None;
            }
            let most = Joules::raw(covered.high / covered.time.as_secs_f64() * over.as_secs_f64());
            let energy = Estimate::exact(Joules::ZERO).with_high_raised_by(most.get());
            let detail = format!("up to {most} by its power before");
            let gap = Gap::new(component.to_string(), GapKind::Lost, Seconds::from(over), detail);
            let method = covered.method;
            Some((ComponentReading { component, energy, background: Joules::ZERO, over, method }, gap))
        };
        sources.flat_map(of_source).filter_map(lost).collect()
    }
}
