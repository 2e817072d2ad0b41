//! Where the special tokens of an input stand.

use serde_json::Value;

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
    /// Those of a post-processor as a file states it; `None` for one that is no such layout.
    pub(super) fn new(processor: &Value) -> Option<Self> {
        let first = |token_type| TemplatePart::First { token_type };
        let second = |token_type| TemplatePart::Second { token_type };
        // A token with its id.
        let mark = |key: &str, token_type| {
            let ids = vec![number(processor.get(key)?.get(1)?)?];
            Some(TemplatePart::Special { ids, token_type })
        };
        if processor.is_null() {
            return Some(Self::of_parts(vec![first(0)], vec![first(0), second(1)]));
        }
        match processor.get("type")?.as_str()? {
            "BertProcessing" => {
                let single = || Some(vec![mark("cls", 0)?, first(0), mark("sep", 0)?]);
                let pair = single()?.into_iter().chain([second(1), mark("sep", 1)?]);
                Some(Self::of_parts(single()?, pair.collect()))
            }
            // What it does besides, to places of tokens that hold a space, does not occur here.
            "RobertaProcessing" => {
                let single = || Some(vec![mark("cls", 0)?, first(0), mark("sep", 0)?]);
                let pair = single()?.into_iter().chain([mark("sep", 0)?, second(0), mark("sep", 0)?]);
                Some(Self::of_parts(single()?, pair.collect()))
            }
            "TemplateProcessing" => Self::of_template(processor),
            _ => None,
        }
    }

    pub(super) fn of(&self, is_pair: bool) -> &Template {
        if is_pair { &self.pair } else { &self.single }
    }

    fn of_parts(single: Vec<TemplatePart>, pair: Vec<TemplatePart>) -> Self {
        Self { single: Template::new(single), pair: Template::new(pair) }
    }

    fn of_template(processor: &Value) -> Option<Self> {
        let tokens = processor.get("special_tokens")?;
        let part = |piece: &Value| {
            if let Some(sequence) = piece.get("Sequence") {
                let token_type = number(sequence.get("type_id")?)?;
                return match sequence.get("id")?.as_str()? {
                    "A" => Some(TemplatePart::First { token_type }),
                    "B" => Some(TemplatePart::Second { token_type }),
                    _ => None,
                };
            }
            let special = piece.get("SpecialToken")?;
            let ids = tokens.get(special.get("id")?.as_str()?)?.get("ids")?.as_array()?;
            let ids = ids.iter().map(number).collect::<Option<_>>()?;
            Some(TemplatePart::Special { ids, token_type: number(special.get("type_id")?)? })
        };
        let parts = |key: &str| processor.get(key)?.as_array()?.iter().map(part).collect::<Option<Vec<_>>>();
        let texts = |parts: &[TemplatePart]| {
            let firsts = parts.iter().filter(|part| matches!(part, TemplatePart::First { .. })).count();
            (firsts, parts.iter().filter(|part| matches!(part, TemplatePart::Second { .. })).count())
        };
        let (single, pair) = (parts("single")?, parts("pair")?);
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

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}
