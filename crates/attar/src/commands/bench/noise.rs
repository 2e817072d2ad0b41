//! What else the machine did while it was measured.

use super::plan::processors;

/// Cores' worth of other work that is worth a word.
const OTHERS: f64 = 0.05;
/// Share of time that a hypervisor may keep back.
const STOLEN: f64 = 0.01;
/// Difference between rounds, of a model or of the machine's peak, that is worth a word.
pub(super) const SPREAD: f64 = 0.10;

/// Watches from before the first measurement to after the last.
pub(super) struct Watch {
    load: Option<f64>,
    machine: Option<ProcessorTicks>,
    own: Option<u64>,
}

/// Time of all processors in ticks, as Linux counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProcessorTicks {
    busy: u64,
    stolen: u64,
    all: u64,
}

impl Watch {
    pub(super) fn begin() -> Watch {
        Watch { load: load(), machine: machine(), own: own() }
    }

    /// What may have disturbed, a sentence each.
    pub(super) fn end(self, threads: &[usize]) -> Vec<String> {
        let mut warnings = Vec::new();
        let cores = processors();
        if let Some(most) = threads.iter().max().filter(|most| **most > cores) {
            warnings.push(format!("{most} threads share {cores} processors"));
        }
        if let Some(load) = self.load.filter(|load| *load > 0.5) {
            warnings.push(format!("the load average was {load:.2} before anything was measured: other programs run"));
        }
        if let (Some(before), Some(after), Some(own_before), Some(own_after)) =
            (self.machine, machine(), self.own, own())
        {
            warnings.extend(disturbances(before, after, own_after.saturating_sub(own_before), cores));
        }
        if let Some(governor) = governor().filter(|governor| governor != "performance") {
            warnings.push(format!("the frequency governor is `{governor}`: the clock may follow the load"));
        }
        warnings
    }
}

/// A word if the machine's peak changed by this factor.
pub(super) fn of_drift(factor: f64) -> Option<String> {
    (factor > 1.0 + SPREAD).then(|| {
        format!(
            "the machine's peak changed by a factor of {factor:.2} meanwhile: its clock changes, or other programs run"
        )
    })
}

fn disturbances(before: ProcessorTicks, after: ProcessorTicks, own: u64, cores: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let all = after.all.saturating_sub(before.all);
    if all == 0 {
        return warnings;
    }
    // Ticks of one processor: the counters are sums over all of them.
    let share = |ticks: u64| ticks as f64 / all as f64;
    let others = share(after.busy.saturating_sub(before.busy).saturating_sub(own)) * cores as f64;
    if others > OTHERS {
        warnings.push(format!("other programs took {others:.2} of {cores} processors while measuring"));
    }
    let stolen = share(after.stolen.saturating_sub(before.stolen));
    if stolen > STOLEN {
        warnings.push(format!("the hypervisor kept back {:.1} % of the processors' time", 100.0 * stolen));
    }
    warnings
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn machine() -> Option<ProcessorTicks> {
    parse_machine(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and guest times that are
/// in user and nice already.
fn parse_machine(stat: &str) -> Option<ProcessorTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let [user, nice, system, idle, iowait, irq, softirq, stolen] = ticks[..].try_into().ok()?;
    let busy = user + nice + system + irq + softirq;
    Some(ProcessorTicks { busy, stolen, all: busy + stolen + idle + iowait })
}

fn own() -> Option<u64> {
    parse_own(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// User and system time of a process and its ended children in `/proc/self/stat`, fields 14 to 17.
fn parse_own(stat: &str) -> Option<u64> {
    // The name, the second field, may hold anything, but no later field holds a parenthesis.
    let (_, after) = stat.rsplit_once(')')?;
    let ticks: Option<Vec<u64>> = after.split_whitespace().skip(11).take(4).map(|field| field.parse().ok()).collect();
    ticks.filter(|ticks| ticks.len() == 4).map(|ticks| ticks.iter().sum())
}

fn governor() -> Option<String> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_linux_are_read() {
        let machine = parse_machine("cpu  10 1 5 100 4 2 3 7 1 0\ncpu0 …").unwrap();
        assert_eq!(machine, ProcessorTicks { busy: 21, stolen: 7, all: 132 });
        assert_eq!(parse_machine("cpu  10 1\n"), None);
        assert_eq!(parse_machine(""), None);
        let stat = "12 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 5 6 7 8 20 0";
        assert_eq!(parse_own(stat), Some(26));
        assert_eq!(parse_own("12 (a) S 1"), None);
    }

    #[test]
    fn others_are_told_from_ourselves() {
        let before = ProcessorTicks { busy: 0, stolen: 0, all: 0 };
        let after = ProcessorTicks { busy: 1500, stolen: 0, all: 2000 };
        assert_eq!(disturbances(before, after, 1500, 2), Vec::<String>::new());
        let warnings = disturbances(before, after, 1000, 2);
        assert_eq!(warnings, ["other programs took 0.50 of 2 processors while measuring"]);
        let stolen = ProcessorTicks { stolen: 100, ..after };
        assert_eq!(disturbances(before, stolen, 1500, 2), ["the hypervisor kept back 5.0 % of the processors' time"]);
        assert_eq!(disturbances(before, before, 0, 2), Vec::<String>::new());
    }

    #[test]
    fn a_steady_machine_is_no_news() {
        assert_eq!(of_drift(1.05), None);
        assert!(of_drift(1.3).unwrap().contains("1.30"));
    }
}
