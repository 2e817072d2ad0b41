//! CPU time of a control group: of a container, a service or a job that another program started.

mod folders;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, Moment, SystemClock};

pub(crate) use folders::own_folders;

/// The clocks of this machine, with the CPU time of a control group in place of this process's own.
///
/// Reads `cpu.stat` (version 2) or `cpuacct.usage` (version 1) of the group's folder, which hold the time
/// of all processes in it and in the groups below, ended ones included.
#[derive(Debug, Clone)]
pub struct CgroupClock {
    system: SystemClock,
    folder: PathBuf,
}

/// A folder that is no control group with CPU time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} must be the folder of a control group, with cpu.stat or cpuacct.usage in it; look below /sys/fs/cgroup",
    folder.display()
)]
pub struct CgroupError {
    /// The folder given.
    pub folder: PathBuf,
}

impl CgroupClock {
    /// The clock of a control group by its folder.
    ///
    /// # Errors
    /// If nothing in the folder tells CPU time.
    pub fn new(folder: &Path) -> Result<Self, CgroupError> {
        let clock = Self { system: SystemClock::new(), folder: folder.to_owned() };
        match clock.cpu() {
            Some(_) => Ok(clock),
            None => Err(CgroupError { folder: folder.to_owned() }),
        }
    }

    fn cpu(&self) -> Option<Duration> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        let v2 = || {
            let text = read("cpu.stat")?;
            let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
            Some(Duration::from_micros(line.trim().parse().ok()?))
        };
        let v1 = || Some(Duration::from_nanos(read("cpuacct.usage")?.trim().parse().ok()?));
        v2().or_else(v1)
    }
}

impl Clock for CgroupClock {
    fn now(&self) -> Moment {
        Moment { cpu: self.cpu(), ..self.system.now() }
    }

    fn utc(&self) -> Timestamp {
        self.system.utc()
    }

    fn suspended(&self) -> Duration {
        self.system.suspended()
    }

    fn processes(&self) -> Vec<u32> {
        let (mut processes, mut waiting) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = waiting.pop() {
            let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            processes.extend(text.lines().filter_map(|line| line.trim().parse::<u32>().ok()));
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            // Groups below: links lead elsewhere.
            waiting.extend(entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
        }
        processes.sort_unstable();
        processes
    }

    fn spin(&self, duration: Duration) {
        self.system.spin(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_tell_the_time_of_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let error = CgroupClock::new(dir.path()).unwrap_err().to_string();
        assert!(error.contains("must be the folder of a control group"), "{error}");
        std::fs::write(dir.path().join("cpuacct.usage"), "1500000000\n").unwrap();
        let clock = CgroupClock::new(dir.path()).unwrap();
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(1500)));
        std::fs::write(dir.path().join("cpu.stat"), "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n").unwrap();
        std::fs::write(dir.path().join("cgroup.procs"), "7\n9\n").unwrap();
        // Slices and jobs keep their processes in groups below.
        std::fs::create_dir_all(dir.path().join("step_0/task_1")).unwrap();
        std::fs::write(dir.path().join("step_0/task_1/cgroup.procs"), "8\n").unwrap();
        assert_eq!((clock.now().cpu, clock.processes()), (Some(Duration::from_millis(2500)), vec![7, 8, 9]));
        // A group that is gone tells nothing more.
        std::fs::write(dir.path().join("cpu.stat"), "").unwrap();
        std::fs::remove_file(dir.path().join("cpuacct.usage")).unwrap();
        assert_eq!(clock.now().cpu, None);
    }
}
