//! `/tag` and `/answer`: entities of texts, and the words of a context that answer a question, in the shapes that
//! clients of Hugging Face's inference know.

use std::ops::Range;

use attar_model::Head;
use attar_runtime::in_characters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tokens::Texts;
use crate::call::Call;
use crate::engine::{Material, Task, TaskOutput};
use crate::error::{ErrorType, Refusal};
use crate::metrics::Timing;
use crate::route::Route;

/// What is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aggregate {
    /// Words that belong together.
    #[default]
    Entities,
    /// Each word.
    Words,
}

/// What `/tag` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TagRequest {
    inputs: Texts,
    #[serde(default)]
    aggregate: Aggregate,
}

/// Some words of a text, in characters from its beginning.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaggedWords {
    entity_group: String,
    score: f32,
    word: String,
    start: usize,
    end: usize,
}

/// The entities or words of a text; a list of those where the inputs were one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TagResponse {
    Single(Vec<TaggedWords>),
    Batch(Vec<Vec<TaggedWords>>),
}

/// `/tag`.
pub(crate) enum TagWords {}

impl Route for TagWords {
    const PATH: &'static str = "/tag";
    const SUMMARY: &'static str = "Entities of texts, with their places";
    type Request = TagRequest;
    type Answer = TagResponse;

    async fn answer(call: &mut Call, request: TagRequest) -> Result<TagResponse, Refusal> {
        let Head::TokenClassification { labels } = &call.bundle.head else {
            return Err(call.bundle.lacks("token classification head", "name a bundle that tags words"));
        };
        let labels = labels.clone();
        let (texts, is_batch) = request.inputs.into_list();
        call.begin(texts.len(), is_batch)?;
        let tokens = call.count(texts.iter().map(|text| (text.clone(), None)).collect()).await?;
        let materials = texts.iter().zip(tokens).map(|(text, tokens)| (Material::Text(text.clone()), tokens)).collect();
        let outcomes = call.run(Task::Tags, materials).await?;
        let mut all: Vec<Vec<TaggedWords>> = texts
            .iter()
            .zip(outcomes)
            .map(|(text, (outcome, _))| {
                let TaskOutput::Tags(tags, entities) = outcome else { return Vec::new() };
                let part = |bytes: &Range<usize>, label: &str, score| tagged(text, bytes, label, score);
                let label = |class: usize| labels.get(class).map_or("", String::as_str);
                match request.aggregate {
                    Aggregate::Entities => entities.iter().map(|e| part(&e.bytes, &e.kind, e.probability)).collect(),
                    Aggregate::Words => tags.iter().map(|t| part(&t.bytes, label(t.class), t.probability)).collect(),
                }
            })
            .collect();
        Ok(match (is_batch, all.pop()) {
            (false, Some(only)) => TagResponse::Single(only),
            (_, last) => TagResponse::Batch(all.into_iter().chain(last).collect()),
        })
    }
}

fn tagged(text: &str, bytes: &Range<usize>, label: &str, score: f32) -> TaggedWords {
    let [start, end] = in_characters(text, bytes);
    TaggedWords { entity_group: label.to_owned(), score, word: text[bytes.clone()].to_owned(), start, end }
}

/// A question, and the text to look for its answer in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Question {
    question: String,
    context: String,
}

/// A question, or a list of questions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected an object with question and context, or a list of such objects")]
pub(crate) enum Questions {
    Single(Question),
    Batch(Vec<Question>),
}

/// What `/answer` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AnswerRequest {
    inputs: Questions,
}

/// The words of a context that answer its question, in characters from its beginning.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct FoundAnswer {
    answer: String,
    /// The probability that they begin and end there.
    score: f32,
    start: usize,
    end: usize,
    /// The probability that the context has no answer, for bundles that know such questions.
    no_answer: f32,
}

/// The answer to a question; a list of answers where the inputs were one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AnswerResponse {
    Single(FoundAnswer),
    Batch(Vec<FoundAnswer>),
}

/// `/answer`.
pub(crate) enum AnswerQuestion {}

impl Route for AnswerQuestion {
    const PATH: &'static str = "/answer";
    const SUMMARY: &'static str = "Words of a context that answer a question";
    type Request = AnswerRequest;
    type Answer = AnswerResponse;

    async fn answer(call: &mut Call, request: AnswerRequest) -> Result<AnswerResponse, Refusal> {
        if call.bundle.head != Head::QuestionAnswering {
            return Err(call.bundle.lacks("question-answering head", "name a bundle that answers questions"));
        }
        let (questions, is_batch) = match request.inputs {
            Questions::Single(question) => (vec![question], false),
            Questions::Batch(questions) => (questions, true),
        };
        call.begin(questions.len(), is_batch)?;
        if questions.iter().any(|question| question.question.is_empty() || question.context.is_empty()) {
            return Err(Refusal::new(ErrorType::Validation, "`question` and `context` cannot be empty"));
        }
        let texts = questions.iter().cloned().map(|question| (question.question, Some(question.context)));
        let tokens = call.count(texts.collect()).await?;
        let material = |question: &Question| {
            let Question { question, context } = question.clone();
            Material::Question { question, context }
        };
        let materials = questions.iter().map(material).zip(tokens).collect();
        let outcomes = call.run(Task::Answer, materials).await?;
        let found = |(question, (outcome, _)): (&Question, (TaskOutput, Timing))| {
            let TaskOutput::Span(Some(span)) = outcome else { return FoundAnswer::default() };
            let [start, end] = in_characters(&question.context, &span.bytes);
            let answer = question.context[span.bytes.clone()].to_owned();
            FoundAnswer { answer, score: span.probability, start, end, no_answer: span.no_answer }
        };
        let mut all: Vec<FoundAnswer> = questions.iter().zip(outcomes).map(found).collect();
        Ok(match (is_batch, all.pop()) {
            (false, Some(only)) => AnswerResponse::Single(only),
            (_, last) => AnswerResponse::Batch(all.into_iter().chain(last).collect()),
        })
    }
}
