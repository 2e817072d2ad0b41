//! `/rerank`: texts in the order of their scores beside a query.

use attar_model::Target;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::predict::sigmoid;
use crate::call::Call;
use crate::encode::{Source, Truncation, TruncationDirection};
use crate::engine::Task;
use crate::error::{ErrorType, Refusal};
use crate::route::Route;

/// What `/rerank` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RerankRequest {
    query: String,
    texts: Vec<String>,
    /// Whether texts that are too long are cut; else the server decides.
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// Scores as the bundle gives them, rather than their sigmoids.
    #[serde(default)]
    raw_scores: bool,
    /// Whether each rank says its text.
    #[serde(default)]
    return_text: bool,
}

/// A text by its place in the request, and its score.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rank {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    score: f32,
}

/// All texts, the greatest score first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RerankResponse(Vec<Rank>);

/// `/rerank`.
pub(crate) enum Rerank {}

impl Route for Rerank {
    const PATH: &'static str = "/rerank";
    const SUMMARY: &'static str = "Texts in the order of their scores beside a query";
    type Request = RerankRequest;
    type Answer = RerankResponse;

    async fn answer(call: &mut Call, request: RerankRequest) -> Result<RerankResponse, Refusal> {
        if *call.bundle.target()? != Target::Regression {
            let way_out = "ask for /predict, or name a bundle that scores pairs";
            return Err(call.bundle.lacks("head that scores pairs of texts", way_out));
        }
        call.begin(request.texts.len(), true)?;
        let pair = |text: &String| Source::Pair(request.query.clone(), text.clone());
        let sources = request.texts.iter().map(pair).collect();
        let truncation = Truncation { direction: request.truncation_direction, ..call.truncation(request.truncate) };
        let outcomes = call.compute(Task::Logits, sources, truncation).await?;
        let mut ranks = Vec::with_capacity(outcomes.len());
        for (index, (outcome, text)) in outcomes.into_iter().zip(request.texts).enumerate() {
            let lost = || Refusal::new(ErrorType::Backend, "the bundle gave no score");
            let score = *outcome.numbers().first().ok_or_else(lost)?;
            let score = if request.raw_scores { score } else { sigmoid(score) };
            ranks.push(Rank { index, text: request.return_text.then_some(text), score });
        }
        ranks.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(RerankResponse(ranks))
    }
}
