//! A sysfs tree with powercap zones whose counters run while a clock keeps a core busy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attar_meter::ManualClock;
use tempfile::TempDir;

/// The usual range of a package, in µJ.
pub(crate) const RANGE: u64 = 262_143_328_850;

pub(crate) struct Tree {
    dir: TempDir,
    running: Arc<Mutex<Vec<Running>>>,
}

struct Running {
    path: PathBuf,
    microjoules: u64,
    watts: f64,
    range: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("class/powercap")).unwrap();
        Self { dir, running: Arc::default() }
    }

    pub(crate) fn sys(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of a zone.
    pub(crate) fn folder(&self, id: &str) -> PathBuf {
        self.dir.path().join("class/powercap").join(id)
    }

    /// A zone that draws so many watts, with its counter at a start.
    pub(crate) fn zone(&self, id: &str, name: &str, start: u64, watts: f64) -> &Self {
        let folder = self.folder(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("name"), format!("{name}\n")).unwrap();
        fs::write(folder.join("energy_uj"), format!("{start}\n")).unwrap();
        fs::write(folder.join("max_energy_range_uj"), format!("{RANGE}\n")).unwrap();
        let path = folder.join("energy_uj");
        self.running.lock().unwrap().push(Running { path, microjoules: start, watts, range: RANGE });
        self
    }

    pub(crate) fn file(&self, id: &str, name: &str, content: &str) -> &Self {
        fs::create_dir_all(self.folder(id)).unwrap();
        fs::write(self.folder(id).join(name), content).unwrap();
        self
    }

    pub(crate) fn remove(&self, id: &str, name: &str) -> &Self {
        fs::remove_file(self.folder(id).join(name)).unwrap();
        self
    }

    /// A file anywhere below the root.
    pub(crate) fn at(&self, path: &str, content: &str) -> &Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// A counter in microjoules anywhere below the root, of a device that draws so many watts.
    pub(crate) fn counter_at(&self, path: &str, start: u64, watts: f64) -> &Self {
        self.at(path, &format!("{start}\n"));
        let path = self.dir.path().join(path);
        self.running.lock().unwrap().push(Running { path, microjoules: start, watts, range: u64::MAX });
        self
    }

    /// The perf unit `power` with these events, on these processors.
    pub(crate) fn unit(&self, events: &[(&str, u64)], cpumask: &str) -> &Self {
        const UNIT: &str = "bus/event_source/devices/power";
        self.at(&format!("{UNIT}/type"), "21\n").at(&format!("{UNIT}/cpumask"), &format!("{cpumask}\n"));
        for (name, config) in events {
            self.at(&format!("{UNIT}/events/{name}"), &format!("event={config:#04x}\n"));
            self.at(&format!("{UNIT}/events/{name}.unit"), "Joules\n");
            self.at(&format!("{UNIT}/events/{name}.scale"), "2.3283064365386962890625e-10\n");
        }
        self
    }

    /// From now on this zone draws so much.
    pub(crate) fn set_watts(&self, id: &str, watts: f64) {
        let folder = self.folder(id);
        for zone in self.running.lock().unwrap().iter_mut().filter(|zone| zone.path.starts_with(&folder)) {
            zone.watts = watts;
        }
    }

    /// A clock on which the counters run while a core is kept busy.
    pub(crate) fn clock(&self) -> ManualClock {
        let clock = ManualClock::new();
        clock.on_spin(self.spinner());
        clock
    }

    /// Lets so much time pass on the counters.
    pub(crate) fn spinner(&self) -> impl Fn(Duration) + Send + 'static {
        let running = Arc::clone(&self.running);
        move |duration| run(&running, duration)
    }

    /// Lets time pass on the clock and the counters.
    pub(crate) fn pass(&self, clock: &ManualClock, duration: Duration) {
        clock.advance(duration, duration);
        run(&self.running, duration);
    }
}

fn run(running: &Mutex<Vec<Running>>, duration: Duration) {
    for zone in running.lock().unwrap().iter_mut() {
        zone.microjoules = (zone.microjoules + (zone.watts * duration.as_secs_f64() * 1e6).round() as u64) % zone.range;
        // A zone whose file a test has spoiled stays spoiled.
        let sound = fs::read_to_string(&zone.path).is_ok_and(|text| text.trim().parse::<u64>().is_ok());
        if sound {
            fs::write(&zone.path, format!("{}\n", zone.microjoules)).unwrap();
        }
    }
}
