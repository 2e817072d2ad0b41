//! CPU time of a process's children and their children, for a program that meters another one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, Moment, SystemClock};
use crate::source::proc::{self, TICKS_PER_SECOND};

/// The clocks of this machine, with the CPU time of all that this process has started in place of
/// its own: children, their children, and those of them that have ended.
///
/// Read from procfs, in ticks of 10 ms; costs some ten microseconds for each living process, so
/// it is for meters that look once in a while. A grandchild whose parent ends before it is counted
/// only where this process adopts it (on Linux: as its subreaper). Of a process whose parent asks
/// the system to forget it (ignoring SIGCHLD), what it used after the last update is lost.
#[derive(Clone)]
pub struct ProcessTreeClock {
    system: SystemClock,
    proc: PathBuf,
    seen: Arc<Mutex<TreeTimes>>,
}

/// What was seen so far, in ticks.
#[derive(Default)]
struct TreeTimes {
    total: u64,
    /// Of ended children of this process.
    ended: Option<u64>,
    living: BTreeMap<(u32, u64), Ticks>,
    /// Already counted of processes that ended, but not yet come back through their parents: since
    /// the last look, and since the one before.
    owed: [u64; 2],
}

#[derive(Clone, Copy)]
struct Ticks {
    own: u64,
    ended: u64,
}

impl ProcessTreeClock {
    /// Counts what is started from now on, as the procfs at `proc` (`/proc`) tells.
    pub fn new(proc: &Path) -> Self {
        let mut seen = TreeTimes::default();
        let looked = seen.update(proc);
        // What was there before is not counted, nor is it when it ends.
        seen.total = 0;
        let seen = if looked.is_some() { seen } else { TreeTimes::default() };
        Self { system: SystemClock::new(), proc: proc.to_owned(), seen: Arc::new(Mutex::new(seen)) }
    }

    /// The living descendants of this process.
    pub fn processes(&self) -> Vec<u32> {
        let mut processes = proc::children(&self.proc.join("self"));
        let mut next = 0;
        while let Some(member) = processes.get(next) {
            let further = proc::children(&self.proc.join(member.to_string()));
            processes.extend(further);
            next += 1;
        }
        processes
    }

    fn cpu(&self) -> Option<Duration> {
        // A panic elsewhere leaves the numbers whole, so a poisoned lock is still good.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.update(&self.proc)?;
        Duration::try_from_secs_f64(seen.total as f64 / TICKS_PER_SECOND).ok()
    }
}

impl TreeTimes {
    /// Adds what was used since the last update: what living processes used more, and what came back
    /// through parents of children that ended, less what had been seen of those.
    fn update(&mut self, proc: &Path) -> Option<()> {
        // Ended children first: one that ends meanwhile is missing for now instead of counted twice.
        let ended = proc::times(&proc.join("self/stat"))?.ended_children;
        let mut back = ended.saturating_sub(self.ended.unwrap_or(ended));
        self.ended = Some(ended);
        let mut living = BTreeMap::new();
        let mut waiting = proc::children(&proc.join("self"));
        while let Some(process) = waiting.pop() {
            let folder = proc.join(process.to_string());
            // Gone in the meantime: its time is with its parent by now.
            let Some(times) = proc::times(&folder.join("stat")) else { continue };
            let now = Ticks { own: times.own, ended: times.ended_children };
            let before = self.living.remove(&(process, times.start)).unwrap_or(Ticks { own: 0, ended: 0 });
            self.total = self.total.saturating_add(now.own.saturating_sub(before.own));
            back = back.saturating_add(now.ended.saturating_sub(before.ended));
            living.insert((process, times.start), now);
            waiting.extend(proc::children(&folder));
        }
        // Those left over have ended.
        let gone: u64 = self.living.values().map(|ticks| ticks.own.saturating_add(ticks.ended)).sum();
        self.living = living;
        let [recent, old] = self.owed;
        let from_old = back.min(old);
        let from_recent = (back - from_old).min(recent);
        let from_gone = (back - from_old - from_recent).min(gone);
        self.total = self.total.saturating_add(back - from_old - from_recent - from_gone);
        // What has not come back after two looks never will: its parent did not ask for it.
        self.owed = [gone - from_gone, recent - from_recent];
        Some(())
    }
}

impl Clock for ProcessTreeClock {
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
        ProcessTreeClock::processes(self)
    }

    fn spin(&self, duration: Duration) {
        self.system.spin(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A process with its own ticks, those of its ended children, and its living children.
    fn process(proc: &Path, name: &str, own: (u64, u64), ended: (u64, u64), children: &str) {
        let task = proc.join(name).join("task/1");
        fs::create_dir_all(&task).unwrap();
        // A name may hold anything, closing brackets and blanks too.
        let stat = format!(
            "1 (a) b (c) S 1 1 1 0 -1 0 1 2 3 4 {} {} {} {} 20 0 1 0 100 1 1\n",
            own.0, own.1, ended.0, ended.1
        );
        fs::write(proc.join(name).join("stat"), stat).unwrap();
        fs::write(task.join("children"), children).unwrap();
    }

    #[test]
    fn counts_children_living_and_ended_but_not_itself() {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path();
        process(proc, "self", (900, 900), (10, 5), "");
        let clock = ProcessTreeClock::new(proc);
        assert_eq!(clock.now().cpu, Some(Duration::ZERO));
        process(proc, "self", (999, 999), (10, 5), "7 8 ");
        process(proc, "7", (100, 20), (3, 2), "9");
        process(proc, "8", (0, 0), (0, 0), "");
        process(proc, "9", (50, 0), (0, 0), "77");
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(1750)));
        assert_eq!(clock.processes(), [7, 8, 9, 77]);
        // 9 ends: 7 has its time. Then 7 ends, but is not yet collected: nothing falls back.
        process(proc, "7", (100, 20), (53, 2), "");
        fs::remove_dir_all(proc.join("9")).unwrap();
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(1750)));
        fs::remove_dir_all(proc.join("7")).unwrap();
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(1750)));
        process(proc, "self", (999, 999), (10 + 153, 5 + 22), "8");
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(1750)));
        // 8 works, starts another that nobody waits for, and loses it.
        process(proc, "8", (10, 0), (0, 0), "11");
        process(proc, "11", (30, 0), (0, 0), "");
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(2150)));
        fs::remove_dir_all(proc.join("11")).unwrap();
        process(proc, "8", (15, 0), (0, 0), "");
        for _ in 0..3 {
            assert_eq!(clock.now().cpu, Some(Duration::from_millis(2200)));
        }
        // What comes later is counted in full.
        process(proc, "8", (15, 0), (40, 0), "");
        assert_eq!(clock.now().cpu, Some(Duration::from_millis(2600)));
    }

    #[test]
    fn without_procfs_nothing_is_told() {
        assert_eq!(ProcessTreeClock::new(Path::new("/nonexistent")).now().cpu, None);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("self")).unwrap();
        for bad in ["", "1 (a", "1 (a) S 1 2", "1 (a) S 1 1 1 0 -1 0 1 2 3 4 x y z w"] {
            fs::write(dir.path().join("self/stat"), bad).unwrap();
            assert_eq!(ProcessTreeClock::new(dir.path()).now().cpu, None, "{bad}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_real_child_is_counted() {
        let clock = ProcessTreeClock::new(Path::new("/proc"));
        let before = clock.now().cpu.unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        let used = clock.now().cpu.unwrap() - before;
        assert!(used >= Duration::from_millis(20), "{used:?}");
    }
}
