//! Where a model looks.

use attar_report::{MOST_TOKENS, TokenAttention};
use attar_runtime::{Input, LayerBuffers, Session, TraceBuffers, softmax};

/// The last layer's attention on a text, the mean over its heads; of long texts the beginning.
pub(super) fn of(name: &str, session: &mut Session, text: &str) -> anyhow::Result<TokenAttention> {
    let mut limit = session.limit();
    limit.max_tokens = limit.max_tokens.min(MOST_TOKENS);
    let encoding = session.tokenizer().encode(text, None, limit)?;
    let tokenizer = session.tokenizer();
    let tokens: Vec<String> =
        encoding.ids.iter().map(|&id| tokenizer.token(id).unwrap_or_else(|| format!("#{id}"))).collect();
    let (layers, heads) = (session.config().layers, session.config().heads);
    let (n, lengths) = (tokens.len(), [tokens.len() as u32]);
    let mut scores = vec![0f32; heads * n * n];
    let mut buffers: Vec<LayerBuffers<'_>> = (1..layers).map(|_| LayerBuffers::default()).collect();
    buffers.push(LayerBuffers { scores: Some(&mut scores), ..LayerBuffers::default() });
    let input = Input::new(&encoding.ids, &encoding.types, &lengths)?;
    session.encoder().trace(input, TraceBuffers { layers: buffers, ..TraceBuffers::default() })?;
    let mut shares = vec![0f64; n * n];
    for (row, scores) in scores.chunks_exact(n).enumerate() {
        let to = &mut shares[row % n * n..][..n];
        for (share, weight) in to.iter_mut().zip(softmax(scores)) {
            *share += weight / heads as f64;
        }
    }
    Ok(TokenAttention { model: name.into(), layer: layers, heads, tokens, shares })
}
