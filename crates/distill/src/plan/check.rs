//! The checks that need no compute.

use attar_model::EncoderConfig;
use attar_text::labeled::{Label, Target};
use attar_text::tokenizer::Tokenizer;

use super::text_data::TextData;
use super::{PlannedTeacher, ranges};
use crate::Error;
use crate::data::LabeledData;
use crate::encoded_rows::EncodedRows;
use crate::objectives::{Misfit, Objective, Semantics, Setting};
use crate::recipe::{DeviceChoice, Recipe, StageRows, StageSpec, StudentSpec, TeacherPrecision};

/// What of a recipe stands by itself.
pub(super) fn recipe(recipe: &Recipe) -> Result<(), Error> {
    if recipe.stages.is_empty() {
        return Err(Error::refused("recipe", "at least one stage", "none", "add a table `[[stage]]`"));
    }
    ranges::recipe(recipe)?;
    if let Some(teacher) = &recipe.teacher
        && teacher.precision == TeacherPrecision::Int8
        && !(recipe.device == DeviceChoice::Cpu && recipe.semantics == Semantics::Clean)
    {
        return Err(Error::refused(
            "teacher",
            "`precision = \"f32\"` on a GPU and under the reference semantics, which use dropout and count padding",
            "\"int8\"",
            "leave `precision` out, or train on the `cpu` with `semantics = \"clean\"`",
        ));
    }
    Ok(())
}

/// Feed-forward widths of stages: of a student that is cut out of its teacher, none wider than the one before, and the last
/// one the student's own.
pub(super) fn stage_widths(
    recipe: &Recipe,
    student: &EncoderConfig,
    teacher: Option<&EncoderConfig>,
) -> Result<(), Error> {
    let place = |stage: &StageSpec| format!("stage {}", stage.name);
    let Some(first) = recipe.stages.iter().find(|stage| stage.feed_forward.is_some()) else { return Ok(()) };
    if !matches!(recipe.student, StudentSpec::Teacher { .. }) {
        let expected = "no `feed-forward`, unless the student is cut out of its teacher";
        let out = "leave it out, or set `from = \"teacher\"` under [student]";
        return Err(Error::refused(place(first), expected, "one", out));
    }
    let own = student.feed_forward;
    let mut before = teacher.map_or(own, |teacher| teacher.feed_forward);
    for (index, stage) in recipe.stages.iter().enumerate() {
        let width = stage.feed_forward.unwrap_or(own);
        let most = if index + 1 == recipe.stages.len() { own } else { before };
        if !(own..=most).contains(&width) {
            let expected = format!("`feed-forward` from {own}, the student's, to {most}");
            let out = "let it fall from the teacher's to the student's, which the last stage has";
            return Err(Error::refused(place(stage), expected, width.to_string(), out));
        }
        before = width;
    }
    Ok(())
}

/// What a stage asks of the student, the teacher and the data.
pub(super) fn stage(
    stage: &StageSpec,
    student: &EncoderConfig,
    teacher: Option<&PlannedTeacher>,
    data: &TextData,
    semantics: Semantics,
) -> Result<(), Error> {
    let labeled = data.labeled();
    let target = labeled.map(|data| &data.train.target);
    if semantics == Semantics::Reference
        && let Some(got) = target.and_then(by_token)
    {
        let expected = "whole texts with labels, which the published code knows";
        let out = "set `semantics = \"clean\"`";
        return Err(Error::refused(format!("stage {}", stage.name), expected, got, out));
    }
    let setting = Setting {
        student,
        teacher: teacher.map(|planned| &planned.bundle.config),
        teacher_answers: teacher.is_some_and(|planned| target.is_some_and(|target| planned.answers(target))),
        target,
        labeled: labeled.is_some_and(|data| data.train.examples.iter().all(|row| row.label != Label::Absent)),
        projection: stage.projection,
        semantics,
    };
    for objective in &stage.objectives {
        let place = format!("stage {}, objective {}", stage.name, objective.name());
        let has_inputs = if objective.needs_labels() {
            labels_everywhere(stage, data)
        } else if objective.needs_teacher() && teacher.is_none() {
            Err(Misfit::new("a teacher", "none", "add `[teacher]` with its `path`, or keep `gold` alone"))
        } else {
            Ok(())
        };
        has_inputs.and_then(|()| objective.check(&setting)).map_err(|misfit| refused(&place, misfit))?;
    }
    Ok(())
}

/// Whether each row that a stage goes over has a label.
fn labels_everywhere(stage: &StageSpec, data: &TextData) -> Result<(), Misfit> {
    let way_out = "learn from a teacher (`hidden`, `attention`, `relation`) or from the text itself (`masked-lm`)";
    let Some(labeled) = data.labeled() else { return Err(Misfit::new("labeled data", "raw text", way_out)) };
    let more = data.more();
    if more > 0 && stage.rows == StageRows::All {
        return Err(Misfit::new(
            "a label on every row",
            format!("{more} rows of `[more]`, which have none"),
            "set `rows = \"labeled\"` in this stage, or learn from a teacher alone (`soft`)",
        ));
    }
    match labeled.train.examples.iter().filter(|row| row.label == Label::Absent).count() {
        0 => Ok(()),
        unlabeled => Err(Misfit::new(
            "a label on every training row",
            format!("{unlabeled} rows without"),
            "learn from a teacher alone (`soft`)",
        )),
    }
}

/// What a model answers for each token, in words; `None` where it answers whole texts.
fn by_token(target: &Target) -> Option<&'static str> {
    match target {
        Target::Tags(_) => Some("a tag for each word"),
        Target::Answers { .. } => Some("questions, whose answers are parts of a context"),
        Target::Classes(_) | Target::MultiLabel(_) | Target::Regression { .. } => None,
    }
}

pub(super) fn refused(place: &str, misfit: Misfit) -> Error {
    Error::refused(place, misfit.expected, misfit.got, misfit.way_out)
}

/// The weight of each class in the `gold` term of a stage.
pub(super) fn class_weights(stage: &StageSpec, data: Option<&LabeledData>) -> Result<Option<Vec<f32>>, Error> {
    let (Some(weights), Some(data)) = (&stage.class_weights, data) else { return Ok(None) };
    let place = format!("stage {}", stage.name);
    if !stage.objectives.iter().any(|objective| matches!(objective, Objective::Gold(_))) {
        let out = "leave `class-weights` out here and weight the classes where the teacher is trained";
        return Err(Error::refused(
            place,
            "the objective `gold`, to whose classes `class-weights` applies",
            "none",
            out,
        ));
    }
    weights.of(&place, &data.train).map(Some)
}

/// Whether a model has a row for every token and position.
pub(super) fn tokenizer(
    who: &str,
    config: &EncoderConfig,
    tokenizer: &Tokenizer,
    max_tokens: usize,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let tokens = tokenizer.vocabulary_size();
    if tokens > config.vocabulary {
        let expected = format!("a vocabulary of at most {} tokens, the rows of its embedding table", config.vocabulary);
        return Err(Error::refused(
            who,
            expected,
            format!("{tokens} tokens"),
            "use the tokenizer that belongs to the model",
        ));
    }
    if tokens < config.vocabulary {
        notes.push(format!("the {who}'s embedding table has {} rows for {tokens} tokens", config.vocabulary));
    }
    if max_tokens > config.usable_positions() {
        let expected = format!("`max-tokens` of at most {}, the positions it has", config.usable_positions());
        return Err(Error::refused(who, expected, max_tokens.to_string(), "lower `max-tokens`"));
    }
    if max_tokens < 3 {
        return Err(Error::refused("data", "`max-tokens` of at least 3", max_tokens.to_string(), "raise `max-tokens`"));
    }
    Ok(())
}

/// Whether states can be compared word by word, for a student that has other pieces than its teacher.
pub(super) fn alignment(recipe: &Recipe, labeled: Option<&LabeledData>) -> Result<(), Error> {
    let by_token = labeled.and_then(|data| by_token(&data.train.target));
    let (expected, got) = match (by_token, labeled, recipe.semantics) {
        // The answers of the two are by pieces that only one of them has.
        (Some(got), ..) => ("labels of whole texts to compare models word by word", got),
        (None, Some(_), Semantics::Clean) => return Ok(()),
        (None, None, _) => ("labeled data, whose rows both read, to compare states word by word", "raw text"),
        (.., Semantics::Reference) => ("`semantics = \"clean\"` to compare states word by word", "\"reference\""),
    };
    let out = "give the student the teacher's tokenizer, or a part of its pieces (`vocabulary`)";
    Err(Error::refused("student, which has other pieces than its teacher", expected, got, out))
}

/// Whether teacher and student read a pair alike.
pub(super) fn same_reading(student: &EncoderConfig, teacher: &EncoderConfig) -> Result<(), Error> {
    let apart = |config: &EncoderConfig| match config.encodes_pairs_separately() {
        true => "a model that reads the texts of a pair one by one",
        false => "a model that reads a pair as one sequence",
    };
    if student.encodes_pairs_separately() == teacher.encodes_pairs_separately() {
        return Ok(());
    }
    let out = "leave the student's `classifier` out, so that it reads as its teacher does";
    Err(Error::refused("student", apart(teacher), apart(student), out))
}

/// Whether a model has a row for every token type that occurs.
pub(super) fn token_types(who: &str, config: &EncoderConfig, texts: &EncodedRows) -> Result<(), Error> {
    let largest = texts.largest_type() as usize;
    if config.types > 0 && largest >= config.types {
        let expected = format!("token types below {}, the rows of its table", config.types);
        return Err(Error::refused(
            who,
            expected,
            format!("type {largest}"),
            "choose a model that takes pairs of texts",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int8_teacher_needs_the_cpu_and_clean_semantics() {
        let text = r#"
            [data]
            kind = "embedded"
            [teacher]
            path = "teacher"
            precision = "int8"
            [student]
            from = "model"
            path = "student"
            [[stage]]
            name = "all"
            objective = [{ kind = "soft" }]
        "#;
        let clean = Recipe::parse(text).unwrap();
        recipe(&clean).unwrap();
        let refused = [
            Recipe { semantics: Semantics::Reference, ..clean.clone() },
            Recipe { device: DeviceChoice::Cuda, ..clean },
        ];
        for other in refused {
            let error = recipe(&other).unwrap_err().to_string();
            assert!(error.contains("precision") && error.contains("int8"), "{error}");
        }
    }
}
