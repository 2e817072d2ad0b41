//! Traces: what is written is read, what is read is metered, and what cannot be is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attar_meter::source::{
    Component, Cpu, Domains, GpuChoice, Gpus, Liveness, Rapl, Recorder, Replay, ReplayBoard, Scope, Source,
    SourceChoice, TRACE_SCHEMA, Trace, TraceDevice, TraceHeader, TraceSample, select,
};
use attar_meter::{Clock, GapKind, Host, Joules, ManualClock, Method, Seconds, Watts};
use attar_testing::{assert_close, assert_close_relative};
use proptest::prelude::*;

use crate::scripted::host;
use crate::tree::{RANGE, Tree};

const SECOND: Duration = Duration::from_secs(1);

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.jsonl"))
}

pub(crate) fn device(component: Component) -> TraceDevice {
    let unit_j = Joules::new(1e-3).unwrap();
    TraceDevice { component, name: component.to_string(), unit_j, range: None, method: None, spread: None }
}

pub(crate) fn trace(devices: &[TraceDevice], samples: Vec<TraceSample>) -> Trace {
    let text = r#"{"devices":[],"start":"2026-11-22T12:00:00Z"}"#;
    let header: TraceHeader = serde_json::from_str(text).unwrap();
    Trace { header: TraceHeader { devices: devices.to_vec(), ..header }, samples, torn: None }
}

pub(crate) fn sample(t: f64, device: Component) -> TraceSample {
    let t_s = Seconds::new(t).unwrap();
    TraceSample { t_s, device, energy_j: None, power_w: None, utilization: None, error: None }
}

pub(crate) fn counted(t: f64, joules: f64) -> TraceSample {
    TraceSample { energy_j: Joules::new(joules).ok(), ..sample(t, Component::Cpu(0)) }
}

fn sensed(t: f64, watts: f64) -> TraceSample {
    TraceSample { power_w: Watts::new(watts).ok(), ..sample(t, Component::Cpu(0)) }
}

/// Written to a file, opened, found alive and read once.
fn started(trace: &Trace) -> (Replay, ManualClock) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    trace.write(&path).unwrap();
    opened(&path)
}

fn opened(path: &Path) -> (Replay, ManualClock) {
    let (mut replay, clock) = (Replay::open(path).unwrap(), ManualClock::new());
    assert_eq!(replay.probe(&clock), Liveness::Alive);
    assert!(replay.read(clock.now()).unwrap().parts.is_empty());
    (replay, clock)
}

/// Joules of each step of so many seconds.
fn steps(source: &mut dyn Source, clock: &ManualClock, seconds: &[f64]) -> Vec<f64> {
    let step = |seconds: &f64| {
        clock.advance(Duration::from_secs_f64(*seconds), Duration::ZERO);
        source.read(clock.now()).unwrap().parts.iter().map(|part| part.energy.value().get()).sum()
    };
    seconds.iter().map(step).collect()
}

fn board(name: &str) -> (Gpus, ManualClock) {
    let clock = ManualClock::new();
    let board = ReplayBoard::new(&Trace::read(data(name)).unwrap(), 0, Box::new(clock.clone())).unwrap();
    (Gpus::new(vec![Box::new(board)]), clock)
}

#[test]
fn energy_between_any_two_moments() {
    let samples = vec![counted(5.0, 1000.0), counted(6.0, 1010.0), counted(8.0, 1070.0)];
    let (mut replay, clock) = started(&trace(&[device(Component::Cpu(0))], samples));
    // 10 W for a second, 30 W for two.
    let got = steps(&mut replay, &clock, &[0.5, 1.0, 1.0, 0.5]);
    assert_close("pieces", &got, &[5.0, 20.0, 30.0, 15.0].map(|x: f64| x), 1e-9);
    let description = replay.describe();
    assert_eq!((description.method, description.spread.low()), (Method::Replayed, 0.95));
    assert_eq!(description.resolution.get(), 1.5);
    // Beyond the end there is nothing, and that is said.
    clock.advance(SECOND, SECOND);
    let reading = replay.read(clock.now()).unwrap();
    assert!(reading.parts.is_empty());
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].seconds.get()), (GapKind::ReadFailed, 1.0));
    assert!(reading.gaps[0].detail.contains("the trace ends at 8.00 s"), "{}", reading.gaps[0]);
}

#[test]
fn an_external_meter_is_a_source_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plug.jsonl");
    // As a person might write it: with a mark, with other line ends, without what may be left out.
    let text = "\u{feff}{\"schema\":1,\"trace\":{\"devices\":[{\"component\":\"machine\",\"name\":\"plug\",\"unit_j\":1}],\
                \"start\":\"2026-11-22T12:00:00Z\",\"spread\":{\"low\":0.98,\"high\":1.02}}}\r\n\
                {\"t_s\":0,\"device\":\"machine\",\"power_w\":100}\r\n\r\n{\"t_s\":1,\"device\":\"machine\",\"power_w\":100}\r\n";
    std::fs::write(&path, text).unwrap();
    let clock = ManualClock::new();
    let mut selection = select(SourceChoice::Replay(path), &GpuChoice::All, Scope::Machine, &host(), &clock);
    let source = &mut selection.sources[0];
    assert!(
        selection.reasons[0].starts_with("trace: replayed, source replay, 90 % interval ×0.98"),
        "{:?}",
        selection.reasons
    );
    source.read(clock.now()).unwrap();
    clock.advance(SECOND, SECOND);
    let energy = source.read(clock.now()).unwrap().parts[0].energy;
    assert_eq!((energy.low().get(), energy.value().get(), energy.high().get()), (98.0, 100.0, 102.0));

    let missing = select(SourceChoice::Replay("/nowhere".into()), &GpuChoice::All, Scope::Machine, &host(), &clock);
    assert!(missing.sources.is_empty());
    assert!(missing.reasons[0].contains("cannot read trace /nowhere"), "{:?}", missing.reasons);
}

#[test]
fn the_method_is_what_the_trace_says() {
    let mut cpu = device(Component::Cpu(0));
    cpu.method = Some(Method::Modeled);
    let (replay, _) = started(&trace(&[cpu], vec![counted(0.0, 0.0), counted(1.0, 9.0)]));
    assert_eq!(replay.describe().method, Method::Modeled);
}

#[test]
fn hostile_traces_are_refused_with_their_line() {
    let header = r#"{"schema":1,"trace":{"devices":[{"component":"gpu0","name":"x","unit_j":0.001,"range":null}],"start":"2026-11-22T12:00:00Z","host":null}}"#;
    let line = |rest: &str| format!("{header}\n{{\"t_s\":1,\"device\":\"gpu0\",\"energy_j\":1}}\n{{{rest}}}\n");
    let device = |rest: &str| header.replace(r#""unit_j":0.001,"range":null"#, rest);
    for (text, expected) in [
        (String::new(), "line 1: must be a header with schema 1, got an empty file"),
        ("t,watts\n0,1\n".into(), "got `t,watts`"),
        ("[]\n".into(), "got `[]`"),
        (header.replace("\"schema\":1", "\"schema\":2"), "got schema 2"),
        (header.replace("\"schema\":1,", ""), "got schema null"),
        (header.replace("\"trace\"", "\"host\""), "got no `trace`"),
        (header.replace("\"start\"", "\"begin\""), "line 1: unknown field `begin`"),
        (header.replace("gpu0", "disk0"), "line 1: component must be machine, cpuN"),
        (device("\"unit_j\":0"), "line 1: unit_j must be above 0"),
        (device("\"unit_j\":-1"), "energy in joules must be finite and at least 0"),
        (device("\"unit_j\":1,\"range\":0"), "line 1: range must be at least 1"),
        (device("\"unit_j\":1,\"spread\":{\"low\":1.5,\"high\":2}"), "line 1: spread must be low from 0 to 1"),
        (
            r#"{"schema":1,"trace":{"devices":[],"start":"2026-11-22T12:00:00Z"}}"#.into(),
            "devices must be at least one",
        ),
        (line(r#""t_s":0.5,"device":"gpu0""#), "line 3: t_s must be at least 1, the time of the line before, got 0.5"),
        (line(r#""t_s":1e10,"device":"gpu0""#), "line 3: t_s must be at most"),
        (line(r#""t_s":-1,"device":"gpu0""#), "line 3: time in seconds must be finite and at least 0"),
        (line(r#""t_s":NaN,"device":"gpu0""#), "line 3: expected"),
        (
            line(r#""t_s":2,"device":"gpu0","energy_j":-3"#),
            "line 3: energy in joules must be finite and at least 0, got -3",
        ),
        (line(r#""t_s":2,"device":"gpu0","power_w":NaN"#), "line 3: expected value"),
        (line(r#""t_s":2,"device":"gpu0","power_w":1e999"#), "line 3: number out of range"),
        (line(r#""t_s":2,"device":"gpu0","power":1"#), "line 3: unknown field `power`, expected one of `t_s`"),
        (line(r#""t_s":2,"device":"gpu1","power_w":1"#), "line 3: device must be one of the header's: gpu0, got gpu1"),
        (line(r#""t_s":2,"device":"gpu0","utilization":50"#), "line 3: utilization must be 0 to 1, got 50"),
        (line(r#""t_s":2,"device":"gpu0","energy_j":1e30"#), "line 3: energy_j must be below 2^64 counts"),
        (line(r#""device":"gpu0""#), "line 3: missing field `t_s`"),
        (format!("{header}\n{}", "x".repeat(2 << 20)), "line 2: line must be at most 1048576 bytes long"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        std::fs::write(&path, &text).unwrap();
        let error = Trace::read(&path).err().unwrap_or_else(|| panic!("read: {text:.200}")).to_string();
        assert!(error.contains(expected) && error.contains("trace.jsonl"), "{expected} is missing in\n{error}");
    }
    assert_eq!(TRACE_SCHEMA, 1);
}

#[test]
fn only_an_unfinished_last_line_may_be_torn() {
    let whole = std::fs::read_to_string(data("counter-20ms")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    let torn = &whole[..whole.len() - 20];
    std::fs::write(&path, torn).unwrap();
    let read = Trace::read(&path).unwrap();
    assert_eq!((read.samples.len(), read.torn.as_ref().unwrap().line), (200, 202));
    let (replay, _) = opened(&path);
    assert!(
        replay.describe().notes.iter().any(|note| note.contains("line 202 was torn")),
        "{:?}",
        replay.describe().notes
    );
    // The same beginning of a line anywhere else is a fault.
    std::fs::write(&path, format!("{torn}\n")).unwrap();
    assert!(Trace::read(&path).unwrap_err().to_string().contains("line 202: EOF"));
}

#[test]
fn the_machine_stands_alone() {
    let both = trace(&[device(Component::Cpu(0)), device(Component::Machine)], vec![counted(0.0, 1.0)]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    both.write(&path).unwrap();
    let error = Replay::open(&path).err().unwrap().to_string();
    assert!(error.contains("the machine alone or parts of it alone"), "{error}");
    assert_eq!(Trace::read(&path).unwrap(), both);
}

#[test]
fn a_device_that_uses_nothing_is_no_data() {
    let samples = vec![counted(0.0, 5.0), counted(1.0, 5.0), counted(9.0, 5.0)];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    trace(&[device(Component::Cpu(0))], samples).write(&path).unwrap();
    let life = Replay::open(&path).unwrap().probe(&ManualClock::new());
    assert_eq!(life, Liveness::Dead("cpu0 (cpu0) used nothing in the trace".to_owned()));
}

#[test]
fn counters_are_taken_at_their_word_and_their_period_is_found() {
    for (name, period) in [("counter-20ms", 0.02), ("counter-100ms", 0.1)] {
        let (mut gpus, clock) = board(name);
        assert_eq!(gpus.probe(&clock), Liveness::Alive);
        let description = gpus.describe();
        assert!(description.notes.is_empty() && description.poll.is_none(), "{description:?}");
        // Looked at every 5 ms.
        assert_close("period", &[description.resolution.get()], &[period], 0.005);
        gpus.read(clock.now()).unwrap();
        // At any moment a period is missing or too much; at the edges nothing is.
        let sum: f64 = steps(&mut gpus, &clock, &[0.3; 3]).iter().sum();
        assert_close("0.9 s at 300 W", &[sum], &[270.0], 300.0 * period + 1e-9);

        let (mut gpus, clock) = board(name);
        gpus.probe(&clock);
        gpus.read_at_counter_update(&clock).unwrap();
        clock.advance(SECOND / 7, SECOND / 7);
        let part = gpus.read_at_counter_update(&clock).unwrap().parts.remove(0);
        // Both ends are known to a twentieth of a period.
        let watts = part.energy.value().get() / part.over.as_secs_f64();
        assert_close_relative(
            "power between edges",
            watts,
            300.0,
            2.0 * period / 20.0 / part.over.as_secs_f64() + 1e-9,
        );
        let periods = part.energy.value().get() / 300.0 / period;
        assert_close("whole periods", &[periods], &[periods.round()], 1e-6);
    }
}

#[test]
fn counter_and_sensor_are_compared() {
    for (name, disagree) in [("idle-disagreement", true), ("busy-agreement", false)] {
        let (mut gpus, clock) = board(name);
        assert_eq!(gpus.probe(&clock), Liveness::Alive);
        let notes = gpus.describe().notes.join("\n");
        assert_eq!(notes.contains("energy counter (37.4 W) and power sensor (65.4 W) disagree"), disagree, "{notes}");
    }
}

#[test]
fn a_slow_sensor_is_no_match_for_the_counter() {
    let (mut gpus, clock) = board("square-wave");
    assert_eq!(gpus.probe(&clock), Liveness::Alive);
    let notes = gpus.describe().notes.join("\n");
    assert!(notes.contains("disagree; the counter is used"), "{notes}");
    gpus.read(clock.now()).unwrap();
    let sum: f64 = steps(&mut gpus, &clock, &[0.5, 0.5]).iter().sum();
    assert_close_relative("1 s of the wave", sum, 250.0, 1e-9);
}

#[test]
fn a_driver_reload_is_a_reset() {
    let (mut replay, clock) = opened(&data("driver-reload"));
    clock.advance(SECOND * 2, SECOND * 2);
    let reading = replay.read(clock.now()).unwrap();
    let resets: Vec<_> = reading.gaps.iter().filter(|gap| gap.kind == GapKind::Reset).collect();
    assert_eq!((resets.len(), reading.gaps.len()), (1, 1));
    assert_close_relative("all but a look", reading.parts[0].energy.value().get(), 398.0, 1e-9);
    assert!(reading.parts[0].energy.high().get() >= 400.0);

    let (mut gpus, clock) = board("driver-reload");
    gpus.probe(&clock);
    gpus.read(clock.now()).unwrap();
    clock.advance(SECOND * 3 / 2, SECOND);
    let reading = gpus.read(clock.now()).unwrap();
    assert_eq!((reading.gaps[0].kind, reading.parts[0].energy.value().get()), (GapKind::Reset, 0.0));
}

#[test]
fn a_lost_board_comes_back_with_what_it_used() {
    let (mut gpus, clock) = board("board-lost");
    gpus.probe(&clock);
    gpus.read(clock.now()).unwrap();
    let begin = clock.now().elapsed;
    clock.advance(SECOND * 6 / 5 - begin, SECOND);
    let reading = gpus.read(clock.now()).unwrap();
    assert!(reading.parts.is_empty());
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].detail.as_str()), (GapKind::ReadFailed, "board lost"));
    clock.advance(SECOND * 2 / 5, SECOND);
    let part = gpus.read(clock.now()).unwrap().parts.remove(0);
    assert_close_relative("nothing lost", part.energy.value().get() / part.over.as_secs_f64(), 200.0, 0.02);

    let (mut replay, clock) = opened(&data("board-lost"));
    assert_close_relative("as a source", steps(&mut replay, &clock, &[1.2, 0.8]).iter().sum(), 400.0, 1e-9);
}

#[test]
fn boards_without_a_counter_or_anything() {
    let (mut gpus, clock) = board("no-counter");
    assert_eq!(gpus.probe(&clock), Liveness::Alive);
    assert!(gpus.describe().notes[0].contains("no energy counter (not supported by this board)"));
    let (mut replay, clock) = opened(&data("no-counter"));
    // A ramp from 100 to 200 W in 2 s.
    assert_close("ramp", &steps(&mut replay, &clock, &[1.0, 1.0]), &[125.0, 175.0], 1e-9);
    let (mut gpus, clock) = board("nothing");
    let Liveness::Dead(reason) = gpus.probe(&clock) else { panic!("alive") };
    assert!(reason.contains("reports neither energy nor power"), "{reason}");
}

/// A recording of counters that wrap, replayed, gives what the counters gave.
#[test]
fn counters_are_recorded_raw_and_replayed_with_their_wraps() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", RANGE - 70_000_000, 50.0).zone("intel-rapl:0:0", "dram", 5, 4.0);
    let clock = tree.clock();
    let mut rapl = Rapl::open(tree.sys(), Domains::PackagesAndMemory, false).unwrap();
    assert_eq!(rapl.probe(&clock), Liveness::Alive);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    let host = Host { sys: tree.sys().to_owned(), proc: "/nonexistent".into(), cpu: Cpu::default() };
    let mut recorder = Recorder::start(&path, vec![Box::new(rapl)], &host, SECOND, &clock).unwrap();
    for _ in 0..40 {
        tree.pass(&clock, SECOND / 4);
        recorder.tick(&clock).unwrap();
    }
    recorder.finish().unwrap();
    let recorded = Trace::read(&path).unwrap();
    assert_eq!(recorded.header.devices[0].range, Some(RANGE));
    assert_eq!(recorded.samples.len(), 2 * 11);
    let (mut replay, clock) = opened(&path);
    clock.advance(SECOND * 10, SECOND);
    let reading = replay.read(clock.now()).unwrap();
    assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
    assert_close_relative("packages", reading.parts[0].energy.value().get(), 500.0, 1e-6);
    assert_close_relative("memory", reading.parts[1].energy.value().get(), 40.0, 1e-6);
    assert_close_relative("their interval", reading.parts[1].energy.high().get(), 48.0, 1e-6);
}

/// Times that rise and joules that do, from arbitrary steps.
fn rising(steps: &[(u32, u32)]) -> Vec<(f64, f64)> {
    let mut so_far = (0.0, 1000.0);
    let mut points = vec![so_far];
    for (ms, mj) in steps {
        so_far = (so_far.0 + f64::from(*ms) / 1e3, so_far.1 + f64::from(*mj) / 1e3);
        points.push(so_far);
    }
    points
}

proptest! {
    // Whatever a trace may hold, writing and reading it changes nothing.
    #[test]
    fn read_of_write_is_the_same(
        times in proptest::collection::vec(0.0..1e4_f64, 0..20),
        energy in proptest::option::of(0.0..1e9_f64),
        power in proptest::option::of(0.0..1e6_f64),
        utilization in proptest::option::of(0.0..=1.0_f64),
        error in proptest::option::of(".*"),
        range in proptest::option::of(1..u64::MAX),
    ) {
        let mut times = times;
        times.sort_by(f64::total_cmp);
        let samples = times.iter().map(|t| TraceSample {
            energy_j: energy.and_then(|energy| Joules::new(energy).ok()),
            power_w: power.and_then(|power| Watts::new(power).ok()),
            utilization,
            error: error.clone(),
            ..sample(*t, Component::Cpu(0))
        });
        let written = trace(&[TraceDevice { range, ..device(Component::Cpu(0)) }], samples.collect());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        written.write(&path).unwrap();
        prop_assert_eq!(Trace::read(&path).unwrap(), written);
    }

    // Bytes of any kind are read or refused.
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..3000) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        let mut text = std::fs::read(data("counter-20ms")).unwrap();
        text.truncate(cut);
        text.extend(bytes);
        std::fs::write(&path, text).unwrap();
        if let Ok(mut replay) = Replay::open(&path) {
            replay.probe(&ManualClock::new());
        }
    }

    // However the time is cut, the pieces add up to the whole, and none is negative.
    #[test]
    fn energy_is_additive_over_splits(
        points in proptest::collection::vec((0_u32..5000, 0_u32..50_000), 1..30),
        cuts in proptest::collection::vec(0.0..5.0_f64, 1..20),
        power in any::<bool>(),
    ) {
        let make = if power { sensed } else { counted };
        let samples: Vec<TraceSample> = rising(&points).iter().map(|(t, x)| make(*t, *x)).collect();
        let recorded = trace(&[device(Component::Cpu(0))], samples);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        recorded.write(&path).unwrap();
        let clocks = [ManualClock::new(), ManualClock::new()];
        let mut replays = [Replay::open(&path).unwrap(), Replay::open(&path).unwrap()];
        for (replay, clock) in replays.iter_mut().zip(&clocks) {
            replay.read(clock.now()).unwrap();
        }
        let pieces = steps(&mut replays[0], &clocks[0], &cuts);
        prop_assert!(pieces.iter().all(|joules| *joules >= 0.0));
        clocks[1].advance(clocks[0].now().elapsed, Duration::ZERO);
        let whole = steps(&mut replays[1], &clocks[1], &[0.0])[0];
        // Each share is rounded once.
        let sum: f64 = pieces.iter().sum();
        prop_assert!((sum - whole).abs() <= 1e-9 * whole.max(1.0), "{} is not {}", sum, whole);
    }

    // At constant power it does not matter how often was looked, nor where a counter wraps.
    #[test]
    fn constant_power_comes_out_at_any_rate(
        steps_ms in proptest::collection::vec(1_u32..20_000, 1..40),
        watts in 1_u32..900,
        start in 0_u64..65_536_000,
        power in any::<bool>(),
    ) {
        // Wraps after 65.5 kJ, which at 900 W takes 72 s: longer than any step.
        const COUNTS: u64 = 65_536_000;
        let (mut at, mut samples) = (0_u64, Vec::new());
        for ms in [0].iter().chain(&steps_ms) {
            at += u64::from(*ms);
            let raw = (start + at * u64::from(watts)) % COUNTS;
            let t = at as f64 / 1e3;
            samples.push(if power { sensed(t, f64::from(watts)) } else { counted(t, raw as f64 / 1e3) });
        }
        let cpu = TraceDevice { range: Some(COUNTS), ..device(Component::Cpu(0)) };
        let (mut replay, clock) = started(&trace(&[cpu], samples));
        let expected = at as f64 / 1e3 * f64::from(watts);
        let got = steps(&mut replay, &clock, &[at as f64 / 1e3])[0];
        prop_assert!((got - expected).abs() <= 1e-9 * expected, "{} J is not {} J", got, expected);
    }

    // A recording of what a replay returns, replayed, gives the same.
    #[test]
    fn replay_of_record_is_the_same(points in proptest::collection::vec((100_u32..3000, 1_u32..50_000), 1..12)) {
        let points = rising(&points);
        let samples: Vec<TraceSample> = points.iter().map(|(t, x)| counted(*t, *x)).collect();
        let (replay, clock) = started(&trace(&[device(Component::Cpu(0))], samples));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("again.jsonl");
        let period = Duration::from_millis(50);
        let mut recorder = Recorder::start(&path, vec![Box::new(replay)], &host(), period, &clock).unwrap();
        // Looked at the moments of the first trace too, so that every bend of it is in the second.
        let begin = clock.now().elapsed;
        for (t, _) in &points {
            let until = begin + Duration::from_secs_f64(*t);
            while clock.now().elapsed + period < until {
                clock.advance(period, Duration::ZERO);
                recorder.tick(&clock).unwrap();
            }
            clock.advance(until - clock.now().elapsed, Duration::ZERO);
            recorder.tick(&clock).unwrap();
        }
        recorder.finish().unwrap();
        let end = points.last().unwrap().0 - 0.05;
        let (mut second, clock) = opened(&path);
        let got = steps(&mut second, &clock, &[end])[0];
        let expected: f64 = points.windows(2).map(|pair| {
            let [(t0, e0), (t1, e1)] = [pair[0], pair[1]];
            (e1 - e0) * ((end.min(t1) - t0).max(0.0) / (t1 - t0))
        }).sum();
        // Between looks the energy is spread evenly: a look of 50 ms at most around the end.
        let slope = points.windows(2).map(|p| (p[1].1 - p[0].1) / (p[1].0 - p[0].0)).fold(0.0, f64::max);
        prop_assert!((got - expected).abs() <= slope * 0.1 + 1e-3, "{} J is not {} J", got, expected);
    }
}
