//! `/similarity`: how alike a sentence is to others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embed::vectors;
use crate::call::Call;
use crate::encode::{Source, Truncation, TruncationDirection};
use crate::error::Refusal;
use crate::route::Route;

/// A sentence, and others to compare with it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SimilarityInput {
    source_sentence: String,
    sentences: Vec<String>,
}

/// How `/similarity` treats the sentences.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct SimilarityParameters {
    /// Whether texts that are too long are cut; else the server decides.
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// A prompt of the bundle to put before each text.
    prompt_name: Option<String>,
}

/// What `/similarity` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SimilarityRequest {
    inputs: SimilarityInput,
    parameters: Option<SimilarityParameters>,
}

/// The cosine of each sentence's vector with the first one's.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SimilarityResponse(Vec<f32>);

/// `/similarity`.
pub(crate) enum Similarity {}

impl Route for Similarity {
    const PATH: &'static str = "/similarity";
    const SUMMARY: &'static str = "Cosines of a sentence with others";
    type Request = SimilarityRequest;
    type Answer = SimilarityResponse;

    async fn answer(call: &mut Call, request: SimilarityRequest) -> Result<SimilarityResponse, Refusal> {
        let SimilarityInput { source_sentence, sentences } = request.inputs;
        let parameters = request.parameters.unwrap_or_default();
        let prompt = call.bundle.prompt(parameters.prompt_name.as_deref())?;
        let count = if sentences.is_empty() { 0 } else { sentences.len() + 1 };
        call.begin(count, true)?;
        let texts = std::iter::once(source_sentence).chain(sentences);
        let sources = texts.map(|text| Source::Text(format!("{}{text}", prompt.text))).collect::<Vec<_>>();
        let direction = parameters.truncation_direction;
        let truncation = Truncation { direction, ..call.truncation(parameters.truncate) };
        let vectors = vectors(call, sources, truncation, &prompt, true, None).await?;
        let Some((first, others)) = vectors.split_first() else { return Ok(SimilarityResponse(Vec::new())) };
        // Rounding can bring the product of two unit vectors beyond 1.
        let cosine = |other: &Vec<f32>| first.iter().zip(other).map(|(a, b)| a * b).sum::<f32>().clamp(-1.0, 1.0);
        Ok(SimilarityResponse(others.iter().map(cosine).collect()))
    }
}
