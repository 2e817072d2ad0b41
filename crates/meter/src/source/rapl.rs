//! Running average power limit (RAPL) counters of Intel and AMD processors, through Linux powercap.
//!
//! The total is packages plus memory, or the platform alone where it is asked for: zones that
//! contain each other are never added. Before anything counts, the counters pass the gate: they
//! must move at a plausible power while a core is kept busy, and twins (memory-mapped zones, AMD
//! dies that all show one counter) are left out.
//!
//! Stated error: ±10 % for packages and the platform, ±20 % for memory. These are cautious round
//! numbers after published comparisons with external meters (Khan et al. 2018 for packages,
//! Desrochers et al. 2016 for memory), not measurements of this crate.

use std::path::Path;

use super::gate::{Gate, Origin, Reader};
use super::zones::{self, Domain};
use super::{Description, Liveness, RawReading, Reading, Source, SourceError, files};
use crate::clock::{Clock, Moment};

/// What of a processor's counters makes the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Domains {
    /// Packages and their memory.
    #[default]
    PackagesAndMemory,
    /// The platform zone alone, which contains the others.
    Platform,
}

/// The powercap source.
pub struct Rapl {
    pub(super) gate: Gate,
}

impl Rapl {
    /// Finds the zones below a sysfs root (`/sys`). In a virtual machine the hypervisor makes the
    /// counters up from CPU time, so their numbers are at best apportioned.
    ///
    /// # Errors
    /// If there is no powercap folder, or no zone in it for these domains.
    pub fn open(sys: &Path, domains: Domains, virtual_machine: bool) -> Result<Self, SourceError> {
        let (mut zones, remarks) = zones::find(sys)?;
        zones.retain(|(zone, _)| (zone.domain == Domain::Psys) == (domains == Domains::Platform));
        if !zones.iter().any(|(zone, _)| zone.domain != Domain::Dram) {
            let wanted = if domains == Domains::Platform { "psys" } else { "package" };
            let what = sys.join("class/powercap").display().to_string();
            return Err(SourceError::Nothing { what, reason: format!("no {wanted} zone there") });
        }
        let counters =
            zones.into_iter().map(|(zone, path)| (zone, Box::new(move || files::number(&path)) as Reader)).collect();
        Ok(Self { gate: Gate::new(counters, Origin::Boot, remarks, virtual_machine) })
    }
}

impl Source for Rapl {
    fn describe(&self) -> Description {
        self.gate.describe("powercap", "whole processor packages, with everything that runs on them")
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        self.gate.probe(clock)
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        Ok(self.gate.read(now))
    }

    fn raw_readings(&mut self) -> Vec<RawReading> {
        self.gate.raw_readings()
    }
}
