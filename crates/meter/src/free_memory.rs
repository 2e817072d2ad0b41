//! How much main memory this process can have.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cgroup::own_folders;
use crate::host::Host;
use crate::source::proc;

/// Version 1 of control groups says a number near the largest of a signed 64-bit page count where there is no limit.
const UNLIMITED: u64 = 1 << 60;

/// The main memory that this process can have altogether, what it has already included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FreeMemory {
    /// Bytes.
    pub bytes: u64,
    /// The control group (container, service, job) whose limit it is; `None` where it is what the machine has left.
    pub group: Option<PathBuf>,
}

impl FreeMemory {
    /// What this machine can give; `None` where the system does not tell, as outside Linux.
    pub fn here() -> Option<FreeMemory> {
        FreeMemory::of(&Host::local())
    }

    fn of(host: &Host) -> Option<FreeMemory> {
        let own = proc::resident_bytes(&host.proc)?;
        let machine = proc::available_bytes(&host.proc).map(|bytes| FreeMemory { bytes: bytes + own, group: None });
        let group = |folder: PathBuf| {
            let bytes = limit(&folder)?.saturating_sub(used(&folder)?) + own;
            Some(FreeMemory { bytes, group: Some(folder) })
        };
        let groups = own_folders(host, "memory").into_iter().filter_map(group);
        machine.into_iter().chain(groups).min_by_key(|free| free.bytes)
    }
}

/// The limit of a group in bytes, if it has one.
pub(crate) fn limit(group: &Path) -> Option<u64> {
    let text = read(group, "memory.max").or_else(|| read(group, "memory.limit_in_bytes"))?;
    text.trim().parse().ok().filter(|bytes| *bytes < UNLIMITED)
}

/// What a group has in use, without the files that it only keeps cached and gives back when asked.
fn used(group: &Path) -> Option<u64> {
    let text = read(group, "memory.current").or_else(|| read(group, "memory.usage_in_bytes"))?;
    let all: u64 = text.trim().parse().ok()?;
    let statistics = read(group, "memory.stat").unwrap_or_default();
    // Version 1 calls what includes groups below `total_…`.
    let cached = |key: &str| statistics.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    let cached: u64 = cached("total_inactive_file ").or_else(|| cached("inactive_file ")).unwrap_or(0);
    Some(all.saturating_sub(cached))
}

fn read(group: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(group.join(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal: 8000 kB\nMemAvailable:    6000 kB\nSwapFree: 1000 kB\n";
    const STATUS: &str = "Name:\tattar\nVmHWM:\t 900 kB\nVmRSS:\t     500 kB\n";

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        let always = [("proc/meminfo", MEMINFO), ("proc/self/status", STATUS)];
        for (name, content) in always.iter().chain(files) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let host = Host { sys: dir.path().join("sys"), proc: dir.path().join("proc"), cpu: Default::default() };
        (dir, host)
    }

    #[test]
    fn what_the_machine_has_left_and_the_process_has_already() {
        let (_dir, host) = host(&[]);
        assert_eq!(FreeMemory::of(&host), Some(FreeMemory { bytes: 7500 * 1024, group: None }));
        let nowhere = Host { proc: "/nonexistent".into(), ..host };
        assert_eq!(FreeMemory::of(&nowhere), None);
    }

    #[test]
    fn the_narrowest_group_counts_without_its_cache() {
        let (_dir, host) = host(&[
            ("proc/self/cgroup", "0::/service/job\n"),
            ("sys/fs/cgroup/service/memory.max", "max\n"),
            ("sys/fs/cgroup/service/memory.current", "900000\n"),
            ("sys/fs/cgroup/service/job/memory.max", "2000000\n"),
            ("sys/fs/cgroup/service/job/memory.current", "700000\n"),
            ("sys/fs/cgroup/service/job/memory.stat", "anon 500000\ninactive_file 200000\nactive_file 7\n"),
        ]);
        let free = FreeMemory::of(&host).unwrap();
        assert_eq!(free.bytes, 2_000_000 - 500_000 + 500 * 1024);
        assert!(free.group.unwrap().ends_with("service/job"));
    }

    #[test]
    fn version_1_and_nonsense() {
        let files = |limit: &'static str| {
            [
                ("proc/self/cgroup", "7:memory:/job\n3:cpu:/job\n"),
                ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", limit),
                ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "700000\n"),
                ("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 600000\n"),
            ]
        };
        let (_dir, limited) = host(&files("1000000\n"));
        assert_eq!(FreeMemory::of(&limited).unwrap().bytes, 1_000_000 - 100_000 + 500 * 1024);
        for none in ["9223372036854771712", "max", "", "-1"] {
            let (_dir, unlimited) = host(&files(none));
            assert_eq!(FreeMemory::of(&unlimited).unwrap().group, None, "{none:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_some() {
        let free = FreeMemory::here().unwrap();
        assert!(free.bytes > 1 << 20, "{free:?}");
    }
}
