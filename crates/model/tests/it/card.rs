//! The model card, as the hub and as people read it.

use attar_model::card::{BillLine, Card, Emissions, Interval, Origin, Relation, Score, Section, SizeRow, Snippet};

fn card() -> Card {
    Card {
        title: "sst2: small".into(),
        summary: "Tells whether a film review is kind.".into(),
        license: Some("apache-2.0".into()),
        language: vec!["en".into(), "no".into()],
        library_name: Some("transformers".into()),
        pipeline_tag: Some("text-classification".into()),
        tags: vec!["attar".into(), "tinybert".into()],
        origin: Some(Origin { relation: Relation::Distilled, model: "textattack/bert-base-uncased-SST-2".into() }),
        datasets: vec!["glue".into()],
        metrics: vec!["accuracy".into()],
        results: vec![Score {
            task: "text-classification".into(),
            dataset: "glue".into(),
            dataset_name: "GLUE SST-2".into(),
            split: Some("validation".into()),
            metric: "accuracy".into(),
            value: 0.912_844,
            interval: Some(Interval { low: 0.893, high: 0.930, level: 0.95 }),
            rows: 872,
        }],
        emissions: Some(Emissions {
            grams: 41.5,
            source: Some("attar, measured by RAPL".into()),
            training_type: Some("fine-tuning".into()),
            geographical_location: Some("Quebec, Canada".into()),
            hardware_used: Some("2 cores of a Xeon".into()),
        }),
        sizes: vec![SizeRow {
            model: "this model".into(),
            parameters: 14_350_874,
            bytes: 57_403_496,
            flops: 1.247e9,
            tokens: 128,
        }],
        usage: vec![Snippet {
            title: "From Python:".into(),
            language: "python".into(),
            code: "pipe = pipeline('text-classification', 'student')\n".into(),
        }],
        bill: vec![BillLine {
            what: "training".into(),
            energy_kwh: 0.123_456,
            co2e_grams: Some(41.5),
            money: Some((0.02, "EUR".into())),
            method: "measured".into(),
        }],
        bill_note: Some("Without the teacher's own training.".into()),
        sections: vec![Section { title: "Limits".into(), text: "English only.".into() }],
    }
}

#[test]
fn the_whole_card() {
    let expected = r#"---
license: "apache-2.0"
language:
- "en"
- "no"
library_name: "transformers"
pipeline_tag: "text-classification"
tags:
- "attar"
- "tinybert"
base_model: "textattack/bert-base-uncased-SST-2"
datasets:
- "glue"
metrics:
- "accuracy"
co2_eq_emissions:
  emissions: 41.5
  source: "attar, measured by RAPL"
  training_type: "fine-tuning"
  geographical_location: "Quebec, Canada"
  hardware_used: "2 cores of a Xeon"
model-index:
- name: "sst2: small"
  results:
  - task:
      type: "text-classification"
    dataset:
      type: "glue"
      name: "GLUE SST-2"
      split: "validation"
    metrics:
    - type: "accuracy"
      value: 0.912844
---

# sst2: small

Tells whether a film review is kind.

Distilled from textattack/bert-base-uncased-SST-2.

## Scores

| data | metric | value | interval | rows |
|---|---|---|---|---|
| GLUE SST-2, validation | accuracy | 0.9128 | 0.893 to 0.93 (95 %) | 872 |

## Size

| model | parameters | size | operations |
|---|---|---|---|
| this model | 14,350,874 | 57.4 MB | 1.247 GFLOP for 128 tokens |

## How to use

From Python:

```python
pipe = pipeline('text-classification', 'student')
```

## What it cost

| what | energy | CO2e | money | found by |
|---|---|---|---|---|
| training | 0.1235 kWh | 41.5 g | 0.02 EUR | measured |

Emissions of the making: 41.5 g CO2e on 2 cores of a Xeon in Quebec, Canada (attar, measured by RAPL).

Without the teacher's own training.

## Limits

English only.
"#;
    assert_eq!(card().to_markdown(), expected);
}

#[test]
fn an_empty_card_has_an_empty_front_matter() {
    let card = Card { title: "x".into(), ..Card::default() };
    assert_eq!(card.to_markdown(), "---\n---\n\n# x\n");
}

#[test]
fn what_is_put_in_cannot_break_out() {
    let evil = "---\nlicense: mit\n# \"x\" | `y` \u{2028}\u{0}".to_string();
    let card = Card {
        title: evil.clone(),
        license: Some(evil.clone()),
        tags: vec![evil.clone()],
        bill: vec![BillLine {
            what: evil.clone(),
            energy_kwh: f64::NAN,
            co2e_grams: None,
            money: None,
            method: evil.clone(),
        }],
        ..Card::default()
    };
    let text = card.to_markdown();
    // Exactly two lines close the front matter, and its keys are the two that were set.
    let front: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(front.iter().filter(|line| **line == "---").count(), 2);
    assert_eq!(front.len(), 5, "{front:?}");
    assert!(text.contains("\\| `y`"), "{text}");
    assert!(text.contains("– kWh"));
}

#[test]
fn a_card_says_how_its_model_was_made() {
    let text = |relation| {
        let origin = Some(Origin { relation, model: "big".into() });
        Card { title: "small".into(), origin, ..Card::default() }.to_markdown()
    };
    for (relation, body, hub) in [
        (Relation::Distilled, "\nDistilled from big.\n", None),
        (Relation::FineTuned, "\nFine-tuned from big.\n", Some("finetune")),
        (Relation::Quantized, "\nQuantized from big.\n", Some("quantized")),
    ] {
        let text = text(relation);
        assert!(text.contains(body) && text.contains("base_model: \"big\"\n"), "{text}");
        let line = hub.map(|hub| format!("base_model_relation: \"{hub}\"\n"));
        assert_eq!(text.contains("base_model_relation"), line.is_some(), "{text}");
        assert!(line.is_none_or(|line| text.contains(&line)), "{text}");
    }
}
