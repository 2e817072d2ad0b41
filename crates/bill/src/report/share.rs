//! Billing the part of a machine that a process, a container or a job had of it.

use std::collections::BTreeMap;

use attar_meter::source::Description;
use attar_meter::{
    Attribution, Baseline, ComponentEnergy, EnergyShares, Joules, LedgerHeader, Method, Totals, Window, is_idle,
    own_part, pooled_share,
};
use serde::{Deserialize, Serialize};

use super::{Report, ReportError};
use crate::bill::Bill;

/// Whose energy a bill charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillShare {
    /// The whole machine, whoever used it.
    #[default]
    Machine,
    /// The metered processes' part of what was drawn beyond idle power, by CPU time (of boards by what
    /// their drivers tell), and the same part of the idle power.
    Own,
    /// Their part of what was drawn beyond idle power alone: what would not have been drawn without them,
    /// on a machine that runs anyway.
    Active,
}

impl BillShare {
    pub(crate) fn is_machine(&self) -> bool {
        *self == Self::Machine
    }
}

impl Report {
    /// The same report with a bill of a share of the machine. The bills of all ranks or containers of a
    /// machine add up to the machine's (to its active energy for [`BillShare::Active`]), but for GPUs whose driver tells no
    /// shares of processes: each is charged all of those.
    ///
    /// # Errors
    /// If no ledger tells the CPU time of its processes and of all others, by which the share goes.
    pub fn with_share(self, share: BillShare, bill: impl FnOnce(&Totals) -> Bill) -> Result<Self, ReportError> {
        if share == BillShare::Machine {
            return Ok(self.with_bill(bill));
        }
        let mut windows = Vec::new();
        for (header, of_meter) in self.by_meter() {
            let sources: &[Description] = header.map(|header| header.sources.as_slice()).unwrap_or_default();
            let baseline = Baseline::new(of_meter, sources);
            let busy = || of_meter.iter().filter(|window| !is_idle(&window.phase));
            let pooled = pooled_share(busy());
            windows.extend(busy().map(|window| own(window, pooled, &baseline, share)));
        }
        if !windows.iter().any(|window| !window.energy.is_empty()) && self.totals.energy().is_some() {
            return Err(ReportError::NoShare { name: self.name });
        }
        let totals = Totals::from_windows(&windows);
        let bill = Bill { share, ..bill(&totals) };
        Ok(Self { totals, bill, ..self })
    }

    /// What each meter wrote: its header and its windows. Windows before any header come without.
    fn by_meter(&self) -> impl Iterator<Item = (Option<&LedgerHeader>, &[Window])> {
        let orphans = self.starts.first().copied().unwrap_or(self.windows.len());
        let first = (orphans > 0).then(|| (None, &self.windows[..orphans]));
        let ends = self.starts.iter().skip(1).copied().chain([self.windows.len()]);
        let others = self.headers.iter().zip(self.starts.iter().zip(ends));
        first.into_iter().chain(others.map(|(header, (start, end))| (Some(header), &self.windows[*start..end])))
    }
}

/// A window with what its processes had of each component; without those of which that is not known.
fn own(window: &Window, pooled: Option<f64>, baseline: &Baseline, share: BillShare) -> Window {
    let alone = Attribution::with_pooled_share(&[window], baseline, pooled);
    let charged = |shares: &EnergyShares, part: f64| {
        let own = shares.own.unwrap_or_else(|| shares.active.scaled(part));
        match (share, shares.idle) {
            (BillShare::Own, Some(idle)) => own + idle.scaled(part),
            _ => own,
        }
    };
    let energy: BTreeMap<_, _> = window
        .energy
        .iter()
        .filter_map(|(component, energy)| {
            let shares = alone.components.get(component)?;
            let joules = charged(shares, own_part(window, *component, pooled)?);
            let method = energy.method.max(Method::Apportioned).max(shares.method);
            (joules.high() >= Joules::ZERO).then_some((*component, ComponentEnergy { joules, method }))
        })
        .collect();
    Window { energy, ..window.clone() }
}
