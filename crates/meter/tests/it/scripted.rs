//! A source whose energy follows a script: joules as a function of time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attar_meter::source::{
    Component, ComponentReading, Description, Liveness, Reading, Scope, Selection, Source, SourceError,
};
use attar_meter::{
    Clock, Estimate, Gap, GapKind, Host, Joules, Ledger, ManualClock, Meter, Method, Moment, Seconds, Spread,
};

/// Constant power on some components, with a log of what was asked of it.
pub(crate) struct Scripted {
    pub(crate) powers: Vec<(Component, f64, Method)>,
    pub(crate) log: Arc<Mutex<Log>>,
    last: Option<Duration>,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) reads: usize,
    pub(crate) polls: usize,
    /// Reads that are to fail, by number from 0.
    pub(crate) failing: Vec<usize>,
}

impl Scripted {
    pub(crate) fn new(powers: &[(Component, f64, Method)]) -> Self {
        Self { powers: powers.to_vec(), log: Arc::default(), last: None }
    }
}

impl Source for Scripted {
    fn describe(&self) -> Description {
        Description {
            name: "scripted".to_owned(),
            components: self.powers.iter().map(|(component, ..)| *component).collect(),
            method: Method::weakest(self.powers.iter().map(|(.., method)| *method)).unwrap_or(Method::Measured),
            spread: Spread::NONE,
            spreads: Default::default(),
            between_loads: Default::default(),
            resolution: Seconds::new(0.001).unwrap(),
            poll: Some(Seconds::new(0.1).unwrap()),
            scope: Scope::Machine.to_string(),
            idle: Default::default(),
            notes: Vec::new(),
        }
    }

    fn probe(&mut self, _clock: &dyn Clock) -> Liveness {
        Liveness::Alive
    }

    fn read(&mut self, now: Moment) -> Result<Reading, SourceError> {
        let number = {
            let mut log = self.log.lock().unwrap();
            log.reads += 1;
            log.reads - 1
        };
        if self.log.lock().unwrap().failing.contains(&number) {
            return Err(SourceError::Nothing { what: "scripted".to_owned(), reason: "the script says so".to_owned() });
        }
        let mut reading = Reading::default();
        let Some(last) = self.last.replace(now.elapsed) else { return Ok(reading) };
        let over = now.elapsed - last;
        for (component, watts, method) in &self.powers {
            let joules = |factor: f64| Joules::new(watts * over.as_secs_f64() * factor).unwrap();
            let energy = Estimate::new(joules(1.0), joules(0.5), joules(2.0)).unwrap();
            reading.parts.push(ComponentReading {
                component: *component,
                energy,
                background: joules(0.25),
                over,
                method: *method,
            });
        }
        if over > Duration::from_secs(60) {
            let detail = "a long time".to_owned();
            let seconds = Seconds::from(over);
            reading.gaps.push(Gap { of: "scripted".to_owned(), kind: GapKind::Sparse, seconds, times: 1, detail });
        }
        Ok(reading)
    }

    fn poll(&mut self, _now: Moment) {
        self.log.lock().unwrap().polls += 1;
    }
}

/// A machine that is nowhere.
pub(crate) fn host() -> Host {
    Host { sys: "/nonexistent".into(), proc: "/nonexistent".into(), cpu: Default::default() }
}

/// A meter over one source.
pub(crate) fn meter(source: Scripted, clock: &ManualClock, interval: Duration, ledger: Option<Ledger>) -> Meter {
    let selection = Selection { sources: vec![Box::new(source)], reasons: vec!["scripted".to_owned()] };
    Meter::start_with(selection, &host(), Box::new(clock.clone()), interval, ledger).unwrap()
}
