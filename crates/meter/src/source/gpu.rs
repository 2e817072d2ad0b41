//! GPUs: the energy counter first, sampled power where a board has none.
//!
//! A counter that decreases is always a reset (a driver reload), never a wrap. Sampled power is
//! integrated by trapezoids between samples; where samples lie far apart the bounds widen and a
//! gap says so.
//!
//! Stated error: ±5 %, the figure in NVIDIA's documentation for the power sensors of its Fermi and
//! Kepler boards; nothing is stated of later ones or of the counter, so there it is assumed. On A100
//! and H100 the sensor looks only a quarter of the time (arXiv 2312.02741), so short or periodic
//! loads can be further off. The energy counter is renewed every 20 to 100 ms; the trial finds out how often,
//! and [`Source::read_at_counter_update`] waits for that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{Board, REFRESH, Sensor};
use super::gpu_board::GpuBoard;
use super::{Component, Description, Liveness, RawReading, Reading, Source, SourceError};
use crate::clock::{Clock, Moment};
use crate::estimate::{Method, Spread};

/// The GPUs of this machine.
pub struct Gpus {
    boards: Vec<Board>,
    remarks: Vec<String>,
    trials: Vec<BoardTrial>,
}

/// What came of the trial of one board, for a diagnosis.
#[derive(Debug, Clone)]
pub(crate) struct BoardTrial {
    pub(crate) index: u16,
    /// Index and name.
    pub(crate) name: String,
    /// The period of its counter (nothing where power is sampled) and remarks, or why it is not read.
    pub(crate) outcome: Result<(Option<Duration>, Vec<String>), String>,
}

/// How often power is sampled where there is no counter.
const POLL: Duration = Duration::from_millis(100);
/// Looks in a period when an edge is waited for: it is then known to a twentieth of the period.
const LOOKS: u32 = 20;
const SHORTEST_LOOK: Duration = Duration::from_micros(100);

impl Gpus {
    /// A source over these boards. Each proves itself in [`probe`](Source::probe).
    pub fn new(boards: Vec<Box<dyn GpuBoard>>) -> Self {
        Self { boards: boards.into_iter().map(Board::new).collect(), remarks: Vec::new(), trials: Vec::new() }
    }

    /// What came of the trial of each board.
    pub(crate) fn trials(&self) -> &[BoardTrial] {
        &self.trials
    }

    /// Periods of the counters that are read.
    fn periods(&self) -> impl Iterator<Item = Duration> {
        self.boards.iter().filter_map(Board::period)
    }
}

impl Source for Gpus {
    fn describe(&self) -> Description {
        let sampled = self.boards.iter().any(|board| matches!(board.sensor, Sensor::Power(_)));
        let spreads = self.boards.iter().map(|board| board.board.spread());
        Description {
            name: "gpu".to_owned(),
            components: self.boards.iter().map(Board::component).collect(),
            method: Method::Measured,
            spread: spreads.reduce(|a, b| if b.high() > a.high() { b } else { a }).unwrap_or(Spread::NONE),
            spreads: self.boards.iter().map(|board| (board.component(), board.board.spread())).collect(),
            between_loads: BTreeMap::new(),
            // Of the slowest.
            resolution: self.periods().chain(sampled.then_some(POLL)).max().unwrap_or(REFRESH).into(),
            poll: sampled.then_some(POLL.into()),
            scope: "whole boards, with everything that runs on them".to_owned(),
            idle: BTreeMap::new(),
            notes: self.remarks.clone(),
        }
    }

    fn probe(&mut self, clock: &dyn Clock) -> Liveness {
        let mut faults = Vec::new();
        for mut board in std::mem::take(&mut self.boards) {
            let (name, index) = (board.board.name(), board.board.index());
            let outcome = match board.choose_sensor(clock) {
                Ok(remarks) => {
                    let all: Vec<String> = board.board.remarks().into_iter().chain(remarks).collect();
                    self.remarks.extend(all.iter().map(|remark| format!("{name}: {remark}")));
                    let period = board.period();
                    self.boards.push(board);
                    Ok((period, all))
                }
                Err(fault) => {
                    faults.push(format!("{name}: {fault}"));
                    Err(fault)
                }
            };
            self.trials.push(BoardTrial { index, name, outcome });
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
        self.boards.iter_mut().for_each(|board| board.read(None, now.elapsed, &mut reading));
        Ok(reading)
    }

    fn poll(&mut self, now: Moment) {
        self.boards.iter_mut().for_each(|board| board.poll(now.elapsed));
    }

    fn read_at_counter_update(&mut self, clock: &dyn Clock) -> Result<Reading, SourceError> {
        let mut reading = Reading::default();
        let begin = clock.now().elapsed;
        let look = (self.periods().min().unwrap_or(REFRESH) / LOOKS).max(SHORTEST_LOOK);
        // Each board with what it shows at the start and how long to wait for something else.
        let mut waiting = Vec::new();
        for (i, board) in self.boards.iter_mut().enumerate() {
            match board.edge() {
                Some((Ok(raw), patience)) => waiting.push((i, raw, patience)),
                Some((failed, _)) => board.read(Some(failed), clock.now().elapsed, &mut reading),
                None => board.read(None, clock.now().elapsed, &mut reading),
            }
        }
        while !waiting.is_empty() {
            clock.spin(look);
            waiting.retain(|(i, before, patience)| {
                let board = &mut self.boards[*i];
                let Some((raw, _)) = board.edge() else { return false };
                // Next to the read, so that the time is that of the edge.
                let at = clock.now().elapsed;
                let still = raw.as_ref() == Ok(before) && at.saturating_sub(begin) < *patience;
                if !still {
                    board.read(Some(raw), at, &mut reading);
                }
                still
            });
        }
        Ok(reading)
    }

    fn process_share(&mut self, component: Component, processes: &[u32]) -> Option<f64> {
        let board = self.boards.iter_mut().find(|board| board.component() == component)?;
        let used = board.board.process_utilization().ok()?;
        let sum = |of: &dyn Fn(&u32) -> bool| {
            let amounts = used.iter().filter(|(process, _)| of(process)).map(|(_, amount)| *amount);
            amounts.filter(|amount| amount.is_finite() && *amount > 0.0).sum::<f64>()
        };
        let ours = |process: &u32| processes.contains(process);
        let all = sum(&|_| true);
        let known = used.iter().any(|(process, _)| ours(process));
        (known && all > 0.0).then(|| (sum(&ours) / all).min(1.0))
    }

    fn raw_readings(&mut self) -> Vec<RawReading> {
        self.boards.iter_mut().map(Board::raw_reading).collect()
    }
}
