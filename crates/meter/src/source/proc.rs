//! What Linux's procfs tells about load and size, below a root (`/proc`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{SourceError, files};

/// Ticks of `/proc/stat` in a second, the same on every architecture that Rust's Linux runs on
/// (USER_HZ).
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that all processes together have used since boot.
///
/// User, nice, system and interrupt time. Guests' time is already inside user time, so it is not
/// added again; stolen time was spent by someone else; waiting is idle.
pub(crate) fn busy_seconds(proc: &Path) -> Result<f64, SourceError> {
    const EXPECTED: &str = "a line `cpu` with at least four tick counts";
    let path = proc.join("stat");
    let text = files::text(&path)?;
    let first = text.lines().next().unwrap_or_default();
    let mut words = first.split_ascii_whitespace();
    let ticks: Option<Vec<u64>> =
        (words.next() == Some("cpu")).then(|| words.map_while(|word| word.parse().ok()).collect());
    match ticks.as_deref() {
        Some([user, nice, system, _idle, rest @ ..]) => {
            // After idle: waiting, interrupts, soft interrupts, stolen, guest, guest nice.
            let interrupts = rest.iter().skip(1).take(2);
            let busy: u128 = [user, nice, system].into_iter().chain(interrupts).map(|ticks| u128::from(*ticks)).sum();
            Ok(busy as f64 / TICKS_PER_SECOND)
        }
        _ => Err(files::content(&path, EXPECTED, first)),
    }
}

/// CPU time of one process, in ticks.
pub(crate) struct Times {
    /// Of itself, all threads together.
    pub(crate) own: u64,
    /// Of its children that have ended and been waited for.
    pub(crate) ended_children: u64,
    /// When it started, which tells it from a later one of the same number.
    pub(crate) start: u64,
}

/// What a process's `stat` file says; `None` if it is not there or holds something else.
pub(crate) fn times(stat: &Path) -> Option<Times> {
    let text = std::fs::read_to_string(stat).ok()?;
    // The name in brackets may hold anything, so counting starts behind its last bracket.
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace().skip(11);
    let ticks: Vec<u64> = words.by_ref().take(4).map_while(|word| word.parse().ok()).collect();
    let start = words.nth(4).and_then(|word| word.parse().ok()).unwrap_or(0);
    match ticks.as_slice() {
        [user, system, children_user, children_system] => Some(Times {
            start,
            own: user.saturating_add(*system),
            ended_children: children_user.saturating_add(*children_system),
        }),
        _ => None,
    }
}

/// Hardware threads that are online.
pub(crate) fn threads(proc: &Path) -> Option<usize> {
    let text = files::text(&proc.join("stat")).ok()?;
    let numbered =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(text.lines().filter(numbered).count()).filter(|count| *count > 0)
}

/// Processor packages: one where the system does not report it.
pub(crate) fn packages(proc: &Path) -> usize {
    let text = cpuinfo(proc).unwrap_or_default();
    let numbers = text.lines().filter_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == "physical id"));
    numbers.map(|(_, number)| number.trim()).collect::<BTreeSet<_>>().len().max(1)
}

/// Main memory in bytes.
pub(crate) fn memory_bytes(proc: &Path) -> Option<u64> {
    bytes(&proc.join("meminfo"), "MemTotal:")
}

/// Bytes that programs could have without anything else giving way but caches, and what is left of the swap space.
pub(crate) fn available_bytes(proc: &Path) -> Option<u64> {
    let meminfo = proc.join("meminfo");
    bytes(&meminfo, "MemAvailable:").map(|memory| memory.saturating_add(bytes(&meminfo, "SwapFree:").unwrap_or(0)))
}

/// Bytes of main memory that this process has.
pub(crate) fn resident_bytes(proc: &Path) -> Option<u64> {
    bytes(&proc.join("self/status"), "VmRSS:")
}

/// What a line of the form `key  number kB` says, in bytes.
fn bytes(path: &Path, key: &str) -> Option<u64> {
    let text = files::text(path).ok()?;
    let kibibytes: u64 =
        text.lines().find_map(|line| line.strip_prefix(key))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The living children of a process, started by any of its threads. `process` is its folder, such as `/proc/self`.
pub(crate) fn children(process: &Path) -> Vec<u32> {
    let numbers = |list: PathBuf| {
        let text = std::fs::read_to_string(list).unwrap_or_default();
        text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()
    };
    child_lists(process).flat_map(numbers).collect()
}

/// Whether the kernel lists the children of processes.
pub(crate) fn lists_children(proc: &Path) -> bool {
    child_lists(&proc.join("self")).any(|list| list.exists())
}

fn child_lists(process: &Path) -> impl Iterator<Item = PathBuf> {
    let threads = std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path().join("children"))
}

/// The number that the kernel draws at its start. A sandbox may draw one for each look: then none.
pub(crate) fn boot_id(proc: &Path) -> Option<String> {
    let look = || files::text(&proc.join("sys/kernel/random/boot_id")).ok().filter(|id| !id.is_empty());
    look().filter(|first| look().as_ref() == Some(first))
}

/// Version of the kernel.
pub(crate) fn kernel_version(proc: &Path) -> Option<String> {
    files::text(&proc.join("sys/kernel/osrelease")).ok()
}

/// The level of `kernel.perf_event_paranoid`.
pub(crate) fn perf_event_paranoid(proc: &Path) -> Option<String> {
    files::text(&proc.join("sys/kernel/perf_event_paranoid")).ok()
}

/// The text of `cpuinfo`.
pub(crate) fn cpuinfo(proc: &Path) -> Option<String> {
    std::fs::read_to_string(proc.join("cpuinfo")).ok()
}

/// The control groups of this process, one line each.
pub(crate) fn control_groups(proc: &Path) -> Option<String> {
    std::fs::read_to_string(proc.join("self/cgroup")).ok()
}

/// The mounts that this process sees, one line each.
pub(crate) fn mounts(proc: &Path) -> Option<String> {
    std::fs::read_to_string(proc.join("self/mountinfo")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proc(stat: &str, meminfo: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("stat"), stat).unwrap();
        std::fs::write(dir.path().join("meminfo"), meminfo).unwrap();
        dir
    }

    #[test]
    fn busy_time_leaves_out_idle_stolen_and_guests_counted_twice() {
        let stat = "cpu  100 20 30 4000 500 6 7 80 90 10\ncpu0 50 10 15 2000 0 0 0\ncpu1 50 10 15 2000\nintr 1\n";
        let dir = proc(stat, "MemTotal:       24684084 kB\nMemFree: 1 kB\n");
        assert_eq!(busy_seconds(dir.path()).unwrap(), 1.63);
        assert_eq!(threads(dir.path()), Some(2));
        assert_eq!(memory_bytes(dir.path()), Some(24_684_084 * 1024));
    }

    #[test]
    fn other_content_is_an_error_that_names_the_file() {
        for bad in ["", "cpu", "cpu 1 2 3", "cpu a b c d", "intr 1 2 3 4 5", "\0\0\0"] {
            let dir = proc(bad, "MemTotal: lots\n");
            let error = busy_seconds(dir.path()).unwrap_err().to_string();
            assert!(error.contains("stat must hold a line `cpu`"), "{error}");
            assert_eq!((threads(dir.path()), memory_bytes(dir.path())), (None, None));
        }
        let nowhere = Path::new("/nonexistent");
        assert!(matches!(busy_seconds(nowhere), Err(SourceError::File { .. })));
        assert_eq!((threads(nowhere), memory_bytes(nowhere)), (None, None));
    }
}
