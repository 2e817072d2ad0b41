//! What becomes of the head of a model that is trained further: it is kept if its classes match the data's by name.

use attar_model::{Head, Target as Answer, Tensor, Weights};

use crate::Error;
use crate::labels::{self, ClassOrder};

/// What becomes of the head of a model that is trained further.
#[derive(Debug, PartialEq)]
pub(super) enum HeadReuse {
    /// The student gets a new one.
    New,
    /// It stays as it is.
    Kept,
    /// It stays, and the data's class `i` is its class `order[i]`.
    Reordered(Vec<usize>),
}

/// What becomes of a model's head: replaced if it has none or that is asked for, an error if it answers other labels.
pub(super) fn reuse(
    new_head: bool,
    model: &str,
    head: &Head,
    wanted: &Head,
    class_order: ClassOrder,
    notes: &mut Vec<String>,
) -> Result<HeadReuse, Error> {
    if new_head {
        return Ok(HeadReuse::New);
    }
    let name = format!("the head of {model}");
    let mut matched = |theirs: &[String], ours: &[String]| {
        let order = labels::order(&name, theirs, ours, class_order, notes).map_err(|error| match error {
            // There is one way out more than for a model that only answers.
            Error::Refused { place, expected, got, way_out } => {
                Error::Refused { place, expected, got, way_out: format!("{NEW_HEAD}; or {way_out}") }
            }
            other => other,
        })?;
        Ok(order.map_or(HeadReuse::Kept, HeadReuse::Reordered))
    };
    match (head, wanted) {
        (Head::Classification { target: Answer::Regression }, Head::Classification { target: Answer::Regression })
        | (Head::QuestionAnswering, Head::QuestionAnswering) => Ok(HeadReuse::Kept),
        (
            Head::Classification { target: Answer::Labels(theirs) },
            Head::Classification { target: Answer::Labels(ours) },
        )
        | (
            Head::Classification { target: Answer::MultiLabel(theirs) },
            Head::Classification { target: Answer::MultiLabel(ours) },
        )
        | (Head::TokenClassification { labels: theirs }, Head::TokenClassification { labels: ours }) => {
            matched(theirs, ours)
        }
        (Head::Classification { target: theirs }, Head::Classification { target: ours }) => {
            Err(Error::refused(name, in_short(ours), in_short(theirs), NEW_HEAD))
        }
        _ if wanted.has_masked_lm() && head.has_masked_lm() => Ok(HeadReuse::Kept),
        _ => Ok(HeadReuse::New),
    }
}

const NEW_HEAD: &str = "add `new-head = true` (`--new-head`) to replace the head";

/// Puts the classes of a classifier into the order of the data.
pub(super) fn reorder(weights: &mut Weights, order: &[usize]) {
    for name in ["classifier.weight", "classifier.bias"] {
        let Some(tensor) = weights.remove(name) else { continue };
        let columns = tensor.data.len() / order.len().max(1);
        let data = order.iter().flat_map(|&class| tensor.data[class * columns..][..columns].iter().copied()).collect();
        weights.insert(name, Tensor::new(tensor.shape, data));
    }
}

/// An answer in few words.
fn in_short(answer: &Answer) -> String {
    match answer {
        Answer::Labels(labels) => format!("one of {} labels", labels.len()),
        Answer::MultiLabel(labels) => format!("any of {} labels", labels.len()),
        Answer::Regression => "a score".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_other_labels_are_refused() {
        let labels = |list: &str| Answer::Labels(list.split(' ').map(str::to_string).collect());
        let head = |list: &str| Head::Classification { target: labels(list) };
        let fits = |head: &Head, answer: &Answer| {
            let wanted = Head::Classification { target: answer.clone() };
            super::reuse(false, "m", head, &wanted, ClassOrder::Found, &mut Vec::new())
        };
        assert_eq!(fits(&head("a b"), &labels("a b")).unwrap(), HeadReuse::Kept);
        // Names decide, whatever their case and order.
        assert_eq!(
            fits(&head("POSITIVE NEGATIVE"), &labels("negative positive")).unwrap(),
            HeadReuse::Reordered(vec![1, 0])
        );
        assert_eq!(fits(&head("LABEL_0 LABEL_1"), &labels("0 1")).unwrap(), HeadReuse::Kept);
        assert_eq!(fits(&Head::None, &labels("a b")).unwrap(), HeadReuse::New);
        assert_eq!(fits(&Head::MaskedLm, &labels("a b")).unwrap(), HeadReuse::New);
        for (head, answer) in [
            (head("a b c"), labels("a b")),
            (head("c d"), labels("a b")),
            // Nobody has said which is the first.
            (head("LABEL_0 LABEL_1"), labels("a b")),
            (head("a b"), Answer::Regression),
        ] {
            assert!(fits(&head, &answer).unwrap_err().to_string().contains("--new-head"));
        }
        let stated = Head::Classification { target: labels("a b") };
        let reuse = super::reuse(false, "m", &head("LABEL_0 LABEL_1"), &stated, ClassOrder::Stated, &mut Vec::new());
        assert_eq!(reuse.unwrap(), HeadReuse::Kept);
    }

    #[test]
    fn classes_move_with_their_weights() {
        let mut weights = Weights::new();
        weights.insert("classifier.weight", Tensor::new(vec![3, 2], vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5]));
        weights.insert("classifier.bias", Tensor::new(vec![3], vec![0.0, 1.0, 2.0]));
        reorder(&mut weights, &[2, 0, 1]);
        assert_eq!(weights.get("classifier.weight").unwrap().data, [2.0, 2.5, 0.0, 0.5, 1.0, 1.5]);
        assert_eq!(weights.get("classifier.bias").unwrap().data, [2.0, 0.0, 1.0]);
    }
}
