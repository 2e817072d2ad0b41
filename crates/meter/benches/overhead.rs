//! What a meter costs the program that it measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use attar_meter::source::{Cpu, Devices, GpuChoice, Modeled, Scope, Selection, Source, SourceChoice, select_with};
use attar_meter::{Clock, Host, ManualClock, Meter, MeterOptions, SystemClock};
use divan::{Bencher, black_box};
use tempfile::TempDir;

fn main() {
    report();
    divan::main();
}

/// Folders and names of two sockets with memory.
const ZONES: [(&str, &str); 4] = [
    ("intel-rapl:0", "package-0"),
    ("intel-rapl:1", "package-1"),
    ("intel-rapl:0:0", "dram"),
    ("intel-rapl:1:0", "dram"),
];

/// A machine of two sockets whose counters stand still after the trial.
fn machine() -> (TempDir, Host) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (id, name) in ZONES {
        let folder = zone(dir.path(), id);
        fs::create_dir_all(&folder).expect("a zone");
        fs::write(folder.join("name"), name).expect("its name");
        fs::write(folder.join("max_energy_range_uj"), "262143328850").expect("its range");
    }
    set_counters(dir.path(), 0);
    let host = Host { sys: dir.path().to_owned(), proc: "/proc".into(), cpu: Cpu::default() };
    (dir, host)
}

fn zone(sys: &Path, id: &str) -> PathBuf {
    sys.join("class/powercap").join(id)
}

fn set_counters(sys: &Path, microjoules: u64) {
    for (i, (id, _)) in (0..).zip(ZONES) {
        // Far apart, or they would pass for mirrors of one counter.
        let shown = microjoules + 1_000_000_000 * i;
        fs::write(zone(sys, id).join("energy_uj"), shown.to_string()).expect("a counter");
    }
}

/// Powercap and nothing else, found alive by a clock that moves the counters while it spins.
fn powercap(sys: &Path, host: &Host) -> Selection {
    let clock = ManualClock::new();
    let (sys, mut microjoules) = (sys.to_owned(), 0);
    clock.on_spin(move |duration| {
        microjoules += duration.as_micros() as u64 * 50;
        set_counters(&sys, microjoules);
    });
    let selection = select_with(Devices::default(), SourceChoice::Auto, &GpuChoice::None, Scope::Machine, host, &clock);
    assert_eq!(selection.sources[0].describe().name, "powercap", "{:?}", selection.reasons);
    selection
}

fn meter(selection: Selection, host: &Host, interval: Duration) -> Meter {
    Meter::start_with(selection, host, Box::new(SystemClock::new()), interval, None).expect("a meter")
}

/// A tick within an interval: two clock reads.
#[divan::bench]
fn tick_without_a_read(bencher: Bencher<'_, '_>) {
    let (dir, host) = machine();
    let mut meter = meter(powercap(dir.path(), &host), &host, Duration::from_secs(30));
    bencher.bench_local(|| meter.tick());
}

/// A tick that ends an interval: four counter files, and a window with their energy.
#[divan::bench]
fn tick_with_a_read(bencher: Bencher<'_, '_>) {
    let (dir, host) = machine();
    let mut meter = meter(powercap(dir.path(), &host), &host, Duration::ZERO);
    bencher.bench_local(|| meter.tick());
}

/// A read of the model: the load from the real `/proc`.
#[divan::bench]
fn model_on_this_machine(bencher: Bencher<'_, '_>) {
    let (mut model, clock) = model();
    bencher.bench_local(|| black_box(model.read(clock.now()).is_ok()));
}

fn model() -> (Modeled, SystemClock) {
    let clock = SystemClock::new();
    let mut model = Modeled::new(Path::new("/proc"), &Cpu::detect(Path::new("/proc")), Scope::Machine);
    model.probe(&clock);
    (model, clock)
}

/// Mean time of a call.
fn mean(mut call: impl FnMut()) -> Duration {
    const CALLS: u32 = 2000;
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed() / CALLS
}

/// The share of one core that a meter takes at its default rate, with a tick every 10 ms.
#[expect(clippy::print_stdout, reason = "a benchmark prints what it ran on and what follows from it")]
fn report() {
    const TICKS_PER_SECOND: f64 = 100.0;
    let interval = MeterOptions::default().interval;
    let (dir, host) = machine();
    let mut quiet = meter(powercap(dir.path(), &host), &host, Duration::from_secs(30));
    let tick = mean(|| quiet.tick());
    let mut busy = meter(powercap(dir.path(), &host), &host, Duration::ZERO);
    let read = mean(|| busy.tick());
    let (mut source, clock) = model();
    let modeled = mean(|| _ = black_box(source.read(clock.now())));
    let share = |read: Duration| {
        let a_second = tick.as_secs_f64() * TICKS_PER_SECOND + read.as_secs_f64() / interval.as_secs_f64();
        100.0 * a_second
    };
    let cpu = Cpu::detect(Path::new("/proc"));
    println!("{} {} on `{}`", std::env::consts::OS, std::env::consts::ARCH, cpu.name);
    println!(
        "share of a core at 100 ticks a second and a read every {} s: {:.4} % with powercap, {:.4} % with the model \
         (goal: below 0.1 %)",
        interval.as_secs(),
        share(read),
        share(modeled + tick),
    );
}
