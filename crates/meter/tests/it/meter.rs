//! The meter over scripted sources and a clock advanced by hand.

use std::time::Duration;

use attar_meter::source::{
    Component, ComponentReading, Description, Liveness, Reading, Selection, Source, SourceChoice, SourceError,
};
use attar_meter::{
    Attribution, Clock, Estimate, GapKind, Joules, Ledger, ManualClock, Meter, MeterError, MeterOptions, Method,
    Moment, Split, Totals, Watts,
};
use attar_testing::{assert_close, assert_close_relative};
use proptest::prelude::*;

use crate::scripted::{Scripted, host, meter};

const CPU: (Component, f64, Method) = (Component::Cpu(0), 80.0, Method::Measured);
const GPU: (Component, f64, Method) = (Component::Gpu(0), 200.0, Method::Measured);
const SECOND: Duration = Duration::from_secs(1);

fn value(totals: &Totals, phase: &str) -> f64 {
    totals.phase(phase).unwrap().energy().unwrap().value().get()
}

#[test]
fn time_and_energy_go_to_the_phase_that_used_them() {
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU, GPU]), &clock, SECOND * 10, None);
    for _ in 0..5 {
        meter.enter("first");
        clock.advance(Duration::from_millis(1500), Duration::from_millis(500));
        meter.enter("second");
        clock.advance(Duration::from_millis(500), Duration::from_millis(500));
    }
    meter.tick();
    // A quarter of the processor's 80 W is idle: by time, 3 to 1; the rest by CPU time, 1 to 1.
    let totals = meter.finish();
    let cpu = |phase| totals.phase(phase).unwrap().components[&Component::Cpu(0)].joules.value().get();
    let gpu = |phase| totals.phase(phase).unwrap().components[&Component::Gpu(0)].joules.value().get();
    assert_close("cpu", &[cpu("first"), cpu("second")], &[150.0 + 300.0, 50.0 + 300.0], 1e-6);
    assert_close("gpu", &[gpu("first"), gpu("second")], &[1500.0, 500.0], 1e-6);
    let first = totals.phase("first").unwrap();
    assert_eq!((first.active.get(), first.cpu.unwrap().get()), (7.5, 2.5));
    // A share of something measured is apportioned; the whole stays measured.
    assert_eq!((first.method(), totals.method()), (Some(Method::Apportioned), Some(Method::Measured)));
    assert_eq!(totals.active().get(), 10.0);
}

#[test]
fn a_phase_alone_keeps_the_method_of_its_source() {
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU]), &clock, SECOND * 10, None);
    meter.enter("only");
    clock.advance(SECOND * 25, SECOND);
    let totals = meter.finish();
    assert_eq!(totals.phases.len(), 1);
    assert_eq!(totals.phase("only").unwrap().method(), Some(Method::Measured));
    assert_close_relative("P x t", value(&totals, "only"), 2000.0, 1e-9);
}

#[test]
fn without_cpu_time_the_clock_decides() {
    let clock = ManualClock::without_cpu_time();
    let mut meter = meter(Scripted::new(&[CPU]), &clock, SECOND * 10, None);
    meter.enter("a");
    clock.advance(SECOND * 3, SECOND);
    meter.enter("b");
    clock.advance(SECOND, SECOND * 9);
    let totals = meter.finish();
    assert_close("by time", &[value(&totals, "a"), value(&totals, "b")], &[240.0, 80.0], 1e-6);
    assert_eq!(totals.phase("a").unwrap().cpu, None);
}

#[test]
fn entering_reads_only_the_clock_until_the_interval_is_over() {
    let clock = ManualClock::new();
    let source = Scripted::new(&[CPU]);
    let log = source.log.clone();
    let mut meter = meter(source, &clock, SECOND * 10, None);
    for step in 0..1000_u32 {
        meter.enter(["a", "b", "c"][step as usize % 3]);
        clock.advance(Duration::from_millis(15), Duration::ZERO);
    }
    // The first read, and one at 10 s of the 15.
    assert_eq!(log.lock().unwrap().reads, 2);
    // Every 100 ms, that is every seventh step of 15 ms.
    let polls = log.lock().unwrap().polls;
    assert!((130..=150).contains(&polls), "{polls} polls in 15 s");
    assert_eq!(meter.power().unwrap().value().get(), 80.0);
    assert_eq!((meter.power().unwrap().low().get(), meter.power().unwrap().high().get()), (40.0, 160.0));
}

#[test]
fn a_failed_read_is_a_gap_and_its_energy_comes_later() {
    let clock = ManualClock::new();
    let source = Scripted::new(&[CPU]);
    source.log.lock().unwrap().failing = vec![2];
    let mut meter = meter(source, &clock, SECOND * 10, None);
    meter.enter("work");
    for _ in 0..3 {
        clock.advance(SECOND * 10, SECOND);
        meter.tick();
    }
    assert_eq!(meter.power().unwrap().value().get(), 80.0, "power counts the time that the energy took");
    let totals = meter.finish();
    assert_close_relative("nothing lost", value(&totals, "work"), 2400.0, 1e-9);
    let gap = &totals.gaps[0];
    assert_eq!((gap.kind, gap.seconds.get(), gap.times), (GapKind::ReadFailed, 10.0, 1));
    assert!(gap.detail.contains("the script says so"), "{gap}");
}

#[test]
fn suspension_and_short_runs_are_named() {
    let clock = ManualClock::new();
    let mut short = meter(Scripted::new(&[CPU]), &clock, SECOND * 10, None);
    short.enter("blink");
    clock.suspend(SECOND * 3600);
    clock.advance(Duration::from_millis(5), Duration::ZERO);
    let totals = short.finish();
    let kinds: Vec<GapKind> = totals.gaps.iter().map(|gap| gap.kind).collect();
    assert_eq!(kinds, [GapKind::BelowResolution, GapKind::Suspended]);
    assert_eq!(totals.gaps[1].seconds.get(), 3600.0);
}

#[test]
fn no_source_is_no_data_not_zero() {
    let clock = ManualClock::new();
    let options = MeterOptions { sources: SourceChoice::Off, ..MeterOptions::default() };
    let mut meter = Meter::start_on(&host(), Box::new(clock.clone()), options, None).unwrap();
    meter.enter("work");
    clock.advance(SECOND * 30, SECOND);
    meter.tick();
    assert_eq!(meter.power(), None);
    let totals = meter.finish();
    assert_eq!((totals.energy(), totals.method()), (None, None));
    assert_eq!(totals.phase("work").unwrap().active.get(), 30.0);
}

#[test]
fn the_first_phase_has_a_name_and_no_time_makes_no_window() {
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU]), &clock, SECOND, None);
    assert_eq!(meter.totals(), &Totals::default());
    clock.advance(SECOND / 2, SECOND);
    meter.enter("work");
    let totals = meter.finish();
    assert_eq!(totals.phases.len(), 1);
    assert_eq!(totals.phases[0].phase, Meter::FIRST_PHASE);
}

#[test]
fn an_interval_that_could_hide_a_wrap_is_refused() {
    let selection = Selection { sources: Vec::new(), reasons: Vec::new() };
    let clock = Box::new(ManualClock::new());
    let refused = Meter::start_with(selection, &host(), clock, SECOND * 31, None).err().unwrap();
    assert!(matches!(refused, MeterError::Interval { .. }));
    assert_eq!(refused.to_string(), "read interval must be at most 30 s, got 31 s: a counter could wrap unseen");
}

#[test]
fn the_ledger_holds_what_the_meter_says_and_a_dropped_meter_writes_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let clock = ManualClock::new();
    let source = Scripted::new(&[CPU, GPU, (Component::Memory(0), 3.7, Method::Modeled)]);
    source.log.lock().unwrap().failing = vec![3];
    let mut meter = meter(source, &clock, SECOND * 10, Some(Ledger::append_to(&path).unwrap()));
    for step in 0..200_u64 {
        meter.enter(["first", "second", "third"][(step % 3) as usize]);
        clock.advance(
            Duration::from_micros(1_234_567 + 7919 * step),
            Duration::from_micros(765_432 + 104_729 * (step % 5)),
        );
    }
    let before = meter.totals().clone();
    assert_eq!(Totals::from_windows(&Ledger::read(&path).unwrap().windows), before);
    drop(meter);
    let contents = Ledger::read(&path).unwrap();
    let after = Totals::from_windows(&contents.windows);
    assert!(after.active() > before.active() && contents.torn.is_empty());
    assert_eq!(contents.headers[0].reasons, ["scripted"]);
    assert_eq!(contents.headers[0].sources[0].name, "scripted");
    let first = &contents.windows[0];
    assert_eq!((first.start_s.get(), first.split, first.start), (0.0, Split::CpuTime, jiff::Timestamp::UNIX_EPOCH));
    // Spans follow each other without a hole.
    for pair in contents.windows.windows(2) {
        let follows = pair[0].end == pair[1].start && pair[0].end_s == pair[1].start_s;
        let beside = pair[0].start == pair[1].start && pair[0].end == pair[1].end;
        assert!(follows || beside, "{pair:?}");
    }
    assert!(first.end_s.get() >= 10.0 && first.end.as_second() == first.end_s.get() as i64);
}

// Small enough for the disk full that the device stands for.
#[test]
#[cfg(target_os = "linux")]
fn a_ledger_that_refuses_is_named_and_the_totals_live() {
    let clock = ManualClock::new();
    // The header is refused at once.
    let refused = Ledger::append_to("/dev/full").map(|ledger| {
        let selection = Selection { sources: Vec::new(), reasons: Vec::new() };
        Meter::start_with(selection, &host(), Box::new(clock.clone()), SECOND, Some(ledger)).err()
    });
    match refused {
        Ok(error) => assert!(error.unwrap().to_string().starts_with("cannot write ledger /dev/full")),
        // Some sandboxes have no such device.
        Err(error) => assert!(error.to_string().contains("/dev/full"), "{error}"),
    }
}

#[test]
fn the_system_meter_works_here() {
    let options = MeterOptions { interval: Duration::from_millis(50), ..MeterOptions::default() };
    let mut meter = Meter::start(options, None).unwrap();
    assert!(!meter.reasons().is_empty());
    for phase in ["a", "b", "a", "b"] {
        meter.enter(phase);
        attar_meter::SystemClock::new().spin(Duration::from_millis(40));
    }
    let overhead = meter.overhead().get();
    let totals = meter.finish();
    let energy = totals.energy().unwrap();
    assert!(energy.low() <= energy.value() && energy.value() <= energy.high() && energy.high().get() > 0.0);
    assert!(totals.active().get() >= 0.160 && overhead < 0.1, "{overhead} s of overhead");
}

proptest! {
    // Constant power gives P x t, whatever the interval and the pattern of phases, and the phases
    // add up to the whole exactly.
    #[test]
    fn constant_power_is_power_times_time(
        interval in 0u64..30_000,
        steps in proptest::collection::vec((0usize..4, 0u64..5_000_000, 0u64..9_000_000), 1..60),
    ) {
        let clock = ManualClock::new();
        let mut meter = meter(Scripted::new(&[CPU, GPU]), &clock, Duration::from_millis(interval), None);
        for (phase, wall, cpu) in &steps {
            meter.enter(["a", "b", "c", "d"][*phase]);
            clock.advance(Duration::from_micros(*wall), Duration::from_micros(*cpu));
        }
        let total = clock.now().elapsed.as_secs_f64();
        let totals = meter.finish();
        let Some(energy) = totals.energy() else {
            prop_assert_eq!(total, 0.0);
            return Ok(());
        };
        // Each interval and component is booked in quanta of a nanojoule.
        let allowed = 2e-9 * (steps.len() + 1) as f64;
        assert_close("energy", &[energy.value().get()], &[280.0 * total], allowed + 1e-12 * 280.0 * total);
        assert_close_relative("time", totals.active().get(), total, 1e-12);
        for (component, whole) in &totals.components {
            let parts = totals.phases.iter().filter_map(|phase| phase.components.get(component));
            let sum: f64 = parts.map(|part| part.joules.value().get()).sum();
            prop_assert_eq!(sum, whole.joules.value().get());
        }
        for phase in &totals.phases {
            let energy = phase.energy().unwrap();
            prop_assert!(energy.low() <= energy.value() && energy.value() <= energy.high());
        }
    }

    #[test]
    fn fixed_watts_do_the_same(watts in 0.1..5000.0_f64, interval in 1u64..30_000, seconds in 1u64..100_000) {
        let clock = ManualClock::new();
        let options = MeterOptions {
            sources: SourceChoice::Fixed(Watts::new(watts).unwrap()),
            interval: Duration::from_millis(interval),
            ..MeterOptions::default()
        };
        let mut meter = Meter::start_on(&host(), Box::new(clock.clone()), options, None).unwrap();
        for _ in 0..10 {
            clock.advance(SECOND * seconds as u32 / 10, Duration::ZERO);
            meter.tick();
        }
        let joules = meter.finish().energy().unwrap().value().get();
        // Up to eleven intervals in quanta of a nanojoule.
        assert_close_relative("P x t", joules, watts * seconds as f64, 1e-6);
    }
}

#[test]
fn spans_nest_and_overlap_and_add_up_from_the_ledger() {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU]), &clock, SECOND * 10, Some(Ledger::append_to(&file).unwrap()));
    let pass = |seconds: u32| clock.advance(SECOND * seconds, SECOND);
    let mut results = Vec::new();
    meter.enter("work");
    let outer = meter.begin_span("outer");
    pass(3);
    let inner = meter.begin_span("inner");
    pass(2);
    let overlapping = meter.begin_span("overlapping");
    pass(25);
    meter.tick();
    results.push(meter.end_span(inner).unwrap());
    pass(4);
    results.push(meter.end_span(outer).unwrap());
    meter.enter("more");
    pass(1);
    results.push(meter.end_span(overlapping).unwrap());
    assert!(meter.end_span(inner).is_none());
    meter.begin_span("never ended");
    pass(7);
    let all = meter.finish();

    let expected = [("inner", 3.0, 30.0, 27.0), ("outer", 0.0, 34.0, 34.0), ("overlapping", 5.0, 35.0, 30.0)];
    for ((span, totals), (name, start, end, seconds)) in results.iter().zip(expected) {
        assert_eq!((span.name.as_str(), span.start_s.get(), span.end_s.get()), (name, start, end));
        assert_close_relative(name, totals.energy().unwrap().value().get(), 80.0 * seconds, 1e-9);
    }
    assert_close_relative("all", all.energy().unwrap().value().get(), 80.0 * 42.0, 1e-9);
    let contents = Ledger::read(&file).unwrap();
    assert_eq!(contents.spans.len(), 4);
    for ((meter, span), (live, totals)) in contents.spans.iter().zip(&results) {
        assert_eq!(span, live);
        let inside: Vec<_> = contents.inside(*meter, span).cloned().collect();
        assert_eq!(Totals::from_windows(&inside), *totals);
    }
    let last = &contents.spans[3].1;
    assert_eq!((last.name.as_str(), last.start_s.get(), last.end_s.get()), ("never ended", 35.0, 42.0));
}

proptest! {
    // E[a,c] = E[a,b] + E[b,c], wherever the cuts lie and however often the meter looks.
    #[test]
    fn energy_is_additive_over_cuts_and_does_not_depend_on_the_rate(
        steps in prop::collection::vec((1..5000_u64, any::<bool>()), 1..60),
        interval in 1..30_u64,
    ) {
        let clock = ManualClock::new();
        let mut meter = meter(Scripted::new(&[CPU, GPU]), &clock, SECOND * u32::try_from(interval).unwrap(), None);
        let (mut parts, mut total) = (0.0, 0);
        let mut span = meter.begin_span("part");
        for (milliseconds, cut) in &steps {
            clock.advance(Duration::from_millis(*milliseconds), Duration::ZERO);
            total += milliseconds;
            if *cut {
                parts += meter.end_span(span).unwrap().1.energy().unwrap().value().get();
                span = meter.begin_span("part");
            } else {
                meter.tick();
            }
        }
        let rest = meter.end_span(span).unwrap().1.energy().map_or(0.0, |energy| energy.value().get());
        let all = meter.finish().energy().unwrap().value().get();
        // Shares are whole multiples of 2^-30 J, so a window is off by at most that.
        let bound = 1e-9 * (steps.len() as f64 + 2.0) * 2.0;
        prop_assert!((parts + rest - all).abs() <= bound, "{parts} + {rest} against {all}");
        prop_assert!((all - 280.0 * total as f64 * 1e-3).abs() <= bound + all * 1e-12);
    }
}

/// A board of 200 W whose counter is renewed every 100 ms, of which these processes do a quarter.
struct Renewed {
    last: Option<Duration>,
}

impl Renewed {
    const PERIOD: Duration = Duration::from_millis(100);

    fn shown(now: Duration) -> Duration {
        Self::PERIOD * u32::try_from(now.as_millis() / Self::PERIOD.as_millis()).unwrap()
    }
}

impl Source for Renewed {
    fn describe(&self) -> Description {
        let board = Scripted::new(&[GPU]);
        Description { name: "renewed".to_owned(), poll: None, ..board.describe() }
    }

    fn probe(&mut self, _clock: &dyn Clock) -> Liveness {
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let shown = Self::shown(now.elapsed);
        let mut reading = Reading::default();
        if let Some(over) = self.last.replace(shown).map(|last| shown - last).filter(|over| !over.is_zero()) {
            let energy = Estimate::exact(Joules::new(200.0 * over.as_secs_f64()).unwrap());
            let method = Method::Measured;
            reading.parts.push(ComponentReading {
                component: Component::Gpu(0),
                energy,
                background: Joules::ZERO,
                over,
                method,
            });
        }
        Ok(reading)
    }

    fn read_at_counter_update(&mut self, clock: &dyn Clock) -> Result<Reading, SourceError> {
        let next = Self::shown(clock.now().elapsed) + Self::PERIOD;
        clock.spin(next - clock.now().elapsed);
        self.read(clock.now())
    }

    fn process_share(&mut self, component: Component, processes: &[u32]) -> Option<f64> {
        (component == Component::Gpu(0) && !processes.is_empty()).then_some(0.25)
    }
}

fn over_renewed(clock: &ManualClock, ledger: Option<Ledger>) -> Meter {
    let sources: Vec<Box<dyn Source>> = vec![Box::new(Renewed { last: None })];
    let selection = Selection { sources, reasons: Vec::new() };
    Meter::start_with(selection, &host(), Box::new(clock.clone()), SECOND * 10, ledger).unwrap()
}

#[test]
fn short_stretches_begin_and_end_with_the_counter() {
    let joules = |edges: bool| {
        let clock = ManualClock::new();
        let mut meter = over_renewed(&clock, None);
        clock.advance(Duration::from_millis(30), Duration::ZERO);
        let cut = |meter: &mut Meter| if edges { meter.flush_at_counter_update() } else { meter.flush() };
        meter.enter("short");
        cut(&mut meter);
        let begin = clock.now().elapsed;
        clock.advance(Duration::from_millis(250), Duration::ZERO);
        cut(&mut meter);
        let length = clock.now().elapsed - begin;
        meter.enter("after");
        let totals = meter.finish();
        (value(&totals, "short"), 200.0 * length.as_secs_f64(), totals.active().get())
    };
    let (got, expected, active) = joules(true);
    // The wait for the first edge belongs to the phase that had begun: 70 ms more.
    assert_close_relative("at edges", got, expected + 200.0 * 0.07, 1e-7);
    assert_close_relative("time", active, 0.4, 1e-9);
    let (got, expected, _) = joules(false);
    assert!((got - expected).abs() > 5.0, "{got} J is as good as {expected} J");
}

#[test]
fn boards_tell_what_part_of_their_work_is_ours() {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let clock = ManualClock::new();
    let mut meter = over_renewed(&clock, Some(Ledger::append_to(&file).unwrap()));
    meter.name_first_phase("work");
    clock.advance(SECOND, SECOND);
    assert_close("J", &[value(&meter.finish(), "work")], &[200.0], 1e-9);
    let contents = Ledger::read(&file).unwrap();
    assert_eq!(contents.windows[0].own_share[&Component::Gpu(0)], 0.25);
    let (header, windows) = contents.meters().next().unwrap();
    let attribution = Attribution::for_meter(windows, &header.unwrap().sources);
    assert_close("own", &[attribution.own().unwrap().value().get()], &[50.0], 1e-9);
    assert!(!attribution.notes.iter().any(|note| note.contains("charged to the command")), "{:?}", attribution.notes);
}

#[test]
fn a_required_method_leaves_weaker_sources_out_or_refuses() {
    let memory = (Component::Memory(0), 5.0, Method::Modeled);
    let selection = |powers: &[(Component, f64, Method)]| {
        let each = powers.iter().map(|power| Box::new(Scripted::new(&[*power])) as Box<dyn Source>);
        Selection { sources: each.collect(), reasons: Vec::new() }
    };
    let mut both = selection(&[CPU, memory]);
    assert_eq!(both.require(Method::Measured), Ok(()));
    assert_eq!(both.sources.len(), 1);
    assert!(both.reasons[0].contains("memory0: would be modeled"), "{:?}", both.reasons);
    let reasons = selection(&[memory]).require(Method::Apportioned).unwrap_err();
    assert!(reasons[0].contains("memory0"), "{reasons:?}");
    // A board alone does not stand for the machine.
    assert!(selection(&[GPU]).require(Method::Measured).is_err());
    assert_eq!(selection(&[CPU, memory]).require(Method::Modeled), Ok(()));
}
