//! Answers to questions, as `predict` and a server give them.

use attar_distill::score::Answers;
use attar_model::Head;
use attar_runtime::{Error, Session, Text};
use attar_text::labeled::{Dataset, Example};

/// Whether a model answers questions.
pub(super) fn answers_questions(session: &Session) -> bool {
    session.config().head == Head::QuestionAnswering
}

/// The answer to each question of the data.
pub(super) fn question_answers(
    session: &mut Session,
    data: &Dataset,
    progress: impl FnMut(usize),
) -> Result<Answers, Error> {
    let questions = questions(data.examples.iter().map(Example::texts));
    Ok(Answers::of_spans(&session.answer(&questions, progress)?, data))
}

/// Questions with their contexts.
pub(super) fn questions<'a>(texts: impl Iterator<Item = Text<'a>>) -> Vec<(&'a str, &'a str)> {
    texts.map(|(question, context)| (question, context.unwrap_or_default())).collect()
}
