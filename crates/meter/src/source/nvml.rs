//! NVIDIA boards through the driver's management library (NVML), opened at run time.

use std::sync::Arc;

use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};

use super::{GpuBoard, GpuError, PowerKind};
use crate::quantity::Watts;

/// The NVIDIA boards of this machine: all of them, or those with the given numbers.
///
/// # Errors
/// As text, if there is no driver, no board, or no board with such a number.
pub fn nvidia_boards(only: Option<&[u16]>) -> Result<Vec<Box<dyn GpuBoard>>, String> {
    let library = Arc::new(Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded => {
            "no NVIDIA driver".to_owned()
        }
        other => format!("the NVIDIA driver does not answer: {other}"),
    })?);
    let count = library.device_count().map_err(|error| error.to_string())?;
    // Boards are numbered with 16 bits here; no machine comes near.
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    if count == 0 {
        return Err("an NVIDIA driver but no board".to_owned());
    }
    if let Some(missing) = only.into_iter().flatten().find(|index| **index >= count) {
        return Err(format!("no board {missing}: this machine has 0 to {}", count - 1));
    }
    let chosen = (0..count).filter(|index| only.is_none_or(|only| only.contains(index)));
    Ok(chosen
        .map(|index| Box::new(NvidiaBoard { library: Arc::clone(&library), index, seen: 0 }) as Box<dyn GpuBoard>)
        .collect())
}

struct NvidiaBoard {
    library: Arc<Nvml>,
    index: u16,
    /// Time of the newest sample of the use by processes, in µs of the driver's clock.
    seen: u64,
}

/// The mean of the last second and the power of the moment, in milliwatts.
const POWER_AVERAGE: FieldId = FieldId(185);
const POWER_INSTANT: FieldId = FieldId(186);

impl NvidiaBoard {
    fn device(&self) -> Result<Device<'_>, GpuError> {
        self.library.device_by_index(u32::from(self.index)).map_err(translate)
    }
}

impl GpuBoard for NvidiaBoard {
    fn name(&self) -> String {
        let name = self.device().and_then(|device| device.name().map_err(translate));
        format!("{}: {}", self.index, name.unwrap_or_else(|_| "NVIDIA board".to_owned()))
    }

    fn index(&self) -> u16 {
        self.index
    }

    fn energy_millijoules(&mut self) -> Result<u64, GpuError> {
        self.device()?.total_energy_consumption().map_err(translate)
    }

    fn power_milliwatts(&mut self) -> Result<u64, GpuError> {
        self.device()?.power_usage().map(u64::from).map_err(translate)
    }

    fn limit(&mut self) -> Option<Watts> {
        let milliwatts = self.device().ok()?.enforced_power_limit().ok()?;
        (milliwatts > 0).then(|| Watts::raw(f64::from(milliwatts) * 1e-3))
    }

    fn power_kind(&mut self) -> Option<PowerKind> {
        let device = self.device().ok()?;
        let fields = device.field_values_for(&[POWER_AVERAGE, POWER_INSTANT]).unwrap_or_default();
        let field = |i: usize| match fields.get(i)?.as_ref().ok()?.value.as_ref().ok()? {
            SampleValue::U32(milliwatts) => Some(*milliwatts),
            _ => None,
        };
        let shown = device.power_usage().ok();
        match (shown.is_some() && shown == field(0), shown.is_some() && shown == field(1)) {
            (true, false) => Some(PowerKind::OneSecondAverage),
            (false, true) => Some(PowerKind::Instant),
            // Both or neither: the documentation goes by generation, and splits Ampere.
            _ => match device.architecture().ok()? {
                DeviceArchitecture::Kepler
                | DeviceArchitecture::Maxwell
                | DeviceArchitecture::Pascal
                | DeviceArchitecture::Volta
                | DeviceArchitecture::Turing => Some(PowerKind::Instant),
                DeviceArchitecture::Ampere | DeviceArchitecture::Unknown => None,
                _ => Some(PowerKind::OneSecondAverage),
            },
        }
    }

    fn utilization(&mut self) -> Option<f64> {
        let percent = self.device().ok()?.utilization_rates().ok()?.gpu;
        (percent <= 100).then(|| f64::from(percent) / 100.0)
    }

    fn process_utilization(&mut self) -> Result<Vec<(u32, f64)>, GpuError> {
        let device = self.device()?;
        let samples = match device.process_utilization_stats(self.seen) {
            Ok(samples) => samples,
            // So the driver says that nobody used it since.
            Err(NvmlError::NotFound) => Vec::new(),
            Err(error) => return Err(translate(error)),
        };
        // Samples that the driver has buffered from before come again with some versions.
        let new = samples.iter().filter(|sample| sample.timestamp > self.seen);
        let mut used: Vec<(u32, f64)> = new.map(|sample| (sample.pid, f64::from(sample.sm_util.min(100)))).collect();
        let newest = samples.iter().map(|sample| sample.timestamp).max();
        // Those that only wait are known too.
        used.extend(device.running_compute_processes().unwrap_or_default().iter().map(|process| (process.pid, 0.0)));
        self.seen = newest.unwrap_or(0).max(self.seen);
        Ok(used)
    }

    fn remarks(&self) -> Vec<String> {
        // 1: enabled. Power is only known for the whole board, whoever has the other instances.
        let split = self.device().ok().and_then(|device| device.mig_mode().ok()).is_some_and(|mode| mode.current == 1);
        split.then(|| "split into instances (MIG): the whole board is counted".to_owned()).into_iter().collect()
    }
}

fn translate(error: NvmlError) -> GpuError {
    match error {
        NvmlError::NotSupported | NvmlError::FunctionNotFound | NvmlError::FailedToLoadSymbol(_) => {
            GpuError::NotSupported
        }
        NvmlError::GpuLost => GpuError::Lost,
        other => GpuError::Driver(other.to_string()),
    }
}
