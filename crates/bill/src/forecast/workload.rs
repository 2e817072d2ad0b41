//! The workload of a forecast.

use attar_meter::{Estimate, SECONDS_PER_HOUR, Seconds, Spread};
use serde::{Deserialize, Serialize};

use super::{ForecastError, MachineSpec, check};

/// What is to be done: hours, or operations whose time follows from the machine's peak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workload {
    amount: Amount,
    utilization: Option<f64>,
    processor_utilization: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
enum Amount {
    Time(Seconds),
    Operations { flops: f64, precision: PeakPrecision, efficiency: Efficiency },
}

/// The precision of most operations, which decides the peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakPrecision {
    /// 32 bits.
    Single,
    /// 16 bits, with tensor cores where there are any.
    Half,
}

/// Which share of its peak a machine reaches, with a 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Efficiency {
    value: f64,
    low: f64,
    high: f64,
}

/// The efficiency where none is given: 0.35, from 0.10 to 0.60.
///
/// Published shares of peak: 0.29 on GPUs and 0.63 on tensor processors (measured against
/// peak performance differs by 3.5 and 1.6 times, Patterson et al. 2021, arXiv 2104.10350), 0.38 to
/// 0.43 for Llama 3 (arXiv 2407.21783), 0.56 for the largest transformer of Megatron-LM (arXiv
/// 2205.05198 and its repository). Those are tuned, large runs. The lower bound is less than a third
/// of the value, because fine-tuning BERT with small batches took up to 3.4 times as long as with
/// large ones in the traces of Zeus, which a test reads. The interval is a reading of these few
/// figures, not a fit: give your own where you have measured.
pub const EFFICIENCY: Efficiency = Efficiency { value: 0.35, low: 0.10, high: 0.60 };

/// A thousand years and more are a typo.
const MOST_HOURS: f64 = 1e7;
const MOST_FLOPS: f64 = 1e32;

impl Workload {
    /// So many hours of the machine.
    ///
    /// # Errors
    /// If they are not more than 0 and at most ten million.
    pub fn hours(hours: f64) -> Result<Self, ForecastError> {
        let within = hours > 0.0 && hours <= MOST_HOURS;
        let hours = check("time in hours", "more than 0 and at most 10000000", hours, within)?;
        Ok(Self::of(Amount::Time(Seconds::new(hours * SECONDS_PER_HOUR)?)))
    }

    /// So many floating-point operations in all, with [`EFFICIENCY`].
    ///
    /// # Errors
    /// If they are not more than 0 and at most 10^32.
    pub fn operations(flops: f64, precision: PeakPrecision) -> Result<Self, ForecastError> {
        let within = flops > 0.0 && flops <= MOST_FLOPS;
        let flops = check("number of operations", "more than 0 and at most 1e32", flops, within)?;
        Ok(Self::of(Amount::Operations { flops, precision, efficiency: EFFICIENCY }))
    }

    /// With this efficiency in place of the default. Without effect on hours.
    pub fn with_efficiency(mut self, own: Efficiency) -> Self {
        if let Amount::Operations { efficiency, .. } = &mut self.amount {
            *efficiency = own;
        }
        self
    }

    /// With this utilization of the accelerators, or of the processors where there are no
    /// accelerators: 0 is idle, 1 a load that fills them.
    ///
    /// # Errors
    /// If it is not from 0 to 1.
    pub fn with_utilization(self, utilization: f64) -> Result<Self, ForecastError> {
        Ok(Self { utilization: Some(share("utilization", utilization)?), ..self })
    }

    /// With this utilization of the processors, all cores being 1.
    ///
    /// # Errors
    /// If it is not from 0 to 1.
    pub fn with_processor_utilization(self, utilization: f64) -> Result<Self, ForecastError> {
        Ok(Self { processor_utilization: Some(share("utilization of processors", utilization)?), ..self })
    }

    fn of(amount: Amount) -> Self {
        Self { amount, utilization: None, processor_utilization: None }
    }

    pub(super) fn utilization(&self) -> Option<f64> {
        self.utilization
    }

    pub(super) fn processor_utilization(&self) -> Option<f64> {
        self.processor_utilization
    }

    /// How long a machine takes.
    pub(super) fn time(
        &self,
        machine: &MachineSpec,
        remarks: &mut Vec<String>,
    ) -> Result<Estimate<Seconds>, ForecastError> {
        let (flops, precision, efficiency) = match self.amount {
            Amount::Time(time) => return Ok(Estimate::exact(time)),
            Amount::Operations { flops, precision, efficiency } => (flops, precision, efficiency),
        };
        let peak = peak(machine, precision).map_err(|reason| ForecastError::NoPeak {
            flops,
            expected: format!("accelerators with a known peak in {} precision", precision.word()),
            reason,
        })?;
        let seconds = Seconds::new(flops / (peak * efficiency.value))?;
        let what = "time in hours that the operations take";
        check(what, "at most 10000000", seconds.hours(), seconds.hours() <= MOST_HOURS)?;
        remarks.push(format!(
            "{flops:e} operations at {} [{}, {}] of a peak of {:.4} TFLOPS in {} precision{}",
            efficiency.value,
            efficiency.low,
            efficiency.high,
            peak / 1e12,
            precision.word(),
            if efficiency == EFFICIENCY { ": the default efficiency, from published large runs" } else { "" }
        ));
        let spread = Spread::between(efficiency.value / efficiency.high, efficiency.value / efficiency.low);
        Ok(Estimate::with_spread(seconds, spread))
    }
}

impl Efficiency {
    /// A custom efficiency.
    ///
    /// # Errors
    /// If not `0 < low <= value <= high <= 1`.
    pub fn new(value: f64, low: f64, high: f64) -> Result<Self, ForecastError> {
        let ordered = 0.0 < low && low <= value && value <= high && high <= 1.0;
        check("efficiency", "more than 0, at most 1 and between its bounds", value, ordered)?;
        Ok(Self { value, low, high })
    }

    /// The single best number.
    pub fn value(self) -> f64 {
        self.value
    }

    /// The lower bound.
    pub fn low(self) -> f64 {
        self.low
    }

    /// The upper bound.
    pub fn high(self) -> f64 {
        self.high
    }
}

impl PeakPrecision {
    fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Half => "half",
        }
    }
}

/// Operations a second of all accelerators together.
fn peak(machine: &MachineSpec, precision: PeakPrecision) -> Result<f64, String> {
    if machine.boards().is_empty() {
        return Err("the machine has no accelerators".to_owned());
    }
    machine.boards().iter().try_fold(0.0, |sum, boards| {
        let accelerator = &boards.accelerator;
        let listed = match precision {
            PeakPrecision::Single => accelerator.tflops32,
            PeakPrecision::Half if accelerator.without_tensor_cores => {
                return Err(format!(
                    "the peak listed for {} in half precision leaves out its tensor cores",
                    accelerator.name
                ));
            }
            PeakPrecision::Half => accelerator.tflops16,
        };
        let tflops = listed
            .ok_or_else(|| format!("no peak is listed for {} in {} precision", accelerator.name, precision.word()))?;
        Ok(sum + tflops * 1e12 * f64::from(boards.count))
    })
}

fn share(what: &'static str, got: f64) -> Result<f64, ForecastError> {
    check(what, "from 0 to 1", got, (0.0..=1.0).contains(&got))
}
