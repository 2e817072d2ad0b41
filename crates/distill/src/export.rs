//! The end of a run: the student as a model directory with its scores, its card and its bill.

use attar_bill::Bill;
use attar_model::atomic::WriteMode;
use attar_model::card::{BillLine, Card, Emissions, Origin, Relation, Section, Snippet};
use attar_model::{Bundle, EncoderConfig, Head, Size};
use attar_text::tokenizer::Tokenizer;
use serde_json::json;

use crate::engine::Lift;
use crate::objectives::Objective;
use crate::plan::Plan;
use crate::row_record::{self, RowRecord};
use crate::run_directory::{ExportedStudent, Manifest, RunDirectory};
use crate::scores::HeldOutLoss;
use crate::train::{NewStudent, Trained};
use crate::{Error, card_parts, card_sections, model_directory};

/// Writes the student of a finished run and, unless the recipe keeps them, removes its checkpoints. A student that was
/// exported before is left unchanged.
///
/// # Errors
/// If the directory cannot be written.
pub fn export(plan: &Plan, directory: &RunDirectory, trained: Trained) -> Result<ExportedStudent, Error> {
    let mut exported = match trained {
        Trained::New(student) => {
            let name = directory.path().file_name().map_or("student".into(), |name| name.to_string_lossy());
            let bundle = bundle(plan, &name, &student)?;
            bundle.write(&directory.student(), WriteMode::Replace)?;
            let exported = ExportedStudent {
                student: directory.student(),
                fingerprint: bundle.fingerprint(),
                parameters: Size::of(&plan.written_config()).parameters(),
                bill: student.bill(plan),
                scores: student.scores,
                held_out: student.held_out,
                traces: student.traces.filter(|traces| traces.read > 0),
                notes: plan.notes.clone(),
                removed: None,
            };
            directory.end(&exported)?;
            exported
        }
        Trained::Stored(exported) => *exported,
    };
    directory.remove_traces()?;
    if plan.recipe.checkpoint.clean {
        exported.removed = directory.remove_checkpoints()?;
    }
    Ok(exported)
}

/// The student as a model directory has it, in memory: weights, tokenizer, scores, bill, and a card under this name.
///
/// # Errors
/// If the tokenizer cannot be written as files.
pub fn bundle(plan: &Plan, name: &str, student: &NewStudent) -> Result<Bundle, Error> {
    let bill = student.bill(plan);
    let scores = &student.scores;
    let mut weights = student.weights.clone();
    let narrow = weights.remove(Lift::TABLE);
    let mut bundle = Bundle { narrow_embeddings: narrow, ..Bundle::new(plan.written_config(), weights) };
    bundle.tokenizer_files = tokenizer_files(&plan.tokenizer, plan.max_tokens)?;
    bundle.pooling = plan.student.pooling;
    bundle.max_tokens = Some(plan.max_tokens);
    let mut provenance = json!({
        "attar": env!("CARGO_PKG_VERSION"),
        "seed": plan.recipe.seed,
        "manifest": Manifest::of(plan),
        "scores": scores,
        "bill": bill,
    });
    if let Some(data) = &plan.labeled {
        provenance[model_directory::PAIRS_KEY] = json!(data.train.examples.iter().any(|row| row.pair.is_some()));
        provenance[row_record::ROWS_KEY] = json!(RowRecord::new(&data.train, &data.dev));
    }
    if let Some(held_out) = &student.held_out {
        provenance["held_out"] = json!(held_out);
    }
    bundle.provenance = Some(provenance);
    bundle.card = Some(card(plan, name, &bundle, student, &bill).to_markdown());
    Ok(bundle)
}

/// The files of a tokenizer as a bundle carries them, with this limit of tokens.
///
/// # Errors
/// If the library cannot write a part of it.
pub fn tokenizer_files(tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut tokenizer = tokenizer.clone();
    tokenizer.set_model_max_length(max_tokens);
    let mut files: Vec<_> =
        tokenizer.files()?.into_iter().map(|(name, text)| (name.to_string(), text.into_bytes())).collect();
    files.sort();
    Ok(files)
}

fn card(plan: &Plan, name: &str, bundle: &Bundle, student: &NewStudent, bill: &Bill) -> Card {
    let [train, dev] = &plan.facts;
    let row = |model: &str, config: &EncoderConfig| card_parts::size(model, config, Size::of(config).bytes_f32());
    let mut sizes = vec![row(name, &bundle.config)];
    sizes.extend(plan.teacher.as_ref().map(|teacher| row("its teacher", &teacher.bundle.config)));
    let origin = origin(plan);
    let kind = match origin.as_ref().map(|origin| origin.relation) {
        Some(Relation::Distilled) => "distilled",
        Some(Relation::FineTuned) => "fine-tuned",
        Some(Relation::Quantized) | None => "trained",
    };
    let rows = if plan.labeled.is_some() { "rows" } else { "sequences" };
    let trained_on = format!("{} ({} {rows})", train.name, train.rows);
    let purpose = Purpose::of(&plan.student.config.head);
    Card {
        title: name.into(),
        summary: format!("An encoder {kind} on {trained_on} with attar {}.", env!("CARGO_PKG_VERSION")),
        license: plan.recipe.card.license.clone(),
        language: plan.recipe.card.languages.clone(),
        datasets: plan.recipe.card.datasets.clone(),
        library_name: Some("transformers".into()),
        pipeline_tag: Some(purpose.pipeline.into()),
        tags: ["attar".into(), kind.into()].into(),
        origin,
        metrics: plan.labeled.iter().flat_map(|data| &data.metrics).map(|metric| metric.name().into()).collect(),
        results: student
            .scores
            .iter()
            .flat_map(|scores| scores.student.iter().filter_map(|score| card_parts::score(&dev.name, score)))
            .collect(),
        emissions: bill.total.carbon_g.map(|carbon| Emissions {
            grams: carbon.value().get(),
            source: Some(format!("attar, {}", bill.total.method.map_or("not read".into(), |m| m.to_string()))),
            training_type: Some(if plan.labeled.is_some() { "fine-tuning" } else { "pre-training" }.into()),
            geographical_location: Some(bill.grid.region.clone()),
            hardware_used: Some(attar_meter::Host::local().facts().cpu.name).filter(|name| !name.is_empty()),
        }),
        sizes,
        usage: vec![Snippet { title: purpose.title.into(), language: "sh".into(), code: (purpose.command)(name) }],
        bill: bill.phases.iter().chain([&bill.total]).filter_map(bill_line).collect(),
        bill_note: Some(format!(
            "Energy is given with its 90 % interval in `attar.json`. The bill leaves out: {}.",
            bill.exclusions.join("; ")
        )),
        sections: card_sections::of(plan, kind)
            .into_iter()
            .chain(held_out_section(student.held_out.as_ref()))
            .chain(notes_section(&plan.notes))
            .collect(),
    }
}

/// The model that a student comes from: the teacher it was distilled from, or else the model it was fine-tuned from.
fn origin(plan: &Plan) -> Option<Origin> {
    let was_taught = plan.stages.iter().flat_map(|stage| &stage.spec.objectives).any(Objective::needs_teacher);
    let teacher = plan.teacher.as_ref().filter(|_| was_taught);
    let taught = teacher.map(|teacher| (Relation::Distilled, teacher.name.clone()));
    let began = || plan.student.base.clone().map(|base| (Relation::FineTuned, base));
    taught.or_else(began).map(|(relation, model)| Origin { relation, model })
}

fn bill_line(line: &attar_bill::BillLine) -> Option<BillLine> {
    Some(BillLine {
        what: line.phase.clone(),
        energy_kwh: line.facility_kwh?.value().get(),
        co2e_grams: line.carbon_g.map(|carbon| carbon.value().get()),
        money: line.money.map(|money| (money.value().amount(), money.value().currency().to_string())),
        method: line.method.map_or("not read".into(), |method| method.to_string()),
    })
}

/// What a student is for, by its head.
struct Purpose {
    /// The Hub's name of the task.
    pipeline: &'static str,
    /// What its first use is called.
    title: &'static str,
    /// The command for that, given its folder.
    command: fn(&str) -> String,
}

impl Purpose {
    fn of(head: &Head) -> Purpose {
        match head {
            Head::None => Purpose {
                pipeline: "feature-extraction",
                title: "Turn a text into a vector",
                command: |name| format!("attar embed {name} \"some text\""),
            },
            Head::MaskedLm | Head::Pretraining => Purpose {
                pipeline: "fill-mask",
                title: "Fine-tune it",
                command: |name| format!("attar finetune {name} --data rows.csv"),
            },
            Head::Classification { .. } => Purpose {
                pipeline: "text-classification",
                title: "Classify a text",
                command: |name| format!("attar predict {name} \"some text\""),
            },
            Head::TokenClassification { .. } => Purpose {
                pipeline: "token-classification",
                title: "Tag the words of a text",
                command: |name| format!("attar tag {name} \"some text\""),
            },
            Head::QuestionAnswering => Purpose {
                pipeline: "question-answering",
                title: "Find the answer to a question in a text",
                command: |name| format!("attar predict {name} \"a question\" --pair \"some text\""),
            },
        }
    }
}

fn held_out_section(loss: Option<&HeldOutLoss>) -> Option<Section> {
    let loss = loss?;
    let terms = loss.terms.iter().map(|(name, value)| format!("| {name} | {value:.4} |\n"));
    let perplexity = loss.perplexity.map(|value| format!("| perplexity | {value:.2} |\n"));
    let rows: String = terms.chain(perplexity).collect();
    let text = format!(
        "On {} sequences ({} tokens) that were not learned from:\n\n| term | value |\n|---|---|\n{rows}",
        loss.sequences, loss.tokens
    );
    Some(Section { title: "Loss on held-out text".into(), text })
}

fn notes_section(notes: &[String]) -> Vec<Section> {
    if notes.is_empty() {
        return Vec::new();
    }
    let text = notes.iter().map(|note| format!("- {note}\n")).collect();
    vec![Section { title: "Notes".into(), text }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagger_is_for_words() {
        let purpose = Purpose::of(&Head::TokenClassification { labels: vec!["O".into()] });
        assert_eq!((purpose.pipeline, purpose.title), ("token-classification", "Tag the words of a text"));
        assert_eq!((purpose.command)("run"), "attar tag run \"some text\"");
        assert_eq!(Purpose::of(&Head::QuestionAnswering).pipeline, "question-answering");
    }
}
