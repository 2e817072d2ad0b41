//! Tags of words, where the data have words of their own.

use attar_distill::score::Answers;
use attar_model::Head;
use attar_runtime::{Error, Session, Tag};
use attar_text::labeled::{Dataset, Example, Label, WordTag};
use attar_text::metrics::TagScheme;

/// Whether a model answers each word of a text.
pub(super) fn tags_words(session: &Session) -> bool {
    matches!(session.config().head, Head::TokenClassification { .. })
}

/// The tag of each of the data's words: that of the first word of the tokenizer's own in it, which may be shorter. `order` has the
/// model's number of each tag of the data.
pub(super) fn word_tags(
    session: &mut Session,
    data: &Dataset,
    order: Option<Vec<usize>>,
    progress: impl FnMut(usize),
) -> Result<Answers, Error> {
    let texts: Vec<&str> = data.examples.iter().map(|example| example.text.as_str()).collect();
    let found = session.tag(&texts, progress)?;
    let names = data.target.labels();
    let outside = names.and_then(|labels| labels.class(TagScheme::OUTSIDE)).unwrap_or(0);
    let number = |class: usize| match &order {
        Some(order) => order.iter().position(|&model| model == class).unwrap_or(class) as u32,
        None => class as u32,
    };
    let row = |(example, tags): (&Example, &Vec<Tag>)| match &example.label {
        Label::Tags(words) => {
            let mut tags = tags.iter().peekable();
            let word = |word: &WordTag| {
                while tags.next_if(|tag| tag.bytes.end <= word.bytes.start).is_some() {}
                tags.peek().filter(|tag| tag.bytes.start < word.bytes.end).map_or(outside, |tag| number(tag.class))
            };
            words.iter().map(word).collect()
        }
        _ => Vec::new(),
    };
    Ok(Answers::Tags(data.examples.iter().zip(&found).map(row).collect()))
}
