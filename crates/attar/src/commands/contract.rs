//! `attar contract`: above which confidence a student may answer in its teacher's place.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::contract::{self, Comparison, Contract, Cost, Requirements, Saving, Split, Threshold};
use attar_distill::labels::{self, ClassOrder};
use attar_distill::model_directory;
use attar_distill::recipe::EnergySpec;
use attar_distill::score::Answers;
use attar_model::Head;
use attar_runtime::{Precision, Session, Text, confidence};
use attar_text::labeled::{Dataset, Example};

use crate::cli::contract::ContractArgs;
use crate::held_out::divide;
use crate::overwriting::{refuse_overwriting_input, refuse_overwriting_other_kind};
use crate::progress::counting;
use crate::speed::{Answer, Speed, measure};
use crate::{console, engine, recipes, rows, tables};

/// Texts of the sample that speed is measured on.
const SPEED_TEXTS: usize = 256;

pub(crate) fn run(args: &ContractArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let requirements = Requirements::new(args.min_agreement, args.confidence_level)?;
    ensure!(args.scoring.metric.is_none(), "a contract counts equal answers: leave --metric out");
    ensure!(
        args.scoring.max_tokens.is_none(),
        "a server cuts texts at the model's own limit, and so does a contract: leave --max-tokens out"
    );
    if let Some(out) = &args.out {
        refuse_overwriting_input(out, [args.data.as_path()])?;
        refuse_overwriting_other_kind(out, "a contract", Contract::is_beginning)?;
    }
    let energy = recipes::energy(&args.energy)?;
    let open = |path: &Path| -> anyhow::Result<Session> {
        let about = || format!("{} cannot be part of a contract", path.display());
        let session = engine::open(path, &args.engine, threads).with_context(about)?;
        ensure!(
            !matches!(session.config().head, Head::TokenClassification { .. } | Head::QuestionAnswering),
            "{}: a contract counts equal classes of whole texts, and this model answers with parts of them",
            about()
        );
        session.target().with_context(about)?;
        Ok(session)
    };
    let (mut teacher, mut student) = (open(&args.teacher)?, open(&args.student)?);
    let (data, _) = rows::labeled(&args.data, &args.scoring, Some(&teacher.config().head))?;
    let models = [args.teacher.clone(), args.student.clone()];
    models.iter().try_for_each(|model| rows::check_pairs(model, &data))?;
    // A named part of a known data set is used as it is.
    let data = if args.data.is_dir() { data } else { divide(data, &models, args.scoring.all_rows)?.scored };
    let texts: Vec<Text<'_>> = data.examples.iter().map(Example::texts).collect();

    let compared = compare(&mut teacher, &mut student, args, &data, &texts)?;
    let split = Split::of(&data);
    let part = |rows: &[usize]| rows.iter().map(|&row| compared[row]).collect::<Vec<_>>();
    let (selection, test) = (part(&split.selection), part(&split.test));
    let Some(threshold) = contract::find(&selection, &test, requirements) else {
        return none(&compared, test.len(), requirements);
    };
    let saving = match args.no_speed {
        true => None,
        false => Some(saving(&mut teacher, &mut student, &texts, &energy, threshold)?),
    };
    let path = model_directory::answering(&args.student)?;
    let identity = |path: &Path| {
        contract::identity(path, engine::options(path, &args.engine, threads).precision == Precision::Int8)
    };
    let contract = Contract {
        version: Contract::VERSION,
        teacher: identity(&model_directory::answering(&args.teacher)?)?,
        student: identity(&path)?,
        requirements,
        threshold,
        saving,
    };
    let out = args.out.clone().unwrap_or_else(|| contract::path_of(&path));
    contract.write(&out)?;
    if args.json {
        return console::json(&contract);
    }
    let names = [&args.student, &args.teacher].map(|model| model_directory::name(model));
    console::say(render(&contract, &names, &data.name))?;
    console::note(format!("written to {}", out.display()));
    Ok(())
}

/// What the student says of each row beside what the teacher says.
fn compare(
    teacher: &mut Session,
    student: &mut Session,
    args: &ContractArgs,
    data: &Dataset,
    texts: &[Text<'_>],
) -> anyhow::Result<Vec<Comparison>> {
    let mut notes = Vec::new();
    let mut logits = |session: &mut Session, path: &Path| -> anyhow::Result<(Vec<Vec<f32>>, Answers)> {
        let name = model_directory::name(path);
        let order = labels::classes(&name, &session.config().head, &data.target, ClassOrder::Stated, &mut notes)?;
        let mut bar = counting(texts.len(), &name);
        let logits = session.logits(texts, |done| bar.inc(done as u64))?;
        bar.finish_and_clear();
        let ordered: Vec<Vec<f32>> = match order {
            Some(order) => logits.iter().map(|row| order.iter().map(|&class| row[class]).collect()).collect(),
            None => logits.clone(),
        };
        let answers = Answers::from_logits(&ordered, &data.target);
        Ok((logits, answers))
    };
    let (_, theirs) = logits(teacher, &args.teacher)?;
    let (logits, own) = logits(student, &args.student)?;
    notes.iter().for_each(console::note);
    let target = student.target()?;
    let agrees: Vec<bool> = match (&own, &theirs) {
        (Answers::Classes(own), Answers::Classes(theirs)) => own.iter().zip(theirs).map(|(a, b)| a == b).collect(),
        (Answers::LabelSets(own), Answers::LabelSets(theirs)) => own.iter().zip(theirs).map(|(a, b)| a == b).collect(),
        _ => bail!("a contract is about classes, and these models give scores: there is no equal answer to count"),
    };
    let row = |(logits, agrees): (&Vec<f32>, bool)| Comparison {
        confidence: confidence(target, logits).unwrap_or(0.0),
        agrees,
    };
    Ok(logits.iter().zip(agrees).map(row).collect())
}

/// There is no contract: why, and what would help.
fn none(compared: &[Comparison], test_rows: usize, requirements: Requirements) -> anyhow::Result<()> {
    let agreed = compared.iter().filter(|row| row.agrees).count() as f64 / compared.len().max(1) as f64;
    let least = contract::least_rows(requirements.min_agreement, requirements.confidence_level);
    let few = if test_rows < 2 * least {
        format!(
            "; the rows to test by are {test_rows}, and at least {least} of them have to be confident and agree: give more rows"
        )
    } else {
        String::from("; ask for a smaller share (--min-agreement), or distill longer")
    };
    bail!(
        "at no confidence can the student be shown to give the teacher's answer {} % of the time (over all rows it does {:.2} %){few}",
        percent(requirements.min_agreement),
        100.0 * agreed
    )
}

/// A share that was given as a number, without the digits that its binary form adds.
fn percent(share: f64) -> f64 {
    (1e6 * share).round() / 1e4
}

fn saving(
    teacher: &mut Session,
    student: &mut Session,
    texts: &[Text<'_>],
    energy: &EnergySpec,
    threshold: Threshold,
) -> anyhow::Result<Saving> {
    let sample: Vec<Text<'_>> = texts.iter().step_by(texts.len().div_ceil(SPEED_TEXTS).max(1)).copied().collect();
    let mut models: Vec<Answer<'_>> = Vec::new();
    for session in [teacher, student] {
        let sample = &sample;
        models.push(Box::new(move || {
            session.logits(sample, |_| {})?;
            Ok(())
        }));
    }
    let mut bar = counting(5 * models.len(), "timing, in turns");
    let speeds = measure(&mut models, sample.len(), energy, || bar.inc(1))?;
    bar.finish_and_clear();
    let cost = |speed: &Speed| Cost::new(speed.micros, speed.joules_per_thousand, energy);
    Ok(Saving::new(cost(&speeds[0])?, cost(&speeds[1])?, threshold.coverage()))
}

fn render(contract: &Contract, [student, teacher]: &[String; 2], data: &str) -> String {
    let Contract { requirements, threshold, .. } = contract;
    let test = threshold.test;
    let mut text = format!(
        "{student} answers for {teacher} where its confidence is at least {:.4}:\n\
         {:.1} % of {data} ({} of {} rows that took no part in finding this)\n\
         of which {} answers, {:.2} %, are the teacher's: at least {:.2} % with {} % confidence",
        threshold.confidence,
        100.0 * threshold.coverage(),
        tables::count(test.covered as u64),
        tables::count(test.rows as u64),
        tables::count(test.agreeing as u64),
        100.0 * test.agreeing as f64 / test.covered.max(1) as f64,
        100.0 * threshold.agreement_lower_bound,
        percent(requirements.confidence_level),
    );
    let Some(saving) = &contract.saving else { return text };
    let mut table = tables::table(&["1,000 texts", "ms", "J [90 %]", "electricity or machine"]);
    let dash = || "–".to_string();
    for (name, cost) in [("teacher", saving.teacher), ("student", saving.student), ("contract", saving.contract)] {
        table.add_row([
            name.to_string(),
            format!("{:.1}", cost.milliseconds),
            cost.joules.map_or_else(dash, |joules| joules.to_string()),
            cost.money.map_or_else(dash, |money| money.to_string()),
        ]);
    }
    text += &match 100.0 * saving.time_saved {
        saved if saved < 0.0 => format!("\n\n{table}\nit takes {:.0} % more time than the teacher alone", -saved),
        saved => format!("\n\n{table}\n{saved:.0} % of the teacher's time is saved"),
    };
    if let Some(share) = saving.energy_saved {
        text += &format!(", {:.0} % of its energy", 100.0 * share);
    }
    text
}
