//! One GPU on trial: which of its sensors to trust, and how often its counter is renewed.

use std::time::Duration;

use super::component_counter::ComponentCounter;
use super::gpu_board::{GpuBoard, GpuError, PowerKind};
use super::power_integrator::PowerIntegrator;
use super::{Component, Counter, CounterChange, RawReading, Reading};
use crate::clock::Clock;
use crate::estimate::Method;
use crate::quantity::{Joules, Watts};

/// The period of a counter that was not watched.
pub(super) const REFRESH: Duration = Duration::from_millis(100);

const MILLIJOULE: Joules = Joules::raw(1e-3);
const PATIENCE: Duration = Duration::from_secs(1);
/// No board made so far exceeds this.
const ANY_BOARD: Watts = Watts::raw(3000.0);
const LEAST_BOARD: f64 = 0.5;
/// A counter is looked at this often on trial: periods of 20 to 100 ms were seen, so one is known
/// to a quarter at worst.
const STEP: Duration = Duration::from_millis(5);
const STEPS: usize = 100;
/// Steps that are always made, and how often the power sensor is asked meanwhile.
const LEAST_STEPS: usize = 40;
const SENSOR_EVERY: usize = 10;
/// How long a sensor that must waver may show one number, and how often it is looked at meanwhile.
const WAVER: Duration = Duration::from_secs(2);
const WAVER_STEP: Duration = Duration::from_millis(20);
/// Changes of the counter that make at least two whole periods.
const LEAST_EDGES: usize = 3;
/// Counter and sensor are said to disagree beyond this ratio (1.7 was seen on an idle board).
const DISAGREE: f64 = 1.5;
/// Periods in which a counter under power must move, when an edge is waited for.
const EDGE_PERIODS: u32 = 3;

/// A board and the sensor that was chosen for it.
pub(super) struct Board {
    pub(super) board: Box<dyn GpuBoard>,
    pub(super) sensor: Sensor,
}

pub(super) enum Sensor {
    /// Its energy counter, with the period in which that is renewed.
    Counter(ComponentCounter, Duration),
    /// Its power, sampled.
    Power(PowerIntegrator),
}

impl Board {
    /// A board whose sensor is not chosen yet.
    pub(super) fn new(board: Box<dyn GpuBoard>) -> Self {
        let sensor = Sensor::Power(PowerIntegrator::new(board.spread(), Method::Measured));
        Self { board, sensor }
    }

    pub(super) fn component(&self) -> Component {
        Component::Gpu(self.board.index())
    }

    /// The period of its counter, if that is the chosen sensor.
    pub(super) fn period(&self) -> Option<Duration> {
        match &self.sensor {
            Sensor::Counter(_, period) => Some(*period),
            Sensor::Power(_) => None,
        }
    }

    /// Chooses the sensor after watching both for a while; answers with remarks, or with the
    /// reason why neither will do.
    pub(super) fn choose_sensor(&mut self, clock: &dyn Clock) -> Result<Vec<String>, String> {
        let limit = self.board.limit();
        let most = limit.map_or(ANY_BOARD, |limit| Watts::raw(limit.get() * 3.0));
        let SensorTrial { counted, period, sensed, fault } = self.watch(clock);
        let plausible = |watts: f64| watts > LEAST_BOARD && watts < most.get();
        let mut remarks = Vec::new();
        match (counted, sensed) {
            (Some(counted), _) if plausible(counted) => {
                if let Some(sensed) = sensed.filter(|s| counted > s * DISAGREE || *s > counted * DISAGREE) {
                    let (counted, sensed) = (Watts::raw(counted), Watts::raw(sensed));
                    remarks.push(format!(
                        "energy counter ({counted}) and power sensor ({sensed}) disagree; the counter is used"
                    ));
                    remarks.extend(self.sensor_remark());
                }
                self.sensor = Sensor::Counter(self.metered(period), period);
                Ok(remarks)
            }
            (_, Some(sensed)) if plausible(sensed) && self.board.must_waver() && !self.wavers(clock) => {
                let shown = Watts::raw(sensed);
                Err(format!("its power sensor shows {shown} and nothing else for {} s: not alive", WAVER.as_secs()))
            }
            (counted, Some(sensed)) if plausible(sensed) => {
                remarks.push(match (&fault, counted) {
                    (Some(error), _) => format!("no energy counter ({error}): power is sampled instead"),
                    (None, None) => "the energy counter does not change: power is sampled instead".to_owned(),
                    (None, Some(counted)) => {
                        format!("the energy counter shows {}: power is sampled instead", Watts::raw(counted))
                    }
                });
                remarks.extend(self.sensor_remark());
                self.sensor = Sensor::Power(PowerIntegrator::new(self.board.spread(), Method::Measured));
                Ok(remarks)
            }
            (None, None) => Err(match fault {
                Some(GpuError::NotSupported) | None => {
                    "reports neither energy nor power (on a superchip only the module may report them)".to_owned()
                }
                Some(error) => error.to_string(),
            }),
            (counted, sensed) => {
                let shown = Watts::raw(counted.or(sensed).unwrap_or_default());
                Err(format!("showed {shown}, not {LEAST_BOARD} to {} W", most.get()))
            }
        }
    }

    /// The raw counter, if it is the chosen sensor and an edge is worth waiting for.
    pub(super) fn edge(&mut self) -> Option<(Result<u64, GpuError>, Duration)> {
        match &self.sensor {
            Sensor::Counter(_, period) => Some((self.board.energy_millijoules(), *period * EDGE_PERIODS)),
            Sensor::Power(_) => None,
        }
    }

    /// Takes a raw counter, or reads the board where there is none at hand.
    pub(super) fn read(&mut self, raw: Option<Result<u64, GpuError>>, at: Duration, reading: &mut Reading) {
        let component = self.component();
        match &mut self.sensor {
            Sensor::Counter(metered, _) => {
                let raw = raw.unwrap_or_else(|| self.board.energy_millijoules());
                metered.take(raw.map_err(|error| error.to_string()), at, reading);
            }
            Sensor::Power(sampled) => {
                sampled.sample(power(&mut *self.board), at, component);
                sampled.hand_out(component, reading);
            }
        }
    }

    /// Samples power, if that is the chosen sensor.
    pub(super) fn poll(&mut self, at: Duration) {
        let component = self.component();
        if let Sensor::Power(sampled) = &mut self.sensor {
            sampled.sample(power(&mut *self.board), at, component);
        }
    }

    /// Both sensors as they stand.
    pub(super) fn raw_reading(&mut self) -> RawReading {
        let (energy, power) = (self.board.energy_millijoules(), sensed(&mut *self.board));
        let faults = [energy.as_ref().err(), power.as_ref().err()];
        let fault = faults.into_iter().flatten().find(|error| **error != GpuError::NotSupported).cloned();
        RawReading {
            component: self.component(),
            name: self.board.name(),
            unit: MILLIJOULE,
            range: None,
            method: Method::Measured,
            spread: self.board.spread(),
            energy: energy.ok().map(|raw| Joules::raw(raw as f64 * MILLIJOULE.get())),
            power: power.ok(),
            utilization: self.board.utilization(),
            error: fault.map(|error| error.to_string()),
        }
    }

    fn watch(&mut self, clock: &dyn Clock) -> SensorTrial {
        let mut counter = Counter::new(MILLIJOULE, None, ANY_BOARD, REFRESH);
        // Energy and time between the first and the last change: whole periods of the counter.
        let (mut energy, mut time, mut edges) = (0.0, Duration::ZERO, 0_u32);
        let (mut fault, mut watts) = (None, Vec::new());
        for step in 0..=STEPS {
            match self.board.energy_millijoules() {
                Err(error) => fault = Some(error),
                Ok(raw) => {
                    if let CounterChange::Advanced { energy: moved, over, .. } = counter.take(raw, clock.now().elapsed)
                    {
                        // The first change ends a period of unknown length.
                        if edges > 0 {
                            energy += moved.get();
                            time += over;
                        }
                        edges += 1;
                    }
                }
            }
            if step % SENSOR_EVERY == 0 {
                watts.extend(sensed(&mut *self.board).map(Watts::get));
            }
            if (step >= LEAST_STEPS && edges as usize >= LEAST_EDGES) || fault.is_some() {
                break;
            }
            if step < STEPS {
                clock.spin(STEP);
            }
        }
        SensorTrial {
            counted: (edges > 1).then(|| energy / time.as_secs_f64()),
            period: if edges > 1 { time / (edges - 1) } else { REFRESH },
            sensed: (!watts.is_empty()).then(|| watts.iter().sum::<f64>() / watts.len() as f64),
            fault,
        }
    }

    /// Whether the power sensor shows another number before long.
    fn wavers(&mut self, clock: &dyn Clock) -> bool {
        let first = self.board.power_milliwatts();
        let looks = WAVER.as_millis() / WAVER_STEP.as_millis();
        (0..looks).any(|_| {
            clock.spin(WAVER_STEP);
            self.board.power_milliwatts() != first
        })
    }

    fn sensor_remark(&mut self) -> Option<String> {
        Some(match self.board.power_kind()? {
            PowerKind::Instant => "the power sensor reports instantaneous power".to_owned(),
            PowerKind::OneSecondAverage => "the power sensor reports the mean of the last second".to_owned(),
        })
    }

    fn metered(&self, period: Duration) -> ComponentCounter {
        ComponentCounter {
            component: self.component(),
            counter: Counter::new(MILLIJOULE, None, ANY_BOARD, period.max(REFRESH)),
            spread: self.board.spread(),
            method: Method::Measured,
            patience: PATIENCE,
            tried: None,
        }
    }
}

/// What both sensors of a board showed.
struct SensorTrial {
    /// Mean watts by the counter.
    counted: Option<f64>,
    /// How often the counter changes.
    period: Duration,
    /// Mean watts by the power sensor.
    sensed: Option<f64>,
    fault: Option<GpuError>,
}

fn sensed(board: &mut dyn GpuBoard) -> Result<Watts, GpuError> {
    board.power_milliwatts().map(|milliwatts| Watts::raw(milliwatts as f64 * 1e-3))
}

fn power(board: &mut dyn GpuBoard) -> Result<Watts, String> {
    sensed(board).map_err(|error| error.to_string())
}
