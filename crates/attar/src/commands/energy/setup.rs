//! From flags to what a meter reads and what a bill is computed with.

use anyhow::{Context, bail, ensure};
pub(crate) use attar_bill::Factors;
use attar_bill::report::{BillShare, Report};
use attar_bill::{
    Bill, Currency, Embodied, Grid, GridTable, HourlyIntensity, PriceBook, PricePerHour, PricePerKwh, PuePreset,
    Tariff, Unit, Water,
};
use attar_meter::source::{GpuChoice, SourceChoice};
use attar_meter::{Estimate, GramsCo2e, LitersPerKwh, Meter, MeterOptions, Method, Pue, Seconds, Watts};
use std::time::Duration;

use crate::cli::energy::{
    EmbodiedArg, FactorArgs, HardwareArgs, HourlyArgs, MachineArgs, MethodArg, PlaceArgs, PriceArgs, ShareArg,
    ShareArgs, SourceArg, SourceArgs, UnitArgs,
};

/// No machine draws more; ledgers hold so much.
const MOST_WATTS: f64 = 1e8;
const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;
/// A counter could wrap unseen in longer ones.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// What a meter is to read, and how often.
pub(crate) fn meter(args: &SourceArgs, interval: Duration) -> anyhow::Result<MeterOptions> {
    let sources = match (args.source, args.watts, &args.trace) {
        (SourceArg::Fixed, Some(watts), None) => {
            ensure!(watts <= MOST_WATTS, "--watts must be at most {MOST_WATTS} W, got {watts}");
            SourceChoice::Fixed(Watts::new(watts).context("--watts")?)
        }
        (SourceArg::Fixed, None, _) => bail!("--source fixed wants the machine's power: add --watts"),
        (SourceArg::Replay, None, Some(trace)) => SourceChoice::Replay(trace.clone()),
        (SourceArg::Replay, _, None) => bail!("--source replay wants a recorded trace: add --trace"),
        (_, Some(_), _) => bail!("--watts goes with --source fixed"),
        (_, _, Some(_)) => bail!("--trace goes with --source replay"),
        (SourceArg::Auto, None, None) => SourceChoice::Auto,
        (SourceArg::Modeled, None, None) => SourceChoice::Modeled,
        (SourceArg::Off, None, None) => SourceChoice::Off,
    };
    ensure!(interval <= LONGEST_INTERVAL, "--interval must be at most {} s", LONGEST_INTERVAL.as_secs());
    Ok(MeterOptions {
        sources,
        gpus: gpus(args.gpus.as_deref())?,
        interval,
        require: args.require.map(|method| match method {
            MethodArg::Measured => Method::Measured,
            MethodArg::Apportioned => Method::Apportioned,
            MethodArg::Replayed => Method::Replayed,
            MethodArg::Modeled => Method::Modeled,
        }),
        ..MeterOptions::default()
    })
}

/// Refuses a meter that reads nothing, unless that was asked for.
pub(crate) fn must_read(args: &SourceArgs, meter: &Meter) -> anyhow::Result<()> {
    ensure!(
        meter.has_sources() || args.source == SourceArg::Off,
        "no source of energy: {}",
        meter.reasons().join("; ")
    );
    Ok(())
}

fn gpus(words: Option<&[String]>) -> anyhow::Result<GpuChoice> {
    match words {
        None => Ok(GpuChoice::All),
        Some([word]) if word == "none" => Ok(GpuChoice::None),
        Some(words) => {
            let number = |word: &String| {
                word.trim().parse().with_context(|| format!("--gpus takes numbers or `none`, got `{word}`"))
            };
            Ok(GpuChoice::Only(words.iter().map(number).collect::<anyhow::Result<_>>()?))
        }
    }
}

/// What a bill is computed with.
pub(crate) fn factors(args: &FactorArgs) -> anyhow::Result<Factors> {
    let FactorArgs { place, prices, machine, further, hardware } = args;
    let mut factors = priced(place, prices, machine)?;
    if let Some(intensity) = further.market {
        factors.market = Some(Grid::custom(intensity, "your contract").context("--market")?);
    }
    factors.water = match further.water {
        Some(liters) => Some(Water { site: LitersPerKwh::new(liters).context("--water")?, source: None }),
        None => None,
    };
    factors.embodied = embodied(hardware, machine)?;
    ensure!(
        machine.instance.is_none() || prices.price_file.is_some() || hardware.embodied.is_some(),
        "--instance goes with --price-file, or with --embodied instance for the emissions of making it"
    );
    Ok(factors)
}

/// A place and the making of the hardware.
pub(crate) fn with_hardware(
    place: &PlaceArgs,
    machine: &MachineArgs,
    hardware: &HardwareArgs,
) -> anyhow::Result<Factors> {
    let mut factors = placed(place)?;
    factors.embodied = embodied(hardware, machine)?;
    Ok(factors)
}

/// A place and prices: what a plan is computed with.
pub(crate) fn priced(place: &PlaceArgs, prices: &PriceArgs, machine: &MachineArgs) -> anyhow::Result<Factors> {
    let mut factors = placed(place)?;
    factors.tariff = tariff(place, prices, machine, factors.tariff)?;
    factors.price_source = prices.price_file.as_ref().map(|file| file.display().to_string());
    Ok(factors)
}

/// A place alone: what the carbon of running meters is computed with.
pub(crate) fn placed(args: &PlaceArgs) -> anyhow::Result<Factors> {
    let (pue, source) = pue(args.pue.as_deref())?;
    let mut factors = Factors::new(grid(args)?, Tariff::own_machine().with_pue(pue));
    // A region with a stated share of carbon-free energy has a market-based figure of its own.
    factors.market = factors.grid.carbon_free.and_then(|_| factors.grid.market().ok());
    factors.pue_source = source;
    Ok(factors)
}

fn grid(args: &PlaceArgs) -> anyhow::Result<Grid> {
    if let Some(intensity) = args.intensity {
        return Grid::custom(intensity, "your own figure").context("--intensity");
    }
    let own = args.grid_file.as_deref().map(GridTable::with_file).transpose()?;
    let table = own.as_ref().unwrap_or_else(|| GridTable::embedded());
    let Some(region) = &args.region else {
        ensure!(args.year.is_none() && own.is_none(), "--year and --grid-file go with --region");
        return Ok(Grid::world());
    };
    Ok(match args.year {
        Some(year) => table.lookup_year(region, year)?,
        None => table.lookup(region)?,
    })
}

/// One place more, by the same table and year.
pub(crate) fn elsewhere(args: &PlaceArgs, region: &str) -> anyhow::Result<Grid> {
    let own = args.grid_file.as_deref().map(GridTable::with_file).transpose()?;
    let table = own.as_ref().unwrap_or_else(|| GridTable::embedded());
    Ok(match args.year {
        Some(year) => table.lookup_year(region, year)?,
        None => table.lookup(region)?,
    })
}

fn pue(word: Option<&str>) -> anyhow::Result<(Pue, Option<String>)> {
    let Some(word) = word else { return Ok((Pue::ONE, None)) };
    Ok(match word.parse::<f64>() {
        Ok(number) => (Pue::new(number).context("--pue")?, None),
        Err(_) => {
            let preset = PuePreset::named(word)?;
            (preset.pue, Some(format!("{}, {}", preset.source, preset.year)))
        }
    })
}

fn tariff(place: &PlaceArgs, args: &PriceArgs, machine: &MachineArgs, mut tariff: Tariff) -> anyhow::Result<Tariff> {
    let currency: Currency = args.currency.parse()?;
    if let Some(price) = args.price {
        tariff = tariff.with_electricity(PricePerKwh::new(price, currency).context("--price")?)?;
    }
    if let (Some(file), Some(instance)) = (&args.price_file, &machine.instance) {
        ensure!(args.machine_hour.is_none(), "--machine-hour and --price-file both price the machine: give one");
        // Clouds are no part of names in a price file.
        let name = instance.rsplit_once('/').map_or(instance.as_str(), |(_, name)| name);
        let region = place.region.as_deref().and_then(|region| region.split_once('/')).map(|(_, region)| region);
        tariff = PriceBook::read(file)?.instance(name, region)?.apply_to(tariff)?;
        ensure!(
            tariff.device_hour().is_some(),
            "{} has no price on demand for {name}, only a spot price",
            file.display()
        );
    }
    if let Some(price) = args.machine_hour {
        tariff = tariff.with_device_hour(PricePerHour::new(price, currency).context("--machine-hour")?)?;
    }
    if let Some(price) = args.spot_hour {
        ensure!(tariff.device_hour().is_some(), "--spot-hour goes beside --machine-hour: give both");
        tariff = tariff.with_spot_hour(PricePerHour::new(price, currency).context("--spot-hour")?)?;
    }
    Ok(tariff)
}

/// Only what was asked for: an instance is named for its price too.
fn embodied(args: &HardwareArgs, machine: &MachineArgs) -> anyhow::Result<Option<Embodied>> {
    let lifetime = Seconds::new(args.lifetime * SECONDS_PER_YEAR).context("--lifetime")?;
    let Some(embodied) = args.embodied else {
        ensure!(args.embodied_share.is_none(), "--embodied-share goes with --embodied");
        return Ok(None);
    };
    Ok(Some(match (embodied, &machine.instance, args.embodied_share) {
        (EmbodiedArg::Kilograms(kilograms), _, share) => {
            let total = Estimate::exact(GramsCo2e::new(kilograms * 1e3).context("--embodied")?);
            Embodied::new(total, lifetime, share.unwrap_or(1.0), "your own figure")?
        }
        (EmbodiedArg::Instance, None, _) => bail!("--embodied instance wants the instance: add --instance"),
        (EmbodiedArg::Instance, Some(instance), Some(share)) => Embodied::for_instance(instance, lifetime, share)?,
        (EmbodiedArg::Instance, Some(instance), None) => {
            Embodied::for_instance_part(instance, lifetime).context("give --embodied-share")?
        }
    }))
}

/// Carbon intensities by the hour, if they are given.
pub(crate) fn hourly(args: &HourlyArgs) -> anyhow::Result<Option<HourlyIntensity>> {
    Ok(args.hourly.as_deref().map(HourlyIntensity::read).transpose()?)
}

/// A report of a share, with the carbon of each hour, where they are asked for.
pub(crate) fn refined(
    report: Report,
    share: &ShareArgs,
    factors: &Factors,
    hourly: Option<&HourlyIntensity>,
) -> anyhow::Result<Report> {
    let share = match share.share {
        ShareArg::Machine => BillShare::Machine,
        ShareArg::Own => BillShare::Own,
        ShareArg::Active => BillShare::Active,
    };
    let report = report.with_share(share, |totals| Bill::from_factors(totals, factors))?;
    match hourly {
        Some(hourly) => Ok(report.with_hourly(hourly)?),
        None => Ok(report),
    }
}

/// Units of work: `requests=41000`.
pub(crate) fn units(args: &UnitArgs) -> anyhow::Result<Vec<Unit>> {
    units_of(&args.per)
}

/// The same of words.
pub(crate) fn units_of(words: &[String]) -> anyhow::Result<Vec<Unit>> {
    let unit = |text: &String| {
        let parts = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let parsed = parts.and_then(|(name, count)| Some((name.trim(), count.trim().parse::<f64>().ok()?)));
        let Some((name, count)) = parsed else {
            bail!("a unit wants a name and a count such as requests=41000, got `{text}`")
        };
        Ok(Unit::new(name, count)?)
    };
    words.iter().map(unit).collect()
}
