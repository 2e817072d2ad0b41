//! The user's own figure: a constant power for the whole machine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Component, ComponentReading, Description, FIXED, Liveness, Reading, Source, SourceError};
use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::quantity::{Seconds, Watts};

/// A machine that draws a constant power, taken as given: its error is not known, so the interval
/// has no width, and the method is modeled.
#[derive(Debug, Clone)]
pub struct Fixed {
    power: Watts,
    last: Option<Duration>,
}

impl Fixed {
    /// So many watts, always.
    pub fn new(power: Watts) -> Self {
        Self { power, last: None }
    }
}

impl Source for Fixed {
    fn describe(&self) -> Description {
        Description {
            name: FIXED.to_owned(),
            components: vec![Component::Machine],
            method: Method::Modeled,
            spread: Spread::NONE,
            spreads: BTreeMap::new(),
            between_loads: BTreeMap::new(),
            resolution: Seconds::ZERO,
            poll: None,
            scope: "the whole machine".to_owned(),
            idle: BTreeMap::new(),
            notes: vec![format!("{} as given by the user; its error is not known", self.power)],
        }
    }

    fn probe(&mut self, _clock: &dyn Clock) -> Liveness {
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        let over = self.last.replace(now.elapsed).map(|last| now.elapsed.saturating_sub(last));
        if let Some(over) = over.filter(|over| !over.is_zero()) {
            let energy = self.power * Seconds::from(over);
            let estimate = Estimate::exact(energy);
            reading.parts.push(ComponentReading {
                component: Component::Machine,
                energy: estimate,
                background: energy,
                over,
                method: Method::Modeled,
            });
        }
        Ok(reading)
    }
}
