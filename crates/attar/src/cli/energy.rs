//! The command line of `attar energy`.

mod bill;

use std::path::PathBuf;
use std::time::Duration;

use attar_bill::Budget;
use clap::{Args, Subcommand, ValueEnum};

use super::values::seconds;

pub(crate) use bill::{
    EmbodiedArg, FactorArgs, HardwareArgs, HourlyArgs, MachineArgs, PlaceArgs, PriceArgs, ShareArg, ShareArgs, UnitArgs,
};

#[derive(Debug, Subcommand)]
pub(crate) enum EnergyCommand {
    /// Say what can be measured on this machine, what cannot, why, and what would change it.
    Doctor(DoctorArgs),
    /// Run any program and bill it; exits with the program's code.
    Run(RunArgs),
    /// Estimate what something will cost before it runs.
    Plan(PlanArgs),
    /// Recompute the table of Strubell et al. (2019) beside its printed figures.
    Strubell(StrubellArgs),
    /// Bill ledgers and runs again: table, Markdown, LaTeX, JSON, CSV, a plot.
    Report(ReportArgs),
    /// Set ledgers and runs side by side: ratios with intervals.
    Compare(CompareArgs),
    /// Compute after how many uses a student breaks even.
    BreakEven(BreakEvenArgs),
    /// Compute the Software Carbon Intensity of making a model and of using it.
    Sci(SciArgs),
    /// Show the power of this machine live.
    Watch(WatchArgs),
    /// Offer joule counters over HTTP for Prometheus.
    Serve(ServeArgs),
    /// Record what the meters of this machine show, to replay it later.
    Record(RecordArgs),
    /// Name the embedded data, their sources and licenses.
    Licenses,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is read.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Where energy is read: auto, modeled, fixed, replay or off.
    #[arg(long, value_enum, default_value_t = SourceArg::Auto, value_name = "SOURCE")]
    pub(crate) source: SourceArg,
    /// The machine's power, for `--source fixed`.
    #[arg(long, allow_negative_numbers = true, value_name = "W")]
    pub(crate) watts: Option<f64>,
    /// A recorded trace, for `--source replay`.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Weakest method of measurement that is accepted, as in `measured`, which refuses estimates.
    #[arg(long, value_enum, value_name = "METHOD")]
    pub(crate) require: Option<MethodArg>,
    /// Graphics boards to read, by the driver's numbers, or `none` (default: all).
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub(crate) gpus: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceArg {
    Auto,
    Modeled,
    Fixed,
    Replay,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodArg {
    Measured,
    Apportioned,
    Replayed,
    Modeled,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Time between two readings: 1s, 500ms.
    #[arg(long, value_parser = seconds, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Idle for this long before and after, and subtract the idle power.
    #[arg(long, value_parser = seconds, value_name = "TIME")]
    pub(crate) baseline: Option<Duration>,
    /// Stop the program at 50Wh, 20g or 1USD; may be repeated.
    #[arg(long, value_name = "LIMIT")]
    pub(crate) budget: Vec<Budget>,
    /// Folder for the ledger (default: a new one below runs/energy).
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Say nothing at the end.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
    #[command(flatten)]
    pub(crate) factors: FactorArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// A row of the table of Strubell et al. (2019): `list` names them.
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Accelerators: `8xA100 SXM4 80 GB`, `T4`; may be repeated for a comparison.
    #[arg(long, value_name = "[N x] NAME")]
    pub(crate) accelerator: Vec<String>,
    /// Processors: `2xXeon Platinum 8480+`.
    #[arg(long, value_name = "[N x] NAME")]
    pub(crate) processor: Option<String>,
    /// Main memory in gigabytes.
    #[arg(long, allow_negative_numbers = true, value_name = "GB")]
    pub(crate) memory: Option<f64>,
    /// The machine's power, if you know it.
    #[arg(long, allow_negative_numbers = true, value_name = "W", conflicts_with_all = ["accelerator", "processor", "memory"])]
    pub(crate) watts: Option<f64>,
    /// How long it runs.
    #[arg(long, allow_negative_numbers = true, value_name = "H", conflicts_with_all = ["flops", "recipe"])]
    pub(crate) hours: Option<f64>,
    /// How much arithmetic it takes, in floating-point operations.
    #[arg(long, allow_negative_numbers = true, value_name = "N", conflicts_with = "recipe")]
    pub(crate) flops: Option<f64>,
    /// A recipe of attar, for its arithmetic.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// How busy the machine is, from 0 to 1.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    pub(crate) utilization: Option<f64>,
    /// Fraction of the peak throughput that is reached, from 0 to 1, for `--flops`.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    pub(crate) efficiency: Option<f64>,
    /// Further places to compare with.
    #[arg(long, value_name = "PLACE,…", value_delimiter = ',')]
    pub(crate) also: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) prices: PriceArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StrubellArgs {
    /// What a TPU price is for: the paper's reading (a chip), or the price list's (a device of four chips).
    #[arg(long, value_enum, default_value_t = ReadingArg::Paper)]
    pub(crate) reading: ReadingArg,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ReadingArg {
    Paper,
    Device,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Ledgers, or folders of runs.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = FormatArg::Table)]
    pub(crate) format: FormatArg,
    /// Phases in which the machine was left alone: their power is its idle power.
    #[arg(long, value_delimiter = ',', value_name = "PHASE,…")]
    pub(crate) idle: Vec<String>,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) factors: FactorArgs,
    #[command(flatten)]
    pub(crate) hourly: HourlyArgs,
    #[command(flatten)]
    pub(crate) share: ShareArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// For a terminal.
    Table,
    /// Tables and a statement.
    Markdown,
    /// A table and a statement for a paper.
    Latex,
    /// Everything.
    Json,
    /// CodeCarbon's emissions.csv.
    Csv,
    /// Watts over time by phase.
    Svg,
    /// The block of a model card.
    Card,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Ledgers, or folders of runs; the first is what the others are compared with.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = CompareFormatArg::Table)]
    pub(crate) format: CompareFormatArg,
    #[command(flatten)]
    pub(crate) factors: FactorArgs,
    #[command(flatten)]
    pub(crate) hourly: HourlyArgs,
    #[command(flatten)]
    pub(crate) share: ShareArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormatArg {
    Table,
    Markdown,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct BreakEvenArgs {
    /// Ledgers or runs of the making: the student's, and all that it would not exist without.
    #[arg(long, required = true, num_args = 1.., value_name = "RUN")]
    pub(crate) making: Vec<PathBuf>,
    /// Ledger or run of the teacher's uses.
    #[arg(long, value_name = "RUN")]
    pub(crate) teacher: PathBuf,
    /// How many uses those were.
    #[arg(long, value_name = "N")]
    pub(crate) teacher_uses: u64,
    /// Ledger or run of the student's uses.
    #[arg(long, value_name = "RUN")]
    pub(crate) student: PathBuf,
    /// How many uses those were.
    #[arg(long, value_name = "N")]
    pub(crate) student_uses: u64,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) factors: FactorArgs,
    #[command(flatten)]
    pub(crate) hourly: HourlyArgs,
    #[command(flatten)]
    pub(crate) share: ShareArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SciArgs {
    /// Ledgers or runs that made the model: data, searches, training.
    #[arg(long, num_args = 1.., value_name = "RUN")]
    pub(crate) making: Vec<PathBuf>,
    /// Ledgers or runs of attempts that were given up: they belong to making.
    #[arg(long, num_args = 1.., value_name = "RUN")]
    pub(crate) abandoned: Vec<PathBuf>,
    /// The unit of making and how many there are, such as `parameters=22000000`.
    #[arg(long, value_name = "NAME=COUNT")]
    pub(crate) making_per: Option<String>,
    /// Ledgers or runs in which the model was used.
    #[arg(long, num_args = 1.., value_name = "RUN")]
    pub(crate) using: Vec<PathBuf>,
    /// The unit of using and how many there were, such as `requests=41000`.
    #[arg(long, value_name = "NAME=COUNT")]
    pub(crate) using_per: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    #[command(flatten)]
    pub(crate) hardware: HardwareArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Time between two readings.
    #[arg(long, value_parser = seconds, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Stop after this long.
    #[arg(long, value_parser = seconds, value_name = "TIME")]
    pub(crate) length: Option<Duration>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Count the CPU time of this control group as the run's own: a container's, a service's or a job's
    /// folder below /sys/fs/cgroup. Its share is billed by `report --share`.
    #[arg(long, value_name = "FOLDER", requires = "out")]
    pub(crate) cgroup: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9188", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// Time between two readings.
    #[arg(long, value_parser = seconds, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Write the ledger to this folder too.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// File for the trace.
    #[arg(long, value_name = "FILE", default_value = "trace.jsonl")]
    pub(crate) out: PathBuf,
    /// Time between two samples.
    #[arg(long, value_parser = seconds, default_value = "100ms", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// How long to record.
    #[arg(long, value_parser = seconds, default_value = "10s", value_name = "TIME")]
    pub(crate) length: Duration,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}
