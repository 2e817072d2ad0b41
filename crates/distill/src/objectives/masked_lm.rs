//! Masked language modeling (Devlin et al., arXiv 1810.04805, section 3.1).

use burn::tensor::{Int, Tensor};

use super::cross_entropy;

/// Cross-entropy over the labeled positions alone.
///
/// `logits` `[N, V]`, `rows` the labeled token rows `[M]`, `labels` their tokens `[M]`. `None` if
/// nothing is labeled: the mean over nothing has no value.
pub fn masked_lm(logits: &Tensor<2>, rows: Tensor<1, Int>, labels: Tensor<1, Int>) -> Option<Tensor<1>> {
    if rows.dims()[0] == 0 {
        return None;
    }
    Some(cross_entropy(logits.clone().select(0, rows), labels))
}
