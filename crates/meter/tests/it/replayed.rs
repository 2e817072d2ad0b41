//! What a replay is called, and what it says of a device that was lost in mid-run.

use std::time::Duration;

use attar_meter::source::{Component, GpuChoice, Scope, SourceChoice, TraceSample, select};
use attar_meter::{GapKind, Host, HostFacts, ManualClock, Meter, MeterOptions, Method};
use attar_testing::assert_close_relative;

use crate::replay::{counted, device, sample, trace};
use crate::scripted::host;

const SECOND: Duration = Duration::from_secs(1);

// A counter that is lost in mid-run: its energy up to then is known, that of the rest is bounded by it.
#[test]
fn what_is_lost_in_mid_run_raises_the_upper_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    let lost = |t| TraceSample { error: Some("board lost".to_owned()), ..sample(t, Component::Cpu(0)) };
    let stuck = |t| counted(t, 100.0);
    let run = |rest: Vec<TraceSample>| {
        let first: Vec<TraceSample> = (0..=10).map(|t| counted(f64::from(t), 10.0 * f64::from(t))).collect();
        trace(&[device(Component::Cpu(0))], [first, rest].concat()).write(&path).unwrap();
        let clock = ManualClock::new();
        let options = MeterOptions { sources: SourceChoice::Replay(path.clone()), ..MeterOptions::default() };
        let mut meter = Meter::start_on(&host(), Box::new(clock.clone()), options, None).unwrap();
        for _ in 0..30 {
            clock.advance(SECOND, SECOND);
            meter.flush();
        }
        clock.advance(SECOND, SECOND);
        meter.finish()
    };
    // 100 J in 10 s; of the 21 s after that nothing is known.
    for rest in [vec![], vec![lost(11.0), lost(31.0)], vec![stuck(11.0), stuck(31.0)]] {
        let totals = run(rest);
        let energy = totals.energy().unwrap();
        assert_close_relative("value", energy.value().get(), 100.0, 1e-6);
        assert_close_relative("high", energy.high().get(), 105.0 + 10.5 * 21.0, 1e-6);
        let gap = totals.gaps.iter().find(|gap| gap.kind == GapKind::Lost).unwrap();
        assert_eq!((gap.of.as_str(), gap.seconds.get()), ("cpu0", 21.0));
    }
    // What comes back covers all of it.
    let totals = run(vec![lost(20.0), counted(31.0, 310.0)]);
    assert_close_relative("high", totals.energy().unwrap().high().get(), 310.0 * 1.05, 1e-6);
    assert!(totals.gaps.iter().all(|gap| gap.kind != GapKind::Lost), "{:?}", totals.gaps);
}

#[test]
fn a_trace_is_required_to_be_measured_only_where_it_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    std::fs::create_dir_all(dir.path().join("sys/kernel/random")).unwrap();
    std::fs::write(dir.path().join("sys/kernel/random/boot_id"), "of this start\n").unwrap();
    let here = Host { proc: dir.path().to_owned(), ..host() };
    let required = |boot: Option<&str>, method: Method| {
        let mut cpu = device(Component::Cpu(0));
        cpu.method = Some(method);
        let mut trace = trace(&[cpu], vec![counted(0.0, 0.0), counted(1.0, 9.0)]);
        trace.header.host = boot.map(|boot| HostFacts { boot: Some(boot.to_owned()), ..here.facts() });
        trace.write(&path).unwrap();
        let clock = ManualClock::new();
        let mut selection = select(SourceChoice::Replay(path.clone()), &GpuChoice::All, Scope::Machine, &here, &clock);
        // Whoever recorded it: what is billed is replayed.
        assert_eq!(selection.sources[0].describe().method, method.max(Method::Replayed));
        selection.require(Method::Measured).map_err(|reasons| reasons.join("; "))
    };
    assert_eq!(required(Some("of this start"), Method::Measured), Ok(()));
    for (boot, method) in [(Some("of another"), Method::Measured), (None, Method::Measured)] {
        let refused = required(boot, method).unwrap_err();
        assert!(refused.contains("would be replayed") && refused.contains("not recorded on this machine"), "{refused}");
    }
    assert!(required(Some("of this start"), Method::Modeled).unwrap_err().contains("would be modeled"));
}
