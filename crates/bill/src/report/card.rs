//! The block of a model card that says what the making emitted.

use attar_meter::display;
use attar_meter::source::Component;
use attar_meter::{CONFIDENCE, GramsCo2e};

use super::{Report, describe};
use crate::grid::GridChoice;

impl Report {
    /// The metadata `co2_eq_emissions` as the Hugging Face hub specifies it (its documentation, page
    /// "Displaying carbon emissions for your model"): YAML, emissions in grams. `training_type` is
    /// the caller's word, such as `fine-tuning`. `None` if no energy was read, for then the
    /// emissions are not known.
    pub fn model_card(&self, training_type: Option<&str>) -> Option<String> {
        let carbon = self.bill.total.carbon_g?;
        let method = self.bill.total.method?;
        let version = describe::distinct(self.headers.iter().map(|header| header.version.clone())).join(", ");
        // A power given by the user has no interval, which is not the same as no error.
        let interval = if carbon.low() == carbon.high() {
            "error not known".to_owned()
        } else {
            format!("{:.0} % interval {} to {} g", 100.0 * CONFIDENCE, grams(carbon.low()), grams(carbon.high()))
        };
        let missing = self.bill.gaps.iter().filter(|gap| gap.kind.misses_energy());
        let missing: String = missing.map(|gap| format!("; {}: {}, {}", gap.of, gap.kind, gap.seconds)).collect();
        let (pue, grid) = (self.bill.tariff.pue().get(), &self.bill.grid);
        let source = format!("attar-meter {version}: {method} energy, {interval}{missing}; PUE {pue}; grid {grid}");
        let mut block = format!("co2_eq_emissions:\n  emissions: {}\n", grams(carbon.value()));
        let mut field = |name: &str, value: &str| block.push_str(&format!("  {name}: {}\n", quoted(value)));
        field("source", &source);
        if let Some(training_type) = training_type {
            field("training_type", training_type);
        }
        // An average of the world is no place.
        if self.bill.grid.choice != GridChoice::Unspecified {
            field("geographical_location", &self.bill.grid.region);
        }
        let mut machines = describe::distinct(self.headers.iter().map(|header| {
            let threads = header.host.threads.map(|threads| describe::count(threads, "hardware thread"));
            [Some(describe::processor(&header.host.cpu)), threads].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }));
        let boards = self.totals.components.keys().filter(|component| matches!(component, Component::Gpu(_))).count();
        if boards > 0 {
            machines.push(describe::count(boards, "GPU"));
        }
        if !machines.is_empty() {
            field("hardware_used", &machines.join("; "));
        }
        Some(block)
    }
}

/// More digits than any interval here deserves.
fn grams(grams: GramsCo2e) -> String {
    display::digits(grams.get(), 6)
}

/// A double-quoted scalar of YAML, in which every character that YAML does not print is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)))
            }
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives_quoting() {
        assert_eq!(quoted("a: \"b\" # c\\\n\u{7}\u{85}é\u{2028}"), r##""a: \"b\" # c\\\n\x07\x85é\u2028""##);
    }
}
