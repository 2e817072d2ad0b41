//! What a student takes from its teacher: layers, positions, and the embeddings of its pieces.

use attar_model::{Bundle, EncoderConfig, Tensor, Weights, expected_shapes};
use attar_text::tokenizer::Tokenizer;

use super::head::reorder;
use super::{Model, vocabulary};
use crate::Error;
use crate::recipe::{EmbeddingStart, StudentSpec};

/// What the word embeddings of a student that is made of its teacher begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EmbeddingSource {
    /// The teacher's, piece by piece.
    Teacher,
    /// Of each piece the teacher's pieces whose mean it is.
    Means(Vec<Vec<u32>>),
    /// Random numbers.
    Random,
}

/// What the word embeddings of a student begin with if it is made of its teacher, given the teacher's ids of its pieces
/// where they are a part of the teacher's.
pub(super) fn embedding_source(
    spec: &StudentSpec,
    teacher: Option<&Model>,
    tokenizer: &Tokenizer,
    kept: Option<&[u32]>,
) -> EmbeddingSource {
    match (spec, teacher, kept) {
        (StudentSpec::Teacher { tokenizer: Some(_), embeddings: EmbeddingStart::Random, .. }, ..) => {
            EmbeddingSource::Random
        }
        (_, _, Some(kept)) => EmbeddingSource::Means(kept.iter().map(|&id| vec![id]).collect()),
        (StudentSpec::Teacher { tokenizer: Some(_), .. }, Some(teacher), None) => {
            EmbeddingSource::Means(vocabulary::source_pieces(tokenizer, &teacher.tokenizer))
        }
        _ => EmbeddingSource::Teacher,
    }
}

/// Checks that layers are the teacher's, in rising order.
pub(super) fn refuse_layers(layers: &[usize], teacher: usize) -> Result<(), Error> {
    let rising = layers.windows(2).all(|pair| pair[0] < pair[1]);
    if !layers.is_empty() && rising && layers[0] >= 1 && layers[layers.len() - 1] <= teacher {
        return Ok(());
    }
    let expected = format!("layers of the teacher in rising order, from 1 to {teacher}");
    Err(Error::refused("student", expected, format!("{layers:?}"), "correct `layers`"))
}

/// Checks that a student is cut out of its teacher and not larger in any size.
pub(super) fn refuse_growth(config: &EncoderConfig, teacher: &EncoderConfig) -> Result<(), Error> {
    let sizes = |c: &EncoderConfig| [("hidden", c.hidden), ("heads", c.heads), ("feed-forward", c.feed_forward)];
    for ((name, ours), (_, theirs)) in sizes(config).into_iter().zip(sizes(teacher)) {
        if ours > theirs {
            let expected = format!("a `{name}` of at most {theirs}, the teacher's");
            return Err(Error::refused("student", expected, ours.to_string(), "lower it, or begin from a shape"));
        }
    }
    if let (Some(ours), Some(theirs)) = (config.embedding, teacher.embedding)
        && ours > theirs
    {
        let expected = format!("an `embedding-width` (`--embedding-width`) of at most {theirs}, the teacher's");
        return Err(Error::refused("student", expected, ours.to_string(), "lower it, or leave it out"));
    }
    if config.hidden == teacher.hidden && config.heads != teacher.heads {
        let expected = format!("the teacher's {} heads at its width of {}", teacher.heads, teacher.hidden);
        return Err(Error::refused(
            "student",
            expected,
            config.heads.to_string(),
            "lower `hidden` too, or leave `heads` out",
        ));
    }
    if config.hidden < teacher.hidden && config.head_width() > teacher.head_width() {
        let expected = format!("heads of at most {} columns, the teacher's", teacher.head_width());
        return Err(Error::refused(
            "student",
            expected,
            config.head_width().to_string(),
            "raise `heads` or lower `hidden`",
        ));
    }
    Ok(())
}

/// The mean of some rows of so many columns; zeros if there is none.
fn mean<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, columns: usize) -> Vec<f32> {
    let share = 1.0 / rows.len().max(1) as f32;
    let mut sum = vec![0.0; columns];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += share * x);
    }
    sum
}

/// The weights of some layers of a teacher, with the rows of the tables that the student keeps: of positions those that
/// texts use, of types zeros where the teacher has none; and its classifier, if it has the student's classes, in the order of the
/// data's where it has another (`classes`).
pub(crate) fn layers_of(
    teacher: &Bundle,
    layers: &[usize],
    embeddings: &EmbeddingSource,
    config: &EncoderConfig,
    classes: Option<&[usize]>,
) -> Weights {
    let mut weights = Weights::new();
    let offset = teacher.config.position_offset();
    for (name, shape) in expected_shapes(config) {
        let theirs = match name.strip_prefix("encoder.layer.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => {
                let own: usize = layer.parse().expect("expected names count layers");
                format!("encoder.layer.{}.{part}", layers[own] - 1)
            }
            None => name.clone(),
        };
        let Some(tensor) = teacher.weights.get(&theirs) else {
            // A teacher that knows no types reads every token alike.
            if name == "embeddings.token_type_embeddings.weight" {
                weights.insert(name, Tensor::zeros(shape));
            }
            continue;
        };
        let columns = tensor.shape.last().copied().unwrap_or(1);
        let row = |row: usize| &tensor.data[row * columns..(row + 1) * columns];
        let rows: Option<Vec<Vec<usize>>> = match name.as_str() {
            "embeddings.word_embeddings.weight" => match embeddings {
                // A table may have rows that no piece uses.
                EmbeddingSource::Teacher if tensor.shape[0] > shape[0] => {
                    Some((0..shape[0]).map(|row| vec![row]).collect())
                }
                EmbeddingSource::Teacher => None,
                EmbeddingSource::Means(sources) => {
                    Some(sources.iter().map(|ids| ids.iter().map(|&id| id as usize).collect()).collect())
                }
                EmbeddingSource::Random => continue,
            },
            "classifier.weight" | "classifier.bias" if tensor.shape != shape => continue,
            "embeddings.position_embeddings.weight" => Some((offset..offset + shape[0]).map(|row| vec![row]).collect()),
            _ => None,
        };
        let tensor = match rows {
            Some(rows) => {
                let data = rows.iter().flat_map(|rows| mean(rows.iter().map(|&place| row(place)), columns)).collect();
                Tensor::new(vec![rows.len(), columns], data)
            }
            None => tensor.clone(),
        };
        weights.insert(name, tensor);
    }
    if let Some(classes) = classes {
        reorder(&mut weights, classes);
    }
    weights
}
