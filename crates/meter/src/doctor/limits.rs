//! What a control group (cgroup) allows this process: a container sees the whole machine's load
//! and may use only a part of it.

use std::path::Path;

use serde::Serialize;

use crate::cgroup::own_folders;
use crate::free_memory;
use crate::host::Host;

/// The narrowest limits of the control groups that this process is in, first to last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// CPU time a second, in processors.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// The limits of this process; `None` where none is set or the system does not tell.
pub(super) fn limits(host: &Host) -> Option<Limits> {
    let cpus = own_folders(host, "cpu").iter().filter_map(|folder| quota(folder)).reduce(f64::min);
    let memory_bytes = own_folders(host, "memory").iter().filter_map(|folder| free_memory::limit(folder)).min();
    (cpus.is_some() || memory_bytes.is_some()).then_some(Limits { cpus, memory_bytes })
}

/// Processors by quota and period, in either version.
fn quota(folder: &Path) -> Option<f64> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let both = match read("cpu.max") {
        Some(text) => text,
        None => format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim()),
    };
    let mut words = both.split_ascii_whitespace();
    // `max` and -1 mean that there is no limit, and are no such number.
    let quota: u64 = words.next()?.parse().ok()?;
    let period: u64 = words.next()?.parse().ok()?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let host =
            Host { sys: dir.path().join("sys"), proc: dir.path().join("proc"), cpu: crate::source::Cpu::default() };
        (dir, host)
    }

    #[test]
    fn the_narrowest_of_all_levels_counts() {
        let (_dir, host) = host(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.max", "1073741824\n"),
        ]);
        assert_eq!(limits(&host), Some(Limits { cpus: Some(1.5), memory_bytes: Some(1 << 30) }));
    }

    // In a container with a namespace of its own, the mount is the group.
    #[test]
    fn the_mount_itself_is_looked_at() {
        for path in ["/", "/docker/0123", "/../../x"] {
            let groups = format!("0::{path}\n");
            let (_dir, host) = host(&[("proc/self/cgroup", &groups), ("sys/fs/cgroup/cpu.max", "200000 100000")]);
            assert_eq!(limits(&host), Some(Limits { cpus: Some(2.0), memory_bytes: None }), "{path}");
        }
    }

    #[test]
    fn version_1_is_known_too() {
        let (_dir, host) = host(&[
            ("proc/self/cgroup", "12:cpu,cpuacct:/job\n7:memory:/job\n0::/\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(limits(&host), Some(Limits { cpus: Some(0.5), memory_bytes: None }));
    }

    #[test]
    fn nonsense_is_no_limit() {
        for groups in ["", "0", "0::", "::::\n\n", "0::/../..", "a:b:c:d", "\u{0}"] {
            for quota in ["", "max", "0 0", "1 0", "-1 100000", "99999999999999999999 1", "1"] {
                let (_dir, host) = host(&[("proc/self/cgroup", groups), ("sys/fs/cgroup/cpu.max", quota)]);
                assert_eq!(limits(&host), None, "{groups:?} {quota:?}");
            }
        }
        let nowhere = Host { sys: "/nonexistent".into(), proc: "/nonexistent".into(), cpu: Default::default() };
        assert_eq!(limits(&nowhere), None);
    }
}
