//! Batches without padding: which rows go together, and their tokens one after the other.
//!
//! A batch is N real tokens in a row plus B lengths. Rows of like length are put together all the
//! same, because some engines pad after all and attention over one long row among short ones is slow.

use crate::random::Streams;
use crate::tokenizer::Encoding;

/// B rows and their N tokens, those of the first row first, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Positions of the rows in the data set, `[B]`.
    pub rows: Vec<u32>,
    /// Token ids, `[N]`.
    pub ids: Vec<u32>,
    /// Token types, `[N]`.
    pub types: Vec<u32>,
    /// Tokens of each row, `[B]`; their sum is N.
    pub lengths: Vec<u32>,
}

/// How much goes into one batch. A row is never divided: one that exceeds the token budget is a
/// batch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBudget {
    /// Most rows B, at least 1.
    pub rows: usize,
    /// Most tokens N, if there is such a limit.
    pub tokens: Option<usize>,
}

/// In which order the rows of an epoch come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// At random, another way in every stage and epoch.
    Shuffled {
        /// Which training loop of a recipe, so that two stages do not repeat each other.
        stage: u64,
        /// Which pass over the data.
        epoch: u64,
    },
    /// As they stand in the data set.
    Sequential,
}

/// Divides all rows into batches for one epoch of training. Every row comes exactly once.
///
/// `lengths` are the tokens of each row. Shuffled rows are dealt into pools of about fifty batches,
/// sorted by length within each pool, cut into batches under the budget, and the batches are
/// shuffled: rows meet others of like length, but not always the same. With a budget of rows only,
/// there are `rows / budget` batches, rounded up. The result depends on the seed, the stage, the
/// epoch and the lengths, and on nothing else.
///
/// # Panics
/// If the budget allows no row, or there are 2^32 rows.
#[track_caller]
pub fn plan_epoch(lengths: &[u32], budget: BatchBudget, order: Order, streams: &Streams) -> Vec<Vec<u32>> {
    let mut rows = all_rows(lengths, budget);
    let Order::Shuffled { stage, epoch } = order else { return cut(&rows, lengths, budget) };
    let mut stream = streams.stream("batches", &[stage, epoch]);
    stream.shuffle(&mut rows);
    let mut batches = Vec::new();
    for pool in rows.chunks_mut(POOL_BATCHES * rows_per_batch(lengths, budget)) {
        // Stable, so that equal lengths stay in the random order.
        pool.sort_by_key(|&row| lengths[row as usize]);
        batches.extend(cut(pool, lengths, budget));
    }
    stream.shuffle(&mut batches);
    batches
}

/// Divides all rows into batches for evaluation: sorted by length, the longest first, so that memory
/// that does not suffice shows at once. Every row comes exactly once; [`in_row_order`] puts the
/// results back.
///
/// # Panics
/// As [`plan_epoch`].
#[track_caller]
pub fn plan_sorted(lengths: &[u32], budget: BatchBudget) -> Vec<Vec<u32>> {
    let mut rows = all_rows(lengths, budget);
    rows.sort_by_key(|&row| std::cmp::Reverse(lengths[row as usize]));
    cut(&rows, lengths, budget)
}

/// Results of planned batches, one for each row of each batch, in the order of the rows.
///
/// # Panics
/// If the results of a batch are not as many as its rows, or the batches do not hold every row once.
#[track_caller]
pub fn in_row_order<T>(plan: &[Vec<u32>], results: impl IntoIterator<Item = Vec<T>>) -> Vec<T> {
    let mut placed: Vec<(u32, T)> = Vec::new();
    let mut batches = plan.iter();
    for results in results {
        let rows = batches.next().map_or(&[][..], Vec::as_slice);
        assert_eq!(rows.len(), results.len(), "a batch has as many results as rows");
        placed.extend(rows.iter().copied().zip(results));
    }
    assert!(batches.next().is_none(), "there are fewer results than batches");
    placed.sort_by_key(|(row, _)| *row);
    let in_place = placed.iter().zip(0_u32..).all(|((row, _), place)| *row == place);
    assert!(in_place, "the batches do not hold every row once");
    placed.into_iter().map(|(_, result)| result).collect()
}

/// The batch of these rows; `encodings` are those of the whole data set.
///
/// # Panics
/// If a row has no encoding.
#[track_caller]
pub fn assemble(rows: &[u32], encodings: &[Encoding]) -> Batch {
    let tokens = rows.iter().map(|&row| encodings[row as usize].len()).sum();
    let mut batch = Batch {
        rows: rows.to_vec(),
        ids: Vec::with_capacity(tokens),
        types: Vec::with_capacity(tokens),
        lengths: Vec::with_capacity(rows.len()),
    };
    for &row in rows {
        let encoding = &encodings[row as usize];
        batch.ids.extend_from_slice(&encoding.ids);
        batch.types.extend_from_slice(&encoding.types);
        batch.lengths.push(encoding.len() as u32);
    }
    batch
}

impl BatchBudget {
    /// At most this many rows, of any length.
    pub const fn of_rows(rows: usize) -> Self {
        Self { rows, tokens: None }
    }

    /// At most this many tokens, in any number of rows.
    pub const fn of_tokens(tokens: usize) -> Self {
        Self { rows: usize::MAX, tokens: Some(tokens) }
    }
}

impl Batch {
    /// Number of rows B.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Number of tokens N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// Batches of a pool. More would leave less padding and less chance.
const POOL_BATCHES: usize = 50;

#[track_caller]
fn all_rows(lengths: &[u32], budget: BatchBudget) -> Vec<u32> {
    assert!(budget.rows > 0, "a batch needs room for a row");
    let Ok(count) = u32::try_from(lengths.len()) else { panic!("{} rows are too many", lengths.len()) };
    (0..count).collect()
}

/// About how many rows a batch will have.
fn rows_per_batch(lengths: &[u32], budget: BatchBudget) -> usize {
    let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    let by_tokens =
        budget.tokens.map_or(u64::MAX, |tokens| (tokens as u64).saturating_mul(lengths.len() as u64) / total.max(1));
    budget.rows.min(usize::try_from(by_tokens).unwrap_or(usize::MAX)).clamp(1, lengths.len().max(1))
}

/// Cuts rows into batches in their order, each as large as the budget allows.
fn cut(rows: &[u32], lengths: &[u32], budget: BatchBudget) -> Vec<Vec<u32>> {
    let most_tokens = budget.tokens.unwrap_or(usize::MAX);
    let mut batches = Vec::new();
    let (mut batch, mut tokens) = (Vec::new(), 0_usize);
    for &row in rows {
        let length = lengths[row as usize] as usize;
        if !batch.is_empty() && (batch.len() == budget.rows || tokens.saturating_add(length) > most_tokens) {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(row);
        tokens = tokens.saturating_add(length);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
