//! `attar energy break-even`: after how many uses a student has repaid its making.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::Context;
use attar_bill::report::Report;
use attar_bill::{Bill, BreakEven, Errors, Unit, UnitCost};
use attar_meter::{Estimate, GramsCo2e, Quantity, Spread};
use serde_json::json;

use super::setup;
use crate::cli::energy::BreakEvenArgs;
use crate::{console, tables};

pub(crate) fn run(args: &BreakEvenArgs) -> anyhow::Result<()> {
    let factors = setup::factors(&args.factors)?;
    let hourly = setup::hourly(&args.hourly)?;
    let read = |paths: &[PathBuf]| {
        let report = Report::read(paths, |totals| Bill::from_factors(totals, &factors))?;
        setup::refined(report, &args.share, &factors, hourly.as_ref())
    };
    let making = read(&args.making)?;
    for overlap in making.overlaps() {
        console::note(overlap.to_string());
    }
    let uses = [
        (read(std::slice::from_ref(&args.teacher))?, args.teacher_uses),
        (read(std::slice::from_ref(&args.student))?, args.student_uses),
    ];
    // Once the errors of teacher and student are independent, once they are the same meter's, if so.
    let shared = uses[1].0.shares_errors_with(&uses[0].0);
    let bases = [("making", making.basis()), ("teacher", uses[0].0.basis()), ("student", uses[1].0.basis())];
    let making = making.bill().total.per_unit(&Unit::new("making", 1.0)?, 1);
    let [teacher, student] = [use_of(&uses[0])?, use_of(&uses[1])?];
    let ratio = shared.as_ref().ok().copied();
    let rows = [
        row("energy", making.facility_j, teacher.facility_j, student.facility_j, ratio)?,
        row("CO2e", carbon(&making), carbon(&teacher), carbon(&student), ratio)?,
        row("money", making.money, teacher.money, student.money, ratio)?,
    ];
    let known: Vec<&BreakEvenRow> = rows.iter().flatten().collect();
    anyhow::ensure!(
        !known.is_empty(),
        "no energy was read and no price given in all three ledgers: nothing to compare"
    );
    if args.json {
        let verdicts =
            known.iter().map(|row| json!({ "of": row.of, "independent": row.independent, "shared": row.shared }));
        return console::json(&json!({
            "making": making, "teacher": teacher, "student": student, "break_even": verdicts.collect::<Vec<_>>(),
            "basis": bases.iter().map(|(of, basis)| (*of, json!(basis))).collect::<BTreeMap<_, _>>(),
            "not_shared_because": shared.as_ref().err(),
            "ratio_off_by": ratio.map(|ratio| json!({ "low": ratio.low(), "high": ratio.high() })),
        }));
    }
    let mut table = tables::table(&["", "making", "a use of the teacher", "a use of the student"]);
    for row in &known {
        table.add_row([row.of, &row.costs[0], &row.costs[1], &row.costs[2]]);
    }
    console::say(format!("{table}\n"))?;
    for row in &known {
        console::say(format!("{}: {}", row.of, row.independent))?;
        if let Some(shared) = row.shared.filter(|shared| *shared != row.independent) {
            console::say(format!("  if the meter errs alike for teacher and student{}: {shared}", but_for(ratio)))?;
        }
    }
    if [making.facility_j, teacher.facility_j, student.facility_j].into_iter().flatten().any(|e| !e.has_interval()) {
        console::say("a cost without […] has no interval, because its error is not known: it is taken as it stands")?;
    }
    let told = bases.each_ref().map(|(_, basis)| basis.sentences());
    for (line, first) in told[0].iter().enumerate() {
        if told.iter().all(|other| other[line] == *first) {
            console::say(first)?;
        } else {
            for ((of, _), sentences) in bases.iter().zip(&told) {
                console::say(format!("{of}: {}", sentences[line]))?;
            }
        }
    }
    if let Err(reason) = &shared {
        console::say(format!("the errors of teacher and student are taken as independent: {reason}"))?;
    }
    Ok(())
}

/// Of the electricity, and of making the hardware where that is known.
fn carbon(cost: &UnitCost) -> Option<Estimate<GramsCo2e>> {
    let operational = cost.carbon_g?;
    Some(cost.embodied_g.map_or(operational, |embodied| operational + embodied))
}

/// One measure of the three costs, and what it says.
struct BreakEvenRow {
    of: &'static str,
    costs: [String; 3],
    independent: BreakEven,
    /// Nothing where the errors are not of one meter.
    shared: Option<BreakEven>,
}

/// What of a model's error is not common to two loads.
fn but_for(ratio: Option<Spread>) -> String {
    match ratio {
        Some(ratio) if ratio != Spread::NONE => format!(", but for {ratio}, by which a model errs with the load"),
        _ => String::new(),
    }
}

fn row<Q: Quantity + Display>(
    of: &'static str,
    making: Option<Estimate<Q>>,
    teacher: Option<Estimate<Q>>,
    student: Option<Estimate<Q>>,
    ratio: Option<Spread>,
) -> anyhow::Result<Option<BreakEvenRow>> {
    let (Some(making), Some(teacher), Some(student)) = (making, teacher, student) else { return Ok(None) };
    let verdict = |errors| BreakEven::new(making, teacher, student, errors);
    Ok(Some(BreakEvenRow {
        of,
        costs: [making, teacher, student].map(|cost| cost.to_string()),
        independent: verdict(Errors::Independent)?,
        shared: ratio.map(|ratio| verdict(Errors::SharedInPart(ratio))).transpose()?,
    }))
}

fn use_of((report, uses): &(Report, u64)) -> anyhow::Result<UnitCost> {
    let unit = Unit::new("use", *uses as f64).context("the number of uses must be at least 1")?;
    Ok(report.bill().total.per_unit(&unit, 1))
}
