//! The card of a quantized model: its own scores and bytes, and what the card of its source says of the making.

use attar_model::card::{Card, Emissions, Origin, Relation, Section, Snippet};
use attar_model::{EncoderConfig, Head};
use attar_text::metrics::Score;
use serde_json::Value;

use crate::{DataFacts, card_parts};

/// What a card is made of.
pub(super) struct Facts<'a> {
    /// What the model is called, and the one that it was made from.
    pub(super) names: [&'a str; 2],
    pub(super) config: &'a EncoderConfig,
    /// Bytes of its weights, and of those it was made from.
    pub(super) bytes: [usize; 2],
    /// What it was scored by, and its scores; none where nothing was scored.
    pub(super) scored: Option<(&'a DataFacts, &'a [Score])>,
    /// Whether the weights in f32, which `transformers` reads, lie beside its own.
    pub(super) has_floats: bool,
    /// What is known of the making, and the card, of the model that it was made from.
    pub(super) provenance: Option<&'a Value>,
    pub(super) source: Option<&'a str>,
}

/// Sections of a card by attar that also hold for the quantized model.
const KEPT: [(&str, &str); 2] = [("What it cost", "What training cost"), ("Notes", "Notes")];

/// The card as Markdown.
pub(super) fn card(facts: &Facts<'_>) -> String {
    let [own, source] = facts.names;
    let size = |model: &str, bytes: usize| card_parts::size(model, facts.config, bytes);
    let classifies = matches!(facts.config.head, Head::Classification { .. });
    let results =
        facts.scored.iter().flat_map(|(data, all)| all.iter().filter_map(|score| card_parts::score(&data.name, score)));
    let metrics = facts.scored.iter().flat_map(|(_, all)| all.iter().map(|score| score.metric.name().into()));
    let sections = KEPT.iter().filter_map(|(title, now)| {
        let text = section(facts.source?, title)?;
        Some(Section { title: (*now).into(), text })
    });
    Card {
        title: own.into(),
        summary: format!("{source} in int8 and int4, made with attar {}.", env!("CARGO_PKG_VERSION")),
        license: facts.source.and_then(license),
        library_name: facts.has_floats.then(|| "transformers".into()),
        pipeline_tag: classifies.then(|| "text-classification".into()),
        tags: vec!["attar".into(), "quantized".into()],
        origin: Some(Origin { relation: Relation::Quantized, model: source.into() }),
        metrics: metrics.collect(),
        results: results.collect(),
        emissions: facts.provenance.and_then(emissions),
        sizes: vec![size(own, facts.bytes[0]), size(&format!("{source}, in f32"), facts.bytes[1])],
        usage: vec![Snippet {
            title: if classifies { "Classify a text" } else { "Turn a text into a vector" }.into(),
            language: "sh".into(),
            code: format!("attar {} {own} \"some text\"", if classifies { "predict" } else { "embed" }),
        }],
        sections: sections.collect(),
        ..Card::default()
    }
    .to_markdown()
}

/// The text under a heading of the second level.
fn section(card: &str, title: &str) -> Option<String> {
    let (_, after) = card.split_once(&format!("\n## {title}\n"))?;
    let text = after.split_once("\n## ").map_or(after, |(text, _)| text).trim();
    (!text.is_empty()).then(|| text.to_string())
}

/// The license in the metadata of a card.
fn license(card: &str) -> Option<String> {
    let (metadata, _) = card.strip_prefix("---\n")?.split_once("\n---\n")?;
    let line = metadata.lines().find_map(|line| line.strip_prefix("license:"))?;
    let license = line.trim().trim_matches(['"', '\'']);
    (!license.is_empty()).then(|| license.to_string())
}

fn emissions(made: &Value) -> Option<Emissions> {
    Some(Emissions {
        grams: made.pointer("/bill/total/carbon_g/value")?.as_f64()?,
        source: Some("attar".into()),
        training_type: Some("fine-tuning".into()),
        geographical_location: made.pointer("/bill/grid/region").and_then(Value::as_str).map(str::to_owned),
        hardware_used: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::metrics::Metric;

    const SOURCE: &str = "---\nlicense: \"mit\"\nbase_model: \"huge\"\n---\n\n# big\n\nDistilled from huge.\n\n\
                          ## Scores\n\n| 0.9 |\n\n## What it cost\n\n| 3 kWh |\n\n## Notes\n\n- cut\n";

    #[test]
    fn a_quantized_model_speaks_for_itself() {
        let config = EncoderConfig::bert_base();
        let data = DataFacts { name: "rows".into(), rows: 50, sha256: String::new() };
        let scores = [Score { metric: Metric::Accuracy, value: Some(0.875), interval: None, rows: 50 }];
        let made = serde_json::json!({"bill": {"total": {"carbon_g": {"value": 2.5}}, "grid": {"region": "Norway"}}});
        let text = card(&Facts {
            names: ["small", "big"],
            config: &config,
            bytes: [7_000_000, 28_000_000],
            scored: Some((&data, &scores)),
            has_floats: false,
            provenance: Some(&made),
            source: Some(SOURCE),
        });
        for part in [
            "license: \"mit\"",
            "base_model: \"big\"",
            "base_model_relation: \"quantized\"",
            "Quantized from big.",
            "| rows | accuracy | 0.875 | – | 50 |",
            "| 7 MB |",
            "| 28 MB |",
            "## What training cost\n\n| 3 kWh |",
            "- cut",
            "2.5 g CO2e in Norway",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("0.9 |") && !text.contains("huge") && !text.contains("library_name"), "{text}");
    }

    #[test]
    fn a_foreign_card_gives_its_license_alone() {
        assert_eq!(license("---\nlicense: apache-2.0\n---\n# x"), Some("apache-2.0".into()));
        assert_eq!(license("# x\nlicense: mit\n"), None);
        assert_eq!(section("# x\n\n## Usage\n\ny\n", "What it cost"), None);
    }
}
