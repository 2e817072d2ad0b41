//! The energy of a run as BoAmps has it: <https://github.com/Boavizta/BoAmps>.
//!
//! `powerConsumption` is an energy there, in kilowatt-hours. Intervals have no place; `quality` says how wide they are.

use attar_bill::GridChoice;
use attar_meter::source::Component;
use attar_text::metrics::Metric;
use serde_json::{Value, json};

use crate::inventory::{Inventory, in_words};
use crate::run::Run;

/// Version of the format.
const FORMAT: &str = "0.1";

pub(crate) fn report(run: &Run, facts: &Inventory, attar: &str, time: &str) -> Result<Value, String> {
    let report = &run.energy.as_ref().ok_or("the run's ledger is missing, so its energy is not known")?.0;
    let bill = report.bill();
    let energy = bill.total.energy_kwh.ok_or("no energy was read while the run was made")?;
    let header = report.headers().first().ok_or("the run's ledger has no header, so its machine is not known")?;
    let host = &header.host;
    let date = |time: &str| time.replace('T', " ").trim_end_matches('Z').to_string();
    let mut measure = json!({
        "measurementMethod": format!("attar-meter, {}", bill.total.method.map_or_else(|| "unknown".into(), |method| method.to_string())),
        "version": header.version,
        "powerConsumption": energy.value().get(),
        "measurementDuration": report.totals().active().get(),
        "measurementDateTime": header.start.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    });
    let mut track = |key: &str, is_meant: fn(&Component) -> bool| {
        let source = header.sources.iter().find(|source| source.components.iter().any(is_meant));
        if let Some(source) = source {
            measure[key] = json!(source.name);
        }
    };
    track("cpuTrackingMode", |component| matches!(component, Component::Cpu(_)));
    track("gpuTrackingMode", |component| matches!(component, Component::Gpu(_)));
    let mut algorithm = json!({
        "trainingType": if facts.is_labeled { "supervisedLearning" } else { "selfSupervisedLearning" },
        "algorithmType": "neural network",
        "algorithmName": "transformers",
        "framework": "attar",
        "frameworkVersion": attar,
        "optimizer": "adamw",
        "quantization": "fp32",
    });
    if let Some(base) = &facts.base {
        algorithm["foundationModelName"] = json!(base);
    }
    if let Some(parameters) = facts.parameters {
        algorithm["parametersNumber"] = json!(parameters as f64 * 1e-9);
    }
    if let Some(layers) = facts.layers {
        algorithm["layersNumber"] = json!(layers);
    }
    let mut task = json!({
        "taskStage": if facts.is_labeled { "finetuning" } else { "training" },
        "taskFamily": in_words(&facts.task),
        "algorithms": [algorithm],
        "dataset": [{ "dataUsage": "input", "dataType": "text", "dataQuantity": facts.rows }],
        "taskDescription": run.summary.join(" "),
    });
    let score = run.made().and_then(|model| model.scores.iter().find(|score| score.metric == Metric::Accuracy));
    if let Some(accuracy) = score.and_then(|score| score.value) {
        task["measuredAccuracy"] = json!(accuracy);
    }
    let mut components = vec![json!({
        "componentName": if host.cpu.name.is_empty() { "unknown processor" } else { &host.cpu.name },
        "componentType": "cpu",
        "nbComponent": 1,
    })];
    if let Some(bytes) = host.memory_bytes {
        components.push(
            json!({ "componentType": "ram", "nbComponent": 1, "memorySize": (bytes as f64 * 1e-9).round() as u64 }),
        );
    }
    let mut header = json!({ "formatVersion": FORMAT, "reportDatetime": date(time), "reportStatus": "draft" });
    if let Some(license) = &facts.license {
        header["licensing"] = json!(license);
    }
    let mut out = json!({
        "header": header,
        "task": task,
        "measures": [measure],
        "system": { "os": host.system },
        "software": { "language": "rust" },
        // Whose machine it was is not asked for anywhere.
        "infrastructure": { "infraType": "other", "components": components },
        "quality": quality(energy.value().get(), energy.low().get(), energy.high().get()),
    });
    if bill.grid.choice != GridChoice::Unspecified {
        out["environment"] =
            json!({ "country": bill.grid.region, "powerSourceCarbonIntensity": bill.grid.g_per_kwh.get() });
    }
    Ok(out)
}

/// By the wider side of the interval: within 10 %, within 25 %, or more.
fn quality(value: f64, low: f64, high: f64) -> &'static str {
    match (value - low).max(high - value) / value {
        off if off <= 0.1 => "high",
        off if off <= 0.25 => "medium",
        _ => "low",
    }
}

#[cfg(test)]
mod tests {
    use super::quality;

    #[test]
    fn quality_is_the_width_of_the_interval() {
        assert_eq!(
            [quality(10.0, 9.5, 10.9), quality(10.0, 8.0, 11.0), quality(10.0, 3.0, 38.0)],
            ["high", "medium", "low"]
        );
        // Nothing is known to be exact.
        assert_eq!(quality(0.0, 0.0, 0.0), "low");
    }
}
