//! What a meter would read, in one sentence.

use serde::Serialize;

use super::powercap::{is_cpu, is_memory};
use crate::estimate::{Method, Spread};
use crate::source::{Component, Description};

/// What a meter with default options would read here. What is nothing would not be counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The processor.
    pub processor: Option<ChosenSource>,
    /// Main memory.
    pub memory: Option<ChosenSource>,
    /// GPUs.
    pub boards: Option<ChosenSource>,
    /// All of that in words.
    pub sentence: String,
}

/// The source of a part of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChosenSource {
    /// Name of the source, as in a ledger.
    pub source: String,
    /// What it reads of this part.
    pub components: Vec<Component>,
    /// How its numbers are obtained.
    pub method: Method,
    /// 90 % interval of this part, as factors: that of the widest of its components.
    pub spread: Spread,
}

impl Verdict {
    /// What these sources make of a machine.
    pub(super) fn of(selected: &[Description]) -> Self {
        let chosen = |part: fn(&Component) -> bool| {
            selected.iter().find_map(|source| {
                let components: Vec<Component> = source.components.iter().copied().filter(part).collect();
                let (method, spread) = (source.method, source.interval_of(part));
                (!components.is_empty()).then(|| ChosenSource {
                    source: source.name.clone(),
                    components,
                    method,
                    spread,
                })
            })
        };
        let (processor, memory) = (chosen(is_cpu), chosen(is_memory));
        let boards = chosen(|component| matches!(component, Component::Gpu(_)));
        let sentence = sentence(processor.as_ref(), memory.as_ref(), boards.as_ref());
        Self { processor, memory, boards, sentence }
    }

    /// The weakest of the methods; `None` where nothing is read.
    pub fn weakest(&self) -> Option<Method> {
        Method::weakest([&self.processor, &self.memory, &self.boards].into_iter().flatten().map(|part| part.method))
    }
}

fn sentence(processor: Option<&ChosenSource>, memory: Option<&ChosenSource>, boards: Option<&ChosenSource>) -> String {
    let parts = [processor, memory, boards];
    let say = |name: &str, chosen: Option<&ChosenSource>| match chosen {
        Some(chosen) => format!("{name} {} ({}, {})", chosen.method, chosen.source, chosen.spread),
        None => format!("{name} not counted"),
    };
    let of_boards = match boards {
        Some(chosen) if chosen.components.len() == 1 => say("1 GPU", boards),
        Some(chosen) => say(&format!("{} GPUs", chosen.components.len()), boards),
        None => "no GPU counted".to_owned(),
    };
    let alike = |a: &ChosenSource, b: &ChosenSource| a.source == b.source && a.spread == b.spread;
    let together = processor.zip(memory).is_some_and(|(processor, memory)| alike(processor, memory));
    let all = if together {
        [say("processor and memory", processor), of_boards].join(", ")
    } else {
        [say("processor", processor), say("memory", memory), of_boards].join(", ")
    };
    let mut methods = parts.into_iter().flatten().map(|part| part.method).peekable();
    let attempts = if methods.peek().is_none() {
        "no energy reading is possible here"
    } else if methods.all(|method| method == Method::Modeled) {
        "only modeled energy is possible here"
    } else if processor.is_some_and(|processor| processor.method == Method::Modeled) {
        "the processor can only be modeled here"
    } else {
        "energy counters work here"
    };
    format!("{attempts}: {all}")
}
