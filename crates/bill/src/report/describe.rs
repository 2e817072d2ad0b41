//! Short descriptions of machines, sources and times, as reports print them.

use std::collections::HashSet;

use attar_meter::HostFacts;
use attar_meter::source::{Component, Cpu, Description};
use jiff::Timestamp;

/// `2026-11-22T19:11:48Z`: no source here is better than a second.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `25.3 GB`, in units of a thousand million.
pub(super) fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 * 1e-9)
}

/// The processor's name with the numbers that tell it for sure.
pub(super) fn processor(cpu: &Cpu) -> String {
    if *cpu == Cpu::default() {
        return "unknown processor".to_owned();
    }
    let name = if cpu.name.is_empty() { "processor without a name" } else { &cpu.name };
    let vendor = if cpu.vendor.is_empty() { "unknown vendor" } else { &cpu.vendor };
    let guest = if cpu.virtual_machine { ", virtual machine" } else { "" };
    format!("{name} ({vendor} family {} model {} stepping {}{guest})", cpu.family, cpu.model, cpu.stepping)
}

/// The machine in a line.
pub(super) fn machine(host: &HostFacts) -> String {
    let mut words = vec![host.system.clone()];
    words.extend(host.kernel.as_ref().map(|kernel| format!("kernel {kernel}")));
    words.push(processor(&host.cpu));
    words.extend(host.threads.map(|threads| count(threads, "hardware thread")));
    words.extend(host.memory_bytes.map(|bytes| format!("{} of memory", gigabytes(bytes))));
    words.join(", ")
}

/// `1 window`, `2 windows`.
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Each once, in the order of their first.
pub(super) fn distinct(all: impl Iterator<Item = String>) -> Vec<String> {
    let (mut kept, mut seen) = (Vec::new(), HashSet::new());
    for one in all {
        if seen.insert(one.clone()) {
            kept.push(one);
        }
    }
    kept
}

/// What a source is and how far to trust it, in a sentence.
pub(super) fn source(source: &Description) -> String {
    let notes = source.notes.iter().map(|note| format!("; {note}")).collect::<String>();
    let (name, components) = (&source.name, names(&source.components));
    format!("Source {name}: {components}, {}, {}, {}{notes}.", source.method, source.intervals(), source.scope)
}

/// `cpu0, memory0`.
pub(super) fn names(components: &[Component]) -> String {
    components.iter().map(Component::to_string).collect::<Vec<_>>().join(", ")
}
