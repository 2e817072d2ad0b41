//! `/embed` and `/embed_all`: vectors of texts, and of their tokens.

use attar_model::Pooling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::Prompt;
use crate::call::Call;
use crate::encode::{Source, Truncation, TruncationDirection};
use crate::engine::{Task, TaskOutput};
use crate::error::Refusal;
use crate::route::Route;

/// A text, or ids of tokens, special ones included.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of token ids")]
pub(crate) enum InputItem {
    Text(String),
    Ids(Vec<u32>),
}

/// One input, or a list of inputs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string, a list of token ids, or a list of either")]
pub(crate) enum Inputs {
    Single(InputItem),
    Batch(Vec<InputItem>),
}

impl Inputs {
    /// The inputs, and whether they came as a list.
    pub(crate) fn sources(self, prompt: &Prompt) -> (Vec<Source>, bool) {
        let source = |item: InputItem| match item {
            InputItem::Text(text) if text.is_empty() => Source::Text(text),
            InputItem::Text(text) => Source::Text(format!("{}{text}", prompt.text)),
            InputItem::Ids(ids) => Source::Ids(ids),
        };
        match self {
            // An empty list has no inputs, rather than one without tokens.
            Inputs::Single(InputItem::Ids(ids)) if ids.is_empty() => (Vec::new(), true),
            Inputs::Single(item) => (vec![source(item)], false),
            Inputs::Batch(items) => (items.into_iter().map(source).collect(), true),
        }
    }
}

/// What `/embed` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EmbedRequest {
    inputs: Inputs,
    /// Whether texts that are too long are cut; else the server decides.
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// A prompt of the bundle to put before each text.
    prompt_name: Option<String>,
    /// Whether vectors have length 1.
    #[serde(default = "yes")]
    normalize: bool,
    /// The first numbers of each vector only.
    dimensions: Option<usize>,
}

const fn yes() -> bool {
    true
}

/// A vector for each input.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbedResponse(pub(crate) Vec<Vec<f32>>);

/// `/embed`.
pub(crate) enum Embed {}

impl Route for Embed {
    const PATH: &'static str = "/embed";
    const SUMMARY: &'static str = "Vectors of texts";
    type Request = EmbedRequest;
    type Answer = EmbedResponse;

    async fn answer(call: &mut Call, request: EmbedRequest) -> Result<EmbedResponse, Refusal> {
        let prompt = call.bundle.prompt(request.prompt_name.as_deref())?;
        let (sources, is_batch) = request.inputs.sources(&prompt);
        call.begin(sources.len(), is_batch)?;
        let truncation = Truncation { direction: request.truncation_direction, ..call.truncation(request.truncate) };
        let (normalize, dimensions) = (request.normalize, request.dimensions);
        Ok(EmbedResponse(vectors(call, sources, truncation, &prompt, normalize, dimensions).await?))
    }
}

/// A vector for each input; texts begin with the prompt already. Fewer dimensions are made a vector of length 1 again where vectors are.
pub(crate) async fn vectors(
    call: &mut Call,
    sources: Vec<Source>,
    truncation: Truncation,
    prompt: &Prompt,
    normalize: bool,
    dimensions: Option<usize>,
) -> Result<Vec<Vec<f32>>, Refusal> {
    let pooling = Pooling { normalize, ..call.bundle.pooling };
    let mut vectors = vec![Vec::new(); sources.len()];
    // Ids are the whole input: where a prompt's tokens are not pooled, these have none to leave out.
    let has_no_prompt = |source: &Source| prompt.skipped > 0 && matches!(source, Source::Ids(_));
    let (ids, texts): (Vec<_>, Vec<_>) = sources.into_iter().enumerate().partition(|(_, source)| has_no_prompt(source));
    for (group, skipped) in [(texts, prompt.skipped), (ids, 0)] {
        if group.is_empty() {
            continue;
        }
        let (places, sources): (Vec<usize>, Vec<Source>) = group.into_iter().unzip();
        // Cut on the left a text loses its prompt first, and words of its own would be left out in its place.
        let cuts_prompt = skipped > 0 && truncation.direction == TruncationDirection::Left;
        let truncation = Truncation { truncates: truncation.truncates && !cuts_prompt, ..truncation };
        let outcomes = call.compute(Task::Vectors(pooling, skipped), sources, truncation).await?;
        for (place, outcome) in places.into_iter().zip(outcomes) {
            vectors[place] = outcome.numbers();
        }
    }
    if let Some(dimensions) = dimensions {
        let longest = vectors.first().map_or(0, Vec::len);
        if dimensions == 0 || dimensions > longest {
            let said = format!("`dimensions` must be from 1 to {longest}, got {dimensions}");
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Refusal::new(crate::error::ErrorType::Validation, said).with_status(status));
        }
        for vector in &mut vectors {
            vector.truncate(dimensions);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            if pooling.normalize && length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
        }
    }
    Ok(vectors)
}

/// What `/embed_all` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EmbedAllRequest {
    inputs: Inputs,
    /// Whether texts that are too long are cut; else the server decides.
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// A prompt of the bundle to put before each text.
    prompt_name: Option<String>,
}

/// A vector for each token of each input.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbedAllResponse(Vec<Vec<Vec<f32>>>);

/// `/embed_all`.
pub(crate) enum EmbedAll {}

impl Route for EmbedAll {
    const PATH: &'static str = "/embed_all";
    const SUMMARY: &'static str = "Vectors of the tokens of texts";
    type Request = EmbedAllRequest;
    type Answer = EmbedAllResponse;

    async fn answer(call: &mut Call, request: EmbedAllRequest) -> Result<EmbedAllResponse, Refusal> {
        let prompt = call.bundle.prompt(request.prompt_name.as_deref())?;
        let (sources, is_batch) = request.inputs.sources(&prompt);
        call.begin(sources.len(), is_batch)?;
        let truncation = Truncation { direction: request.truncation_direction, ..call.truncation(request.truncate) };
        let outcomes = call.compute(Task::States, sources, truncation).await?;
        let rows = |outcome: TaskOutput| match outcome {
            TaskOutput::Rows(rows) => rows,
            TaskOutput::Numbers(_) | TaskOutput::Tags(..) | TaskOutput::Span(_) => Vec::new(),
        };
        Ok(EmbedAllResponse(outcomes.into_iter().map(rows).collect()))
    }
}
