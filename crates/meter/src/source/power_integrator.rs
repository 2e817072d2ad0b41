//! Sampled power, integrated by trapezoids until it is returned.

use std::time::Duration;

use super::{Component, ComponentReading, Reading};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds, Watts};

/// Samples further apart than this do not follow the load.
const SPARSE: Duration = Duration::from_secs(1);

pub(super) struct PowerIntegrator {
    spread: Spread,
    method: Method,
    last: Option<(Watts, Duration)>,
    energy: Option<Estimate<Joules>>,
    over: Duration,
    gaps: Vec<Gap>,
}

impl PowerIntegrator {
    pub(super) fn new(spread: Spread, method: Method) -> Self {
        Self { spread, method, last: None, energy: None, over: Duration::ZERO, gaps: Vec::new() }
    }

    /// Takes a sample or the reason why there is none. The next one then spans both times.
    pub(super) fn sample(&mut self, power: Result<Watts, String>, at: Duration, component: Component) {
        let power = match power {
            Ok(power) => power,
            Err(reason) => {
                let waited = self.last.map_or(Duration::ZERO, |(_, then)| at.saturating_sub(then));
                return self.gaps.push(Gap::new(component.to_string(), GapKind::ReadFailed, waited.into(), reason));
            }
        };
        let Some((before, then)) = self.last.replace((power, at)) else { return };
        let over = at.saturating_sub(then);
        let energy = Watts::raw((before.get() + power.get()) / 2.0) * Seconds::from(over);
        let spread = if over <= SPARSE {
            self.spread
        } else {
            let detail = format!("samples {} apart", Seconds::from(over));
            self.gaps.push(Gap::new(component.to_string(), GapKind::Sparse, over.into(), detail));
            Spread::factor(2.0)
        };
        let piece = Estimate::with_spread(energy, spread);
        self.energy = Some(self.energy.map_or(piece, |so_far| so_far + piece));
        self.over += over;
    }

    /// Returns what was integrated since the last time.
    pub(super) fn hand_out(&mut self, component: Component, reading: &mut Reading) {
        reading.gaps.append(&mut self.gaps);
        if let Some(energy) = self.energy.take().filter(|energy| energy.value() > Joules::ZERO) {
            let over = std::mem::take(&mut self.over);
            reading.parts.push(ComponentReading {
                component,
                energy,
                background: Joules::ZERO,
                over,
                method: self.method,
            });
        }
    }
}
