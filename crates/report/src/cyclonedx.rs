//! A bill of materials: CycloneDX 1.6, whose model card has a place for energy.
//!
//! <https://cyclonedx.org/docs/1.6/json/>: energies are kilowatt-hours, emissions tonnes; intervals have no place there and
//! stand in properties.

use attar_meter::{Estimate, KilowattHours};
use serde_json::{Value, json};

use crate::inventory::{Inventory, in_words};
use crate::run::{Run, Speed};

/// Joules in a kilowatt-hour.
const JOULES: f64 = 3.6e6;

pub(crate) fn bill_of_materials(run: &Run, facts: &Inventory, attar: &str, time: &str) -> Result<Value, String> {
    let mut consumptions = vec![making(run, facts)?];
    consumptions.extend(run.made().and_then(|model| model.speed.as_ref()).and_then(use_of));
    let mut model = json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": run.name,
        "description": run.summary.join(" "),
        "modelCard": {
            "modelParameters": {
                "approach": { "type": if facts.is_labeled { "supervised" } else { "self-supervised" } },
                "task": in_words(&facts.task),
                "architectureFamily": "transformer",
                "modelArchitecture": facts.architecture,
                "datasets": [{ "ref": "data" }],
                "inputs": [{ "format": "text" }],
            },
            "quantitativeAnalysis": { "performanceMetrics": metrics(run) },
            "considerations": {
                "useCases": [in_words(&facts.task)],
                "technicalLimitations": limits(facts),
                "environmentalConsiderations": { "energyConsumptions": consumptions },
            },
        },
    });
    let properties: Vec<Value> = [
        ("attar:fingerprint", facts.fingerprint.clone()),
        ("attar:parameters", facts.parameters.map(|count| count.to_string())),
        ("attar:layers", facts.layers.map(|count| count.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(property(name, value?)))
    .collect();
    model["properties"] = json!(properties);
    if let Some(license) = &facts.license {
        model["licenses"] = json!([{ "license": { "name": license } }]);
    }
    let unit = if facts.is_labeled { "rows" } else { "sequences" };
    let mut components = vec![json!({
        "type": "data",
        "bom-ref": "data",
        "name": facts.data,
        "data": [{
            "type": "dataset",
            "name": facts.data,
            "description": format!("{} {unit} to learn from", facts.rows),
        }],
        "properties": [property("attar:sha256-of-rows", facts.data_sha256.clone())],
    })];
    let mut needs = vec!["data"];
    if let Some(base) = &facts.base {
        components.push(json!({ "type": "machine-learning-model", "bom-ref": "base", "name": base }));
        needs.push("base");
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": { "components": [{ "type": "application", "name": "attar", "version": attar }] },
            "component": model,
        },
        "components": components,
        "dependencies": [{ "ref": "model", "dependsOn": needs }],
    }))
}

/// What the making drew.
fn making(run: &Run, facts: &Inventory) -> Result<Value, String> {
    let report = &run.energy.as_ref().ok_or("the run's ledger is missing, so its energy is not known")?.0;
    let bill = report.bill();
    // The machine's alone, as for the texts below: what the building adds is in the emissions.
    let energy = bill.total.energy_kwh.ok_or("no energy was read while the run was made")?;
    let activity = if facts.is_labeled { "fine-tuning" } else { "training" };
    let mut entry = consumption(activity, energy, &bill.grid.region);
    if let Some(carbon) = bill.total.carbon_g {
        entry["co2CostEquivalent"] = json!({ "value": carbon.value().get() * 1e-6, "unit": "tCO2eq" });
    }
    let method = bill.total.method.map_or_else(|| "unknown".into(), |method| method.to_string());
    add(&mut entry, property("attar:method", method));
    add(&mut entry, property("attar:left-out", bill.exclusions.join("; ")));
    Ok(entry)
}

/// What 1,000 texts cost.
fn use_of(speed: &Speed) -> Option<Value> {
    let joules = speed.joules_per_thousand?;
    let mut entry = consumption("inference", joules.map(KilowattHours::from), "unknown");
    add(&mut entry, property("attar:texts", "1000".into()));
    Some(entry)
}

fn consumption(activity: &str, energy: Estimate<KilowattHours>, region: &str) -> Value {
    let kwh = |energy: f64| json!({ "value": energy, "unit": "kWh" });
    let value = energy.value().get();
    json!({
        "activity": activity,
        "energyProviders": [
            { "organization": { "name": format!("grid: {region}") }, "energySource": "unknown", "energyProvided": kwh(value) }
        ],
        "activityEnergyCost": kwh(value),
        "properties": [
            property("attar:joules", (value * JOULES).to_string()),
            property("attar:kwh-low", energy.low().get().to_string()),
            property("attar:kwh-high", energy.high().get().to_string()),
        ],
    })
}

fn metrics(run: &Run) -> Vec<Value> {
    let scores = run.made().map(|model| model.scores.as_slice()).unwrap_or_default();
    let metric = |score: &attar_text::metrics::Score| {
        let mut metric = json!({ "type": score.metric.name(), "value": score.value?.to_string() });
        if let Some(i) = score.interval {
            metric["confidenceInterval"] = json!({ "lowerBound": i.low.to_string(), "upperBound": i.high.to_string() });
        }
        Some(metric)
    };
    scores.iter().filter_map(metric).collect()
}

/// What holds for every model of this kind.
fn limits(facts: &Inventory) -> Vec<String> {
    vec![format!("Scores are those of rows like the ones of {}; on other texts they may be lower.", facts.data)]
}

fn property(name: &str, value: String) -> Value {
    json!({ "name": name, "value": value })
}

fn add(entry: &mut Value, property: Value) {
    if let Some(properties) = entry["properties"].as_array_mut() {
        properties.push(property);
    }
}
