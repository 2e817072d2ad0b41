//! `attar energy break-even`: after how many uses a student has repaid its making.

use std::fmt::Display;
use std::path::PathBuf;

use anyhow::Context;
use attar_bill::report::Report;
use attar_bill::{Bill, BreakEven, Errors, Unit, UnitCost};
use attar_meter::{Estimate, GramsCo2e, Quantity};
use serde_json::json;

use super::setup::{self, Factors};
use crate::cli::energy::BreakEvenArgs;
use crate::{console, tables};

pub(crate) fn run(args: &BreakEvenArgs) -> anyhow::Result<()> {
    let factors = setup::factors(&args.factors)?;
    let making = read(&args.making, &factors)?;
    for overlap in making.overlaps() {
        console::note(overlap.to_string());
    }
    let making = making.bill().total.per_unit(&Unit::new("making", 1.0)?, 1);
    let teacher = use_of(&args.teacher, args.teacher_uses, &factors)?;
    let student = use_of(&args.student, args.student_uses, &factors)?;

    // Once the errors of teacher and student are independent, once they are the same meter's.
    let rows = [
        row("energy", making.facility_j, teacher.facility_j, student.facility_j)?,
        row("CO2e", carbon(&making), carbon(&teacher), carbon(&student))?,
        row("money", making.money, teacher.money, student.money)?,
    ];
    let known: Vec<&Row> = rows.iter().flatten().collect();
    anyhow::ensure!(
        !known.is_empty(),
        "no energy was read and no price given in all three ledgers: nothing to compare"
    );
    if args.json {
        let verdicts =
            known.iter().map(|row| json!({ "of": row.of, "independent": row.independent, "shared": row.shared }));
        return console::json(&json!({
            "making": making, "teacher": teacher, "student": student, "break_even": verdicts.collect::<Vec<_>>(),
        }));
    }
    let mut table = tables::table(&["", "making", "a use of the teacher", "a use of the student"]);
    for row in &known {
        table.add_row([row.of, &row.costs[0], &row.costs[1], &row.costs[2]]);
    }
    console::say(format!("{table}\n"))?;
    for row in &known {
        console::say(format!("{}: {}", row.of, row.independent))?;
        if row.independent != row.shared {
            console::say(format!("  if the meter makes the same error for teacher and student: {}", row.shared))?;
        }
    }
    Ok(())
}

/// Of the electricity, and of making the hardware where that is known.
fn carbon(cost: &UnitCost) -> Option<Estimate<GramsCo2e>> {
    let operational = cost.carbon_g?;
    Some(cost.embodied_g.map_or(operational, |embodied| operational + embodied))
}

/// One measure of the three costs, and what it says.
struct Row {
    of: &'static str,
    costs: [String; 3],
    independent: BreakEven,
    shared: BreakEven,
}

fn row<Q: Quantity + Display>(
    of: &'static str,
    making: Option<Estimate<Q>>,
    teacher: Option<Estimate<Q>>,
    student: Option<Estimate<Q>>,
) -> anyhow::Result<Option<Row>> {
    let (Some(making), Some(teacher), Some(student)) = (making, teacher, student) else { return Ok(None) };
    let verdict = |errors| BreakEven::new(making, teacher, student, errors);
    Ok(Some(Row {
        of,
        costs: [making, teacher, student].map(|cost| cost.to_string()),
        independent: verdict(Errors::Independent)?,
        shared: verdict(Errors::Shared)?,
    }))
}

fn read(paths: &[PathBuf], factors: &Factors) -> anyhow::Result<Report> {
    Ok(Report::read(paths, |totals| Bill::from_factors(totals, factors))?)
}

fn use_of(path: &PathBuf, uses: u64, factors: &Factors) -> anyhow::Result<UnitCost> {
    let unit = Unit::new("use", uses as f64).context("the number of uses must be at least 1")?;
    Ok(read(std::slice::from_ref(path), factors)?.bill().total.per_unit(&unit, 1))
}
