//! Graphics boards: the energy counter first, sampled power where a board has none.
//!
//! A counter that falls back is always a reset (a driver reload), never a wrap. Sampled power is
//! integrated by trapezoids between samples; where samples lie far apart the bounds widen and a
//! gap says so.
//!
//! Stated error: ±5 %, the figure in NVIDIA's documentation of its sensors. On A100 and H100 the
//! sensor looks only a quarter of the time (arXiv 2312.02741), so short or periodic loads can be
//! further off. The energy counter is renewed every 20 to 100 ms.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metered::Metered;
use super::{Advance, Component, Counter, Description, Liveness, Part, Reading, Source, SourceError};
use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds, Watts};

/// One board, as its driver shows it. A trait because tests script it.
pub trait GpuBoard: Send {
    /// Index and name, such as `0: NVIDIA H200`.
    fn name(&self) -> String;
    /// Number of the board on this machine.
    fn index(&self) -> u16;
    /// Energy since the driver was loaded, in millijoules.
    ///
    /// # Errors
    /// If the board has no such counter or cannot be asked.
    fn energy_millijoules(&mut self) -> Result<u64, GpuError>;
    /// Power now, in milliwatts (on some boards the mean of the last second).
    ///
    /// # Errors
    /// If the board does not tell or cannot be asked.
    fn power_milliwatts(&mut self) -> Result<u64, GpuError>;
    /// The power that the board keeps itself below, if it tells.
    fn limit(&mut self) -> Option<Watts> {
        None
    }
    /// What a reader should know of this board.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a board did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// It has no such sensor.
    #[error("not supported by this board")]
    NotSupported,
    /// It fell off the bus.
    #[error("board lost")]
    Lost,
    /// Anything else, in the driver's words.
    #[error("{0}")]
    Driver(String),
}

/// The graphics boards of this machine.
pub struct Gpus {
    boards: Vec<Board>,
    remarks: Vec<String>,
}

struct Board {
    board: Box<dyn GpuBoard>,
    sensor: Sensor,
}

enum Sensor {
    Counter(Metered),
    Power(Sampled),
}

const MILLIJOULE: Joules = Joules::raw(1e-3);
const REFRESH: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);
/// No board made so far exceeds this.
const ANY_BOARD: Watts = Watts::raw(3000.0);
const LEAST_BOARD: f64 = 0.5;
const SPREAD: Spread = Spread::relative(0.05);
/// How often power is sampled where there is no counter.
const POLL: Duration = Duration::from_millis(100);
/// Samples further apart than this do not follow the load.
const SPARSE: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 10;
const LEAST_ROUNDS: usize = 4;
/// Counter and sensor are said to disagree beyond this ratio (1.7 was seen on an idle board).
const DISAGREE: f64 = 1.5;

impl Gpus {
    /// A source over these boards. Each proves itself in [`probe`](Source::probe).
    pub fn new(boards: Vec<Box<dyn GpuBoard>>) -> Self {
        let undecided = |board| Board { board, sensor: Sensor::Power(Sampled::default()) };
        Self { boards: boards.into_iter().map(undecided).collect(), remarks: Vec::new() }
    }
}

impl Source for Gpus {
    fn describe(&self) -> Description {
        let sampled = self.boards.iter().any(|board| matches!(board.sensor, Sensor::Power(_)));
        Description {
            name: "gpu".to_owned(),
            components: self.boards.iter().map(Board::component).collect(),
            method: Method::Measured,
            spread: SPREAD,
            resolution: REFRESH.into(),
            poll: sampled.then_some(POLL.into()),
            scope: "whole boards, with everything that runs on them".to_owned(),
            idle: BTreeMap::new(),
            notes: self.remarks.clone(),
        }
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        let mut faults = Vec::new();
        for mut board in std::mem::take(&mut self.boards) {
            let name = board.board.name();
            match board.decide(clock) {
                Ok(remarks) => {
                    let all = board.board.remarks().into_iter().chain(remarks);
                    self.remarks.extend(all.map(|remark| format!("{name}: {remark}")));
                    self.boards.push(board);
                }
                Err(fault) => faults.push(format!("{name}: {fault}")),
            }
        }
        if self.boards.is_empty() {
            let reason = if faults.is_empty() { "no board".to_owned() } else { faults.join("; ") };
            return Liveness::Dead(reason);
        }
        self.remarks.extend(faults.into_iter().map(|fault| format!("not counted: {fault}")));
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        for board in &mut self.boards {
            let component = board.component();
            match &mut board.sensor {
                Sensor::Counter(metered) => {
                    let raw = board.board.energy_millijoules().map_err(|error| error.to_string());
                    metered.take(raw, now.elapsed, &mut reading);
                }
                Sensor::Power(sampled) => {
                    sampled.sample(board.board.power_milliwatts(), now.elapsed, component);
                    sampled.hand_out(component, &mut reading);
                }
            }
        }
        Ok(reading)
    }

    fn poll(&mut self, now: Moment) {
        for board in &mut self.boards {
            let component = board.component();
            if let Sensor::Power(sampled) = &mut board.sensor {
                sampled.sample(board.board.power_milliwatts(), now.elapsed, component);
            }
        }
    }
}

impl Board {
    fn component(&self) -> Component {
        Component::Gpu(self.board.index())
    }

    /// Chooses the sensor after watching both for a while; answers with remarks, or with the
    /// reason why neither will do.
    fn decide(&mut self, clock: &dyn Clock) -> Result<Vec<String>, String> {
        let limit = self.board.limit();
        let most = limit.map_or(ANY_BOARD, |limit| Watts::raw(limit.get() * 3.0));
        let mut counter = Counter::new(MILLIJOULE, None, ANY_BOARD, REFRESH);
        // Energy and time between the first and the last change: whole periods of the counter.
        let (mut energy, mut time, mut edges) = (0.0, Duration::ZERO, 0_usize);
        let (mut fault, mut watts) = (None, Vec::new());
        for round in 0..=ROUNDS {
            match self.board.energy_millijoules() {
                Err(error) => fault = Some(error),
                Ok(raw) => {
                    if let Advance::Moved { energy: moved, over, .. } = counter.take(raw, clock.now().elapsed) {
                        // The first change ends a period of unknown length.
                        if edges > 0 {
                            energy += moved.get();
                            time += over;
                        }
                        edges += 1;
                    }
                }
            }
            watts.extend(self.board.power_milliwatts().map(|milliwatts| milliwatts as f64 * 1e-3));
            if (round >= LEAST_ROUNDS && edges >= 3) || fault.is_some() {
                break;
            }
            if round < ROUNDS {
                clock.spin(ROUND);
            }
        }
        let sensed = (!watts.is_empty()).then(|| watts.iter().sum::<f64>() / watts.len() as f64);
        let counted = (edges > 1).then(|| energy / time.as_secs_f64());
        let plausible = |watts: f64| watts > LEAST_BOARD && watts < most.get();
        let mut remarks = Vec::new();
        match (counted, sensed) {
            (Some(counted), _) if plausible(counted) => {
                if let Some(sensed) = sensed.filter(|s| counted > s * DISAGREE || *s > counted * DISAGREE) {
                    let (counted, sensed) = (Watts::raw(counted), Watts::raw(sensed));
                    remarks.push(format!(
                        "energy counter ({counted}) and power sensor ({sensed}) disagree; the counter is used"
                    ));
                }
                self.sensor = Sensor::Counter(self.metered());
                Ok(remarks)
            }
            (counted, Some(sensed)) if plausible(sensed) => {
                remarks.push(match (&fault, counted) {
                    (Some(error), _) => format!("no energy counter ({error}): power is sampled instead"),
                    (None, None) => "the energy counter does not move: power is sampled instead".to_owned(),
                    (None, Some(counted)) => {
                        format!("the energy counter shows {}: power is sampled instead", Watts::raw(counted))
                    }
                });
                self.sensor = Sensor::Power(Sampled::default());
                Ok(remarks)
            }
            (None, None) => Err(match fault {
                Some(GpuError::NotSupported) | None => {
                    "tells neither energy nor power (on a superchip only the module may tell)".to_owned()
                }
                Some(error) => error.to_string(),
            }),
            (counted, sensed) => {
                let shown = Watts::raw(counted.or(sensed).unwrap_or_default());
                Err(format!("showed {shown}, not {LEAST_BOARD} to {} W", most.get()))
            }
        }
    }

    fn metered(&self) -> Metered {
        Metered {
            component: self.component(),
            counter: Counter::new(MILLIJOULE, None, ANY_BOARD, REFRESH),
            spread: SPREAD,
            method: Method::Measured,
            patience: PATIENCE,
            tried: None,
        }
    }
}

/// Power sampled and integrated until it is handed out.
#[derive(Default)]
struct Sampled {
    last: Option<(f64, Duration)>,
    energy: Option<Estimate<Joules>>,
    over: Duration,
    gaps: Vec<Gap>,
}

impl Sampled {
    fn sample(&mut self, milliwatts: Result<u64, GpuError>, at: Duration, component: Component) {
        let watts = match milliwatts {
            Ok(milliwatts) => milliwatts as f64 * 1e-3,
            Err(error) => {
                let waited = self.last.map_or(Duration::ZERO, |(_, then)| at.saturating_sub(then));
                let gap = Gap::new(component.to_string(), GapKind::ReadFailed, waited.into(), error.to_string());
                return self.gaps.push(gap);
            }
        };
        let Some((before, then)) = self.last.replace((watts, at)) else { return };
        let over = at.saturating_sub(then);
        let energy = Watts::raw((before + watts) / 2.0) * Seconds::from(over);
        let spread = if over <= SPARSE {
            SPREAD
        } else {
            let detail = format!("samples {} apart", Seconds::from(over));
            self.gaps.push(Gap::new(component.to_string(), GapKind::Sparse, over.into(), detail));
            Spread::factor(2.0)
        };
        let piece = Estimate::spread(energy, spread);
        self.energy = Some(self.energy.map_or(piece, |so_far| so_far + piece));
        self.over += over;
    }

    fn hand_out(&mut self, component: Component, reading: &mut Reading) {
        reading.gaps.append(&mut self.gaps);
        if let Some(energy) = self.energy.take().filter(|energy| energy.value() > Joules::ZERO) {
            let over = std::mem::take(&mut self.over);
            reading.parts.push(Part { component, energy, background: Joules::ZERO, over, method: Method::Measured });
        }
    }
}
