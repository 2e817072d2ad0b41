//! Labels of a model against labels of data.

use attar_model::Target as Answer;
use attar_text::labelled::Target;

use crate::Error;

/// For each class of the data the number that the model `name` has for it, where the two differ.
///
/// # Errors
/// If the model answers something else than the data ask.
pub fn classes(
    name: &str,
    answer: &Answer,
    target: &Target,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<usize>>, Error> {
    match (answer, target) {
        (Answer::Labels(theirs), Target::Classes(ours)) | (Answer::MultiLabel(theirs), Target::MultiLabel(ours)) => {
            order(name, theirs, &ours.names, notes)
        }
        (Answer::Regression, Target::Regression { .. }) => Ok(None),
        _ => {
            let expected = match target {
                Target::Classes(_) => CLASSES,
                Target::MultiLabel(_) => SEVERAL,
                Target::Regression { .. } => SCORES,
            };
            Err(Error::refused(name, expected, kind(answer), "choose data or a model of the same kind"))
        }
    }
}

const CLASSES: &str = "a model of classes";
const SEVERAL: &str = "a model of several labels a text";
const SCORES: &str = "a model of scores";

/// What a model is one of.
fn kind(answer: &Answer) -> &'static str {
    match answer {
        Answer::Labels(_) => CLASSES,
        Answer::MultiLabel(_) => SEVERAL,
        Answer::Regression => SCORES,
    }
}

/// The model's number of each class of the data; `None` if the numbers are the same.
///
/// Labels in another order are the oldest way to a distillation that learns nothing, so names decide
/// wherever both sides have them; where they do not, a note says what was assumed.
///
/// # Errors
/// If the model has another number of classes.
pub(crate) fn order(
    model: &str,
    theirs: &[String],
    ours: &[String],
    notes: &mut Vec<String>,
) -> Result<Option<Vec<usize>>, Error> {
    if theirs.len() != ours.len() {
        return Err(Error::refused(
            model,
            format!("{} classes: {}", ours.len(), ours.join(", ")),
            format!("{} classes: {}", theirs.len(), theirs.join(", ")),
            "choose a model that was fine-tuned on these labels (`attar finetune`)",
        ));
    }
    if theirs == ours {
        return Ok(None);
    }
    let place = |name: &String| theirs.iter().position(|known| known == name);
    match ours.iter().map(place).collect::<Option<Vec<usize>>>() {
        Some(order) => {
            notes.push(format!("{model} has the classes in another order ({}): matched by name", theirs.join(", ")));
            Ok(Some(order))
        }
        None => {
            let (theirs, ours) = (theirs.join(", "), ours.join(", "));
            notes.push(format!("{model} calls its classes {theirs}: taken for {ours}, in this order"));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn classes_are_matched_by_name() {
        let mut notes = Vec::new();
        let mut order = |model: &str, data: &str| order("m", &names(model), &names(data), &mut notes);
        assert_eq!(order("a b c", "a b c").unwrap(), None);
        assert_eq!(order("c a b", "a b c").unwrap(), Some(vec![1, 2, 0]));
        assert_eq!(order("LABEL_0 LABEL_1", "no yes").unwrap(), None);
        let error = order("a b", "a b c").unwrap_err().to_string();
        assert!(error.contains("3 classes: a, b, c") && error.contains("2 classes: a, b"), "{error}");
        assert!(notes[0].contains("another order") && notes[1].contains("taken for no, yes"), "{notes:?}");
    }
}
