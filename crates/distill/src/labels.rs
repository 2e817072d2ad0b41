//! Labels of a model against labels of data.

use attar_model::{Head, Target as Answer};
use attar_text::labeled::{LabelMatch, MatchedBy, Target, are_unnamed, list_names, match_labels};

use crate::Error;

/// How the order of the data's classes came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassOrder {
    /// By the user, or by a known data set: it means something.
    Stated,
    /// By what occurs in the rows, sorted: it means nothing.
    Found,
}

/// The head that answers this target.
pub(crate) fn head_of(target: &Target) -> Head {
    let answer = match target {
        Target::Classes(labels) => Answer::Labels(labels.names.clone()),
        Target::MultiLabel(labels) => Answer::MultiLabel(labels.names.clone()),
        Target::Regression { .. } => Answer::Regression,
        Target::Tags(labels) => return Head::TokenClassification { labels: labels.names.clone() },
        Target::Answers { .. } => return Head::QuestionAnswering,
    };
    Head::Classification { target: answer }
}

/// For each class or tag of the data the number that the model `name` has for it, where the two differ.
///
/// # Errors
/// If the model answers something else than the data ask, or its classes cannot be matched with theirs.
pub fn classes(
    name: &str,
    head: &Head,
    target: &Target,
    stated: ClassOrder,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<usize>>, Error> {
    match (head, target) {
        (Head::Classification { target: Answer::Labels(theirs) }, Target::Classes(ours))
        | (Head::Classification { target: Answer::MultiLabel(theirs) }, Target::MultiLabel(ours))
        | (Head::TokenClassification { labels: theirs }, Target::Tags(ours)) => {
            order(name, theirs, &ours.names, stated, notes)
        }
        (Head::Classification { target: Answer::Regression }, Target::Regression { .. })
        | (Head::QuestionAnswering, Target::Answers { .. }) => Ok(None),
        _ => {
            let expected = match target {
                Target::Classes(_) => CLASSES,
                Target::MultiLabel(_) => SEVERAL,
                Target::Regression { .. } => SCORES,
                Target::Tags(_) => TAGS,
                Target::Answers { .. } => ANSWERS,
            };
            Err(Error::refused(name, expected, kind(head), "choose data or a model of the same kind"))
        }
    }
}

const CLASSES: &str = "a model of classes";
const SEVERAL: &str = "a model of several labels a text";
const SCORES: &str = "a model of scores";
const TAGS: &str = "a model of a tag for each word";
const ANSWERS: &str = "a model of answers to questions";

/// What a model is one of.
pub(crate) fn kind(head: &Head) -> &'static str {
    match head {
        Head::Classification { target: Answer::Labels(_) } => CLASSES,
        Head::Classification { target: Answer::MultiLabel(_) } => SEVERAL,
        Head::Classification { target: Answer::Regression } => SCORES,
        Head::TokenClassification { .. } => TAGS,
        Head::QuestionAnswering => ANSWERS,
        Head::None | Head::MaskedLm | Head::Pretraining => "a model without a classifier",
    }
}

/// The model's number of each class of the data; `None` if the numbers are the same.
///
/// Labels in another order are the oldest way to a distillation that learns nothing. So names decide, whatever their
/// case, and numbers are the model's numbers of its classes. Only where the model has no names and the order of the data's
/// classes was stated do places count.
///
/// # Errors
/// If the model has another number of classes, or calls them something else.
pub fn order(
    model: &str,
    theirs: &[String],
    ours: &[String],
    stated: ClassOrder,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<usize>>, Error> {
    if theirs.len() != ours.len() {
        return Err(Error::refused(
            model,
            format!("{} classes: {}", ours.len(), list_names(ours)),
            format!("{} classes: {}", theirs.len(), list_names(theirs)),
            "name all classes of the model with `labels` (--labels) if rows lack some, or choose a model that was \
             fine-tuned on these (`attar finetune`)",
        ));
    }
    let found = match_labels(theirs, ours).ok().filter(|found| is_permutation(&found.classes));
    let is_unchanged = |classes: &[usize]| classes.iter().enumerate().all(|(at, &class)| at == class);
    match found {
        Some(LabelMatch { classes, by }) => {
            let shown = list_names(theirs);
            match by {
                MatchedBy::Name if is_unchanged(&classes) => {}
                MatchedBy::Number if are_unnamed(theirs) && is_unchanged(&classes) => {}
                MatchedBy::Name => {
                    notes.push(format!("{model} has the classes in another order ({shown}): matched by name"));
                }
                MatchedBy::NameInAnotherCase => {
                    notes.push(format!("{model} spells the classes in another case ({shown}): matched by name"));
                }
                MatchedBy::Number => {
                    notes.push(format!("labels are taken for the numbers of the classes of {model} ({shown})"));
                }
            }
            Ok(if is_unchanged(&classes) { None } else { Some(classes) })
        }
        None if are_unnamed(theirs) && stated == ClassOrder::Stated => {
            notes.push(format!("{model} has no names for its classes: taken for {}, in this order", list_names(ours)));
            Ok(None)
        }
        None => Err(Error::refused(
            model,
            format!("the classes {}", list_names(ours)),
            list_names(theirs),
            if are_unnamed(theirs) {
                "the model has no names for its classes; name yours in its order with `labels` (--labels)"
            } else {
                "rename the labels, or choose a model that was fine-tuned on these (`attar finetune`)"
            },
        )),
    }
}

fn is_permutation(classes: &[usize]) -> bool {
    (0..classes.len()).all(|class| classes.contains(&class))
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
        let mut order = |model: &str, data: &str| {
            order("m", &names(model), &names(data), ClassOrder::Found, &mut notes).map_err(|error| error.to_string())
        };
        assert_eq!(order("a b c", "a b c"), Ok(None));
        assert_eq!(order("c a b", "a b c"), Ok(Some(vec![1, 2, 0])));
        assert_eq!(order("POSITIVE NEGATIVE", "negative positive"), Ok(Some(vec![1, 0])));
        assert_eq!(order("A b", "a b"), Ok(None));
        assert_eq!(order("negative positive", "0 1"), Ok(None));
        assert_eq!(order("LABEL_0 LABEL_1", "0 1"), Ok(None));
        let error = order("a b", "a b c").unwrap_err();
        assert!(error.contains("3 classes: a, b, c") && error.contains("2 classes: a, b"), "{error}");
        let seen: Vec<bool> = ["another order", "another case", "another case", "numbers of the classes"]
            .iter()
            .zip(&notes)
            .map(|(expected, note)| note.contains(expected))
            .collect();
        assert_eq!((seen, notes.len()), (vec![true; 4], 4), "{notes:?}");
    }

    #[test]
    fn places_count_only_where_their_order_was_stated() {
        let mut notes = Vec::new();
        let mut order = |model: &str, data: &str, stated| order("m", &names(model), &names(data), stated, &mut notes);
        let error = order("LABEL_0 LABEL_1", "no yes", ClassOrder::Found).unwrap_err().to_string();
        assert!(error.contains("name yours in its order with `labels`"), "{error}");
        assert_eq!(order("LABEL_0 LABEL_1", "no yes", ClassOrder::Stated).unwrap(), None);
        assert_eq!(order("0 1", "no yes", ClassOrder::Stated).unwrap(), None);
        // Names that differ are never matched by their places.
        for stated in [ClassOrder::Found, ClassOrder::Stated] {
            assert!(order("good bad", "no yes", stated).unwrap_err().to_string().contains("rename the labels"));
            assert!(order("LABEL_0 LABEL_1", "1 2", stated).is_err() == (stated == ClassOrder::Found));
        }
        assert!(notes[0].contains("taken for no, yes, in this order"), "{notes:?}");
    }
}
