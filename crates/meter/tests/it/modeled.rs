//! The model over fake procfs trees, and on this machine.

use std::path::Path;
use std::time::Duration;

use attar_meter::source::{
    Component, Cpu, IdleShare, Liveness, MEMORY_SPREAD, MEMORY_WATTS_PER_GB, Modeled, Reading, Scope, Source,
};
use attar_meter::{Clock, GapKind, Host, ManualClock, Method, SystemClock};
use proptest::prelude::*;
use tempfile::TempDir;

/// Emerald Rapids: 0.814 to 4.482 W a thread.
fn emerald() -> Cpu {
    Cpu { vendor: "GenuineIntel".into(), family: 6, model: 207, stepping: 2, ..Cpu::default() }
}

/// Two threads, 10 GB, so many ticks used.
fn proc(busy_ticks: u64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path(), busy_ticks);
    std::fs::write(dir.path().join("meminfo"), "MemTotal: 9765625 kB\n").unwrap();
    dir
}

fn set(proc: &Path, busy_ticks: u64) {
    std::fs::write(proc.join("stat"), format!("cpu {busy_ticks} 0 0 99999 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\n"))
        .unwrap();
}

fn started(proc: &Path, scope: Scope, clock: &ManualClock) -> Modeled {
    let mut model = Modeled::new(proc, &emerald(), scope);
    assert_eq!(model.probe(clock), Liveness::Alive);
    assert_eq!(model.read(clock.now()).unwrap(), Reading::default());
    model
}

/// Joules of the processor and of memory after 10 s in which the machine used 12 CPU seconds of
/// its 20 and this process 3.
fn joules(scope: Scope) -> (f64, f64) {
    let (dir, clock) = (proc(1000), ManualClock::new());
    let mut model = started(dir.path(), scope, &clock);
    clock.advance(Duration::from_secs(10), Duration::from_secs(3));
    set(dir.path(), 2200);
    let reading = model.read(clock.now()).unwrap();
    let of = |wanted| {
        reading.parts.iter().find(|part| part.component == wanted).map_or(0.0, |part| part.energy.value().get())
    };
    (of(Component::Cpu(0)), of(Component::Memory(0)))
}

const IDLE: f64 = 0.814_010_416_666_666_6;
const FULL: f64 = 4.482_031_25;

#[track_caller]
fn close(got: (f64, f64), cpu: f64, memory: f64) {
    attar_testing::assert_close("joules", &[got.0, got.1], &[cpu, memory], 1e-9);
}

#[test]
fn the_machine_is_idle_power_and_load() {
    close(joules(Scope::Machine), 20.0 * IDLE + 12.0 * (FULL - IDLE), 8.0);
}

// Phases share by time what this process did not cause, or a phase that computes for a moment
// would be charged with all that others did meanwhile.
#[test]
fn idle_power_and_other_processes_are_background() {
    let (dir, clock) = (proc(1000), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    clock.advance(Duration::from_secs(10), Duration::from_secs(3));
    set(dir.path(), 2200);
    let part = &model.read(clock.now()).unwrap().parts[0];
    close((part.background.get(), 0.0), 20.0 * IDLE + 9.0 * (FULL - IDLE), 0.0);
}

#[test]
fn a_process_is_charged_its_own_time_and_a_share_of_idle() {
    let own = 3.0 * (FULL - IDLE);
    close(joules(Scope::Process(IdleShare::None)), own, 0.0);
    close(joules(Scope::Process(IdleShare::All)), own + 20.0 * IDLE, 8.0);
    close(joules(Scope::Process(IdleShare::Proportional)), own + 20.0 * IDLE * 0.25, 8.0 * 0.25);
}

#[test]
fn intervals_are_those_that_are_stated() {
    let (dir, clock) = (proc(0), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    clock.advance(Duration::from_secs(1), Duration::ZERO);
    let reading = model.read(clock.now()).unwrap();
    for part in &reading.parts {
        let value = part.energy.value().get();
        let (low, high) = if part.component == Component::Memory(0) { (0.25, 5.0) } else { (0.35, 3.8) };
        assert_eq!((part.energy.low().get(), part.energy.high().get()), (value * low, value * high));
        assert_eq!((part.method, part.background), (Method::Modeled, part.energy.value()));
    }
    let description = model.describe();
    // Neither component is shown with the interval of the other.
    for part in &reading.parts {
        let (value, spread) = (part.energy.value().get(), description.spread_of(part.component));
        assert_eq!((part.energy.low().get(), part.energy.high().get()), (value * spread.low(), value * spread.high()));
    }
    assert!(description.intervals().starts_with("cpu0 ×0.35 to ×3.80, memory0 ×"), "{}", description.intervals());
    assert!(description.notes[0].starts_with("Emerald Rapids: 814 mW idle to 4.48 W"), "{:?}", description.notes);
    assert!(description.scope.contains("2 threads, 10.0 GB"), "{}", description.scope);
}

// Measured at the wall, by module and idle, and what calculators take: all within the interval.
#[test]
fn memory_holds_what_was_measured_of_it() {
    let (low, high) = (MEMORY_WATTS_PER_GB * MEMORY_SPREAD.low(), MEMORY_WATTS_PER_GB * MEMORY_SPREAD.high());
    for published in [0.023, 0.07, 0.08, 0.19, 0.284, 0.3725, 0.392] {
        assert!((low..=high).contains(&published), "{published} is not within {low} to {high} W/GB");
    }
    // Two threads, 10 GB, idle: memory is no longer most of what a guest is billed.
    let (dir, clock) = (proc(0), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    clock.advance(Duration::from_secs(10), Duration::ZERO);
    let reading = model.read(clock.now()).unwrap();
    let joules = |part: usize| reading.parts[part].energy.value().get();
    assert!(joules(1) < 0.4 * (joules(0) + joules(1)), "{reading:?}");
}

#[test]
fn splitting_time_changes_nothing() {
    let (dir, clock) = (proc(0), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    let mut sum = 0.0;
    for step in 1..=1000 {
        clock.advance(Duration::from_millis(10), Duration::ZERO);
        set(dir.path(), step);
        sum += model.read(clock.now()).unwrap().parts.iter().map(|part| part.energy.value().get()).sum::<f64>();
    }
    attar_testing::assert_close_relative("sum", sum, 20.0 * IDLE + 10.0 * (FULL - IDLE) + 8.0, 1e-12);
}

#[test]
fn a_failed_read_comes_with_the_next() {
    let (dir, clock) = (proc(0), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    clock.advance(Duration::from_secs(5), Duration::ZERO);
    std::fs::write(dir.path().join("stat"), "").unwrap();
    assert!(model.read(clock.now()).unwrap_err().to_string().contains("stat must hold a line `cpu`"));
    clock.advance(Duration::from_secs(5), Duration::ZERO);
    set(dir.path(), 1200);
    let reading = model.read(clock.now()).unwrap();
    close((reading.parts[0].energy.value().get(), 0.0), 20.0 * IDLE + 12.0 * (FULL - IDLE), 0.0);
    assert_eq!(reading.parts[0].over, Duration::from_secs(10));
}

#[test]
fn load_that_falls_back_is_a_gap() {
    let (dir, clock) = (proc(5000), ManualClock::new());
    let mut model = started(dir.path(), Scope::Machine, &clock);
    clock.advance(Duration::from_secs(10), Duration::ZERO);
    set(dir.path(), 4000);
    let reading = model.read(clock.now()).unwrap();
    assert_eq!(reading.gaps[0].kind, GapKind::Reset);
    close((reading.parts[0].energy.value().get(), 0.0), 20.0 * IDLE, 0.0);
    assert!(reading.parts[0].energy.high().get() >= 20.0 * FULL * 2.0);
}

#[test]
fn without_the_machines_load_the_process_stands_in_and_then_an_assumption() {
    let nowhere = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let model = started(nowhere.path(), Scope::Machine, &clock);
    let description = model.describe();
    assert_eq!(description.components, [Component::Cpu(0)]);
    let notes = description.notes.join("\n");
    assert!(
        notes.contains("only the CPU time of this process counts as active") && notes.contains("memory is not counted"),
        "{notes}"
    );

    let blind = ManualClock::without_cpu_time();
    let model = started(nowhere.path(), Scope::Process(IdleShare::All), &blind);
    let description = model.describe();
    let notes = description.notes.join("\n");
    assert!(notes.contains("half load is assumed") && notes.contains("the whole machine is charged"), "{notes}");
    assert_eq!((description.spread.low(), description.spread.high()), (0.2, 3.8));
}

#[test]
fn memory_alone_and_processor_alone() {
    let dir = proc(0);
    let memory = Modeled::new(dir.path(), &emerald(), Scope::Machine).without_cpu();
    assert_eq!(memory.describe().components, [Component::Memory(0)]);
    let notes = memory.describe().notes;
    assert!(matches!(notes.as_slice(), [only] if only.starts_with("memory at 0.08 W/GB [0.02, 0.40]")), "{notes:?}");
    let cpu = Modeled::new(dir.path(), &emerald(), Scope::Machine).without_memory();
    assert_eq!(cpu.describe().components, [Component::Cpu(0)]);
    let mut neither = Modeled::new(dir.path(), &emerald(), Scope::Machine).without_memory().without_cpu();
    assert!(matches!(neither.probe(&ManualClock::new()), Liveness::Dead(_)));
}

proptest! {
    // A process never costs more than the machine that it runs on, and costs grow with the rule.
    #[test]
    fn a_process_costs_at_most_the_machine(own in 0u64..20_000, others in 0u64..2000) {
        let (dir, clock) = (proc(0), ManualClock::new());
        let shares = [IdleShare::None, IdleShare::Proportional, IdleShare::All];
        let scopes = shares.into_iter().map(Scope::Process).chain([Scope::Machine]);
        let mut models: Vec<Modeled> = scopes.map(|scope| started(dir.path(), scope, &clock)).collect();
        // The machine counts in ticks of 10 ms, rounded up here as its sums are.
        clock.advance(Duration::from_secs(10), Duration::from_millis(own));
        set(dir.path(), own.div_ceil(10) + others);
        let costs: Vec<f64> = models
            .iter_mut()
            .map(|model| model.read(clock.now()).unwrap().parts.iter().map(|part| part.energy.value().get()).sum())
            .collect();
        prop_assert!(costs.is_sorted(), "{costs:?}");
    }
}

// Whatever this runs on: numbers, in order, of the size of a computer.
#[test]
fn this_machine_gets_plausible_numbers() {
    let (host, clock) = (Host::local(), SystemClock::new());
    let mut model = Modeled::new(&host.proc, &host.cpu, Scope::Machine);
    assert_eq!(model.probe(&clock), Liveness::Alive);
    model.read(clock.now()).unwrap();
    clock.spin(Duration::from_millis(200));
    let reading = model.read(clock.now()).unwrap();
    assert!(reading.gaps.is_empty() && !reading.parts.is_empty(), "{reading:?}");
    for part in &reading.parts {
        let [low, value, high] =
            [part.energy.low(), part.energy.value(), part.energy.high()].map(|joules| joules.get());
        assert!(0.0 < low && low < value && value < high, "{part:?}");
        let watts = value / part.over.as_secs_f64();
        assert!((0.05..20_000.0).contains(&watts), "{watts} W for {}", part.component);
    }
}
