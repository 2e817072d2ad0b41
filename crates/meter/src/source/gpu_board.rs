//! What a GPU driver reports about one board.

use crate::estimate::Spread;
use crate::quantity::Watts;

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
    /// Power now, in milliwatts (on some boards the mean of the last second, see
    /// [`power_kind`](Self::power_kind)).
    ///
    /// # Errors
    /// If the board does not report it or cannot be asked.
    fn power_milliwatts(&mut self) -> Result<u64, GpuError>;
    /// The power that the board keeps itself below, if it reports it.
    fn limit(&mut self) -> Option<Watts> {
        None
    }
    /// Whether a power that stays one number tells of a dead sensor, as it does where the sensor is a file
    /// that its driver may have ceased to renew.
    fn must_waver(&self) -> bool {
        false
    }
    /// What its power sensor shows, where that is known.
    fn power_kind(&mut self) -> Option<PowerKind> {
        None
    }
    /// 90 % interval of its numbers, as factors: ±5 % where nothing else is known.
    fn spread(&self) -> Spread {
        Spread::relative(0.05)
    }
    /// The share of time in which it computes, from 0 to 1, if it reports it.
    fn utilization(&mut self) -> Option<f64> {
        None
    }
    /// Process numbers and how much each used of the board's processors since the last call, in
    /// any unit that is the same for all. A process that waits stands there with 0.
    ///
    /// # Errors
    /// If the board does not report it or cannot be asked.
    fn process_utilization(&mut self) -> Result<Vec<(u32, f64)>, GpuError> {
        Err(GpuError::NotSupported)
    }
    /// Remarks about this board.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a power sensor shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerKind {
    /// The power of the moment.
    Instant,
    /// The mean of the last second.
    OneSecondAverage,
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
