//! Sentences from the grammar: simple ones, and those whose meaning depends on the order of their
//! parts and the reach of a negation.

use super::grammar::Writer;
use super::intents::{HELD_OUT_NOTHING_SENTENCES, INTENTS, Intent, NOTHING_SENTENCES};

/// What goes before a command. It changes nothing, though some of it looks like a negation.
const OPENERS: &[&str] =
    &["", "", "please", "can you", "could you please", "i want you to", "do not forget to", "go ahead and"];
const HELD_OUT_OPENERS: &[&str] = &["remember to", "would you please", "why don't you"];

/// What goes after it.
const CLOSERS: &[&str] = &["", "", "", "please", "thanks", "now", "if you do not mind"];
const HELD_OUT_CLOSERS: &[&str] = &["thank you", "right away"];

/// The speaker thinks again: what follows counts.
const CORRECTIONS: &[&str] = &["no wait ,", "sorry , i meant", "actually no ,"];

/// The speaker says what is not to be done.
const FORBIDDING: &[&str] = &["do not", "don't", "please do not", "there is no need to"];
const HELD_OUT_FORBIDDING: &[&str] = &["please don't", "you don't need to"];

/// Share of sentences in which the speaker thinks again, and in which something is forbidden beside
/// what is wanted. The rest are simple.
const CORRECTED: f64 = 0.08;
const CONTRASTED: f64 = 0.16;

/// A sentence with this intent, in lower case, its punctuation set off by spaces.
pub(super) fn with_intent(writer: &mut Writer<'_>, intent: &Intent) -> String {
    let kind = writer.stream.uniform();
    if kind < CORRECTED {
        let other = other(writer, intent);
        let (first, second) = (request(writer, other), request(writer, intent));
        let turn = *writer.stream.choose(CORRECTIONS);
        format!("{first} , {turn} {second}")
    } else if kind < CORRECTED + CONTRASTED {
        let other = other(writer, intent);
        let (wanted, forbidden) = (request(writer, intent), forbidden(writer, other));
        if writer.stream.chance(0.5) { format!("{forbidden} , {wanted}") } else { format!("{wanted} , {forbidden}") }
    } else if writer.stream.chance(0.4) {
        let template = writer.pick(intent.sentences, intent.held_out_sentences);
        writer.fill(template)
    } else {
        let request = request(writer, intent);
        let closer = writer.pick(CLOSERS, HELD_OUT_CLOSERS);
        writer.fill(&format!("{request} {closer}"))
    }
}

/// A sentence of a speaker who wants nothing done.
pub(super) fn with_nothing(writer: &mut Writer<'_>) -> String {
    let any = writer.stream.choose(INTENTS);
    let kind = writer.stream.uniform();
    if kind < CORRECTED {
        let (first, turn) = (request(writer, any), *writer.stream.choose(CORRECTIONS));
        let second = nothing(writer);
        format!("{first} , {turn} {second}")
    } else if kind < CORRECTED + CONTRASTED {
        let (first, second) = (forbidden(writer, any), other(writer, any));
        let second = forbidden(writer, second);
        format!("{first} , {second}")
    } else if kind < 0.5 {
        nothing(writer)
    } else {
        let forbidden = forbidden(writer, any);
        let closer = writer.pick(CLOSERS, HELD_OUT_CLOSERS);
        writer.fill(&format!("{forbidden} {closer}"))
    }
}

/// Another intent, half the time the one that is most easily taken for this one.
fn other(writer: &mut Writer<'_>, intent: &Intent) -> &'static Intent {
    let opposite = INTENTS.iter().find(|other| other.name == intent.opposite);
    let chosen = match opposite {
        Some(opposite) if writer.stream.chance(0.5) => opposite,
        _ => writer.stream.choose(INTENTS),
    };
    if chosen.name == intent.name { opposite.unwrap_or(chosen) } else { chosen }
}

fn command(writer: &mut Writer<'_>, intent: &Intent) -> String {
    let template = writer.pick(intent.commands, intent.held_out_commands);
    writer.fill(template)
}

fn request(writer: &mut Writer<'_>, intent: &Intent) -> String {
    let opener = writer.pick(OPENERS, HELD_OUT_OPENERS);
    let command = command(writer, intent);
    writer.fill(&format!("{opener} {command}"))
}

fn forbidden(writer: &mut Writer<'_>, intent: &Intent) -> String {
    let forbidding = writer.pick(FORBIDDING, HELD_OUT_FORBIDDING);
    let command = command(writer, intent);
    format!("{forbidding} {command}")
}

fn nothing(writer: &mut Writer<'_>) -> String {
    let template = writer.pick(NOTHING_SENTENCES, HELD_OUT_NOTHING_SENTENCES);
    writer.fill(template)
}
