//! `attar plan`: what a recipe will cost, before it runs.

use attar_distill::plan::{Cost, Memory, Plan, probe};
use attar_meter::FreeMemory;

use crate::cli::PlanArgs;
use crate::progress::{counting, waiting};
use crate::{console, recipes, tables};

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let reading = waiting("reading models and data");
    let plan = Plan::new(recipes::read(&args.recipe)?)?;
    reading.finish_and_clear();
    plan.notes().iter().for_each(console::note);
    plan.scarce_memory().into_iter().for_each(console::warning);
    let (cost, memory, free) = (Cost::of(&plan), Memory::of(&plan), FreeMemory::here());
    let mut bar = counting(args.probe * plan.stages().len(), "probing updates");
    let estimate = if args.probe > 0 { Some(probe(&plan, args.probe, || bar.inc(1))?) } else { None };
    bar.finish_and_clear();
    if args.json {
        return console::json(&serde_json::json!({
            "cost": cost,
            "memory": { "needed": memory, "free": free },
            "estimate": estimate,
            "notes": plan.notes(),
        }));
    }

    let mut table = tables::table(&["", "parameters", "FLOPs at 128 tokens"]);
    let row = |name: &str, parameters: usize, flops: f64| {
        [name.to_string(), tables::count(parameters as u64), tables::flops(flops)]
    };
    if let (Some(parameters), Some(flops)) = (cost.teacher_parameters, cost.teacher_flops) {
        table.add_row(row("teacher", parameters, flops));
    }
    table.add_row(row("student", cost.student_parameters, cost.student_flops));
    console::say(table.to_string())?;
    if let (Some(parameters), Some(flops)) = (cost.teacher_parameters, cost.teacher_flops) {
        console::say(format!(
            "the student is {:.1} times smaller and costs {:.1} times less arithmetic",
            parameters as f64 / cost.student_parameters as f64,
            flops / cost.student_flops
        ))?;
    }
    let mut table = tables::table(&["stage", "updates", "rows", "tokens", "arithmetic"]);
    for stage in &cost.stages {
        table.add_row([
            stage.name.clone(),
            tables::count(stage.steps as u64),
            tables::count(stage.rows),
            tables::count(stage.tokens),
            tables::flops(stage.teacher_flops + stage.student_flops),
        ]);
    }
    console::say(format!("\n{table}"))?;
    console::say(format!("\n{}", memory_table(&memory, free.as_ref())))?;
    if let Some(estimate) = estimate {
        let [low, high] = estimate.seconds_range.map(tables::seconds);
        let time = tables::seconds(estimate.seconds);
        console::say(format!("\ntime, from at least {} updates of each stage: {time} [{low}, {high}]", args.probe))?;
        console::say(tables::bill(&estimate.bill))?;
        console::say("the teacher's scores and checkpoints come on top")?;
    }
    Ok(())
}

/// What a run needs at its peak, by what needs it.
fn memory_table(memory: &Memory, free: Option<&FreeMemory>) -> String {
    let mut table = tables::table(&["memory at the peak, estimated", ""]);
    for part in memory.parts.iter().filter(|part| part.bytes > 0) {
        table.add_row([part.name.to_string(), tables::bytes(part.bytes)]);
    }
    table.add_row(["together".to_string(), tables::bytes(memory.bytes)]);
    if let Some(free) = free {
        table.add_row(["there is".to_string(), tables::bytes(free.bytes)]);
    }
    table.to_string()
}
