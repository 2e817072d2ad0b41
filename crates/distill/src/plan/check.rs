//! The checks that need no compute.

use attar_model::EncoderConfig;
use attar_text::labeled::Label;
use attar_text::tokenizer::Tokenizer;

use super::PlannedTeacher;
use super::text_data::TextData;
use crate::Error;
use crate::data::LabeledData;
use crate::encoded_rows::EncodedRows;
use crate::objectives::{Misfit, Objective, Semantics, Setting};
use crate::recipe::{DeviceChoice, Recipe, StageLength, StageRows, StageSpec, TeacherPrecision};

/// Numbers of the recipe that stand by themselves.
pub(super) fn recipe(recipe: &Recipe) -> Result<(), Error> {
    if recipe.stages.is_empty() {
        return Err(Error::refused("recipe", "at least one stage", "none", "add a table `[[stage]]`"));
    }
    if recipe.checkpoint.every == 0 || recipe.checkpoint.keep == 0 {
        return Err(Error::refused(
            "checkpoint",
            "`every` and `keep` of at least 1",
            "0",
            "leave the key out for its default",
        ));
    }
    for stage in &recipe.stages {
        numbers(stage)?;
    }
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

fn numbers(stage: &StageSpec) -> Result<(), Error> {
    let place = format!("stage {}", stage.name);
    let need = |holds: bool, expected: &str, got: String| {
        let out = "correct the recipe; a key that is left out has a sound default";
        if holds { Ok(()) } else { Err(Error::refused(&place, expected, got, out)) }
    };
    let (StageLength::Epochs(length) | StageLength::Steps(length)) = stage.length;
    need(length > 0, "a length of at least 1", length.to_string())?;
    need(stage.batch_rows > 0, "`batch-rows` of at least 1", stage.batch_rows.to_string())?;
    need(stage.batch_tokens != Some(0), "`batch-tokens` of at least 1", "0".into())?;
    need(stage.accumulate > 0, "`accumulate` of at least 1", stage.accumulate.to_string())?;
    need(stage.rate > 0.0 && stage.rate.is_finite(), "a `rate` above 0", stage.rate.to_string())?;
    need(
        stage.layer_decay > 0.0 && stage.layer_decay <= 1.0,
        "a `layer-decay` above 0, at most 1",
        stage.layer_decay.to_string(),
    )?;
    need(stage.patience != Some(0), "a `patience` of at least 1", "0".into())?;
    need((0.0..=1.0).contains(&stage.warmup), "a `warmup` from 0 to 1", stage.warmup.to_string())?;
    need(stage.clip >= 0.0 && stage.clip.is_finite(), "a `clip` of at least 0", stage.clip.to_string())?;
    let o = stage.optimizer;
    need((0.0..1.0).contains(&o.beta1), "`beta1` from 0, below 1", o.beta1.to_string())?;
    need((0.0..1.0).contains(&o.beta2), "`beta2` from 0, below 1", o.beta2.to_string())?;
    need(o.epsilon > 0.0 && o.epsilon.is_finite(), "an `epsilon` above 0", o.epsilon.to_string())?;
    need(
        o.weight_decay >= 0.0 && o.weight_decay.is_finite(),
        "a `weight-decay` of at least 0",
        o.weight_decay.to_string(),
    )?;
    need(!stage.objectives.is_empty(), "at least one objective", "none".into())?;
    for objective in &stage.objectives {
        objective.check_numbers().map_err(|misfit| refused(&place, misfit))?;
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

fn refused(place: &str, misfit: Misfit) -> Error {
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
