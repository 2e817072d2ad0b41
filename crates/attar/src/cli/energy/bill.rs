//! The flags of bills: where, at what price, of which share, divided by what.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the electricity comes from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct PlaceArgs {
    /// Grid that supplies the machine: a country, `gcp/europe-west1`, `aws/…`, `azure/…`.
    #[arg(long, value_name = "PLACE")]
    pub(crate) region: Option<String>,
    /// Year of the grid's figure; the newest if left out.
    #[arg(long, value_name = "YEAR")]
    pub(crate) year: Option<u16>,
    /// Your own table of regions: CSV with `region,g_per_kwh,year,source`.
    #[arg(long, value_name = "FILE")]
    pub(crate) grid_file: Option<PathBuf>,
    /// Your own carbon intensity in g CO2e/kWh.
    #[arg(long, allow_negative_numbers = true, value_name = "G", conflicts_with_all = ["region", "grid_file"])]
    pub(crate) intensity: Option<f64>,
    /// Power usage effectiveness of the building: a number or a preset such as aws.
    #[arg(long)]
    pub(crate) pue: Option<String>,
}

/// What is paid.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct PriceArgs {
    /// Price of a kilowatt-hour.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) price: Option<f64>,
    /// Price of an hour of the machine.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) machine_hour: Option<f64>,
    /// Price of an interruptible hour of the machine, beside `--machine-hour`.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) spot_hour: Option<f64>,
    /// Currency of the prices.
    #[arg(long, default_value = "USD")]
    pub(crate) currency: String,
    /// Prices of machines: CSV with SkyPilot's columns.
    #[arg(long, value_name = "FILE", requires = "instance")]
    pub(crate) price_file: Option<PathBuf>,
}

/// Which machine it was.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct MachineArgs {
    /// The machine by its name at the cloud: `aws/p3.2xlarge`.
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
}

/// Optional further lines of the bill of something that ran.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct FurtherArgs {
    /// Carbon intensity of the electricity you bought, in g CO2e/kWh: billed beside the grid's.
    #[arg(long, allow_negative_numbers = true, value_name = "G")]
    pub(crate) market: Option<f64>,
    /// Litres of water for a kilowatt-hour of the machine.
    #[arg(long, allow_negative_numbers = true, value_name = "LITRES")]
    pub(crate) water: Option<f64>,
}

/// The making of the hardware.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct HardwareArgs {
    /// Kilograms of CO2e emitted by making the machine, or `instance` for those of the table.
    #[arg(long, allow_negative_numbers = true, value_name = "KG|instance")]
    pub(crate) embodied: Option<EmbodiedArg>,
    /// Years that the machine serves.
    #[arg(long, allow_negative_numbers = true, value_name = "YEARS", default_value_t = 4.0)]
    pub(crate) lifetime: f64,
    /// Share of the machine's making that is charged, from 0 to 1 (default: 1, or the instance's share of its server's
    /// vCPUs).
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    pub(crate) embodied_share: Option<f64>,
}

/// What a bill is computed with.
#[derive(Debug, Args)]
pub(crate) struct FactorArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) prices: PriceArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    #[command(flatten)]
    pub(crate) further: FurtherArgs,
    #[command(flatten)]
    pub(crate) hardware: HardwareArgs,
}

/// Whose energy is billed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct ShareArgs {
    /// What is billed: the machine; own, the processes' share of it by CPU time; or active, their part of what it drew beyond idle power.
    #[arg(long, value_enum, default_value_t = ShareArg::Machine, value_name = "SHARE")]
    pub(crate) share: ShareArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShareArg {
    Machine,
    Own,
    Active,
}

/// Carbon intensity by the hour.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct HourlyArgs {
    /// Carbon intensities of the place by the hour, in place of a yearly mean: CSV with `time,g_per_kwh`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["region", "grid_file", "intensity"])]
    pub(crate) hourly: Option<PathBuf>,
}

/// What a bill is divided by.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bill")]
pub(crate) struct UnitArgs {
    /// Units of work to divide by, such as `requests=41000`; may be repeated.
    #[arg(long, value_name = "NAME=COUNT")]
    pub(crate) per: Vec<String>,
}

/// Where the emissions of making the machine come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum EmbodiedArg {
    /// The table, by the instance.
    Instance,
    /// So many kilograms.
    Kilograms(f64),
}

impl std::str::FromStr for EmbodiedArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "instance" => Ok(Self::Instance),
            number => number
                .parse()
                .map(Self::Kilograms)
                .map_err(|_| format!("expected kilograms or the word `instance`, got `{text}`")),
        }
    }
}
