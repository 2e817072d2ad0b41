//! The machine of a forecast.

use attar_meter::hardware::{self, Accelerator, DeviceUnit, PowerFigure, Processor};
use attar_meter::source::{Component, MEMORY_SPREAD, MEMORY_WATTS_PER_GB};
use attar_meter::{Estimate, Watts};
use serde::Serialize;

use super::workload::Workload;
use super::{ForecastError, check, power};

/// What a forecast is about: parts that draw power, or the watts of the whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MachineSpec {
    boards: Vec<AcceleratorGroup>,
    packages: Vec<ProcessorGroup>,
    host: Option<Estimate<Watts>>,
    memory_gb: Option<f64>,
    limit: Option<Watts>,
    whole: Option<Estimate<Watts>>,
}

/// Accelerators of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct AcceleratorGroup {
    pub(super) count: u32,
    pub(super) accelerator: Accelerator,
}

/// Processors of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct ProcessorGroup {
    count: u32,
    processor: Processor,
}

/// More of one kind than any computer has is a typo.
const MOST_DEVICES: u32 = 1_000_000;
const MOST_GROUPS: usize = 1000;
/// A terawatt is a typo, and no product below overflows.
const MOST_WATTS: f64 = 1e12;

impl MachineSpec {
    /// A machine of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A machine that draws so much, everything together: read off a meter, say. Give a value
    /// without uncertainty as [`Estimate::exact`].
    pub fn from_watts(power: Estimate<Watts>) -> Self {
        Self { whole: Some(power), ..Self::default() }
    }

    /// With so many accelerators of a kind that the table knows.
    ///
    /// # Errors
    /// If it does not know it, or there are none or too many, or the machine has watts for the whole.
    pub fn with_accelerators(self, name: &str, count: u32) -> Result<Self, ForecastError> {
        self.with_accelerator(hardware::accelerator(name)?.clone(), count)
    }

    /// With so many boards that no table knows, with explicit watts (the board's limit) and, where
    /// operations are to be counted, peak in 10^12 operations a second.
    ///
    /// # Errors
    /// If a number is out of range, or the machine has watts for the whole.
    pub fn with_custom_accelerators(
        self,
        name: &str,
        watts: Watts,
        peak_tflops: Option<f64>,
        count: u32,
    ) -> Result<Self, ForecastError> {
        let within = (1.0..=2000.0).contains(&watts.get());
        check("power of a board in watts", "from 1 to 2000", watts.get(), within)?;
        if let Some(peak) = peak_tflops {
            check(
                "peak in 10^12 operations a second",
                "more than 0 and at most 1000000",
                peak,
                peak > 0.0 && peak <= 1e6,
            )?;
        }
        let accelerator = Accelerator {
            name: name.to_owned(),
            aliases: Vec::new(),
            unit: DeviceUnit::Board,
            figure: PowerFigure::Tdp,
            watts,
            listed_watts: None,
            tflops32: peak_tflops,
            tflops16: peak_tflops,
            without_tensor_cores: false,
            memory_gb: None,
            source: "given by the user".to_owned(),
            original: name.to_owned(),
            year: 0,
            license: String::new(),
            remark: None,
        };
        self.with_accelerator(accelerator, count)
    }

    /// With so many processor packages of a kind that the table knows.
    ///
    /// # Errors
    /// If it does not know it, or there are none or too many, or the machine has watts for the whole.
    pub fn with_processors(mut self, name: &str, count: u32) -> Result<Self, ForecastError> {
        self.part("processors", count, self.packages.len())?;
        self.packages.push(ProcessorGroup { count, processor: hardware::processor(name)?.clone() });
        Ok(self)
    }

    /// With so much for the host as a whole (processors, board, fans) beside accelerators and memory.
    ///
    /// # Errors
    /// If the machine has watts for the whole.
    pub fn with_host_watts(mut self, power: Estimate<Watts>) -> Result<Self, ForecastError> {
        self.part("watts of the host", 1, 0)?;
        self.host = Some(power);
        Ok(self)
    }

    /// With so many gigabytes of main memory, at [`MEMORY_WATTS_PER_GB`] each, within
    /// [`MEMORY_SPREAD`].
    ///
    /// # Errors
    /// If it is negative or more than a petabyte, or the machine has watts for the whole.
    pub fn with_memory_gb(mut self, gigabytes: f64) -> Result<Self, ForecastError> {
        self.part("gigabytes of memory", 1, 0)?;
        let within = (0.0..=1e6).contains(&gigabytes);
        self.memory_gb = Some(check("memory in GB", "from 0 to 1000000", gigabytes, within)?);
        Ok(self)
    }

    /// With this power limit on every accelerator. Time is taken as given: a limit stretches it, and
    /// by how much is not forecast.
    ///
    /// # Errors
    /// If it is not from 1 to 2000 W, or the machine has watts for the whole.
    pub fn with_power_limit(mut self, limit: Watts) -> Result<Self, ForecastError> {
        self.part("power limits", 1, 0)?;
        check("power limit in watts", "from 1 to 2000", limit.get(), (1.0..=2000.0).contains(&limit.get()))?;
        self.limit = Some(limit);
        Ok(self)
    }

    fn with_accelerator(mut self, accelerator: Accelerator, count: u32) -> Result<Self, ForecastError> {
        self.part("accelerators", count, self.boards.len())?;
        self.boards.push(AcceleratorGroup { count, accelerator });
        Ok(self)
    }

    fn part(&self, part: &'static str, count: u32, groups: usize) -> Result<(), ForecastError> {
        if self.whole.is_some() {
            return Err(ForecastError::PartBesideWhole { part });
        }
        let what = if part == "processors" { "number of processors" } else { "number of accelerators" };
        check(what, "from 1 to 1000000", f64::from(count), (1..=MOST_DEVICES).contains(&count))?;
        check("number of kinds of devices", "at most 1000", groups as f64, groups < MOST_GROUPS).map(|_| ())
    }

    pub(super) fn boards(&self) -> &[AcceleratorGroup] {
        &self.boards
    }

    /// Mean power of each part.
    pub(super) fn parts(&self, workload: &Workload) -> Result<Vec<(Component, Estimate<Watts>)>, ForecastError> {
        let mut parts = Vec::new();
        if let Some(power) = self.host.or(self.whole) {
            let high = power.high().get();
            check("power in watts", "at most 1000000000000", high, high <= MOST_WATTS)?;
        }
        // No more kinds than fit: see `part`.
        for (index, boards) in (0u16..).zip(&self.boards) {
            let share = power::accelerator_share(boards.accelerator.figure, workload.utilization());
            let one = share.of(boards.accelerator.watts, self.limit);
            parts.push((Component::Gpu(index), one.scaled(f64::from(boards.count))));
        }
        let mut processors = 0u16;
        for packages in &self.packages {
            let share = power::processor_share(self.processor_utilization(workload));
            let one = share.of(packages.processor.watts, None);
            parts.push((Component::Cpu(processors), one.scaled(f64::from(packages.count))));
            processors += 1;
        }
        if let Some(host) = self.host {
            parts.push((Component::Cpu(processors), host));
        }
        if let Some(gigabytes) = self.memory_gb {
            let watts = Watts::new(gigabytes * MEMORY_WATTS_PER_GB)?;
            parts.push((Component::Memory(0), Estimate::with_spread(watts, MEMORY_SPREAD)));
        }
        parts.extend(self.whole.map(|power| (Component::Machine, power)));
        if parts.is_empty() { Err(ForecastError::EmptyMachine) } else { Ok(parts) }
    }

    /// Without accelerators the one utilization that was given is that of the processors.
    fn processor_utilization(&self, workload: &Workload) -> Option<f64> {
        workload.processor_utilization().or(if self.boards.is_empty() { workload.utilization() } else { None })
    }

    pub(super) fn remarks(&self, workload: &Workload) -> Vec<String> {
        let mut remarks = Vec::new();
        let at = |utilization: Option<f64>| match utilization {
            Some(u) => format!("at a utilization of {u}"),
            None => "utilization not given".to_owned(),
        };
        for AcceleratorGroup { count, accelerator } in &self.boards {
            let share = power::accelerator_share(accelerator.figure, workload.utilization());
            let figure = match accelerator.figure {
                PowerFigure::Tdp => "of its limit",
                PowerFigure::Mean => "of its mean power",
            };
            remarks.push(format!(
                "{count} × {accelerator}: {:.2} [{:.2}, {:.2}] {figure}, {}; {}",
                share.value,
                share.low,
                share.high,
                at(workload.utilization()),
                origin(accelerator)
            ));
            if accelerator.unit != DeviceUnit::Board {
                let unit = accelerator.unit;
                remarks.push(format!(
                    "{} is counted by the {unit}: a Cloud TPU device of the second or third generation, \
                     which is what is rented, has 4 chips or 8 cores",
                    accelerator.name
                ));
            }
            remarks.extend(accelerator.remark.as_ref().map(|remark| format!("{}: {remark}", accelerator.name)));
        }
        for ProcessorGroup { count, processor } in &self.packages {
            let utilization = self.processor_utilization(workload);
            let share = power::processor_share(utilization);
            remarks.push(format!(
                "{count} × {processor}: {:.2} [{:.2}, {:.2}] of its base power, {}; {}",
                share.value,
                share.low,
                share.high,
                at(utilization),
                processor.origin()
            ));
        }
        if let Some(limit) = self.limit {
            remarks.push(format!(
                "accelerators limited to {} W; a limit stretches time, which is taken as given",
                limit.get()
            ));
        }
        if let Some(gigabytes) = self.memory_gb {
            remarks.push(format!(
                "{gigabytes} GB of memory at {MEMORY_WATTS_PER_GB} W/GB (doi 10.1145/3076113.3076117), {MEMORY_SPREAD}"
            ));
        }
        if let Some(power) = self.host.or(self.whole) {
            let what = if self.whole.is_some() { "whole machine" } else { "host" };
            let doubt = if power.low() == power.high() { ", taken as exact" } else { "" };
            remarks.push(format!("{what}: {power} given by the user{doubt}"));
        }
        remarks
    }

    /// What a bill would not find out by itself.
    pub(super) fn exclusions(&self) -> Vec<String> {
        let packages_alone = !self.packages.is_empty() && self.host.is_none();
        let out = packages_alone.then_some("disks, fans, board and losses of the power supply");
        out.into_iter().map(str::to_owned).collect()
    }
}

fn origin(accelerator: &Accelerator) -> String {
    if accelerator.license.is_empty() {
        accelerator.source.clone()
    } else {
        format!("{} {}, {}", accelerator.source, accelerator.year, accelerator.license)
    }
}
