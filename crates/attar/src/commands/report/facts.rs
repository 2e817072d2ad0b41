//! What a run is, in sentences and as a list.

use attar_distill::DataFacts;
use attar_distill::model_directory;
use attar_distill::recipe::{DataSpec, StudentSpec};
use attar_model::{Bundle, Family, Head, Size};
use attar_report::{EnergyReport, Fact, Inventory, ModelKind, Run};

use super::run_files::RunFiles;
use crate::tables;

/// What was made, how good it is, and what that took.
pub(super) fn summary(run: &Run, files: &RunFiles) -> Vec<String> {
    let made = [what(run, files), how_good(run).or_else(|| held_out(files)), what_it_took(run)];
    made.into_iter().flatten().collect()
}

/// Hashes, versions, machine.
pub(super) fn provenance(files: &RunFiles, energy: Option<&EnergyReport>) -> Vec<Fact> {
    let manifest = &files.manifest;
    let data = |facts: &DataFacts| format!("{}, {} rows, SHA-256 {}", facts.name, facts.rows, facts.sha256);
    let mut all = vec![
        ("attar", Some(manifest.attar.clone())),
        ("recipe, SHA-256", Some(manifest.recipe.clone())),
        ("seed", files.recipe.as_ref().ok().map(|recipe| recipe.seed.to_string())),
        ("training rows", Some(data(&manifest.train))),
        ("held-out rows", Some(data(&manifest.dev))),
        ("teacher, fingerprint", manifest.teacher.clone()),
        ("student before the first update, fingerprint", Some(manifest.student.clone())),
        ("student, fingerprint", files.outcome.as_ref().map(|outcome| outcome.fingerprint.clone())),
        ("threads", Some(manifest.threads.to_string())),
    ];
    let headers = energy.map(|energy| energy.0.headers()).unwrap_or_default();
    if let Some(header) = headers.first() {
        let host = &header.host;
        let guest = if host.cpu.virtual_machine { ", a virtual machine" } else { "" };
        all.push(("machine", Some(format!("{}, {}{guest}", host.system, host.cpu.name))));
        all.push(("begun", Some(header.start.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())));
    }
    let known = all.into_iter().filter_map(|(name, value)| Some(Fact { name: name.into(), value: value? }));
    known.collect()
}

fn what(run: &Run, files: &RunFiles) -> Option<String> {
    let manifest = &files.manifest;
    let stages: usize = run.stages.len();
    let updates: f64 =
        run.stages.iter().filter_map(|stage| stage.losses.first()?.points.last()).map(|[step, _]| *step).sum();
    let recipe = files.recipe.as_ref().ok();
    let teacher = recipe.and_then(|recipe| recipe.teacher.as_ref()).map(|teacher| {
        let name = teacher.path.as_deref().map_or_else(|| "its teacher".into(), model_directory::name);
        format!("distilled from {name}")
    });
    let parameters = files.outcome.as_ref().map(|outcome| outcome.parameters);
    let size = parameters.map_or_else(String::new, |count| format!(" of {} parameters", tables::count(count as u64)));
    let rows = tables::count(manifest.train.rows as u64);
    let is_raw = recipe.is_some_and(|recipe| matches!(recipe.data, DataSpec::Corpus { .. }));
    let unit = if is_raw { "sequences" } else { "rows" };
    let stages = if stages == 1 { "1 stage".into() } else { format!("{stages} stages") };
    let updates = if updates > 0.0 {
        format!(", in {stages} and about {} updates", tables::count(updates as u64))
    } else {
        String::new()
    };
    Some(format!(
        "{} is an encoder{size}, {} on {rows} {unit} of {}{updates}.",
        run.name,
        teacher.unwrap_or_else(|| "trained".into()),
        manifest.train.name
    ))
}

fn how_good(run: &Run) -> Option<String> {
    let student = run.model(ModelKind::Student)?;
    let score = student.scores.first()?;
    let mut text = format!(
        "On {} held-out rows its {} is {}",
        tables::count(score.rows as u64),
        score.metric.name(),
        tables::score(score)
    );
    if let Some(teacher) = run.model(ModelKind::Teacher) {
        let mut costs = Vec::new();
        if let (Some(own), Some(theirs)) = (student.bytes, teacher.bytes) {
            costs.push(format!("{:.0} % of the bytes", 100.0 * own as f64 / theirs.max(1) as f64));
        }
        if let (Some(own), Some(theirs)) = (&student.speed, &teacher.speed) {
            costs.push(format!("{:.0} % of the time", 100.0 * own.micros / theirs.micros));
        }
        let kept = student.kept.map(|kept| format!("{:.1} % of its teacher's", 100.0 * kept));
        let costs = (!costs.is_empty()).then(|| format!("in {}", costs.join(" and ")));
        let parts: Vec<String> = kept.into_iter().chain(costs).collect();
        if !parts.is_empty() {
            text += &format!(": {}", parts.join(", "));
        }
    }
    if let Some(bytes) = run.model(ModelKind::Quantized).and_then(|small| small.bytes) {
        text += &format!("; in small integers it takes {}", tables::bytes(bytes));
    }
    Some(text + ".")
}

/// Of raw text.
fn held_out(files: &RunFiles) -> Option<String> {
    let loss = files.outcome.as_ref()?.held_out.as_ref()?;
    let perplexity = loss.perplexity.map_or_else(String::new, |perplexity| format!(", its perplexity {perplexity:.2}"));
    let sequences = tables::count(loss.sequences as u64);
    Some(format!("On {sequences} held-out sequences its loss is {:.4}{perplexity}.", loss.loss))
}

fn what_it_took(run: &Run) -> Option<String> {
    let report = &run.energy.as_ref()?.0;
    let seconds = tables::seconds(report.totals().active().get());
    let Some(energy) = report.totals().energy() else {
        return Some(format!("Making it took {seconds}; no energy was read."));
    };
    let carbon = report.bill().total.carbon_g.map_or_else(String::new, |carbon| format!(" and {carbon}"));
    Some(format!("Making it took {seconds}, {energy}{carbon}."))
}

/// What inventories of models ask for; nothing where no model was made.
pub(super) fn inventory(files: &RunFiles) -> anyhow::Result<Option<Inventory>> {
    let Some(student) = files.student() else { return Ok(None) };
    let config = Bundle::read_config(&student)?;
    let recipe = files.recipe.as_ref().ok();
    let base = recipe.and_then(|recipe| match (&recipe.teacher, &recipe.student) {
        (Some(teacher), _) => teacher.path.as_deref().map(model_directory::name),
        (None, StudentSpec::Model { path, .. }) => path.as_deref().map(model_directory::name),
        (None, _) => None,
    });
    let is_labeled = !recipe.is_some_and(|recipe| matches!(recipe.data, DataSpec::Corpus { .. }));
    let train = &files.manifest.train;
    Ok(Some(Inventory {
        license: recipe.and_then(|recipe| recipe.card.license.clone()),
        task: task(&config.head).into(),
        architecture: architecture(config.family).into(),
        base,
        fingerprint: files.outcome.as_ref().map(|outcome| outcome.fingerprint.clone()),
        parameters: files.outcome.as_ref().map(|outcome| outcome.parameters),
        layers: Some(config.layers),
        data: train.name.clone(),
        rows: train.rows,
        data_sha256: train.sha256.clone(),
        is_labeled,
    }))
}

/// What a model with this head is for, in the words of the hub.
fn task(head: &Head) -> &'static str {
    match head {
        Head::None => "feature-extraction",
        Head::MaskedLm | Head::Pretraining => "fill-mask",
        Head::Classification { .. } => "text-classification",
        Head::TokenClassification { .. } => "token-classification",
        Head::QuestionAnswering => "question-answering",
    }
}

/// A family as its authors write it.
fn architecture(family: Family) -> &'static str {
    match family {
        Family::Bert => "BERT",
        Family::DistilBert => "DistilBERT",
        Family::Roberta => "RoBERTa",
        Family::MpNet => "MPNet",
        Family::Electra => "ELECTRA",
    }
}

/// Parameters and files of a model directory.
pub(super) fn size_of(dir: &std::path::Path, quantized: bool) -> anyhow::Result<(u64, usize)> {
    let config = Bundle::read_config(dir)?;
    Ok((model_directory::shipped_bytes(dir, quantized)?, Size::of(&config).parameters()))
}

#[cfg(test)]
mod tests {
    use attar_report::ReportedModel;
    use attar_text::metrics::{Metric, Score};

    use super::*;

    fn model(kind: ModelKind, bytes: Option<u64>) -> ReportedModel {
        ReportedModel {
            kind,
            name: "a model".into(),
            scores: vec![Score { metric: Metric::Accuracy, value: Some(0.9), interval: None, rows: 100 }],
            classes: None,
            difference: None,
            kept: Some(0.95),
            bytes,
            parameters: None,
            flops: None,
            speed: None,
        }
    }

    #[test]
    fn a_size_that_is_not_known_is_not_said() {
        let said = |teacher: Option<u64>, student: Option<u64>| {
            let models = vec![model(ModelKind::Teacher, teacher), model(ModelKind::Student, student)];
            let run = Run { models, ..Run::default() };
            how_good(&run).unwrap()
        };
        let whole = said(Some(200), Some(20));
        assert!(whole.ends_with(": 95.0 % of its teacher's, in 10 % of the bytes."), "{whole}");
        for (teacher, student) in [(None, Some(20)), (Some(200), None)] {
            let part = said(teacher, student);
            assert!(part.ends_with(": 95.0 % of its teacher's."), "{part}");
        }
    }

    #[test]
    fn the_task_is_that_of_the_head() {
        assert_eq!(task(&Head::TokenClassification { labels: Vec::new() }), "token-classification");
        assert_eq!(task(&Head::None), "feature-extraction");
    }
}
