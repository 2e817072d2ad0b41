//! `attar energy plan`: what something will cost, before it runs.

use anyhow::{Context, bail};
use attar_bill::forecast::{self, Efficiency, Forecast, MachineSpec, PeakPrecision, Variant, WhatIf, Workload};
use attar_bill::{Grid, GridKind, Tariff};
use attar_distill::plan::{Cost, Plan};
use attar_meter::{Estimate, Watts};
use serde_json::json;

use super::setup;
use crate::cli::energy::PlanArgs;
use crate::{console, recipes, tables};

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    if args.preset.as_deref() == Some("list") {
        return Ok(console::say(forecast::presets().join("\n"))?);
    }
    if args.efficiency.is_some() && args.hours.is_some() {
        bail!("--efficiency turns arithmetic into time: it goes with --flops or --recipe, not with --hours");
    }
    if args.utilization.is_some() && args.watts.is_some() {
        bail!("--watts is the power of the busy machine: --utilization would not change it");
    }
    let factors = setup::priced(&args.place, &args.prices, &args.machine)?;
    let (forecasts, mut grids, tariffs, notes) = match &args.preset {
        Some(name) => preset(args, name, &factors)?,
        None => own(args, &factors)?,
    };
    for region in &args.also {
        grids.push(setup::elsewhere(&args.place, region)?);
    }
    let named: Vec<(&str, &Forecast)> = forecasts.iter().map(|(name, forecast)| (name.as_str(), forecast)).collect();
    let places: Vec<&Grid> = grids.iter().collect();
    let priced: Vec<(&str, &Tariff)> = tariffs.iter().map(|(name, tariff)| (*name, tariff)).collect();
    let rows = forecast::what_if(&Variant::all(&named, &places, &priced));
    if args.json {
        let forecasts: Vec<_> =
            forecasts.iter().map(|(name, forecast)| json!({ "name": name, "forecast": forecast })).collect();
        let notes: Vec<String> = notes.iter().cloned().chain(GridKind::mixed(&grids)).collect();
        return console::json(&json!({ "forecasts": forecasts, "what_if": rows, "notes": notes }));
    }

    let mut table = tables::table(&["", "time", "power", "energy × PUE", "CO2e", "money", "g/kWh", "PUE"]);
    for row in &rows {
        table.add_row(cells(row));
    }
    console::say(table.to_string())?;
    let known = rows.iter().all(|row| row.facility_kwh.has_interval());
    let error = if known { "" } else { " Without […] the error is not known: --watts has none." };
    console::say(format!("[…]: 90 % intervals; all of it is modeled, nothing was measured.{error}"))?;
    if let [only] = rows.as_slice()
        && let Some(like) = tables::comparisons(only.carbon_g)
    {
        console::say(like)?;
    }
    let mut said: Vec<&String> = Vec::new();
    let all = forecasts.iter().flat_map(|(_, forecast)| &forecast.remarks).chain(&notes);
    for remark in all {
        if !said.contains(&remark) {
            console::say(format!("- {remark}"))?;
            said.push(remark);
        }
    }
    if let Some(mixed) = GridKind::mixed(&grids) {
        console::say(format!("warning: {mixed}"))?;
    }
    for grid in &grids {
        console::say(format!("grid: {grid}"))?;
    }
    let mut out: Vec<String> = Vec::new();
    for (_, forecast) in &forecasts {
        for one in forecast.bill(&grids[0], &tariffs[0].1).exclusions {
            if !out.contains(&one) {
                out.push(one);
            }
        }
    }
    console::say(format!("left out: {}", out.join("; ")))?;
    Ok(())
}

fn cells(row: &WhatIf) -> [String; 8] {
    [
        row.label.clone(),
        row.time_s.to_string(),
        row.power_w.to_string(),
        row.facility_kwh.to_string(),
        row.carbon_g.to_string(),
        row.money.map_or_else(|| "–".to_owned(), |money| money.to_string()),
        format!("{:.0}", row.g_per_kwh.get()),
        row.pue.to_string(),
    ]
}

type Question = (Vec<(String, Forecast)>, Vec<Grid>, Vec<(&'static str, Tariff)>, Vec<String>);

/// A published row, with the paper's grid and prices unless others are given.
fn preset(args: &PlanArgs, name: &str, factors: &setup::Factors) -> anyhow::Result<Question> {
    let own = [
        args.hours.is_some(),
        args.flops.is_some(),
        args.recipe.is_some(),
        args.watts.is_some(),
        args.processor.is_some(),
        args.memory.is_some(),
        args.utilization.is_some(),
        args.efficiency.is_some(),
    ];
    if own.contains(&true) || !args.accelerator.is_empty() {
        bail!("--preset is a machine and its hours: leave out what describes another");
    }
    let preset = forecast::preset(name)?;
    let chosen = args.place.region.is_some() || args.place.intensity.is_some();
    let grid = if chosen { factors.grid.clone() } else { preset.grid };
    let tariffs = if factors.tariff == Tariff::own_machine() {
        vec![("lower price", preset.tariff_low), ("upper price", preset.tariff_high)]
    } else {
        vec![("", factors.tariff)]
    };
    Ok((vec![(preset.title, preset.forecast)], vec![grid], tariffs, preset.notes))
}

fn own(args: &PlanArgs, factors: &setup::Factors) -> anyhow::Result<Question> {
    let workload = workload(args)?;
    let named =
        |name: String, machine: MachineSpec| -> anyhow::Result<_> { Ok((name, Forecast::new(&machine, &workload)?)) };
    let forecasts = if args.accelerator.is_empty() {
        vec![named(String::new(), host(args)?)?]
    } else {
        let each = |text: &String| {
            let (count, name) = counted(text)?;
            named(text.clone(), host(args)?.with_accelerators(name, count)?)
        };
        args.accelerator.iter().map(each).collect::<anyhow::Result<_>>()?
    };
    Ok((forecasts, vec![factors.grid.clone()], vec![("", factors.tariff)], Vec::new()))
}

/// The machine without its accelerators.
fn host(args: &PlanArgs) -> anyhow::Result<MachineSpec> {
    if let Some(watts) = args.watts {
        return Ok(MachineSpec::from_watts(Estimate::exact(Watts::new(watts).context("--watts")?)));
    }
    let mut machine = MachineSpec::new();
    if let Some(text) = &args.processor {
        let (count, name) = counted(text)?;
        machine = machine.with_processors(name, count)?;
    }
    if let Some(gigabytes) = args.memory {
        machine = machine.with_memory_gb(gigabytes)?;
    }
    Ok(machine)
}

fn workload(args: &PlanArgs) -> anyhow::Result<Workload> {
    let flops = match (&args.recipe, args.flops) {
        (Some(file), _) => {
            let plan = Plan::new(recipes::read(file)?)?;
            let cost = Cost::of(&plan);
            Some(cost.stages.iter().map(|stage| stage.teacher_flops + stage.student_flops).sum())
        }
        (None, flops) => flops,
    };
    let mut workload = match (args.hours, flops) {
        (Some(hours), None) => Workload::hours(hours)?,
        (None, Some(flops)) => Workload::operations(flops, PeakPrecision::Single)?,
        _ => bail!("how long? give --hours, --flops or --recipe, or a --preset"),
    };
    if let Some(share) = args.efficiency {
        workload = workload.with_efficiency(Efficiency::new(share, share, share)?);
    }
    if let Some(share) = args.utilization {
        workload = workload.with_utilization(share)?;
    }
    Ok(workload)
}

/// `8xV100` is eight, `V100` one.
fn counted(text: &str) -> anyhow::Result<(u32, &str)> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (number, rest) = trimmed.split_at(digits);
    match rest.trim_start().strip_prefix(['x', '×']).filter(|_| !number.is_empty()) {
        Some(name) => Ok((number.parse().with_context(|| format!("`{text}`: too many"))?, name.trim())),
        None => Ok((1, trimmed)),
    }
}
