//! GPUs from a script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attar_meter::source::{Component, GpuBoard, GpuError, Gpus, Liveness, PowerKind, Source};
use attar_meter::{Clock, GapKind, ManualClock, Watts};
use proptest::prelude::*;

/// What a board shows, shared with the test that turns it.
#[derive(Clone)]
struct Script(Arc<Mutex<State>>);

struct State {
    millijoules: f64,
    watts: f64,
    /// Watts that the power sensor shows, where it differs.
    sensor: f64,
    energy: Result<(), GpuError>,
    power: Result<(), GpuError>,
    /// Joules after which the counter shows the next number.
    step: f64,
    /// Who used the board since it was last asked; `None` if it does not tell.
    used: Option<Vec<(u32, f64)>>,
    kind: Option<PowerKind>,
}

impl Script {
    fn new(watts: f64) -> Self {
        Self(Arc::new(Mutex::new(State {
            millijoules: 5e6,
            watts,
            sensor: watts,
            energy: Ok(()),
            power: Ok(()),
            step: 0.001,
            used: None,
            kind: None,
        })))
    }

    fn set(&self, act: impl FnOnce(&mut State)) -> &Self {
        act(&mut self.0.lock().unwrap());
        self
    }

    fn run(&self, duration: Duration) {
        self.set(|state| state.millijoules += state.watts * duration.as_secs_f64() * 1e3);
    }

    fn clock(&self) -> ManualClock {
        let (clock, script) = (ManualClock::new(), self.clone());
        clock.on_spin(move |duration| script.run(duration));
        clock
    }

    fn pass(&self, clock: &ManualClock, duration: Duration) {
        clock.advance(duration, duration);
        self.run(duration);
    }

    fn source(&self) -> Gpus {
        Gpus::new(vec![Box::new(Board(self.clone()))])
    }

    fn started(&self) -> (Gpus, ManualClock) {
        let (mut gpus, clock) = (self.source(), self.clock());
        assert_eq!(gpus.probe(&clock), Liveness::Alive);
        assert!(gpus.read(clock.now()).unwrap().parts.is_empty());
        (gpus, clock)
    }
}

struct Board(Script);

impl GpuBoard for Board {
    fn name(&self) -> String {
        "0: scripted board".to_owned()
    }
    fn index(&self) -> u16 {
        0
    }
    fn energy_millijoules(&mut self) -> Result<u64, GpuError> {
        let state = self.0.0.lock().unwrap();
        let shown = (state.millijoules / state.step / 1e3).floor() * state.step * 1e3;
        state.energy.clone().map(|()| shown as u64)
    }
    fn power_milliwatts(&mut self) -> Result<u64, GpuError> {
        let state = self.0.0.lock().unwrap();
        state.power.clone().map(|()| (state.sensor * 1e3) as u64)
    }
    fn limit(&mut self) -> Option<Watts> {
        Watts::new(700.0).ok()
    }
    fn power_kind(&mut self) -> Option<PowerKind> {
        self.0.0.lock().unwrap().kind
    }
    fn process_utilization(&mut self) -> Result<Vec<(u32, f64)>, GpuError> {
        self.0.0.lock().unwrap().used.clone().ok_or(GpuError::NotSupported)
    }
    fn remarks(&self) -> Vec<String> {
        let kind = self.0.0.lock().unwrap().kind;
        kind.map(|_| "split into instances (MIG): the whole board is counted".to_owned()).into_iter().collect()
    }
}

fn dead(script: &Script) -> String {
    match script.source().probe(&script.clock()) {
        Liveness::Dead(reason) => reason,
        Liveness::Alive => panic!("alive"),
    }
}

#[test]
fn the_counter_comes_first() {
    let script = Script::new(250.0);
    let (mut gpus, clock) = script.started();
    assert_eq!(gpus.describe().poll, None);
    script.pass(&clock, Duration::from_secs(10));
    let reading = gpus.read(clock.now()).unwrap();
    assert_eq!(reading.parts[0].component, Component::Gpu(0));
    assert_eq!(reading.parts[0].energy.value().get(), 2500.0);
    assert_eq!(reading.parts[0].energy.low().get(), 2375.0);
}

// A real counter is renewed every 20 to 100 ms, whatever the moment at which it is read.
#[test]
fn a_counter_that_is_renewed_now_and_then_is_taken_as_it_is() {
    for offset in [0, 10, 30, 70, 99] {
        let script = Script::new(100.0);
        script.set(|state| (state.step, state.millijoules) = (10.0, 5e6 + f64::from(offset) * 100.0));
        let (mut gpus, clock) = script.started();
        assert!(gpus.describe().notes.is_empty(), "{:?}", gpus.describe().notes);
        let mut sum = 0.0;
        for _ in 0..1000 {
            script.pass(&clock, Duration::from_millis(37));
            sum += gpus.read(clock.now()).unwrap().parts.iter().map(|part| part.energy.value().get()).sum::<f64>();
        }
        // One step of the counter at either end.
        attar_testing::assert_close("37 s at 100 W", &[sum], &[3700.0], 20.0);
    }
}

#[test]
fn backwards_is_a_reset_never_a_wrap() {
    let script = Script::new(250.0);
    let (mut gpus, clock) = script.started();
    script.pass(&clock, Duration::from_secs(10));
    gpus.read(clock.now()).unwrap();
    // The driver is loaded anew.
    script.set(|state| state.millijoules = 0.0);
    script.pass(&clock, Duration::from_secs(2));
    let reading = gpus.read(clock.now()).unwrap();
    assert_eq!(reading.gaps[0].kind, GapKind::Reset);
    let energy = reading.parts[0].energy;
    assert_eq!((energy.value().get(), energy.high().get()), (0.0, 500.0));
    script.pass(&clock, Duration::from_secs(2));
    assert_eq!(gpus.read(clock.now()).unwrap().parts[0].energy.value().get(), 500.0);
}

#[test]
fn without_a_counter_power_is_sampled() {
    for spoil in [GpuError::NotSupported, GpuError::Driver("busy".into())] {
        let script = Script::new(100.0);
        script.set(|state| state.energy = Err(spoil));
        let (mut gpus, clock) = script.started();
        assert_eq!(gpus.describe().poll.unwrap().get(), 0.1);
        assert!(gpus.describe().notes[0].contains("power is sampled instead"), "{:?}", gpus.describe().notes);
        // A ramp from 100 to 200 W in 1 s: 150 J.
        for step in 1..=10 {
            clock.advance(Duration::from_millis(100), Duration::ZERO);
            script.set(|state| state.sensor = 100.0 + 10.0 * f64::from(step));
            gpus.poll(clock.now());
        }
        let reading = gpus.read(clock.now()).unwrap();
        attar_testing::assert_close_relative("ramp", reading.parts[0].energy.value().get(), 150.0, 1e-9);
        assert!(reading.gaps.is_empty());
        // Nobody sampled for 5 s.
        clock.advance(Duration::from_secs(5), Duration::ZERO);
        let reading = gpus.read(clock.now()).unwrap();
        assert_eq!(reading.gaps[0].kind, GapKind::Sparse);
        assert_eq!(reading.parts[0].energy.high().get(), 2000.0);
    }
}

#[test]
fn a_dead_counter_is_demoted() {
    let script = Script::new(0.0);
    script.set(|state| state.sensor = 60.0);
    let (gpus, _) = script.started();
    assert!(gpus.describe().notes[0].contains("the energy counter does not change"), "{:?}", gpus.describe().notes);
}

#[test]
fn counter_and_sensor_that_disagree_are_reported() {
    let script = Script::new(37.4);
    script.set(|state| state.sensor = 65.4);
    let (gpus, _) = script.started();
    let note = &gpus.describe().notes[0];
    assert!(note.contains("energy counter (37.4 W) and power sensor (65.4 W) disagree"), "{note}");
}

#[test]
fn a_board_that_tells_nothing_is_dead() {
    let script = Script::new(100.0);
    script.set(|state| (state.energy, state.power) = (Err(GpuError::NotSupported), Err(GpuError::NotSupported)));
    assert!(dead(&script).contains("reports neither energy nor power"));
    script.set(|state| (state.energy, state.power) = (Err(GpuError::Lost), Err(GpuError::Lost)));
    assert_eq!(dead(&script), "0: scripted board: board lost");
    let absurd = Script::new(1e6);
    assert!(dead(&absurd).contains("not 0.5 to 2100 W"), "{}", dead(&absurd));
    assert_eq!(Gpus::new(Vec::new()).probe(&ManualClock::new()), Liveness::Dead("no board".to_owned()));
}

#[test]
fn a_lost_board_is_a_gap() {
    let script = Script::new(100.0);
    let (mut gpus, clock) = script.started();
    script.set(|state| state.energy = Err(GpuError::Lost));
    script.pass(&clock, Duration::from_secs(3));
    let reading = gpus.read(clock.now()).unwrap();
    assert!(reading.parts.is_empty());
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].seconds.get()), (GapKind::ReadFailed, 3.0));
    // It comes back: nothing was lost.
    script.set(|state| state.energy = Ok(()));
    script.pass(&clock, Duration::from_secs(1));
    assert_eq!(gpus.read(clock.now()).unwrap().parts[0].energy.value().get(), 400.0);
}

#[test]
fn what_the_sensor_shows_and_that_the_board_is_split_is_said_where_it_is_known() {
    for (kind, expected) in
        [(PowerKind::Instant, "instantaneous power"), (PowerKind::OneSecondAverage, "the mean of the last second")]
    {
        let script = Script::new(100.0);
        script.set(|state| (state.energy, state.kind) = (Err(GpuError::NotSupported), Some(kind)));
        let notes = script.started().0.describe().notes;
        assert!(notes[0].starts_with("0: scripted board: split into instances (MIG)"), "{notes:?}");
        assert!(notes.iter().any(|note| note.ends_with(expected)), "{notes:?}");
        // A counter does not depend on it.
        script.set(|state| state.energy = Ok(()));
        assert_eq!(script.started().0.describe().notes.len(), 1);
    }
}

#[test]
fn an_edge_is_waited_for_three_periods_at_most() {
    let script = Script::new(100.0);
    // Renewed every 50 ms.
    script.set(|state| (state.step, state.millijoules) = (5.0, 5e6 + 3000.0));
    let (mut gpus, clock) = script.started();
    attar_testing::assert_close("period", &[gpus.describe().resolution.get()], &[0.05], 0.005);
    gpus.read_at_counter_update(&clock).unwrap();
    let begin = clock.now().elapsed;
    script.pass(&clock, Duration::from_millis(10));
    let reading = gpus.read_at_counter_update(&clock).unwrap();
    assert_eq!(reading.parts[0].energy.value().get(), 5.0);
    attar_testing::assert_close("one period", &[(clock.now().elapsed - begin).as_secs_f64()], &[0.05], 0.005);
    // It stands still: three periods, and no energy is made up.
    script.set(|state| state.watts = 0.0);
    let begin = clock.now().elapsed;
    assert!(gpus.read_at_counter_update(&clock).unwrap().parts.is_empty());
    attar_testing::assert_close("patience", &[(clock.now().elapsed - begin).as_secs_f64()], &[0.15], 0.02);
    // It is lost while it is waited for.
    script.set(|state| state.energy = Err(GpuError::Lost));
    assert_eq!(gpus.read_at_counter_update(&clock).unwrap().gaps[0].kind, GapKind::ReadFailed);
}

#[test]
fn a_share_is_known_only_of_those_that_the_driver_knows() {
    let script = Script::new(100.0);
    let (mut gpus, _) = script.started();
    assert_eq!(gpus.process_share(Component::Gpu(0), &[7]), None);
    script.set(|state| state.used = Some(vec![(7, 30.0), (8, 10.0), (9, 0.0), (7, 60.0)]));
    assert_eq!(gpus.process_share(Component::Gpu(0), &[7]), Some(0.9));
    assert_eq!(gpus.process_share(Component::Gpu(0), &[8, 8]), Some(0.1));
    assert_eq!(gpus.process_share(Component::Gpu(0), &[9]), Some(0.0));
    assert_eq!(gpus.process_share(Component::Gpu(0), &[1]), None);
    assert_eq!(gpus.process_share(Component::Gpu(1), &[7]), None);
    script.set(|state| state.used = Some(vec![(7, 0.0), (8, f64::NAN), (9, -1.0)]));
    assert_eq!(gpus.process_share(Component::Gpu(0), &[7, 8, 9]), None);
}

proptest! {
    #[test]
    fn shares_of_all_processes_add_up_to_one(used in proptest::collection::vec((0_u32..9, 0.0..100.0_f64), 1..20)) {
        let script = Script::new(100.0);
        let mut gpus = script.source();
        script.set(|state| state.used = Some(used.clone()));
        let shares: Vec<f64> =
            (0..9).filter_map(|process| gpus.process_share(Component::Gpu(0), &[process])).collect();
        prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        if used.iter().any(|(_, amount)| *amount > 0.0) {
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(gpus.process_share(Component::Gpu(0), &[0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap() <= 1.0);
        }
    }
}

#[test]
#[cfg(feature = "nvml")]
fn without_a_driver_the_reason_is_plain() {
    match attar_meter::source::nvidia_boards(None) {
        Ok(boards) => assert!(!boards.is_empty()),
        Err(reason) => assert!(reason.contains("NVIDIA"), "{reason}"),
    }
}
