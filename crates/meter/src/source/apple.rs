//! Apple silicon: what the chip says of its own power, through the crate `macmon`, without
//! privileges.
//!
//! The interface blocks while it samples, so a thread of its own does that and adds the energy up;
//! a read takes what has come together. The neural engine is counted with the processor.
//!
//! On some systems channels are frozen or show 0 W (vladkens/macmon issue 76), so the same gate
//! stands here as for other counters: power must be plausible and move while a core is kept busy.
//! Graphics that show nothing while they idle cannot be distinguished from a dead channel: they are left
//! out, and that is said.
//!
//! Stated error: ±20 %. Nothing is published; it is a guess, no measurement.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Component, ComponentReading, Description, Liveness, Reading, Source, SourceError};
use crate::clock::{Clock, Moment};
use crate::estimate::{Estimate, Method, Spread};
use crate::gap::{Gap, GapKind};
use crate::quantity::{Joules, Seconds, Watts};

/// The chip as a source.
pub struct Apple {
    shared: Arc<Mutex<Shared>>,
    /// Those that passed the gate, with the energy that was returned.
    counted: Vec<(usize, f64)>,
    done: Duration,
    notes: Vec<String>,
}

/// What the sampling thread and the reader share.
#[derive(Default)]
struct Shared {
    /// Energy in joules so far, by channel.
    joules: [f64; 3],
    /// How long was sampled.
    time: Duration,
    /// The latest samples in watts, for the gate.
    watts: Vec<[f64; 3]>,
    /// What went wrong since the last read.
    fault: Option<String>,
    /// Whether nobody reads any more.
    closed: bool,
}

const CHANNELS: [Component; 3] = [Component::Cpu(0), Component::Memory(0), Component::Gpu(0)];
const SPREAD: Spread = Spread::relative(0.20);
const PERIOD: Duration = Duration::from_millis(250);
const ROUND: Duration = Duration::from_millis(50);
/// Two seconds at most, for four samples after the first.
const ROUNDS: usize = 40;
const SAMPLES: usize = 4;
const LEAST_CPU: f64 = 0.05;
const MOST: f64 = 500.0;

impl Shared {
    /// Adds a sample: mean watts of processor, memory and graphics over some time.
    fn add(&mut self, watts: [f64; 3], over: Duration) {
        if !watts.iter().all(|watts| (0.0..MOST).contains(watts)) {
            self.fault = Some(format!("showed {watts:?} W, not 0 to {MOST}"));
            return;
        }
        for (joules, watts) in self.joules.iter_mut().zip(watts) {
            *joules += watts * over.as_secs_f64();
        }
        self.time += over;
        if self.watts.len() < SAMPLES + 1 {
            self.watts.push(watts);
        }
    }

    /// The channels that count, and why others do not.
    fn judge(&self) -> Result<(Vec<usize>, Vec<String>), String> {
        // The first sample may reach back to before the core was busy.
        let watts = self.watts.get(1..).unwrap_or_default();
        let (Some(first), true) = (watts.first(), watts.len() >= 2) else {
            return Err(self.fault.clone().unwrap_or_else(|| "no sample in two seconds".to_owned()));
        };
        let mean = |i: usize| watts.iter().map(|watts| watts[i]).sum::<f64>() / watts.len() as f64;
        if mean(0) < LEAST_CPU {
            return Err(format!("the processor showed {} while a core was busy", Watts::raw(mean(0))));
        }
        if watts.iter().all(|watts| watts[0] == first[0]) {
            return Err(format!("the processor's channel is frozen at {}", Watts::raw(first[0])));
        }
        let (alive, dead): (Vec<usize>, Vec<usize>) = (0..CHANNELS.len()).partition(|i| mean(*i) > 0.0);
        let note = |i: usize| {
            format!(
                "{} showed 0 W, and an idle device cannot be distinguished from a dead channel: not counted",
                CHANNELS[i]
            )
        };
        Ok((alive, dead.into_iter().map(note).collect()))
    }
}

impl Apple {
    fn over(shared: Arc<Mutex<Shared>>) -> Self {
        let notes = vec!["the chip's own estimate; its error is not published: ±20 % is a guess".to_owned()];
        Self { shared, counted: Vec::new(), done: Duration::ZERO, notes }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        locked(&self.shared, act)
    }
}

/// A panic elsewhere leaves the numbers whole, so a poisoned lock is still good.
fn locked<T>(shared: &Mutex<Shared>, act: impl FnOnce(&mut Shared) -> T) -> T {
    act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(all(feature = "apple", target_os = "macos"))]
impl Apple {
    /// Starts to sample this machine's chip, until the source is dropped.
    ///
    /// # Errors
    /// As text, if no thread can be started.
    pub fn start() -> Result<Self, String> {
        let shared = Arc::<Mutex<Shared>>::default();
        let inner = Arc::clone(&shared);
        let work = move || {
            let fault = |error: Box<dyn std::error::Error>| {
                locked(&inner, |shared| shared.fault = Some(error.to_string()));
            };
            let mut sampler = match macmon::Sampler::new() {
                Ok(sampler) => sampler,
                Err(error) => return fault(error),
            };
            let mut last = std::time::Instant::now();
            while !locked(&inner, |shared| shared.closed) {
                match sampler.get_metrics(PERIOD.as_millis() as u32) {
                    Ok(metrics) => {
                        let now = std::time::Instant::now();
                        let watts = [metrics.cpu_power + metrics.ane_power, metrics.ram_power, metrics.gpu_power];
                        locked(&inner, |shared| shared.add(watts.map(f64::from), now - last));
                        last = now;
                    }
                    Err(error) => {
                        fault(error);
                        std::thread::sleep(PERIOD);
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("attar-meter".to_owned()).spawn(work);
        thread.map_err(|error| format!("no thread to sample with: {error}"))?;
        Ok(Self::over(shared))
    }
}

impl Drop for Apple {
    fn drop(&mut self) {
        self.with(|shared| shared.closed = true);
    }
}

impl Source for Apple {
    fn describe(&self) -> Description {
        Description {
            name: "apple".to_owned(),
            components: self.counted.iter().map(|(i, _)| CHANNELS[*i]).collect(),
            method: Method::Measured,
            spread: SPREAD,
            spreads: BTreeMap::new(),
            between_loads: BTreeMap::new(),
            resolution: PERIOD.into(),
            poll: None,
            scope: "the whole chip, with everything that runs on it".to_owned(),
            idle: BTreeMap::new(),
            notes: self.notes.clone(),
        }
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        for _ in 0..ROUNDS {
            if self.with(|shared| shared.watts.len() > SAMPLES) {
                break;
            }
            clock.spin(ROUND);
        }
        match self.with(|shared| shared.judge()) {
            Err(reason) => Liveness::Dead(reason),
            Ok((alive, notes)) => {
                self.notes.extend(notes);
                let standing =
                    |shared: &mut Shared| (shared.time, alive.iter().map(|i| (*i, shared.joules[*i])).collect());
                (self.done, self.counted) = self.with(standing);
                Liveness::Alive
            }
        }
    }

    fn read(&mut self, _now: Moment) -> Result<Reading, SourceError> {
        let (joules, time, fault) = self.with(|shared| (shared.joules, shared.time, shared.fault.take()));
        let over = time.saturating_sub(self.done);
        let mut reading = Reading::default();
        if let Some(fault) = fault {
            reading.gaps.push(Gap::new("apple", GapKind::ReadFailed, Seconds::ZERO, fault));
        }
        for (i, before) in &mut self.counted {
            let energy = joules[*i] - *before;
            *before = joules[*i];
            if energy > 0.0 {
                let energy = Estimate::with_spread(Joules::raw(energy), SPREAD);
                let (component, background) = (CHANNELS[*i], Joules::ZERO);
                reading.parts.push(ComponentReading { component, energy, background, over, method: Method::Measured });
            }
        }
        self.done = time;
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// A chip whose samples come while a core is kept busy.
    fn chip(samples: impl Fn(u32) -> [f64; 3] + Send + 'static) -> (Apple, ManualClock) {
        let apple = Apple::over(Arc::default());
        let (clock, shared, mut number) = (ManualClock::new(), Arc::clone(&apple.shared), 0);
        clock.on_spin(move |over| {
            number += 1;
            locked(&shared, |shared| shared.add(samples(number), over));
        });
        (apple, clock)
    }

    #[test]
    fn energy_adds_up_between_reads() {
        let (mut apple, clock) = chip(|i| [4.0 + f64::from(i % 2), 0.5, 2.0]);
        assert_eq!(apple.probe(&clock), Liveness::Alive);
        assert!(apple.read(clock.now()).unwrap().parts.is_empty());
        clock.spin(Duration::from_secs(1));
        clock.spin(Duration::from_secs(1));
        let reading = apple.read(clock.now()).unwrap();
        let joules: Vec<f64> = reading.parts.iter().map(|part| part.energy.value().get()).collect();
        assert_eq!(joules, [9.0, 1.0, 4.0]);
        assert_eq!(reading.parts[0].over, Duration::from_secs(2));
    }

    #[test]
    fn dead_and_frozen_channels_are_found_out() {
        for (watts, expected) in [([0.0, 0.5, 2.0], "showed 0 W"), ([5.0, 0.5, 2.0], "frozen at 5.00 W")] {
            let (mut apple, clock) = chip(move |_| watts);
            let Liveness::Dead(reason) = apple.probe(&clock) else { panic!("alive at {watts:?}") };
            assert!(reason.contains(expected), "{reason}");
        }
        for watts in [f64::NAN, -1.0, 1e9] {
            let (mut apple, clock) = chip(move |_| [watts, 0.5, 2.0]);
            let Liveness::Dead(reason) = apple.probe(&clock) else { panic!("alive at {watts} W") };
            assert!(reason.contains("not 0 to 500"), "{reason}");
        }
        let mut silent = Apple::over(Arc::default());
        assert_eq!(silent.probe(&ManualClock::new()), Liveness::Dead("no sample in two seconds".to_owned()));
    }

    #[test]
    fn graphics_at_zero_are_left_out_and_named() {
        let (mut apple, clock) = chip(|i| [4.0 + f64::from(i % 2), 0.5, 0.0]);
        assert_eq!(apple.probe(&clock), Liveness::Alive);
        assert_eq!(apple.describe().components, [Component::Cpu(0), Component::Memory(0)]);
        assert!(apple.describe().notes[1].contains("gpu0 showed 0 W"), "{:?}", apple.describe().notes);
    }
}
