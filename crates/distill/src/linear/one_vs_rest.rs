//! Several labels a row: a model for each label, of the rows that have it against the others.

use attar_text::random::Streams;

use super::{Features, Labels, LinearModel, Selected, select_softmax};

/// For each label a logit whose sigmoid is its probability, each by [`select_softmax`] of two classes: scikit-learn's
/// `OneVsRestClassifier(LogisticRegression())`, with a penalty of its own for each label.
///
/// The penalty that is reported is the median of the labels'; the score is the share of all decisions that were right.
///
/// # Panics
/// As [`select_softmax`], or if there are not as many lists as rows.
#[track_caller]
pub fn select_one_vs_rest(
    rows: &Features,
    label_sets: &[Vec<u32>],
    labels: usize,
    grid: &[f64],
    streams: &Streams,
) -> Selected {
    let columns = rows.columns();
    let mut model = LinearModel { weights: Vec::with_capacity(labels * columns), bias: Vec::new(), columns };
    let (mut penalties, mut score) = (Vec::new(), 0.0);
    for label in 0..labels as u32 {
        let there: Vec<u32> = label_sets.iter().map(|set| u32::from(set.binary_search(&label).is_ok())).collect();
        let one = select_softmax(rows, Labels::new(&there, 2), grid, streams);
        let [no, yes] = [0, 1].map(|class| &one.model.weights[class * columns..][..columns]);
        model.weights.extend(yes.iter().zip(no).map(|(yes, no)| yes - no));
        model.bias.push(one.model.bias[1] - one.model.bias[0]);
        penalties.push(one.penalty);
        score += one.score / labels as f64;
    }
    penalties.sort_by(f64::total_cmp);
    let penalty = penalties.get(penalties.len() / 2).copied().unwrap_or(0.0);
    Selected { model, penalty, score }
}
