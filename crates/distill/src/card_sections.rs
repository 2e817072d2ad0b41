//! What a card says of a student beside its numbers: what it is for, where it ends, how it was made.

use attar_model::Head;
use attar_model::card::Section;
use attar_text::labeled::Target;
use sha2::{Digest, Sha256};

use crate::objectives::Objective;
use crate::plan::Plan;
use crate::run_directory::hexadecimal;

/// The sections of a student that was `distilled`, `fine-tuned` or `trained`.
pub(crate) fn of(plan: &Plan, kind: &str) -> Vec<Section> {
    let section = |title: &str, text: String| Section { title: title.into(), text };
    vec![
        section("Intended use", intended_use(plan)),
        section("Limits", limits(plan)),
        section("Recipe", recipe(plan, kind)),
    ]
}

fn intended_use(plan: &Plan) -> String {
    let data = &plan.facts[0].name;
    match (&plan.labeled, &plan.student.config.head) {
        (Some(rows), _) => use_of(&rows.train.target, data),
        (None, Head::None) => "To turn texts into vectors, or as an encoder to fine-tune.".into(),
        (None, _) => format!("As an encoder to fine-tune on texts like those of {data}."),
    }
}

/// What a model of labeled rows is for.
fn use_of(target: &Target, data: &str) -> String {
    match target {
        Target::Classes(labels) => format!("To sort texts like those of {data} into {} classes.", labels.len()),
        Target::MultiLabel(labels) => format!("To give texts like those of {data} any of {} labels.", labels.len()),
        Target::Regression { .. } => format!("To score texts like those of {data} by a number."),
        Target::Tags(labels) => format!("To tag the words of texts like those of {data} with {} tags.", labels.len()),
        Target::Answers { has_unanswerable } => {
            let none = if *has_unanswerable { ", or to say that there is none" } else { "" };
            format!("To find the answer to a question in a text like those of {data}{none}.")
        }
    }
}

fn limits(plan: &Plan) -> String {
    let asked = plan.labeled.as_ref().map(|rows| &rows.train.target);
    let mut all = vec![match asked {
        Some(Target::Answers { has_unanswerable }) => {
            let unknown = if *has_unanswerable { "" } else { " It has seen no question without an answer." };
            format!(
                "Texts longer than {} tokens, with the question, are read in overlapping windows, and an answer is searched in each.\
                 {unknown}",
                plan.max_tokens
            )
        }
        _ => format!("Texts longer than {} tokens are cut.", plan.max_tokens),
    }];
    if plan.labeled.is_some() {
        all.push(format!(
            "Its scores are those of {} held-out rows; on texts of another kind they may be lower, and nothing was measured there.",
            plan.facts[1].rows
        ));
        all.push("It was not examined for bias, and repeats what the labels and its teacher have of it.".into());
    }
    if plan.recipe.card.license.is_none() {
        all.push("No license was named: ask whoever made it before you use it.".into());
    }
    all.iter().map(|line| format!("- {line}\n")).collect()
}

/// Each stage in a line, without the paths of the machine that it ran on.
fn recipe(plan: &Plan, kind: &str) -> String {
    let stages = plan.stages.iter().map(|stage| {
        let spec = &stage.spec;
        let objectives: Vec<&str> = spec.objectives.iter().map(Objective::name).collect();
        format!(
            "- {}: {} updates of {} rows at a rate of {}, for {}\n",
            if spec.name.is_empty() { "stage" } else { &spec.name },
            stage.steps,
            spec.batch_rows * spec.accumulate,
            spec.rate,
            objectives.join(", ")
        )
    });
    let hash = hexadecimal(&Sha256::digest(plan.recipe.to_toml()));
    format!(
        "Seed {}, {kind} in these stages:\n\n{}\nThe recipe has SHA-256 `{hash}`; `attar.json` has the hashes of data and models.",
        plan.recipe.seed,
        stages.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use attar_text::labeled::LabelSet;

    use super::*;

    #[test]
    fn the_use_is_that_of_the_target() {
        let labels = || LabelSet { names: vec!["a".into(), "b".into()] };
        let tags = use_of(&Target::Tags(labels()), "news");
        assert_eq!(tags, "To tag the words of texts like those of news with 2 tags.");
        let answers = use_of(&Target::Answers { has_unanswerable: true }, "news");
        assert_eq!(
            answers,
            "To find the answer to a question in a text like those of news, or to say that there is none."
        );
        let several = use_of(&Target::MultiLabel(labels()), "news");
        assert_eq!(several, "To give texts like those of news any of 2 labels.");
    }
}
