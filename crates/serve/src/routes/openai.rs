//! `/v1/embeddings`: vectors in OpenAI's shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embed::{Inputs, vectors};
use crate::call::Call;
use crate::error::Refusal;
use crate::route::Route;

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncodingFormat {
    /// As numbers.
    #[default]
    Float,
    /// The bytes of 32-bit floats, the lowest byte first, in base64.
    Base64,
}

/// What `/v1/embeddings` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OpenAiRequest {
    input: Inputs,
    /// The bundle, where there are several.
    model: Option<String>,
    #[serde(default)]
    encoding_format: EncodingFormat,
    /// The first numbers of each vector only, made a vector of length 1 again.
    dimensions: Option<usize>,
    /// Read and forgotten.
    #[expect(dead_code, reason = "a part of the shape")]
    user: Option<String>,
}

/// A vector in either form.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OpenAiVector {
    Float(Vec<f32>),
    Base64(String),
}

/// The vector of an input by its place in the request.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenAiEmbedding {
    object: &'static str,
    embedding: OpenAiVector,
    index: usize,
}

/// Tokens that were computed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenAiUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// What `/v1/embeddings` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenAiResponse {
    object: &'static str,
    data: Vec<OpenAiEmbedding>,
    model: String,
    usage: OpenAiUsage,
}

/// `/v1/embeddings`.
pub(crate) enum Embeddings {}

impl Route for Embeddings {
    const PATH: &'static str = "/v1/embeddings";
    const ALIASES: &'static [&'static str] = &["/embeddings"];
    const SUMMARY: &'static str = "Vectors of texts in OpenAI's shape";
    const IS_OPENAI: bool = true;
    type Request = OpenAiRequest;
    type Answer = OpenAiResponse;

    fn bundle(request: &OpenAiRequest) -> Option<&str> {
        request.model.as_deref()
    }

    async fn answer(call: &mut Call, request: OpenAiRequest) -> Result<OpenAiResponse, Refusal> {
        let prompt = call.bundle.prompt(None)?;
        let (sources, is_batch) = request.input.sources(&prompt);
        call.begin(sources.len(), is_batch)?;
        let truncation = call.truncation(None);
        let vectors = vectors(call, sources, truncation, &prompt, true, request.dimensions).await?;
        let data = vectors.into_iter().enumerate().map(|(index, vector)| {
            let embedding = match request.encoding_format {
                EncodingFormat::Float => OpenAiVector::Float(vector),
                EncodingFormat::Base64 => OpenAiVector::Base64(base64_of(&vector)),
            };
            OpenAiEmbedding { object: "embedding", embedding, index }
        });
        let usage = OpenAiUsage { prompt_tokens: call.tokens, total_tokens: call.tokens };
        Ok(OpenAiResponse { object: "list", data: data.collect(), model: call.bundle.name.clone(), usage })
    }
}

fn base64_of(vector: &[f32]) -> String {
    base64::encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_with_the_lowest() {
        // 1.0 is 0x3f800000.
        assert_eq!(base64_of(&[1.0, 0.0]), "AACAPwAAAAA=");
    }
}
