//! `attar plan`: what a recipe will cost, before it runs.

use attar_distill::plan::{Cost, Plan, probe};
use attar_distill::recipe::Recipe;

use crate::cli::PlanArgs;
use crate::progress::{counting, waiting};
use crate::{console, tables};

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let reading = waiting("reading models and data");
    let plan = Plan::new(Recipe::read(&args.recipe)?)?;
    reading.finish_and_clear();
    plan.notes().iter().for_each(console::note);
    let cost = Cost::of(&plan);
    let mut bar = counting(args.probe * plan.stages().len(), "probing updates");
    let estimate = if args.probe > 0 { Some(probe(&plan, args.probe, || bar.inc(1))?) } else { None };
    bar.finish_and_clear();
    if args.json {
        return console::json(&serde_json::json!({ "cost": cost, "estimate": estimate, "notes": plan.notes() }));
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
    if let Some(estimate) = estimate {
        let [low, high] = estimate.seconds_range.map(tables::seconds);
        let time = tables::seconds(estimate.seconds);
        console::say(format!("\ntime, from at least {} updates of each stage: {time} [{low}, {high}]", args.probe))?;
        console::say(tables::bill(&estimate.bill))?;
        console::say("the teacher's scores and checkpoints come on top")?;
    }
    Ok(())
}
