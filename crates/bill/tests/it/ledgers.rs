//! What reports make of ledgers with much in them, with something lost, and with factors of every kind.

use std::collections::BTreeMap;

use attar_bill::report::{Report, emissions_csv};
use attar_bill::{Bill, Factors, Grid, Tariff, Water};
use attar_meter::{LedgerContents, LitersPerKwh, Totals, Window};
use attar_testing::assert_close_relative;
use proptest::prelude::*;

use crate::report::{bill, over, report, window};

#[test]
fn emissions_come_back_from_codecarbons_columns() {
    let csv = emissions_csv([&report(), &over("other", &[window("x", 0.0, 10.0, 50.0, 2.0)])]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    assert_eq!(head.len(), 42);
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    let cell = |row: usize, name: &str| &rows[row][head.iter().position(|head| head == name).unwrap()];
    let number = |row: usize, name: &str| cell(row, name).parse::<f64>().unwrap();
    assert_eq!((rows.len(), cell(1, "project_name")), (2, "other"));
    assert_close_relative("kWh", number(0, "energy_consumed"), 372.5 * 1.5 / 3.6e6, 1e-12);
    assert_close_relative("kg", number(0, "emissions"), number(0, "energy_consumed") * 0.4, 1e-12);
    assert_close_relative("kg/s", number(0, "emissions_rate") * number(0, "duration"), number(0, "emissions"), 1e-12);
    assert_close_relative(
        "sum",
        number(0, "cpu_energy") + number(0, "ram_energy"),
        number(0, "energy_consumed"),
        1e-12,
    );
    assert_close_relative("W", number(0, "cpu_power"), 260.0 * 1.5 / 30.0, 1e-12);
    // What is not known is empty, and what names a person or a place of theirs is never there.
    for name in
        ["gpu_energy", "water_consumed", "wue", "longitude", "latitude", "country_name", "gpu_count", "on_cloud"]
    {
        assert_eq!(cell(0, name), "", "{name}");
    }
    assert_eq!(cell(1, "ram_energy"), "");
}

#[test]
fn water_and_place_are_in_codecarbons_columns() {
    let cells = |region: &str| {
        let mut factors = Factors::new(Grid::for_region(region).unwrap(), Tariff::own_machine());
        factors.water = Some(Water { site: LitersPerKwh::new(1.8).unwrap(), source: None });
        let report = report().with_bill(|totals| Bill::from_factors(totals, &factors));
        let csv = emissions_csv([&report]);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let head = reader.headers().unwrap().clone();
        let row = reader.records().next().unwrap().unwrap();
        head.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect::<BTreeMap<String, String>>()
    };
    let germany = cells("de");
    let number = |name: &str| germany[name].parse::<f64>().unwrap();
    assert_close_relative("l", number("water_consumed"), 1.8 * number("energy_consumed"), 1e-12);
    assert_eq!(number("wue"), 1.8);
    assert_eq!((germany["country_iso_code"].as_str(), germany["country_name"].as_str()), ("DEU", "Germany"));
    assert_eq!(germany["on_cloud"], "");
    let state = cells("US-CA");
    assert_eq!((state["country_iso_code"].as_str(), state["region"].as_str()), ("USA", "california"));
    let cloud = cells("gcp/europe-west1");
    let cell = |name: &str| cloud[name].as_str();
    assert_eq!((cell("cloud_provider"), cell("cloud_region"), cell("on_cloud")), ("gcp", "europe-west1", "Y"));
    assert_eq!(cell("country_iso_code"), "");
}

// A number that goes out alone says where energy is missing from it.
#[test]
fn what_was_lost_stands_in_card_and_csv() {
    let lost = |kind: &str| {
        let mut window = window("x", 0.0, 10.0, 50.0, 2.0);
        let gap = format!(r#"{{"of":"gpu0","kind":"{kind}","seconds":7,"times":1,"detail":"x"}}"#);
        window.gaps.push(serde_json::from_str(&gap).unwrap());
        over("lost", &[window])
    };
    for kind in ["lost", "reset", "ambiguous", "unwritten"] {
        let report = lost(kind);
        assert!(report.model_card(None).unwrap().contains("; gpu0: "), "{}", report.model_card(None).unwrap());
        let csv = emissions_csv([&report]);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert!(row[41].starts_with("gpu0: ") && row[41].ends_with(", 7.00 s"), "{:?}", row);
        assert_eq!(&row[40], "modeled");
        let number = |place: usize| row[place].parse::<f64>().unwrap();
        assert_close_relative("high", number(39), 4.0 * number(38), 1e-12);
    }
    assert!(!lost("sparse").model_card(None).unwrap().contains("gpu0"));
}

// As many phases, meters and kinds of gaps as windows: no step may look at all of them for each, or this
// does not end in good time.
#[test]
fn a_ledger_of_many_phases_is_one_pass() {
    const MANY: usize = 20_000;
    let windows: Vec<Window> = (0..MANY)
        .map(|i| {
            let mut window = window(&format!("phase {i}"), 10.0 * i as f64, 10.0, 1.0, 2.0);
            let gap = format!(r#"{{"of":"x{i}","kind":"sparse","seconds":1,"times":1,"detail":""}}"#);
            window.gaps.push(serde_json::from_str(&gap).unwrap());
            window
        })
        .collect();
    let header = report().headers()[0].clone();
    let contents = LedgerContents {
        headers: vec![header; MANY],
        starts: (0..MANY).collect(),
        windows,
        ..LedgerContents::default()
    };
    let many = Report::from_contents("many", &contents, bill).unwrap();
    assert_eq!((many.totals().phases.len(), many.totals().gaps.len()), (MANY, MANY));
    assert_eq!(many.json()["phases"].as_array().unwrap().len(), MANY);
    assert_eq!(many.tables()[0].rows.len(), MANY + 1);
    assert_close_relative("J", many.totals().energy().unwrap().value().get(), MANY as f64, 1e-9);
}

proptest! {
    // In one pass or window by window.
    #[test]
    fn totals_do_not_depend_on_how_windows_are_added(names in proptest::collection::vec(0_u8..5, 0..30)) {
        let windows: Vec<Window> = names.iter().enumerate().map(|(i, name)| {
            let mut window = window(&name.to_string(), i as f64, 1.0, i as f64, 2.0);
            let gap = format!(r#"{{"of":"{}","kind":"reset","seconds":1,"times":2,"detail":"{i}"}}"#, name % 2);
            window.gaps.push(serde_json::from_str(&gap).unwrap());
            window
        }).collect();
        let mut added = Totals::default();
        windows.iter().for_each(|window| added.add(window));
        prop_assert_eq!(Totals::from_windows(&windows), added);
    }
}
