//! Batch plans: every row once, within budget, little padding, the same every time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use attar_text::batch::{Batch, BatchBudget, Order, assemble, in_row_order, plan_epoch, plan_sorted};
use attar_text::random::Streams;
use attar_text::tokenizer::Encoding;
use proptest::prelude::*;

fn shuffled(epoch: u64) -> Order {
    Order::Shuffled { stage: 0, epoch }
}

/// Lengths like those of SST-2: mostly short phrases, few long sentences.
fn lengths(rows: usize) -> Vec<u32> {
    let mut stream = Streams::new(1).stream("lengths", &[]);
    (0..rows).map(|_| 3 + (-10.0 * (1.0 - stream.uniform()).ln()).min(60.0) as u32).collect()
}

/// Share of a padded batch that would be padding.
fn padding(plan: &[Vec<u32>], lengths: &[u32]) -> f64 {
    let (mut real, mut padded) = (0, 0);
    for batch in plan {
        let longest = batch.iter().map(|&row| lengths[row as usize]).max().unwrap();
        real += batch.iter().map(|&row| lengths[row as usize]).sum::<u32>();
        padded += longest * batch.len() as u32;
    }
    1.0 - f64::from(real) / f64::from(padded)
}

fn check(plan: &[Vec<u32>], lengths: &[u32], budget: BatchBudget) -> Result<(), TestCaseError> {
    let mut rows: Vec<u32> = plan.concat();
    rows.sort_unstable();
    prop_assert_eq!(rows, (0..lengths.len() as u32).collect::<Vec<_>>());
    for batch in plan {
        prop_assert!(!batch.is_empty() && batch.len() <= budget.rows);
        let tokens: usize = batch.iter().map(|&row| lengths[row as usize] as usize).sum();
        prop_assert!(batch.len() == 1 || budget.tokens.is_none_or(|most| tokens <= most));
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_row_once_within_budget(
        lengths in prop::collection::vec(0_u32..80, 0..400),
        rows in 1_usize..40,
        tokens in prop::option::of(0_usize..300),
        seed: u64,
    ) {
        let budget = BatchBudget { rows, tokens };
        let streams = Streams::new(seed);
        for order in [shuffled(0), shuffled(1), Order::Sequential] {
            check(&plan_epoch(&lengths, budget, order, &streams), &lengths, budget)?;
        }
        check(&plan_sorted(&lengths, budget), &lengths, budget)?;
    }

    #[test]
    fn rows_alone_fix_the_number_of_batches(count in 0_usize..2000, rows in 1_usize..64) {
        let budget = BatchBudget { rows, tokens: None };
        for plan in [plan_epoch(&lengths(count), budget, shuffled(3), &Streams::new(0)), plan_sorted(&lengths(count), budget)] {
            prop_assert_eq!(plan.len(), count.div_ceil(rows));
        }
    }
}

#[test]
fn plans_depend_on_seed_stage_and_epoch_only() {
    let lengths = lengths(500);
    let budget = BatchBudget { rows: 16, tokens: Some(200) };
    let plan = |seed, stage, epoch| plan_epoch(&lengths, budget, Order::Shuffled { stage, epoch }, &Streams::new(seed));
    let different: BTreeSet<Vec<Vec<u32>>> =
        [plan(0, 0, 0), plan(1, 0, 0), plan(0, 1, 0), plan(0, 0, 1), plan(0, 0, 0)].into();
    assert_eq!(different.len(), 4);
    let sequential = plan_epoch(&lengths, budget, Order::Sequential, &Streams::new(0));
    assert_eq!(sequential.concat(), (0..500).collect::<Vec<u32>>());
    assert_eq!(sequential, plan_epoch(&lengths, budget, Order::Sequential, &Streams::new(9)));
}

#[test]
fn little_is_padding_and_much_is_chance() {
    let lengths = lengths(20_000);
    for budget in [BatchBudget { rows: 32, tokens: None }, BatchBudget { rows: 256, tokens: Some(512) }] {
        let [first, second] = [0, 1].map(|epoch| plan_epoch(&lengths, budget, shuffled(epoch), &Streams::new(0)));
        let random = {
            let mut rows: Vec<u32> = (0..20_000).collect();
            Streams::new(0).stream("unsorted", &[]).shuffle(&mut rows);
            padding(&rows.chunks(32).map(<[u32]>::to_vec).collect::<Vec<_>>(), &lengths)
        };
        let bucketed = padding(&first, &lengths);
        assert!(bucketed < 0.06 && random > 0.5, "{bucketed} of bucketed batches, {random} of random ones");
        // Neighbors of one epoch rarely meet again in the next.
        let pairs = |plan: &[Vec<u32>]| -> BTreeSet<(u32, u32)> {
            plan.iter()
                .flat_map(|batch| batch.windows(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1]))))
                .collect()
        };
        let common = pairs(&first).intersection(&pairs(&second)).count();
        assert!(common < 400, "{common} of 20000 pairs");
        // Long batches stand anywhere: the halves differ by chance only, with a standard deviation of 0.8.
        let mean = |plan: &[Vec<u32>]| {
            let tokens: Vec<u32> = plan.concat().iter().map(|&row| lengths[row as usize]).collect();
            f64::from(tokens.iter().sum::<u32>()) / tokens.len() as f64
        };
        let (head, tail) = first.split_at(first.len() / 2);
        assert!((mean(head) - mean(tail)).abs() < 3.2, "{} and {}", mean(head), mean(tail));
    }
}

#[test]
fn the_longest_come_first_in_evaluation() {
    let lengths = [3, 50, 7, 50, 1];
    assert_eq!(plan_sorted(&lengths, BatchBudget { rows: 2, tokens: None }), [vec![1, 3], vec![2, 0], vec![4]]);
    assert_eq!(
        plan_sorted(&lengths, BatchBudget { rows: 9, tokens: Some(10) }),
        [vec![1], vec![3], vec![2, 0], vec![4]]
    );
    let huge = [u32::MAX; 3];
    assert_eq!(plan_sorted(&huge, BatchBudget { rows: 9, tokens: None }), [vec![0, 1, 2]]);
    assert_eq!(plan_epoch(&huge, BatchBudget { rows: 9, tokens: Some(0) }, shuffled(0), &Streams::new(0)).len(), 3);
}

#[test]
fn results_return_to_their_rows() {
    let plan = plan_epoch(&lengths(100), BatchBudget { rows: 7, tokens: Some(60) }, shuffled(0), &Streams::new(2));
    let results = plan.iter().map(|batch| batch.iter().map(|row| row * 10).collect::<Vec<u32>>());
    assert_eq!(in_row_order(&plan, results), (0..100).map(|row| row * 10).collect::<Vec<u32>>());
    assert!(in_row_order::<u8>(&[], []).is_empty());
    let wrong = [
        (vec![vec![0, 1]], vec![vec![1]]),
        (vec![vec![0, 1]], vec![]),
        (vec![vec![0, 2]], vec![vec![1, 2]]),
        (vec![vec![0]], vec![vec![1], vec![2]]),
    ];
    for (plan, results) in wrong {
        assert!(catch_unwind(|| in_row_order(&plan, results)).is_err(), "{plan:?}");
    }
}

#[test]
fn batches_have_no_padding() {
    let encoding = |ids: &[u32]| Encoding { ids: ids.to_vec(), types: vec![ids.len() as u32; ids.len()] };
    let encodings = [encoding(&[1, 2, 3]), encoding(&[4]), encoding(&[]), encoding(&[5, 6])];
    let batch = assemble(&[3, 0, 2], &encodings);
    let expected =
        Batch { rows: vec![3, 0, 2], ids: vec![5, 6, 1, 2, 3], types: vec![2, 2, 3, 3, 3], lengths: vec![2, 3, 0] };
    assert_eq!(batch, expected);
    assert_eq!((batch.len(), batch.tokens(), batch.is_empty()), (3, 5, false));
    assert!(assemble(&[], &encodings).is_empty());
    assert!(catch_unwind(|| assemble(&[4], &encodings)).is_err());
    assert!(catch_unwind(|| plan_sorted(&[1], BatchBudget { rows: 0, tokens: None })).is_err());
}
