//! Accelerators and processors by name: what they are built to draw and, where listed, to compute.
//!
//! Power here is a board's limit or a processor's *base* power (an i7-12700H is listed with 45 W and
//! draws up to 115 W), never what a job draws: a forecast (crate `attar-bill`) makes that of it, with
//! an interval.
//!
//! Names are matched without regard to case, punctuation and vendor: `nvidia a100-sxm4-80gb`,
//! `EPYC 7763` and `Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz` are found. A name that several
//! entries answer to, with different figures, is refused with the candidates, never guessed.

mod names;

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::quantity::Watts;
use crate::table;

/// A board, or a unit of a tensor processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accelerator {
    /// Name.
    pub name: String,
    /// Other names for the same thing.
    pub aliases: Vec<String>,
    /// What one of it is.
    pub unit: DeviceUnit,
    /// What the watts are.
    pub figure: PowerFigure,
    /// Watts of one unit: [`PowerFigure`] says which.
    pub watts: Watts,
    /// The figure of the source, where this table corrects it; `remark` says why.
    pub listed_watts: Option<Watts>,
    /// Peak in single precision, in 10^12 operations a second (TF32 where `remark` says so).
    pub tflops32: Option<f64>,
    /// Peak in half precision, in 10^12 operations a second, without structured sparsity.
    pub tflops16: Option<f64>,
    /// Whether `tflops16` leaves out the tensor cores that the board has: then it does not measure
    /// what half precision can reach.
    pub without_tensor_cores: bool,
    /// Memory in gigabytes.
    pub memory_gb: Option<f64>,
    /// Repository that the row is from; `data/accelerators.csv` names file and commit.
    pub source: String,
    /// Its name there.
    pub original: String,
    /// Year of the source's state.
    pub year: u16,
    /// License of the row.
    pub license: String,
    /// What is uncertain or was corrected.
    pub remark: Option<String>,
}

/// A processor package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// Name.
    pub name: String,
    /// Thermal design power in watts: base power, not turbo.
    pub watts: Watts,
    /// Where the figure is from, if not from [`PROCESSOR_SOURCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Processor {
    /// Where the figure is from.
    pub fn origin(&self) -> &str {
        self.source.as_deref().unwrap_or(PROCESSOR_SOURCE)
    }
}

/// What one accelerator is. Prices and powers of tensor processors are quoted for different units,
/// and mixing them up costs a factor of two to eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceUnit {
    /// A GPU.
    Board,
    /// A core of a tensor processor: half a chip.
    Core,
    /// A chip of a tensor processor.
    Chip,
    /// A Cloud TPU device of the second or third generation: 4 chips, 8 cores. This is what is rented.
    Device,
}

/// What the watts of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerFigure {
    /// What it is built to draw at most for long: thermal design power.
    Tdp,
    /// The mean that was measured in use.
    Mean,
}

/// A name that leads to no entry, or to several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HardwareError {
    /// No entry answers to it.
    #[error(
        "{kind} `{got}` is not among the {known} known; nearest: {}; give one of the known names or your own watts",
        nearest.join(", ")
    )]
    Unknown {
        /// `accelerator` or `processor`.
        kind: &'static str,
        /// The value given.
        got: String,
        /// How many entries there are.
        known: usize,
        /// The closest names, best first.
        nearest: Vec<String>,
    },
    /// Several entries with different figures answer to it.
    #[error(
        "{kind} `{got}` is ambiguous; it may be {}; give one of these names or your own watts",
        some_of(candidates)
    )]
    Ambiguous {
        /// `accelerator` or `processor`.
        kind: &'static str,
        /// The value given.
        got: String,
        /// Every entry that answers to it, with its watts.
        candidates: Vec<String>,
    },
}

/// Where most processors are from.
pub const PROCESSOR_SOURCE: &str =
    "mlco2/codecarbon codecarbon/data/hardware/cpu_power.csv @b05965e4 (2026), MIT, from Intel ARK and amd.com";

/// All accelerators, by name.
pub fn accelerators() -> &'static [Accelerator] {
    static ROWS: OnceLock<Vec<Accelerator>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let rows: Vec<AcceleratorRow> = table::embedded(include_str!("../data/accelerators.csv"));
        rows.into_iter().map(Accelerator::from).collect()
    })
}

/// All processors.
pub fn processors() -> &'static [Processor] {
    static ROWS: OnceLock<Vec<Processor>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let tables = [include_str!("../data/processors.csv"), include_str!("../data/processors-arm.csv")];
        tables.into_iter().flat_map(table::embedded).collect()
    })
}

/// An accelerator by its name.
///
/// ```
/// use attar_meter::hardware;
/// assert_eq!(hardware::accelerator("NVIDIA A100-SXM4-80GB")?.watts.get(), 400.0);
/// assert!(hardware::accelerator("A100").unwrap_err().to_string().contains("A100 PCIe 40 GB (250 W)"));
/// # Ok::<(), hardware::HardwareError>(())
/// ```
///
/// # Errors
/// If none answers to it, or several with different figures.
pub fn accelerator(name: &str) -> Result<&'static Accelerator, HardwareError> {
    let entries = accelerators().iter().flat_map(|row| {
        std::iter::once(row.name.as_str()).chain(row.aliases.iter().map(String::as_str)).map(move |name| (name, row))
    });
    let same = |a: &Accelerator, b: &Accelerator| {
        (a.watts, a.tflops32, a.tflops16, a.unit) == (b.watts, b.tflops32, b.tflops16, b.unit)
    };
    resolve("accelerator", name, entries, accelerators().len(), same)
}

/// A processor by its name, in the words of the maker or of `/proc/cpuinfo`.
///
/// # Errors
/// If none answers to it, or several with different figures.
pub fn processor(name: &str) -> Result<&'static Processor, HardwareError> {
    let entries = processors().iter().map(|row| (row.name.as_str(), row));
    resolve("processor", name, entries, processors().len(), |a, b| a.watts == b.watts)
}

impl DeviceUnit {
    /// Which part of a Cloud TPU device (second and third generation) one unit is; nothing for a
    /// board, which is rented as such.
    pub fn share_of_device(self) -> Option<f64> {
        match self {
            Self::Board => None,
            Self::Core => Some(0.125),
            Self::Chip => Some(0.25),
            Self::Device => Some(1.0),
        }
    }
}

impl fmt::Display for DeviceUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Board => "board",
            Self::Core => "core",
            Self::Chip => "chip",
            Self::Device => "device",
        })
    }
}

/// `A40 (300 W)`.
impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, whole(self.watts))
    }
}

/// `AMD EPYC 7763 (280 W)`.
impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, whole(self.watts))
    }
}

fn whole(watts: Watts) -> String {
    format!("{} W", watts.get())
}

/// A row of `data/accelerators.csv`.
#[derive(Debug, Deserialize)]
struct AcceleratorRow {
    name: String,
    aliases: String,
    unit: DeviceUnit,
    figure: PowerFigure,
    watts: Watts,
    listed_watts: Option<Watts>,
    tflops32: Option<f64>,
    tflops16: Option<f64>,
    half: Option<String>,
    memory_gb: Option<f64>,
    source: String,
    original: String,
    year: u16,
    license: String,
    remark: Option<String>,
}

impl From<AcceleratorRow> for Accelerator {
    fn from(row: AcceleratorRow) -> Self {
        Self {
            aliases: row.aliases.split(';').filter(|alias| !alias.is_empty()).map(str::to_owned).collect(),
            without_tensor_cores: row.half.as_deref() == Some("vector"),
            name: row.name,
            unit: row.unit,
            figure: row.figure,
            watts: row.watts,
            listed_watts: row.listed_watts,
            tflops32: row.tflops32,
            tflops16: row.tflops16,
            memory_gb: row.memory_gb,
            source: row.source,
            original: row.original,
            year: row.year,
            license: row.license,
            remark: row.remark,
        }
    }
}

fn resolve<T: fmt::Display>(
    kind: &'static str,
    got: &str,
    entries: impl Iterator<Item = (&'static str, &'static T)> + Clone,
    known: usize,
    same: impl Fn(&T, &T) -> bool,
) -> Result<&'static T, HardwareError> {
    let got = &shortened(got);
    let found = names::find(got, entries.clone());
    match found.split_first() {
        Some((first, others)) if others.iter().all(|other| same(first, other)) => Ok(first),
        Some(_) => {
            let mut candidates: Vec<String> = found.iter().map(ToString::to_string).collect();
            candidates.dedup();
            Err(HardwareError::Ambiguous { kind, got: got.clone(), candidates })
        }
        None => {
            let nearest = table::nearest(got, entries.map(|(name, _)| name), 3);
            let nearest = nearest.into_iter().map(str::to_owned).collect();
            Err(HardwareError::Unknown { kind, got: got.clone(), known, nearest })
        }
    }
}

/// A name long enough to recognize, however long the text was that came in its place.
fn shortened(got: &str) -> String {
    got.chars().take(80).collect()
}

/// The first few of many, and how many more there are.
fn some_of(candidates: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = candidates[..candidates.len().min(SHOWN)].join(", ");
    match candidates.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} or one of {more} others"),
    }
}
