//! Tables of how each class is answered, for people.

use attar_text::metrics::{ClassReport, ClassScores};

use crate::tables::{count, table};

/// Most classes that are all shown.
const ALL: usize = 20;
/// Classes that are shown where there are more: those answered worst.
const WORST: usize = 10;
/// Longest name of a class over a column.
const NAME: usize = 14;

/// Precision, recall, F1 and support of each class, and what is taken for what.
pub(crate) fn whole(report: &ClassReport) -> String {
    let mut text = by_class(&[("", report)]);
    if let Some(matrix) = &report.matrix {
        let names: Vec<&str> = report.classes.iter().map(|class| class.name.as_str()).collect();
        let short: Vec<String> = names.iter().map(|name| shortened(name)).collect();
        let mut header = vec!["true class (row), answer (column)"];
        header.extend(short.iter().map(String::as_str));
        let mut confusion = table(&header);
        for (name, row) in names.iter().zip(matrix) {
            confusion.add_row([name.to_string()].into_iter().chain(row.iter().map(u64::to_string)));
        }
        text += &format!("\n\n{confusion}");
    } else if !report.confused.is_empty() {
        let mut pairs = table(&["true class", "taken for", "rows"]);
        for pair in &report.confused {
            pairs.add_row([pair.truth.clone(), pair.predicted.clone(), pair.rows.to_string()]);
        }
        text += &format!("\n\n{pairs}");
    }
    text
}

/// The classes of systems side by side: of one precision, recall and F1, of several F1 alone.
pub(crate) fn by_class(reports: &[(&str, &ClassReport)]) -> String {
    let Some((_, first)) = reports.first() else { return String::new() };
    let (shown, rest) = chosen(reports);
    let mut header = vec!["class".to_string(), "rows".into()];
    match reports {
        [_] => header.extend(["precision", "recall", "F1"].map(String::from)),
        _ => header.extend(reports.iter().map(|(name, _)| format!("F1 of {name}"))),
    }
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
    for &class in &shown {
        let scores = &first.classes[class];
        let mut row = vec![scores.name.clone(), count(scores.support)];
        match reports {
            [_] => row.extend([scores.precision, scores.recall, scores.f1].map(number)),
            _ => row.extend(reports.iter().map(|(_, report)| number(report.classes[class].f1))),
        }
        table.add_row(row);
    }
    match rest {
        0 => table.to_string(),
        rest => format!("{table}\nand {rest} classes that are answered better"),
    }
}

/// A word about classes that rows are of and that a system never answers.
pub(crate) fn never_predicted(system: &str, report: &ClassReport) -> Option<String> {
    let names: Vec<String> =
        report.never_predicted().map(|class| format!("{} ({} rows)", class.name, class.support)).collect();
    let more = names.len().saturating_sub(WORST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = names.iter().take(WORST).cloned().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{system} never answers {named}{rest}"))
}

/// The classes to show, in their order or the worst first, and how many are left out.
fn chosen(reports: &[(&str, &ClassReport)]) -> (Vec<usize>, usize) {
    let count = reports.first().map_or(0, |(_, report)| report.classes.len());
    let is_there = |class: &usize| reports.iter().any(|(_, report)| met(&report.classes[*class]));
    let mut classes: Vec<usize> = (0..count).filter(is_there).collect();
    if classes.len() <= ALL {
        return (classes, 0);
    }
    let mean = |class: usize| reports.iter().map(|(_, report)| report.classes[class].f1.unwrap_or(0.0)).sum::<f64>();
    classes.sort_by(|&a, &b| mean(a).total_cmp(&mean(b)));
    let rest = classes.len() - WORST;
    classes.truncate(WORST);
    (classes, rest)
}

/// Whether a row is of the class or was answered with it.
fn met(class: &ClassScores) -> bool {
    class.support + class.predicted > 0
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_string();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::metrics::Confusion;

    fn report(truth: &[u32], predicted: &[u32], classes: usize) -> ClassReport {
        let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        ClassReport::new(&Confusion::new(truth, predicted, classes), &names)
    }

    #[test]
    fn few_classes_are_all_shown() {
        let report = report(&[0, 0, 1, 2], &[0, 1, 1, 0], 4);
        let text = whole(&report);
        assert!(text.contains("precision") && text.contains("class 2"), "{text}");
        assert!(text.contains("true class (row)"), "{text}");
        assert!(!by_class(&[("", &report)]).contains("class 3"), "nobody met this class: {text}");
        assert_eq!(never_predicted("it", &report), Some("it never answers class 2 (1 rows)".into()));
    }

    #[test]
    fn of_many_classes_the_worst_are_shown() {
        let truth: Vec<u32> = (0..60).map(|row| row % 30).collect();
        let predicted: Vec<u32> = truth.iter().map(|&class| if class >= 25 { 24 } else { class }).collect();
        let report = report(&truth, &predicted, 30);
        let text = whole(&report);
        assert!(text.contains("class 29") && text.contains("and 20 classes") && text.contains("taken for"), "{text}");
        assert!(!text.contains("class 11"), "{text}");
        let side = by_class(&[("a", &report), ("b", &report)]);
        assert!(side.contains("F1 of a") && side.contains("F1 of b"), "{side}");
    }

    #[test]
    fn names_over_columns_are_short() {
        assert_eq!(shortened("lights_on"), "lights_on");
        assert_eq!(shortened("a name that is too long"), "a name that i…");
    }
}
