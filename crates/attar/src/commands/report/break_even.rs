//! After how many texts the making of a student is paid back.

use attar_bill::{BreakEven, Errors};
use attar_meter::{Estimate, Joules, Spread};
use attar_report::{BreakEvenFacts, ModelKind, ReportedModel, Run};

/// Adds it, or why it is not there.
pub(super) fn add(run: &mut Run) {
    match facts(run) {
        Ok(facts) => run.break_even = Some(facts),
        Err(why) => run.leave_out("Break-even", why),
    }
}

fn facts(run: &Run) -> Result<BreakEvenFacts, String> {
    let each = |model: &ReportedModel| -> Option<(String, Estimate<Joules>)> {
        let joules = model.speed.as_ref()?.joules_per_thousand?;
        Some((model.name.clone(), joules.scaled(1e-3)))
    };
    let teacher = run.model(ModelKind::Teacher).ok_or("no teacher was scored that the student could replace")?;
    let student = run.model(ModelKind::Quantized).or(run.model(ModelKind::Student)).ok_or("no student was scored")?;
    let report = &run.energy.as_ref().ok_or("the energy of the making is not known")?.0;
    let making = report.totals().energy().ok_or("the energy of the making was not read")?;
    let unmeasured = "the energy of a text was not measured";
    let (incumbent, replacement) = (each(teacher).ok_or(unmeasured)?, each(student).ok_or(unmeasured)?);
    // Teacher and student took turns before one meter: its error is common to both but for what it errs with the load.
    let sources = report.headers().iter().flat_map(|header| &header.sources);
    let between =
        sources.flat_map(|source| source.components.iter().map(|component| source.between_loads_of(*component)));
    let ratio =
        between.reduce(|a, b| Spread::between(a.low().min(b.low()), a.high().max(b.high()))).unwrap_or(Spread::NONE);
    let verdict =
        BreakEven::new(making, incumbent.1, replacement.1, Errors::SharedInPart(ratio)).map_err(|e| e.to_string())?;
    let basis = format!(
        "Texts among many, as measured for this report; {} and {} took turns before the same meter, so its error is taken to be \
         common to both, but for {ratio}, by which it errs with the load. The making is the energy of this run; that of its \
         teacher is not in it.",
        incumbent.0, replacement.0
    );
    Ok(BreakEvenFacts { making, incumbent, replacement, verdict, basis })
}
