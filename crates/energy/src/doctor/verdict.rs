//! What a meter would read, in one sentence.

use serde::Serialize;

use super::powercap::{is_cpu, is_memory};
use crate::estimate::{Method, Spread};
use crate::source::{Component, Description};

/// What a meter with default options would read here. What is nothing would not be counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The processor.
    pub processor: Option<Chosen>,
    /// Main memory.
    pub memory: Option<Chosen>,
    /// Graphics boards.
    pub boards: Option<Chosen>,
    /// All of that in words.
    pub sentence: String,
}

/// The source of a part of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Name of the source, as in a ledger.
    pub source: String,
    /// What it reads of this part.
    pub components: Vec<Component>,
    /// How its numbers come about.
    pub method: Method,
    /// 90 % interval of the source, as factors: that of the widest of its parts.
    pub spread: Spread,
}

impl Verdict {
    /// What these sources make of a machine.
    pub(super) fn of(taken: &[Description]) -> Self {
        let chosen = |part: fn(&Component) -> bool| {
            taken.iter().find_map(|source| {
                let components: Vec<Component> = source.components.iter().copied().filter(part).collect();
                let (method, spread) = (source.method, source.spread);
                (!components.is_empty()).then(|| Chosen { source: source.name.clone(), components, method, spread })
            })
        };
        let (processor, memory) = (chosen(is_cpu), chosen(is_memory));
        let boards = chosen(|component| matches!(component, Component::Gpu(_)));
        let sentence = sentence(processor.as_ref(), memory.as_ref(), boards.as_ref());
        Self { processor, memory, boards, sentence }
    }

    /// The weakest of the methods; nothing where nothing is read.
    pub fn weakest(&self) -> Option<Method> {
        Method::weakest([&self.processor, &self.memory, &self.boards].into_iter().flatten().map(|part| part.method))
    }
}

fn sentence(processor: Option<&Chosen>, memory: Option<&Chosen>, boards: Option<&Chosen>) -> String {
    let parts = [processor, memory, boards];
    let say = |name: &str, chosen: Option<&Chosen>| match chosen {
        Some(chosen) => format!("{name} {} ({}, {})", chosen.method, chosen.source, chosen.spread),
        None => format!("{name} not counted"),
    };
    let of_boards = match boards {
        Some(chosen) if chosen.components.len() == 1 => say("1 graphics board", boards),
        Some(chosen) => say(&format!("{} graphics boards", chosen.components.len()), boards),
        None => "no graphics board counted".to_owned(),
    };
    let together = processor.zip(memory).is_some_and(|(processor, memory)| processor.source == memory.source);
    let all = if together {
        [say("processor and memory", processor), of_boards].join(", ")
    } else {
        [say("processor", processor), say("memory", memory), of_boards].join(", ")
    };
    let mut methods = parts.into_iter().flatten().map(|part| part.method).peekable();
    let opening = if methods.peek().is_none() {
        "no energy can be told here"
    } else if methods.all(|method| method == Method::Modelled) {
        "only modelled energy is possible here"
    } else if processor.is_some_and(|processor| processor.method == Method::Modelled) {
        "the processor can only be modelled here"
    } else {
        "counters answer here"
    };
    format!("{opening}: {all}")
}
