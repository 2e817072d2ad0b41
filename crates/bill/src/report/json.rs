//! Reports as JSON.

use attar_meter::CONFIDENCE;
use serde_json::{Map, Value, json};

use super::Report;
use super::columns::{COMPONENTS, LINES, ReportColumn, SHARES, UNITS};

/// Number of the schema of reports and comparisons. Within it names never change their meaning;
/// new ones may come.
pub const REPORT_SCHEMA: u32 = 1;

impl Report {
    /// Everything in the report. Names carry their units; what is not known is `null`.
    pub fn json(&self) -> Value {
        let tariff = &self.bill.tariff;
        json!({
            "schema": REPORT_SCHEMA,
            "kind": "energy report",
            "name": self.name,
            "confidence": CONFIDENCE,
            "phases": self.phase_lines().iter().map(|line| row("phase", &line.name, LINES, line)).collect::<Vec<_>>(),
            "total": row("phase", "total", LINES, &self.total_line()),
            "components": self.component_lines().iter()
                .map(|line| row("component", &line.component.to_string(), COMPONENTS, line)).collect::<Vec<_>>(),
            "attribution": {
                "components": self.attribution.components.iter()
                    .map(|(component, shares)| row("component", &component.to_string(), SHARES, shares)).collect::<Vec<_>>(),
                "notes": self.attribution.notes,
            },
            "units": self.unit_lines().iter().map(|line| row("unit", &line.name, UNITS, line)).collect::<Vec<_>>(),
            "share": self.bill.share,
            "grid": self.bill.grid,
            "market": self.bill.market,
            "tariff": {
                "electricity_per_kwh": tariff.electricity(),
                "machine_per_hour": tariff.device_hour(),
                "spot_machine_per_hour": tariff.spot_hour(),
                "price_source": self.bill.price_source,
                "pue": tariff.pue(),
                "pue_source": self.bill.pue_source,
            },
            "water": self.bill.water,
            "embodied": self.bill.embodied,
            "meters": self.headers,
            "windows": self.windows.len(),
            "overlaps": self.overlaps,
            "gaps": self.bill.gaps,
            "torn": self.torn.iter()
                .map(|line| json!({ "ledger": line.ledger, "line": line.torn.line, "bytes": line.torn.bytes }))
                .collect::<Vec<_>>(),
            "exclusions": self.bill.exclusions,
            "statement": self.statement(),
        })
    }
}

fn row<R>(first: &str, name: &str, columns: &[ReportColumn<R>], row: &R) -> Value {
    let cells = columns.iter().map(|column| {
        let cell = (column.of)(row).map_or(Value::Null, |cell| cell.json());
        (column.key.to_owned(), cell)
    });
    Value::Object(Map::from_iter([(first.to_owned(), json!(name))].into_iter().chain(cells)))
}
