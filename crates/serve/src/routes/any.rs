//! `/`: what a bundle is for, in the shape of the route that does it.

use attar_model::{Head, Target};
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::embed::Embed;
use super::predict::Predict;
use super::rerank::Rerank;
use super::similarity::Similarity;
use super::words::{AnswerQuestion, TagWords};
use crate::call::Call;
use crate::error::{ErrorType, Refusal};
use crate::route::{Route, understood};

/// The answer of another route, as it is written there to the last digit.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct AnyAnswer(Box<RawValue>);

impl JsonSchema for AnyAnswer {
    fn schema_name() -> Cow<'static, str> {
        "AnyAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "The answer of the route that does what the bundle is for" })
    }
}

/// `/` and `/invocations`.
pub(crate) enum Invocations {}

impl Route for Invocations {
    const PATH: &'static str = "/invocations";
    const ALIASES: &'static [&'static str] = &["/"];
    const SUMMARY: &'static str =
        "What the bundle is for: the request and the answer of /predict, /rerank, /tag, /answer, /similarity or /embed";
    type Request = Value;
    type Answer = AnyAnswer;

    async fn answer(call: &mut Call, request: Value) -> Result<AnyAnswer, Refusal> {
        let compares_sentences = request.pointer("/inputs/source_sentence").is_some();
        match &call.bundle.head {
            Head::Classification { target: Target::Regression } if request.get("query").is_some() => {
                of::<Rerank>(call, request).await
            }
            Head::Classification { .. } => of::<Predict>(call, request).await,
            Head::TokenClassification { .. } => of::<TagWords>(call, request).await,
            Head::QuestionAnswering => of::<AnswerQuestion>(call, request).await,
            _ if compares_sentences => of::<Similarity>(call, request).await,
            _ => of::<Embed>(call, request).await,
        }
    }
}

async fn of<R: Route>(call: &mut Call, request: Value) -> Result<AnyAnswer, Refusal> {
    let request = serde_json::from_value(request).map_err(|error| understood(&error))?;
    let answer = R::answer(call, request).await?;
    let text = serde_json::value::to_raw_value(&answer);
    text.map(AnyAnswer).map_err(|error| Refusal::new(ErrorType::Backend, error.to_string()))
}
