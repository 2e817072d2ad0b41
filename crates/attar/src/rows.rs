//! Labeled rows that a command names.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::data::{default_metrics, multi_label_target, table};
use attar_distill::score;
use attar_model::hf_config::are_default_labels;
use attar_model::{Head, Target};
use attar_text::labeled::{
    Dataset, Example, LabeledSpec, Target as DataTarget, TargetSpec, read, read_answers, read_tagged,
};
use attar_text::layout::{Layout, Split};
use attar_text::metrics::Metric;
use attar_text::table::TableSpec;

use crate::cli::data::{ScoringArgs, SplitArg, TableArgs};
use crate::{console, engine};

/// Endings of files in CoNLL's format.
const TAGGED: [&str; 4] = ["conll", "iob", "iob2", "bio"];

/// Whether a file has sentences whose words have tags, by its name.
pub(crate) fn is_tagged(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    TAGGED.iter().any(|ending| name.rsplit_once('.').is_some_and(|(_, found)| found == *ending))
}

/// The rows to score by, their labels read as a model names them, and the metrics: the one that decides first.
pub(crate) fn labeled(path: &Path, args: &ScoringArgs, head: Option<&Head>) -> anyhow::Result<(Dataset, Vec<Metric>)> {
    let (data, usual) = if path.is_dir() {
        let layout = layout(path, args)?;
        let data = match args.split.unwrap_or(SplitArg::Dev) {
            SplitArg::Train => layout.load(path, Split::Train)?,
            SplitArg::Dev => layout.load(path, Split::Dev)?,
            SplitArg::DevMismatched => layout.load(path, Split::DevMismatched)?,
            // GLUE keeps the labels of its test rows; some have become known.
            SplitArg::Test => layout.load(path, Split::TestLabeled).or_else(|_| layout.load(path, Split::Test))?,
        };
        (data, layout.metrics().to_vec())
    } else {
        ensure!(
            args.split.is_none(),
            "--split names a part of a known data set, and {} is a single table: leave --split out, and give the file \
             of the part as --data",
            path.display()
        );
        let tagger = matches!(head, Some(Head::TokenClassification { .. }));
        let data = if args.label.answers || head == Some(&Head::QuestionAnswering) {
            read_answers(path)?
        } else if tagger || args.label.tagged || is_tagged(path) {
            tagged(path, args, head)?
        } else {
            of_table(path, args, head)?
        };
        let usual = default_metrics(&data.target);
        (data, usual)
    };
    let metrics = match &args.metric {
        Some(name) => vec![Metric::from_name(name)?],
        None => usual,
    };
    for &metric in &metrics {
        score::check_metric(metric, &data.target)
            .with_context(|| format!("{metric} is no metric of {}: name another with --metric", data.name))?;
    }
    Ok((data, metrics))
}

/// The training rows beside the rows to score by, where `path` is the folder of a known data set that has some.
pub(crate) fn training(path: &Path, args: &ScoringArgs) -> anyhow::Result<Dataset> {
    ensure!(path.is_dir(), "{} is a single table", path.display());
    Ok(layout(path, args)?.load(path, Split::Train)?)
}

/// Rows to learn from for whoever is scored by `data`: the training part of a known data set, or a table. Rows with the
/// texts of `data` are left out, so that a file may hold both; their number comes with the others.
pub(crate) fn to_learn_from(path: &Path, args: &ScoringArgs, data: &Dataset) -> anyhow::Result<(Dataset, usize)> {
    let target = match &data.target {
        DataTarget::Classes(labels) => TargetSpec::Named(labels.names.clone()),
        DataTarget::MultiLabel(labels) => several(args, Some(labels.names.clone())),
        &DataTarget::Regression { low, high } => TargetSpec::Regression { low, high },
        DataTarget::Tags(_) => bail!("{}: a baseline learns labels of texts, and here words have tags", data.name),
        DataTarget::Answers { .. } => bail!("{}: a baseline learns labels of texts, and here are questions", data.name),
    };
    let whole = match path.is_dir() {
        true => training(path, args)?,
        // The labels of the rows to score by are not those of another file.
        false => read_aloud(&without_label_file(spec(path, args, target)?))?,
    };
    let scored: HashSet<(&str, Option<&str>)> = data.examples.iter().map(texts_of).collect();
    let others: Vec<usize> =
        (0..whole.len()).filter(|&row| !scored.contains(&texts_of(&whole.examples[row]))).collect();
    ensure!(!others.is_empty(), "{}: every row is among those to score by: name other rows", path.display());
    Ok((whole.subset(&others), whole.len() - others.len()))
}

/// Refuses rows without a second text for a model that has learned from pairs, and warns of pairs for one that has not.
pub(crate) fn check_pairs(model: &Path, data: &Dataset) -> anyhow::Result<()> {
    let has_pairs = data.examples.iter().any(|row| row.pair.is_some());
    engine::check_pairs(model, has_pairs, "name the column of the second text with --pair")
}

fn without_label_file(mut spec: LabeledSpec) -> LabeledSpec {
    spec.table.label_file = None;
    spec
}

fn texts_of(example: &Example) -> (&str, Option<&str>) {
    (&example.text, example.pair.as_deref())
}

/// The texts of a table, without labels.
pub(crate) fn texts(path: &Path, args: &TableArgs) -> anyhow::Result<Dataset> {
    read_aloud(&LabeledSpec {
        table: table(path, args.format.table_format()),
        text: args.text.parse()?,
        pair: args.pair.as_ref().map(|pair| pair.parse()).transpose()?,
        label: None,
        target: TargetSpec::Discover,
    })
}

/// Reads a table and says what had to be decided.
fn read_aloud(spec: &LabeledSpec) -> anyhow::Result<Dataset> {
    let loaded = read(spec)?;
    loaded.notes.iter().for_each(console::note);
    Ok(loaded.data)
}

/// Sentences with tags, which are the model's unless the user names them.
fn tagged(path: &Path, args: &ScoringArgs, head: Option<&Head>) -> anyhow::Result<Dataset> {
    let models = match head {
        Some(Head::TokenClassification { labels }) if !are_default_labels(labels) => Some(labels.as_slice()),
        _ => None,
    };
    Ok(read_tagged(path, args.label.class_names().as_deref().or(models))?)
}

/// Rows of a table, their labels read as the model names them unless the user does.
fn of_table(path: &Path, args: &ScoringArgs, head: Option<&Head>) -> anyhow::Result<Dataset> {
    let answer = match head {
        Some(Head::Classification { target }) => Some(target),
        _ => None,
    };
    let target = match (answer, args.label.class_names()) {
        (Some(Target::Regression), _) => TargetSpec::Regression { low: f32::MIN, high: f32::MAX },
        (Some(Target::MultiLabel(_)), Some(names)) => several(args, Some(names)),
        (Some(Target::MultiLabel(names)), None) => several(args, (!are_default_labels(names)).then(|| names.clone())),
        (_, names) if args.label.multi_label.is_some() => several(args, names),
        (_, Some(names)) => TargetSpec::Named(names),
        (Some(Target::Labels(names)), None) => TargetSpec::OfModel(names.clone()),
        _ => TargetSpec::Discover,
    };
    read_aloud(&spec(path, args, target)?)
}

/// Any number of labels in a cell.
fn several(args: &ScoringArgs, names: Option<Vec<String>>) -> TargetSpec {
    multi_label_target(args.label.multi_label.as_deref().unwrap_or_default(), names)
}

fn spec(path: &Path, args: &ScoringArgs, target: TargetSpec) -> anyhow::Result<LabeledSpec> {
    let TableArgs { text, pair, format } = &args.table;
    Ok(LabeledSpec {
        table: TableSpec { label_file: args.label.label_file.clone(), ..table(path, format.table_format()) },
        text: text.parse()?,
        pair: pair.as_ref().map(|pair| pair.parse()).transpose()?,
        label: Some(args.label.label.parse()?),
        target,
    })
}

fn layout(path: &Path, args: &ScoringArgs) -> anyhow::Result<Layout> {
    Ok(match &args.layout {
        Some(name) => Layout::from_name(name)?,
        None => Layout::detect(path)?,
    })
}
