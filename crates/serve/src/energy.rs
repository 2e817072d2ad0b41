//! What serving costs in energy: a meter whose phases are the bundles that are computed, and what it says of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attar_bill::{Bill, Factors, exposition};
use attar_meter::{Estimate, GramsCo2e, Joules, Meter, Method};

/// The phase in which no bundle is computed.
const WAITING: &str = "waiting";

/// Energy and carbon of a bundle's computations so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BundleEnergy {
    pub(crate) bundle: String,
    /// What the machine drew meanwhile, all of it.
    pub(crate) joules: Estimate<Joules>,
    pub(crate) method: Option<Method>,
    pub(crate) carbon: Option<Estimate<GramsCo2e>>,
}

/// What was known at the last reading.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnergyReading {
    /// The machine's counters in OpenMetrics text.
    pub(crate) counters: String,
    pub(crate) bundles: Vec<BundleEnergy>,
}

/// The last reading, for whoever asks.
pub(crate) type LastReading = Arc<Mutex<EnergyReading>>;

/// The meter in the hands of the thread that computes.
pub(crate) struct Energy {
    meter: Meter,
    factors: Factors,
    interval: Duration,
    read_at: std::time::Instant,
    last: LastReading,
}

impl Energy {
    pub(crate) fn new(mut meter: Meter, factors: Factors, interval: Duration) -> Energy {
        meter.name_first_phase(WAITING);
        let mut energy =
            Energy { meter, factors, interval, read_at: std::time::Instant::now(), last: LastReading::default() };
        energy.publish();
        energy
    }

    pub(crate) fn last(&self) -> LastReading {
        Arc::clone(&self.last)
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// From now on this bundle is computed.
    pub(crate) fn computes(&mut self, bundle: &str) {
        self.meter.enter(&phase(bundle));
    }

    /// From now on nothing is computed.
    pub(crate) fn waits(&mut self) {
        self.meter.enter(WAITING);
        if self.read_at.elapsed() >= self.interval {
            self.tick();
        }
    }

    /// Reads the sources if it is time.
    pub(crate) fn tick(&mut self) {
        if self.read_at.elapsed() < self.interval {
            return;
        }
        self.read_at = std::time::Instant::now();
        self.meter.flush();
        self.publish();
    }

    /// Ends the account and writes what is left to the ledger.
    pub(crate) fn finish(mut self) {
        self.meter.flush();
        self.publish();
        self.meter.finish();
    }

    fn publish(&mut self) {
        let totals = self.meter.totals();
        let bill = Bill::from_factors(totals, &self.factors);
        let bundle = |phase: &attar_meter::PhaseTotals| {
            let bundle = phase.phase.strip_prefix(PREFIX)?.to_owned();
            let carbon = bill.phases.iter().find(|line| line.phase == phase.phase).and_then(|line| line.carbon_g);
            Some(BundleEnergy { bundle, joules: phase.energy()?, method: phase.method(), carbon })
        };
        let bundles = totals.phases.iter().filter_map(bundle).collect();
        let counters = exposition(totals, self.meter.power(), &bill);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = EnergyReading { counters, bundles };
    }
}

/// Before the name of a bundle in the name of its phase, so that one may be called as a phase of ours is.
const PREFIX: &str = "bundle ";

fn phase(bundle: &str) -> String {
    format!("{PREFIX}{bundle}")
}
