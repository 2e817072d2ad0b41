//! Where the special tokens of an input stand.

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::PostProcessorWrapper;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;

/// The layouts of a text alone and of a pair.
pub(super) struct Templates {
    single: Template,
    pair: Template,
}

/// The parts of an input in their order.
pub(super) struct Template {
    parts: Vec<TemplatePart>,
    special: usize,
}

pub(super) enum TemplatePart {
    First { token_type: u32 },
    Second { token_type: u32 },
    Special { ids: Vec<u32>, token_type: u32 },
}

impl Templates {
    /// `None` for a post-processor that is no such layout.
    pub(super) fn new(processor: Option<&PostProcessorWrapper>) -> Option<Self> {
        let first = |token_type| TemplatePart::First { token_type };
        let second = |token_type| TemplatePart::Second { token_type };
        match processor {
            None => Some(Self::of_parts(vec![first(0)], vec![first(0), second(1)])),
            Some(PostProcessorWrapper::Bert(BertProcessing { sep, cls })) => {
                let special = |id, token_type| TemplatePart::Special { ids: vec![id], token_type };
                let single = || vec![special(cls.1, 0), first(0), special(sep.1, 0)];
                let pair = single().into_iter().chain([second(1), special(sep.1, 1)]);
                Some(Self::of_parts(single(), pair.collect()))
            }
            // What it does besides, to places of tokens that hold a space, does not occur here.
            Some(PostProcessorWrapper::Roberta(RobertaProcessing { sep, cls, .. })) => {
                let special = |id| TemplatePart::Special { ids: vec![id], token_type: 0 };
                let single = || vec![special(cls.1), first(0), special(sep.1)];
                let second = [special(sep.1), TemplatePart::Second { token_type: 0 }, special(sep.1)];
                Some(Self::of_parts(single(), single().into_iter().chain(second).collect()))
            }
            Some(PostProcessorWrapper::Template(template)) => Self::of_file(serde_json::to_value(template).ok()?),
            Some(_) => None,
        }
    }

    pub(super) fn of(&self, is_pair: bool) -> &Template {
        if is_pair { &self.pair } else { &self.single }
    }

    fn of_parts(single: Vec<TemplatePart>, pair: Vec<TemplatePart>) -> Self {
        Self { single: Template::new(single), pair: Template::new(pair) }
    }

    fn of_file(value: serde_json::Value) -> Option<Self> {
        let file: File = serde_json::from_value(value).ok()?;
        let parts = |pieces: &[Piece]| -> Option<Vec<TemplatePart>> {
            pieces
                .iter()
                .map(|piece| {
                    Some(match piece {
                        Piece::Sequence { id: Sequence::A, type_id } => TemplatePart::First { token_type: *type_id },
                        Piece::Sequence { id: Sequence::B, type_id } => TemplatePart::Second { token_type: *type_id },
                        Piece::SpecialToken { id, type_id } => TemplatePart::Special {
                            ids: file.special_tokens.get(id)?.ids.clone(),
                            token_type: *type_id,
                        },
                    })
                })
                .collect()
        };
        let texts = |parts: &[TemplatePart]| {
            let firsts = parts.iter().filter(|part| matches!(part, TemplatePart::First { .. })).count();
            (firsts, parts.iter().filter(|part| matches!(part, TemplatePart::Second { .. })).count())
        };
        let (single, pair) = (parts(&file.single)?, parts(&file.pair)?);
        (texts(&single) == (1, 0) && texts(&pair) == (1, 1)).then(|| Self::of_parts(single, pair))
    }
}

impl Template {
    fn new(parts: Vec<TemplatePart>) -> Self {
        let special =
            parts.iter().map(|part| if let TemplatePart::Special { ids, .. } = part { ids.len() } else { 0 }).sum();
        Self { parts, special }
    }

    /// Number of special tokens.
    pub(super) fn special(&self) -> usize {
        self.special
    }

    pub(super) fn parts(&self) -> &[TemplatePart] {
        &self.parts
    }

    /// Appends an input with these texts.
    pub(super) fn append(&self, first: &[u32], second: &[u32], ids: &mut Vec<u32>, types: &mut Vec<u32>) {
        for part in &self.parts {
            let (part, token_type) = match part {
                TemplatePart::First { token_type } => (first, token_type),
                TemplatePart::Second { token_type } => (second, token_type),
                TemplatePart::Special { ids, token_type } => (&ids[..], token_type),
            };
            ids.extend_from_slice(part);
            types.resize(ids.len(), *token_type);
        }
    }
}

/// As the library writes its `TemplateProcessing`, whose fields it keeps to itself.
#[derive(Deserialize)]
struct File {
    single: Vec<Piece>,
    pair: Vec<Piece>,
    special_tokens: HashMap<String, SpecialToken>,
}

#[derive(Deserialize)]
enum Piece {
    Sequence { id: Sequence, type_id: u32 },
    SpecialToken { id: String, type_id: u32 },
}

#[derive(Deserialize)]
enum Sequence {
    A,
    B,
}

#[derive(Deserialize)]
struct SpecialToken {
    ids: Vec<u32>,
}
