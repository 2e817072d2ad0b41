//! Text: vocabulary, tokenisation, labelled data, batches, metrics.
