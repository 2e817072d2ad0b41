//! Findings about the zones of powercap, and what would show them.

use std::io;
use std::path::Path;

use super::{Finding, Interface, InterfaceState, Observations};
use crate::host::Host;
use crate::source::zones::{self, Domain, Zone};
use crate::source::{Component, Description, proc};

const PACKAGES: &str = "processor packages, with everything that runs on them";
const MEMORY: &str = "main memory";
const PLATFORM: &str = "the whole platform: packages, memory and more";

/// Since 2020 only the superuser may read the counters (moby's advisory GHSA-jq35-85cj-fj4p tells
/// the story: Linux 5.10, CVE-2020-8694, the attack PLATYPUS).
const DENIED: &str = "`sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj` until the next start; for good, \
    `SUBSYSTEM==\"powercap\", ACTION==\"add\", RUN+=\"/bin/chmod a+r /sys%p/energy_uj\"` as a file `.rules` in \
    /etc/udev/rules.d; or run as root. Only root reads them since Linux 5.10 (2020), because power can betray what \
    others compute (PLATYPUS, CVE-2020-8694): open them where all users are trusted";

/// How the trial of a counter can wrong a guest (the period is QEMU's `MSR_ENERGY_THREAD_SLEEP_US`).
const SLOW: &str = "QEMU renews such counters about once a second, and the trial lasts 0.2 s";

/// What a file of a counter says when it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Readable,
    Denied,
    Failed,
}

/// Packages, memory, platform.
pub(super) fn findings(observed: &Observations<'_>) -> Vec<Finding> {
    let zones: Vec<(Zone, Access)> = match zones::find(&observed.host.sys) {
        Ok((zones, _)) => zones.into_iter().map(|(zone, path)| (zone, access(&path))).collect(),
        Err(_) => Vec::new(),
    };
    let of = |domain: Domain| -> Vec<Access> {
        zones.iter().filter(|(zone, _)| zone.domain == domain).map(|(_, access)| *access).collect()
    };
    let (packages, memory) = (packages(observed, &of(Domain::Package)), memory(observed, &of(Domain::Dram)));
    let mut findings = vec![packages, memory, platform(&of(Domain::Psys))];
    if zones.is_empty() {
        findings[1..].iter_mut().for_each(|finding| finding.why = "powercap shows no zone at all".to_owned());
    }
    findings
}

/// Whether the system refuses to let this process read a file.
pub(super) fn access_denied(path: &Path) -> bool {
    access(path) == Access::Denied
}

/// What would show the registers of a machine that shows none.
///
/// Sources: Linux `drivers/powercap/intel_rapl_msr.c` (Intel, AMD and Hygon), the documentation of
/// QEMU's RAPL support (`docs/specs/rapl-msr.rst`: Intel hosts, packages alone), Docker's and
/// Podman's of `--security-opt`.
pub(super) fn remedy_of_absence(host: &Host) -> Option<String> {
    let cpu = &host.cpu;
    let x86 = matches!(cpu.vendor.as_str(), "GenuineIntel" | "AuthenticAMD" | "HygonGenuine");
    if !x86 || cfg!(not(target_os = "linux")) {
        return None;
    }
    if masked(host) {
        return Some(
            "the container's runtime hides powercap: start it with `docker run --security-opt systempaths=unconfined` \
             or `podman run --security-opt unmask=ALL`, or measure outside the container"
                .to_owned(),
        );
    }
    Some(match (cpu.virtual_machine, cpu.vendor.as_str()) {
        (false, _) => "`sudo modprobe intel_rapl_msr` (the driver serves AMD's processors too)".to_owned(),
        (true, "GenuineIntel") => "only the owner of the hypervisor can: QEMU on an Intel host with `-cpu host -accel \
             kvm,rapl=true,rapl-helper-socket=/run/qemu-vmsr-helper.sock` and `qemu-vmsr-helper` running there, then \
             `sudo modprobe intel_rapl_msr` here; such numbers are apportioned by CPU time. Else a machine of your own"
            .to_owned(),
        (true, _) => "none is known from inside: QEMU makes such counters on Intel hosts alone. A machine of your own \
             shows them"
            .to_owned(),
    })
}

fn packages(observed: &Observations<'_>, zones: &[Access]) -> Finding {
    let finding = |state, why: String| Finding::new(Interface::PowercapPackages, PACKAGES, state, why);
    match &observed.trials.powercap {
        Some(Ok(alive)) => {
            let count = alive.components.iter().filter(|component| is_cpu(component)).count();
            let why = format!("{count} of {} zones counted, 90 % interval {}", zones.len(), alive.interval_of(is_cpu));
            let notes = alive.notes.iter().filter(|note| !of_memory(note)).cloned();
            finding(alive.method.into(), why).used(observed.selects("powercap", is_cpu)).with_notes(notes)
        }
        Some(Err(reason)) if zones.is_empty() => {
            finding(InterfaceState::Absent, reason.clone()).with_remedy(remedy_of_absence(observed.host))
        }
        Some(Err(_)) if zones.contains(&Access::Denied) => denied(finding(InterfaceState::Denied, unreadable(zones))),
        Some(Err(reason)) => {
            let slow = observed.host.cpu.virtual_machine.then(|| SLOW.to_owned());
            finding(InterfaceState::Dead, reason.clone()).with_notes(slow)
        }
        None if zones.is_empty() => finding(InterfaceState::Absent, "no such zone".to_owned()),
        None => finding(InterfaceState::Untried, "another source is used".to_owned()),
    }
}

fn memory(observed: &Observations<'_>, zones: &[Access]) -> Finding {
    let finding = |state, why: String| Finding::new(Interface::PowercapMemory, MEMORY, state, why);
    if zones.is_empty() {
        return finding(
            InterfaceState::Absent,
            "no zone named dram: not every processor shows its memory apart".to_owned(),
        );
    }
    match &observed.trials.powercap {
        Some(Ok(alive)) if alive.components.iter().any(is_memory) => {
            let count = alive.components.iter().filter(|component| is_memory(component)).count();
            let why =
                format!("{count} of {} zones counted, 90 % interval {}", zones.len(), alive.interval_of(is_memory));
            finding(alive.method.into(), why).used(observed.selects("powercap", is_memory))
        }
        _ if zones.contains(&Access::Denied) => denied(finding(InterfaceState::Denied, unreadable(zones))),
        Some(Ok(alive)) => finding(InterfaceState::Dead, fault(alive).unwrap_or_else(|| "not counted".to_owned())),
        Some(Err(_)) => finding(InterfaceState::Dead, "not read without the counters of its packages".to_owned()),
        None => finding(InterfaceState::Untried, "another source is used".to_owned()),
    }
}

fn platform(zones: &[Access]) -> Finding {
    let finding = |state, why: &str| Finding::new(Interface::PowercapPlatform, PLATFORM, state, why);
    if zones.is_empty() {
        finding(InterfaceState::Absent, "no zone named psys")
    } else if zones.contains(&Access::Denied) {
        denied(finding(InterfaceState::Denied, &unreadable(zones)))
    } else if zones.contains(&Access::Readable) {
        finding(InterfaceState::Untried, "it contains packages and memory, so it is never added to them")
    } else {
        finding(InterfaceState::Dead, "its counter cannot be read")
    }
}

fn denied(finding: Finding) -> Finding {
    finding.with_remedy(Some(DENIED.to_owned()))
}

fn unreadable(zones: &[Access]) -> String {
    let refused = zones.iter().filter(|access| **access == Access::Denied).count();
    format!("permission denied on {refused} of {} zones", zones.len())
}

/// Why memory is not counted beside packages that are.
fn fault(alive: &Description) -> Option<String> {
    alive.notes.iter().find(|note| of_memory(note)).cloned()
}

fn of_memory(note: &str) -> bool {
    note.starts_with("memory not counted")
}

pub(super) fn is_cpu(component: &Component) -> bool {
    matches!(component, Component::Cpu(_))
}

pub(super) fn is_memory(component: &Component) -> bool {
    matches!(component, Component::Memory(_))
}

fn access(path: &Path) -> Access {
    match std::fs::read_to_string(path) {
        Ok(_) => Access::Readable,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Access::Denied,
        Err(_) => Access::Failed,
    }
}

/// Whether a container's runtime has laid something over powercap.
fn masked(host: &Host) -> bool {
    let mounts = proc::mounts(&host.proc).unwrap_or_default();
    let point = |line: &str| line.split(' ').nth(4).is_some_and(|point| point == "/sys/devices/virtual/powercap");
    mounts.lines().any(point)
}
