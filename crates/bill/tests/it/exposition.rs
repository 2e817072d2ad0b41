//! The text that is scraped: what it says, that it parses, and that its counters only grow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use attar_bill::{Bill, Grid, Tariff, exposition};
use attar_meter::source::Component;
use attar_meter::{ManualClock, Meter, Method, Totals};

use crate::scripted::{Scripted, meter};

/// A series: its name and labels as they stand, and its number.
type Series = BTreeMap<String, f64>;

/// Reads OpenMetrics text strictly: metadata before samples, every family once and in one piece,
/// suffixes by type, labels quoted and escaped, one end.
#[track_caller]
fn parse(text: &str) -> Series {
    let (mut series, mut families) = (Series::new(), BTreeSet::new());
    let (mut name, mut kind, mut unit) = (String::new(), String::new(), None::<String>);
    let body = text.strip_suffix("# EOF\n").expect("ends with # EOF");
    for line in body.lines() {
        assert!(!line.is_empty() && !line.contains('\r'), "{line:?}");
        if let Some(metadata) = line.strip_prefix("# ") {
            let (what, rest) = metadata.split_once(' ').expect("what it is");
            let (family, value) = rest.split_once(' ').expect("a value");
            if what == "HELP" {
                assert!(families.insert(family.to_owned()), "{family} comes twice");
                (name, kind, unit) = (family.to_owned(), String::new(), None);
            }
            assert_eq!(family, name, "metadata of another family");
            match what {
                "HELP" => assert!(!value.is_empty()),
                "TYPE" => kind = value.to_owned(),
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{value}")), "{line}");
                    unit = Some(value.to_owned());
                }
                other => panic!("{other} is no metadata"),
            }
            continue;
        }
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "gauge" => "",
            "info" => "_info",
            other => panic!("type `{other}` before {line}"),
        };
        assert!(unit.is_none() || kind != "info");
        let after = line.strip_prefix(&format!("{name}{suffix}")).unwrap_or_else(|| panic!("{line} is not of {name}"));
        let (labels, number) = labels(after);
        let number: f64 = number.strip_prefix(' ').expect("a space").parse().expect("a number");
        assert!(number.is_finite() && (kind == "gauge" || number >= 0.0), "{line}");
        assert!(kind != "info" || number == 1.0, "{line}");
        assert!(series.insert(format!("{name}{suffix}{labels}"), number).is_none(), "{line} comes twice");
    }
    series
}

/// Splits `{a="b"} 1` and checks what is in the braces.
#[track_caller]
fn labels(text: &str) -> (&str, &str) {
    if !text.starts_with('{') {
        return ("", text);
    }
    let (mut quoted, mut escaped, mut end) = (false, false, None);
    for (place, c) in text.char_indices() {
        match c {
            _ if escaped => {
                assert!(matches!(c, '\\' | '"' | 'n'), "\\{c} in {text}");
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => {
                end = Some(place + 1);
                break;
            }
            _ => {}
        }
    }
    let (labels, rest) = text.split_at(end.expect("a closing brace"));
    let names = labels.matches("=\"").count();
    assert!(names > 0, "{labels}");
    (labels, rest)
}

#[test]
fn the_check_can_fail() {
    let good =
        "# HELP a_joules x.\n# TYPE a_joules counter\n# UNIT a_joules joules\na_joules_total{b=\"c\"} 1.0\n# EOF\n";
    assert_eq!(parse(good)["a_joules_total{b=\"c\"}"], 1.0);
    for (from, to) in [
        ("# EOF\n", ""),
        ("_total", ""),
        (" 1.0", " x"),
        ("# TYPE a_joules counter\n", ""),
        ("joules joules", "joules watts"),
        ("\"c\"", "\"c\\x\""),
        ("\"}", "}"),
        ("# EOF", "\n# EOF"),
        ("# UNIT a_joules joules\n", "# HELP a_joules x.\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| parse(&bad)).is_err(), "{bad}");
    }
}

const CPU: (Component, f64, Method) = (Component::Cpu(0), 80.0, Method::Measured);
const GPU: (Component, f64, Method) = (Component::Gpu(0), 200.0, Method::Modeled);

fn scrape(meter: &Meter) -> String {
    let bill = Bill::new(meter.totals(), &Grid::custom(100.0, "roof").unwrap(), &Tariff::own_machine());
    exposition(meter.totals(), meter.power(), &bill)
}

#[test]
fn every_number_has_its_series() {
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU]), &clock, Duration::from_secs(10), None);
    meter.enter("work");
    clock.advance(Duration::from_secs(10), Duration::from_secs(1));
    meter.tick();
    let version = env!("CARGO_PKG_VERSION");
    let expected = "# HELP attar_energy_joules Energy that the machine drew
# TYPE attar_energy_joules counter
# UNIT attar_energy_joules joules
attar_energy_joules_total{component=\"cpu0\",method=\"measured\",bound=\"value\"} 800.0
attar_energy_joules_total{component=\"cpu0\",method=\"measured\",bound=\"low\"} 400.0
attar_energy_joules_total{component=\"cpu0\",method=\"measured\",bound=\"high\"} 1600.0
# HELP attar_energy_active_seconds Time spent in each phase
# TYPE attar_energy_active_seconds counter
# UNIT attar_energy_active_seconds seconds
attar_energy_active_seconds_total{phase=\"work\"} 10.0
# HELP attar_energy_carbon_grams Greenhouse gas of the building's energy, as CO2 equivalent
";
    let text = scrape(&meter);
    assert!(text.starts_with(expected), "{text}");
    let series = parse(&text);
    let grams = series["attar_energy_carbon_grams_total{bound=\"high\"}"];
    attar_testing::assert_close_relative("g", grams, 1600.0 / 3.6e6 * 100.0, 1e-12);
    assert_eq!(series["attar_energy_power_watts{bound=\"value\"}"], 80.0);
    let info = format!("attar_energy_info{{version=\"{version}\",grid=\"roof\",g_per_kwh=\"100\",pue=\"1\"}}");
    assert_eq!(series[&info], 1.0);
}

#[test]
fn counters_of_a_growing_meter_never_fall() {
    let clock = ManualClock::new();
    let source = Scripted::new(&[CPU, GPU]);
    source.log.lock().unwrap().failing = vec![3, 5];
    let mut meter = meter(source, &clock, Duration::from_secs(1), None);
    let mut before = parse(&scrape(&meter));
    for step in 0..60_u64 {
        meter.enter(["first", "second"][step as usize % 2]);
        clock.advance(Duration::from_millis(300 + 37 * step), Duration::from_millis(11 * step));
        let after = parse(&scrape(&meter));
        for (name, number) in before.iter().filter(|(name, _)| name.contains("_total")) {
            assert!(after.get(name).is_some_and(|after| after >= number), "{name} fell from {number}");
        }
        before = after;
    }
    assert_eq!(before["attar_energy_gaps_total{of=\"scripted\",kind=\"read_failed\"}"], 2.0);
    assert!(before["attar_energy_joules_total{component=\"gpu0\",method=\"modeled\",bound=\"value\"}"] > 1000.0);
}

#[test]
fn hostile_names_are_escaped_and_the_unknown_is_absent() {
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[]), &clock, Duration::from_secs(1), None);
    let hostile = "a\"b\\c\n# EOF\n{x=\"y\"} 1";
    meter.enter(hostile);
    clock.advance(Duration::from_secs(2), Duration::ZERO);
    meter.tick();
    let bill = Bill::new(meter.totals(), &Grid::custom(100.0, hostile).unwrap(), &Tariff::own_machine());
    let series = parse(&exposition(meter.totals(), None, &bill));
    let quoted = "a\\\"b\\\\c\\n# EOF\\n{x=\\\"y\\\"} 1";
    assert_eq!(series[&format!("attar_energy_active_seconds_total{{phase=\"{quoted}\"}}")], 2.0);
    assert!(series.keys().all(|name| !name.contains("joules") && !name.contains("watts") && !name.contains("grams")));

    let nothing = Bill::new(&Totals::default(), &Grid::default(), &Tariff::own_machine());
    let text = exposition(&Totals::default(), None, &nothing);
    assert_eq!(parse(&text).len(), 1, "{text}");
}

// The dashboard asks for what is served, and for nothing else.
#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana-energy.json");
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let clock = ManualClock::new();
    let mut meter = meter(Scripted::new(&[CPU, GPU]), &clock, Duration::from_secs(1), None);
    clock.advance(Duration::from_secs(10), Duration::from_secs(1));
    meter.tick();
    let mut text = scrape(&meter);
    // No gap was met here, but it has a family.
    text.push_str("attar_energy_gaps_total");
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 5);
    let mut asked = BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let metric = expression.split(word).find(|word| word.starts_with("attar_")).unwrap();
        assert!(text.contains(metric), "{metric} is not served:\n{text}");
        asked.insert(metric.to_owned());
    }
    assert_eq!(asked.len(), 6, "{asked:?}");
}
