//! Which class of a model a label means.
//!
//! Names decide, whatever their case, because labels in another order are the oldest way to a model that learns
//! nothing. Whole numbers are the model's own numbers of its classes, as most tables of public data sets have them.

/// For each label the number of the model's class, and by what it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMatch {
    /// Classes of the model, one for each label.
    pub classes: Vec<usize>,
    /// What all labels were matched by.
    pub by: MatchedBy,
}

/// What labels were matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedBy {
    /// By the name as it is spelled.
    Name,
    /// By the name in another case.
    NameInAnotherCase,
    /// By the model's number of the class, from 0 on.
    Number,
}

/// Matches all labels with the classes of a model.
///
/// ```
/// use attar_text::labeled::{MatchedBy, match_labels};
///
/// let model = ["POSITIVE", "NEGATIVE"].map(String::from);
/// let found = match_labels(&model, &["negative", "positive"]).expect("the same names");
/// assert_eq!((found.classes, found.by), (vec![1, 0], MatchedBy::NameInAnotherCase));
/// assert_eq!(match_labels(&model, &["1", "0"]).expect("numbers of classes").classes, [1, 0]);
/// assert_eq!(match_labels(&model, &["1", "2"]), Err(1));
/// ```
///
/// # Errors
/// The index of the first label that the model has no class for, by the rule that most labels fit.
pub fn match_labels(model: &[String], labels: &[impl AsRef<str>]) -> Result<LabelMatch, usize> {
    let by_name = |label: &str| model.iter().position(|name| name == label);
    let in_another_case = |label: &str| by_name(label).or_else(|| only_in_another_case(model, label));
    // Names that are numbers themselves leave no room for numbers of classes.
    let has_numbers = model.iter().any(|name| name.parse::<f64>().is_ok());
    let by_number = |label: &str| number(label).filter(|&class| !has_numbers && class < model.len());
    let mut furthest = 0;
    for by in [MatchedBy::Name, MatchedBy::NameInAnotherCase, MatchedBy::Number] {
        let mut classes = Vec::with_capacity(labels.len());
        for label in labels {
            let class = match by {
                MatchedBy::Name => by_name(label.as_ref()),
                MatchedBy::NameInAnotherCase => in_another_case(label.as_ref()),
                MatchedBy::Number => by_number(label.as_ref()),
            };
            match class {
                Some(class) => classes.push(class),
                None => break,
            }
        }
        if classes.len() == labels.len() {
            return Ok(LabelMatch { classes, by });
        }
        furthest = furthest.max(classes.len());
    }
    Err(furthest)
}

/// Whether these names say nothing but the number of the class: `LABEL_0`, `LABEL_1` and so on, as `transformers` makes
/// them up, or 0, 1 and so on.
pub fn are_unnamed(names: &[String]) -> bool {
    let says = |prefix: &str| {
        names.iter().enumerate().all(|(class, name)| name.strip_prefix(prefix) == Some(class.to_string().as_str()))
    };
    says("LABEL_") || says("")
}

/// The number of a class: a whole number, or what `transformers` makes of one.
fn number(label: &str) -> Option<usize> {
    let digits = label.strip_prefix("LABEL_").unwrap_or(label);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The only one of these names that is this one in some case.
pub(super) fn only_in_another_case(names: &[String], name: &str) -> Option<usize> {
    let folded = fold(name);
    let mut places = (0..names.len()).filter(|&at| fold(&names[at]) == folded);
    places.next().filter(|_| places.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(model: &str, labels: &str) -> Result<(Vec<usize>, MatchedBy), usize> {
        let model: Vec<String> = model.split(' ').map(str::to_owned).collect();
        let labels: Vec<&str> = labels.split(' ').collect();
        match_labels(&model, &labels).map(|found| (found.classes, found.by))
    }

    #[test]
    fn names_come_before_numbers() {
        assert_eq!(found("no yes", "yes no"), Ok((vec![1, 0], MatchedBy::Name)));
        assert_eq!(found("NO Yes maybe", "yes no"), Ok((vec![1, 0], MatchedBy::NameInAnotherCase)));
        assert_eq!(found("no yes", "0 1"), Ok((vec![0, 1], MatchedBy::Number)));
        assert_eq!(found("LABEL_0 LABEL_1 LABEL_2", "2 0"), Ok((vec![2, 0], MatchedBy::Number)));
        assert_eq!(found("no yes", "LABEL_1"), Ok((vec![1], MatchedBy::Number)));
        assert_eq!(found("LABEL_0 LABEL_1", "label_1"), Ok((vec![1], MatchedBy::NameInAnotherCase)));
    }

    #[test]
    fn what_is_not_sure_is_refused() {
        // A number past the end, stars that begin at 1, other names, names that differ in case alone.
        assert_eq!(found("LABEL_0 LABEL_1", "1 2"), Err(1));
        assert_eq!(found("1 2 3", "0 1 2"), Err(0));
        assert_eq!(found("LABEL_0 LABEL_1", "no yes"), Err(0));
        assert_eq!(found("no yes", "no perhaps"), Err(1));
        assert_eq!(found("a A", "a A"), Ok((vec![0, 1], MatchedBy::Name)));
        assert_eq!(found("Ab aB", "ab"), Err(0));
        assert_eq!(found("no yes", "01"), Err(0));
        // Rows may spell one class in two ways.
        assert_eq!(found("no yes", "no No"), Ok((vec![0, 0], MatchedBy::NameInAnotherCase)));
    }
}
