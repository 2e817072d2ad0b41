//! What a run is, in sentences and as a list.

use attar_distill::DataFacts;
use attar_distill::model_directory;
use attar_distill::recipe::{DataSpec, StudentSpec};
use attar_model::{Bundle, Size};
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
    let stages = if stages == 1 { "1 stage".into() } else { format!("{stages} stages") };
    let updates = if updates > 0.0 {
        format!(", in {stages} and about {} updates", tables::count(updates as u64))
    } else {
        String::new()
    };
    Some(format!(
        "{} is an encoder{size}, {} on {rows} rows of {}{updates}.",
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
        let bytes = student.bytes as f64 / teacher.bytes.max(1) as f64;
        let kept = student.kept.map_or_else(String::new, |kept| format!("{:.1} % of its teacher's, ", 100.0 * kept));
        text += &format!(": {kept}in {:.0} % of the bytes", 100.0 * bytes);
        if let (Some(own), Some(theirs)) = (&student.speed, &teacher.speed) {
            text += &format!(" and {:.0} % of the time", 100.0 * own.micros / theirs.micros);
        }
    }
    if let Some(small) = run.model(ModelKind::Quantized) {
        text += &format!("; in small integers it takes {}", tables::bytes(small.bytes));
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
        task: if is_labeled { "text-classification" } else { "feature-extraction" }.into(),
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

/// Parameters and files of a model directory.
pub(super) fn size_of(dir: &std::path::Path, quantized: bool) -> anyhow::Result<(u64, usize)> {
    let config = Bundle::read_config(dir)?;
    Ok((model_directory::shipped_bytes(dir, quantized)?, Size::of(&config).parameters()))
}
