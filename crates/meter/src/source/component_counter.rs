//! A counter with its component: turns raw readings into parts and gaps.

use std::time::Duration;

use super::{Component, ComponentReading, Counter, CounterChange, Reading};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds};

pub(super) struct ComponentCounter {
    pub(super) component: Component,
    pub(super) counter: Counter,
    pub(super) spread: Spread,
    pub(super) method: Method,
    /// A device under power changes its counter within this time.
    pub(super) patience: Duration,
    /// The last try, whether it succeeded or not.
    pub(super) tried: Option<Duration>,
}

impl ComponentCounter {
    /// Takes a reading or the reason why there is none.
    pub(super) fn take(&mut self, raw: Result<u64, String>, at: Duration, reading: &mut Reading) {
        let waited = Seconds::from(self.tried.map_or(Duration::ZERO, |tried| at.saturating_sub(tried)));
        self.tried = Some(at);
        let gap = |kind, seconds, detail: String| Gap::new(self.component.to_string(), kind, seconds, detail);
        let raw = match raw {
            Ok(raw) => raw,
            Err(reason) => return reading.gaps.push(gap(GapKind::ReadFailed, waited, reason)),
        };
        match self.counter.take(raw, at) {
            CounterChange::First => {}
            CounterChange::Unchanged { since } if since < self.patience => {}
            CounterChange::Unchanged { since } => {
                let detail = format!("still at {raw} after {}", Seconds::from(since));
                reading.gaps.push(gap(GapKind::Stalled, waited, detail));
            }
            CounterChange::Advanced { energy, over, unseen, .. } => {
                let estimate = Estimate::with_spread(energy, self.spread).with_high_raised_by(unseen.get());
                if unseen > Joules::ZERO {
                    let detail = format!("{} without a reading leave room for {unseen} more", Seconds::from(over));
                    reading.gaps.push(gap(GapKind::Ambiguous, Seconds::from(over), detail));
                }
                reading.parts.push(self.part(estimate, over));
            }
            CounterChange::Reset { over, lost } => {
                let detail = format!("fell to {raw}; up to {lost} lost");
                reading.gaps.push(gap(GapKind::Reset, Seconds::from(over), detail));
                reading.parts.push(self.part(Estimate::exact(Joules::ZERO).with_high_raised_by(lost.get()), over));
            }
        }
    }

    fn part(&self, energy: Estimate<Joules>, over: Duration) -> ComponentReading {
        ComponentReading { component: self.component, energy, background: Joules::ZERO, over, method: self.method }
    }
}
