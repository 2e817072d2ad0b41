//! A counter with its component: turns raw readings into parts and gaps.

use std::time::Duration;

use super::{Advance, Component, Counter, Part, Reading};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds};

pub(super) struct Metered {
    pub(super) component: Component,
    pub(super) counter: Counter,
    pub(super) spread: Spread,
    pub(super) method: Method,
    /// A device under power moves its counter within this time.
    pub(super) patience: Duration,
    /// The last try, whether it succeeded or not.
    pub(super) tried: Option<Duration>,
}

impl Metered {
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
            Advance::First => {}
            Advance::Still { since } if since < self.patience => {}
            Advance::Still { since } => {
                let detail = format!("still at {raw} after {}", Seconds::from(since));
                reading.gaps.push(gap(GapKind::Stalled, waited, detail));
            }
            Advance::Moved { energy, over, unseen, .. } => {
                let estimate = Estimate::spread(energy, self.spread).widened_up(unseen.get());
                if unseen > Joules::ZERO {
                    let detail = format!("{} without a reading leave room for {unseen} more", Seconds::from(over));
                    reading.gaps.push(gap(GapKind::Ambiguous, Seconds::from(over), detail));
                }
                reading.parts.push(self.part(estimate, over));
            }
            Advance::Reset { over, lost } => {
                let detail = format!("fell to {raw}; up to {lost} lost");
                reading.gaps.push(gap(GapKind::Reset, Seconds::from(over), detail));
                reading.parts.push(self.part(Estimate::exact(Joules::ZERO).widened_up(lost.get()), over));
            }
        }
    }

    fn part(&self, energy: Estimate<Joules>, over: Duration) -> Part {
        Part { component: self.component, energy, background: Joules::ZERO, over, method: self.method }
    }
}
