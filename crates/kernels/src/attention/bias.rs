//! A bias of attention scores by the distance from query to key.

use super::block::{MAX_LANES, MAX_VECTORS};
use crate::buffer::Buffer;

/// What is added to each attention score: a number for each head and each distance from query to key, as MPNet and T5
/// have it.
#[derive(Debug, Clone)]
pub struct RelativeBias {
    /// Of each head, by query minus key, ascending, so that the lanes of a vector, which are queries, lie side by side;
    /// then zeros for the lanes beyond the last query.
    data: Buffer<f32>,
    heads: usize,
    longest: usize,
}

/// Numbers after those of a head that a block of queries may read.
const BEYOND: usize = MAX_VECTORS * MAX_LANES;

impl RelativeBias {
    /// From `by_distance` `[A, 2 longest - 1]`, where the bias for key minus query stands at `longest - 1 + key - query`.
    ///
    /// # Panics
    /// If the length is another one, or there is no head or no token.
    #[track_caller]
    pub fn new(by_distance: &[f32], heads: usize, longest: usize) -> RelativeBias {
        assert!(heads > 0 && longest > 0, "biases of {heads} heads and {longest} tokens");
        let distances = 2 * longest - 1;
        assert_eq!(by_distance.len(), heads * distances, "biases of {heads} heads and {longest} tokens");
        let mut data = Buffer::zeros(heads * (distances + BEYOND));
        for (to, from) in data.chunks_exact_mut(distances + BEYOND).zip(by_distance.chunks_exact(distances)) {
            to[..distances].iter_mut().zip(from.iter().rev()).for_each(|(to, &from)| *to = from);
        }
        RelativeBias { data, heads, longest }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.data.len() * 4
    }

    #[track_caller]
    pub(super) fn check(&self, heads: usize, tokens: usize) {
        assert_eq!(self.heads, heads, "heads of the bias");
        assert!(tokens <= self.longest, "{tokens} tokens and biases for {}", self.longest);
    }

    /// Where the scores of a head begin for the queries from `query` on, times `factor`.
    pub(super) fn start(&self, head: usize, query: usize, factor: f32) -> Start {
        let row = head * (self.data.len() / self.heads);
        Start { biases: self.data[row + self.longest - 1 + query..].as_ptr(), factor }
    }
}

/// Where the sums of a block of scores begin: at the biases of its queries and keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Of the first query and the first key. A query further is a number later, a key further a number earlier.
    pub(super) biases: *const f32,
    /// By which they are multiplied.
    pub(super) factor: f32,
}
