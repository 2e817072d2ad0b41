//! What the numbers of a machine rest on: which clocks it tells, and who stands between.

use std::time::Duration;

use serde::Serialize;

use super::limits::{Limits, limits};
use crate::clock::Clock;
use crate::host::{Host, HostFacts};
use crate::quantity::Seconds;
use crate::source::{Description, proc};

/// A machine, as far as it matters to energy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineDiagnosis {
    /// What a ledger says of it.
    pub host: HostFacts,
    /// Processor packages; one where the system does not report it.
    pub packages: usize,
    /// Who made the machine, by its firmware: of a virtual one the hypervisor or cloud.
    pub maker: Option<String>,
    /// Whether the load of the whole machine is known.
    pub machine_load: bool,
    /// Whether this process's own CPU time is known.
    pub process_time: bool,
    /// Whether the CPU time of children is known, so that another program can be metered.
    pub children_time: bool,
    /// How long the machine has been suspended since it started; `None` if the system does not report it.
    #[serde(rename = "suspended_s")]
    pub suspended: Option<Seconds>,
    /// What the control groups of this process allow it; `None` where they set no limit.
    pub limits: Option<Limits>,
    /// What follows from that.
    pub notes: Vec<String>,
}

impl MachineDiagnosis {
    /// Looks at a machine on which these sources would be read.
    pub(super) fn inspect(host: &Host, clock: &dyn Clock, selected: &[Description]) -> Self {
        let facts = host.facts();
        let maker = std::fs::read_to_string(host.sys.join("class/dmi/id/sys_vendor"));
        let mut machine = Self {
            packages: proc::packages(&host.proc),
            maker: maker.ok().map(|maker| maker.trim().to_owned()).filter(|maker| !maker.is_empty()),
            machine_load: proc::busy_seconds(&host.proc).is_ok(),
            process_time: clock.now().cpu.is_some(),
            children_time: proc::lists_children(&host.proc),
            suspended: cfg!(target_os = "linux").then(|| suspended(clock)),
            limits: limits(host),
            notes: Vec::new(),
            host: facts,
        };
        machine.notes = machine.remarks(selected);
        machine
    }

    fn remarks(&self, selected: &[Description]) -> Vec<String> {
        let mut notes = Vec::new();
        let cpu = &self.host.cpu;
        if cpu.virtual_machine {
            let maker = self.maker.as_ref().map(|maker| format!(" (by its firmware: {maker})")).unwrap_or_default();
            notes.push(format!("a virtual machine{maker}: what it shows of power is at best apportioned"));
        } else if cpu.vendor.starts_with("arm") {
            notes.push("processors of this kind do not report whether this is a virtual machine".to_owned());
        }
        notes.extend(self.share(selected));
        if !self.machine_load {
            notes.push("the load of the machine is not known: the model goes by this process or assumes".to_owned());
        }
        if !self.children_time {
            notes.push(
                "the CPU time of children is not known: another program cannot be separated from the rest".to_owned(),
            );
        }
        if let Some(suspended) = self.suspended.filter(|suspended| *suspended > Seconds::ZERO) {
            notes.push(format!("suspended for {suspended} since its start: counters may have lost their place there"));
        }
        notes
    }

    /// What follows from limits that are narrower than the machine.
    fn share(&self, selected: &[Description]) -> Option<String> {
        let Limits { cpus, memory_bytes } = self.limits?;
        let cpus = cpus.zip(self.host.threads).filter(|(cpus, threads)| *cpus < *threads as f64);
        let memory = memory_bytes.zip(self.host.memory_bytes).filter(|(limit, all)| limit < all);
        let gigabytes = |bytes: u64| bytes as f64 * 1e-9;
        let of_cpus = cpus.map(|(cpus, threads)| format!("{cpus} of {threads} processors"));
        let of_memory = memory.map(|(limit, all)| format!("{:.1} of {:.1} GB", gigabytes(limit), gigabytes(all)));
        let limits: Vec<String> = of_cpus.into_iter().chain(of_memory).collect();
        let models = selected.iter().any(|source| source.name == "model");
        let who = if models { "the model charges" } else { "counters show" };
        let way_out = if models { ", unless its scope is set to this process" } else { "" };
        (!limits.is_empty()).then(|| {
            format!(
                "a control group limits this process to {}, while the system shows all: {who} the whole machine{way_out}",
                limits.join(" and ")
            )
        })
    }
}

/// Time suspended. It comes from two clocks, so what lies between two looks at them is none.
fn suspended(clock: &dyn Clock) -> Seconds {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
    Some(clock.suspended()).filter(|time| *time >= BETWEEN_LOOKS).unwrap_or_default().into()
}
