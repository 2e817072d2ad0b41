//! Linear models against scikit-learn's, at any number of threads, with a penalty chosen by cross-validation.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_distill::linear::{
    DenseRows, Features, Labels, RIDGE_GRID, SOFTMAX_GRID, SparseRows, ridge, select_one_vs_rest, select_ridge,
    select_softmax, softmax_regression,
};
use attar_text::random::Streams;

/// The rows of the numbers below:
///
/// ```python
/// i = np.arange(24)
/// x = np.stack([np.sin(i * 1.3), np.cos(i * 0.7) * 3 + 5, (i * 7 % 11) / 10], axis=1)
/// y = i * i % 7 % 3
/// ```
fn rows() -> (DenseRows, Vec<u32>) {
    let row = |i: u32| {
        let x = f64::from(i);
        [(x * 1.3).sin() as f32, ((x * 0.7).cos() * 3.0 + 5.0) as f32, (i * 7 % 11) as f32 / 10.0]
    };
    let values = (0..24).flat_map(row).collect();
    (DenseRows { columns: 3, values }, (0..24).map(|i| i * i % 7 % 3).collect())
}

fn both_kinds(dense: &DenseRows) -> [Features; 2] {
    let mut sparse = SparseRows::new(dense.columns);
    for row in dense.values.chunks(dense.columns) {
        sparse.push(row.iter().enumerate().map(|(column, &value)| (column as u32, value)));
    }
    [Features::Dense(dense.clone()), Features::Sparse(sparse)]
}

#[track_caller]
fn assert_near(got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= tolerance, "{got} for {expected}");
    }
}

/// `LogisticRegression(C=c, tol=1e-12, max_iter=100000).fit(x, y)` of scikit-learn 1.9.1, `coef_` and `intercept_`.
#[test]
fn softmax_regression_is_that_of_scikit_learn() {
    let (dense, labels) = rows();
    let expected: [(f64, [f32; 9], [f32; 3]); 2] = [
        (
            0.5,
            [0.14487, -0.0491, -0.03172, 0.11376, -0.07673, -0.16546, -0.25863, 0.12583, 0.19718],
            [-0.27488, 1.17599, -0.90111],
        ),
        (
            20.0,
            [0.28559, -0.06722, -0.25334, 0.14163, -0.08903, -0.49075, -0.42722, 0.15625, 0.74409],
            [-0.06191, 1.41927, -1.35737],
        ),
    ];
    for (c, weights, bias) in expected {
        for features in both_kinds(&dense) {
            let model = softmax_regression(&features, Labels::new(&labels, 3), c);
            // The gradient may be off by 1e-5, which moves weights that have little penalty by more.
            assert_near(&model.weights, &weights, 1e-3);
            assert_near(&model.bias, &bias, 3e-3);
        }
    }
}

/// As above with `C=2.0` and `class_weight={0: 1, 1: 4, 2: 0.5}`, or `y > 0` and `{0: 3, 1: 0.5}`, where scikit-learn has one
/// row of weights, [-0.32799, 0.05313, 0.08304] and -0.46236.
#[test]
fn rows_count_as_their_class_says() {
    let (dense, labels) = rows();
    let binary: Vec<u32> = labels.iter().map(|&label| u32::from(label > 0)).collect();
    for features in both_kinds(&dense) {
        let three = Labels { weights: Some(&[1.0, 4.0, 0.5]), ..Labels::new(&labels, 3) };
        let model = softmax_regression(&features, three, 2.0);
        let weights = [0.19995, -0.04889, -0.07484, 0.12632, -0.07224, -0.30461, -0.32627, 0.12113, 0.37945];
        assert_near(&model.weights, &weights, 1e-3);
        assert_near(&model.bias, &[-0.48769, 2.37686, -1.88917], 3e-3);
        let two = Labels { weights: Some(&[3.0, 0.5]), ..Labels::new(&binary, 2) };
        let model = softmax_regression(&features, two, 2.0);
        assert_near(&model.weights, &[0.163995, -0.026565, -0.04152, -0.163995, 0.026565, 0.04152], 1e-3);
        assert_near(&model.bias, &[0.23118, -0.23118], 3e-3);
        // A weight of all classes is a weaker penalty.
        let doubled = Labels { weights: Some(&[2.0; 3]), ..Labels::new(&labels, 3) };
        let [a, b] = [(doubled, 1.0), (Labels::new(&labels, 3), 2.0)].map(|(l, c)| softmax_regression(&features, l, c));
        assert_near(&a.weights, &b.weights, 1e-3);
    }
}

/// `OneVsRestClassifier(LogisticRegression(C=2.0))` on the labels below: a row of weights and a bias for each label, of which
/// the second is that of the next test.
#[test]
fn a_label_is_told_from_all_others() {
    let (dense, classes) = rows();
    let sets: Vec<Vec<u32>> =
        classes.iter().map(|&class| if class > 0 { vec![1, class + 1] } else { vec![] }).collect();
    for features in both_kinds(&dense) {
        let selected = select_one_vs_rest(&features, &sets, 4, &[2.0], &Streams::new(1));
        assert_eq!((selected.model.weights.len(), selected.model.bias.len(), selected.penalty), (4 * 3, 4, 2.0));
        assert_near(&selected.model.weights[3..6], &[-0.25261, 0.04808, 0.0586], 2e-3);
        assert_near(&selected.model.bias[1..2], &[1.35774], 6e-3);
        // No row has the first label, and the model is sure of that.
        assert!(selected.model.bias[0] < -2.0, "{:?}", selected.model.bias);
        assert!(selected.score > 0.5 && selected.score < 1.0, "{}", selected.score);
    }
}

/// As above with `C=2.0` and `y > 0`: scikit-learn has one row of weights, [-0.25261, 0.04808, 0.0586] and 1.35774.
#[test]
fn two_classes_share_one_vector() {
    let (dense, labels) = rows();
    let labels: Vec<u32> = labels.iter().map(|&label| u32::from(label > 0)).collect();
    for features in both_kinds(&dense) {
        let model = softmax_regression(&features, Labels::new(&labels, 2), 2.0);
        let halves = [0.126305, -0.02404, -0.0293, -0.126305, 0.02404, 0.0293];
        assert_near(&model.weights, &halves, 1e-3);
        assert_near(&model.bias, &[-0.67887, 0.67887], 3e-3);
    }
}

/// `Ridge(alpha=penalty).fit(x, x[:, 0] * 2 + np.cos(i) + 7)` of scikit-learn 1.9.1.
#[test]
fn ridge_regression_is_that_of_scikit_learn() {
    let (dense, _) = rows();
    let numbers = dense.values.iter().step_by(3).zip(0..24);
    let targets: Vec<f32> = numbers.map(|(&x, i)| (f64::from(x) * 2.0 + f64::from(i).cos() + 7.0) as f32).collect();
    let expected: [(f64, [f32; 3], f32); 2] =
        [(0.5, [1.96439, 0.04923, -0.08858], 6.77765), (20.0, [0.76526, 0.07633, -0.03634], 6.62445)];
    for (penalty, weights, bias) in expected {
        for features in both_kinds(&dense) {
            let model = ridge(&features, &targets, penalty);
            assert_near(&model.weights, &weights, 2e-5);
            assert_near(&model.bias, &[bias], 1e-4);
        }
    }
}

#[test]
fn rows_of_either_kind_give_the_same_outputs() {
    let (dense, labels) = rows();
    let model = softmax_regression(&Features::Dense(dense), Labels::new(&labels, 3), 1.0);
    let (dense, sparse) = (model.apply_dense(&[0.0, 2.0, -1.0]), model.apply_sparse(&[1, 2], &[2.0, -1.0]));
    assert_eq!(dense, sparse);
    let product = |class: usize| 2.0 * model.weights[3 * class + 1] - model.weights[3 * class + 2] + model.bias[class];
    assert_near(&dense, &[0, 1, 2].map(product), 1e-6);
}

/// Rows of normal numbers whose class is the largest of the first three, some of them mistaken.
fn noisy(count: usize, columns: usize, mistaken: f64) -> (DenseRows, Vec<u32>) {
    let mut stream = Streams::new(5).stream("test", &[]);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let row: Vec<f32> = (0..columns).map(|_| stream.normal() as f32).collect();
        let label = (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        labels.push(if stream.chance(mistaken) { stream.below(3) as u32 } else { label as u32 });
        values.extend(row);
    }
    (DenseRows { columns, values }, labels)
}

fn as_scores(labels: &[u32]) -> Vec<f32> {
    labels.iter().map(|&label| label as f32).collect()
}

#[test]
fn models_do_not_depend_on_threads() {
    let (dense, labels) = noisy(300, 40, 0.1);
    let targets = as_scores(&labels);
    for features in both_kinds(&dense) {
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let streams = Streams::new(1);
                let classes = select_softmax(&features, Labels::new(&labels, 3), &[0.1, 1.0], &streams);
                (classes, select_ridge(&features, &targets, &RIDGE_GRID, &streams))
            })
        });
        assert_eq!(one, three);
    }
}

#[test]
fn the_penalty_follows_the_noise() {
    // Three of sixty columns tell the class, and a third of the classes are mistaken: a weak penalty learns the mistakes.
    let (dense, labels) = noisy(150, 60, 0.3);
    for features in both_kinds(&dense) {
        let selected = select_softmax(&features, Labels::new(&labels, 3), &[1e3, 1e-2, 1e-3, 1.0], &Streams::new(1));
        assert!(selected.penalty < 1.0, "c of {}", selected.penalty);
        assert!((0.4..0.8).contains(&selected.score), "share of {}", selected.score);
        assert_eq!(selected.model, softmax_regression(&features, Labels::new(&labels, 3), selected.penalty));
        // The first column and as much of something else.
        let numbers = dense.values.iter().step_by(60).zip(0..);
        let targets: Vec<f32> = numbers.map(|(x, row)| x + (row * 37 % 11 - 5) as f32 / 3.0).collect();
        let selected = select_ridge(&features, &targets, &[1e-3, 100.0, 1e7], &Streams::new(1));
        assert_eq!(selected.penalty, 100.0);
        assert!((0.0..0.9).contains(&selected.score), "R² of {}", selected.score);
    }
}

#[test]
fn with_a_column_for_each_row_all_is_learned_by_heart() {
    let (dense, labels) = noisy(40, 1500, 0.0);
    let targets = as_scores(&labels);
    for features in both_kinds(&dense) {
        let (classes, scores) =
            (softmax_regression(&features, Labels::new(&labels, 3), 100.0), ridge(&features, &targets, 1e-3));
        for ((row, &label), &target) in dense.values.chunks(1500).zip(&labels).zip(&targets) {
            let logits = classes.apply_dense(row);
            let others = (0..3).filter(|&class| class != label as usize);
            assert!(others.into_iter().all(|class| logits[class] < logits[label as usize]), "{logits:?} for {label}");
            assert_near(&scores.apply_dense(row), &[target], 1e-2);
        }
    }
}

#[test]
fn little_data_is_no_trouble() {
    let rows = Features::Dense(DenseRows { columns: 2, values: vec![1.0, 0.0, 0.0, 1.0, 5.0, 5.0] });
    // A class with one row, and one without any.
    let selected = select_softmax(&rows, Labels::new(&[0, 1, 1], 3), &SOFTMAX_GRID, &Streams::new(1));
    assert!(selected.model.weights.iter().chain(&selected.model.bias).all(|weight| weight.is_finite()));
    assert_eq!(softmax_regression(&rows, Labels::new(&[0, 0, 0], 1), 1.0).weights, [0.0, 0.0]);
    let none = Features::Sparse(SparseRows::new(3));
    assert_eq!(softmax_regression(&none, Labels::new(&[], 2), 1.0).apply_sparse(&[0], &[1.0]), [0.0, 0.0]);
    assert_eq!(ridge(&none, &[], 1.0).weights, [0.0, 0.0, 0.0]);
    assert!(none.is_empty());
    let one = select_ridge(&rows, &[2.0, 2.0, 2.0], &RIDGE_GRID, &Streams::new(1));
    assert_near(&one.model.apply_dense(&[3.0, -4.0]), &[2.0], 1e-5);
}
