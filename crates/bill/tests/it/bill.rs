//! The bill, and Strubell's figures as a check of its arithmetic.

use std::collections::BTreeMap;

use attar_bill::{
    Bill, Currency, DevicePrice, Embodied, Factors, Grid, PricePerHour, PricePerKwh, PuePreset, Sci, SciError, Tariff,
    Unit, Water,
};
use attar_meter::source::Component;
use attar_meter::{
    ComponentEnergy, Estimate, Gap, GapKind, GramsCo2e, JOULES_PER_KILOWATT_HOUR, Joules, LitersPerKwh, Method, Pue,
    Seconds, Split, Totals, Window,
};
use attar_testing::assert_close_relative;
use proptest::prelude::*;

/// Grams in a pound, exactly (international avoirdupois pound).
const POUND: f64 = 453.592_37;

pub(crate) fn window(phase: &str, component: Component, watts: f64, seconds: f64, method: Method) -> Window {
    let joules = |factor: f64| Joules::new(watts * seconds * factor).unwrap();
    let joules = Estimate::new(joules(1.0), joules(0.5), joules(2.0)).unwrap();
    Window {
        phase: phase.to_owned(),
        start: jiff::Timestamp::UNIX_EPOCH,
        end: jiff::Timestamp::UNIX_EPOCH,
        start_s: Seconds::ZERO,
        end_s: Seconds::new(seconds).unwrap(),
        active_s: Seconds::new(seconds).unwrap(),
        cpu_s: None,
        others_cpu_s: None,
        own_share: BTreeMap::new(),
        energy: BTreeMap::from([(component, ComponentEnergy { joules, method })]),
        split: Split::Whole,
        gaps: Vec::new(),
    }
}

fn totals(watts: f64, hours: f64) -> Totals {
    Totals::from_windows(&[window("run", Component::Machine, watts, hours * 3600.0, Method::Measured)])
}

fn usd() -> Currency {
    "USD".parse().unwrap()
}

fn strubell() -> (Grid, Tariff) {
    let grid = Grid::custom(0.954 * POUND, "US 2018, 0.954 lb/kWh").unwrap();
    (grid, Tariff::own_machine().with_pue(PuePreset::named("strubell2019").unwrap().pue))
}

// Strubell, Ganesh, McCallum 2019, Table 3: watts, hours, devices, price of a device's hour, and the
// printed kWh, pounds and dollars before rounding. The printed 79 h of the V100 row are 79.2 h.
#[test]
fn strubells_table_comes_out() {
    let rows = [
        (1415.78, 12.0, 8.0, 0.43, 26.843, 25.608, 41.28),
        (1515.43, 84.0, 8.0, 1.46, 201.128, 191.876, 981.12),
        (517.66, 336.0, 3.0, 0.43, 274.815, 262.174, 433.44),
        (12_041.51, 79.2, 64.0, 0.74, 1506.826, 1437.512, 3750.91),
        (1515.43, 274_120.0, 8.0, 0.43, 656_347.28, 626_155.31, 942_972.8),
    ];
    let (grid, tariff) = strubell();
    assert_close_relative("g/kWh", grid.g_per_kwh.get(), 432.73, 1e-5);
    for (watts, hours, devices, price, kwh, pounds, dollars) in rows {
        let tariff = tariff.with_device_hour(PricePerHour::new(price * devices, usd()).unwrap()).unwrap();
        let bill = Bill::new(&totals(watts, hours), &grid, &tariff);
        // The expected numbers have three decimals at least.
        assert_close_relative("kWh", bill.total.facility_kwh.unwrap().value().get(), kwh, 2e-5);
        assert_close_relative("lb", bill.total.carbon_g.unwrap().value().get() / POUND, pounds, 2e-5);
        assert_close_relative("USD", bill.total.money.unwrap().value().amount(), dollars, 2e-5);
        assert_close_relative("W", bill.total.power_w.unwrap().value().get(), watts, 1e-12);
        assert_close_relative("W·PUE", bill.total.facility_w.unwrap().value().get(), watts * 1.58, 1e-12);
    }
}

// The same table's rows with one price each way: on demand is the value, pre-emptible the lower bound.
#[test]
fn strubells_prices_are_the_bounds_of_the_money() {
    let rows = [
        ("P100", 8.0, 12.0, 41.28, 140.16),
        ("P100", 3.0, 336.0, 433.44, 1471.68),
        ("V100", 64.0, 79.2, 3750.912, 12_570.624),
        ("TPUv2", 16.0, 96.0, 2073.6, 6912.0),
        ("TPUv2", 1.0, 32_633.0, 44_054.55, 146_848.5),
        ("TPUv3", 32.0, 168.0, 12_902.4, 43_008.0),
    ];
    let (grid, tariff) = strubell();
    for (device, devices, hours, low, high) in rows {
        let tariff = DevicePrice::named(device).unwrap().apply_to(tariff, devices).unwrap();
        // No watts are known for the TPUs; the price needs none.
        let money = Bill::new(&totals(1.0, hours), &grid, &tariff).total.money.unwrap();
        assert_close_relative("low", money.low().amount(), low, 1e-14);
        assert_close_relative("high", money.high().amount(), high, 1e-14);
        assert_eq!(money.value(), money.high());
    }
}

fn whole() -> Factors {
    let grid = Grid::for_region_year("gcp/europe-west1", 2024).unwrap();
    let market = grid.market().unwrap();
    let water = Water { site: LitersPerKwh::new(1.8).unwrap(), source: Some(LitersPerKwh::new(2.0).unwrap()) };
    let year = Seconds::new(365.0 * 86_400.0).unwrap();
    let server = Estimate::exact(GramsCo2e::new(1e6).unwrap());
    let embodied = Embodied::new(server, Seconds::new(4.0 * year.get()).unwrap(), 0.5, "the maker").unwrap();
    let tariff = Tariff::own_machine().with_pue(Pue::new(1.5).unwrap());
    Factors::new(grid, tariff).with_market(market).with_water(water).with_embodied(embodied)
}

#[test]
fn every_factor_has_its_own_line() {
    let bill = Bill::from_factors(&totals(1000.0, 10.0), &whole());
    let line = &bill.total;
    assert_close_relative("location", line.carbon_g.unwrap().value().get(), 15.0 * 103.37, 1e-14);
    assert_close_relative("market", line.market_carbon_g.unwrap().value().get(), 15.0 * 103.37 * 0.16, 1e-14);
    assert_close_relative("water", line.water_l.unwrap().value().get(), 10.0 * 1.8 + 15.0 * 2.0, 1e-14);
    assert_close_relative("low water", line.water_l.unwrap().low().get(), 24.0, 1e-14);
    // Making does not depend on the energy, and so has none of its interval.
    let making = line.embodied_g.unwrap();
    assert_close_relative("making", making.value().get(), 1e6 * 10.0 / (4.0 * 8760.0) / 2.0, 1e-14);
    assert_eq!(making.low(), making.high());
    let text = bill.to_string();
    for expected in [
        "1.55 kg CO2e [0.78, 3.10] by the grid, 248 g CO2e [124, 496] market-based",
        "market-based: gcp/europe-west1 2024, 16.5 g CO2e/kWh kind not stated (grid × (1 − CFE) = 103 g CO2e/kWh × (1 − 0.84), Google",
        "143 g CO2e embodied",
        "48.0 l [24.0, 96.0] of water",
        "water: 1.80 l/kWh on the site, 2.00 l/kWh where the electricity is made",
        "hardware: 1.00 t CO2e over 1460 d, share 0.500 (the maker)",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(!bill.exclusions.iter().any(|left| left.contains("water") || left.contains("hardware")), "{text}");
    let json = serde_json::to_value(&bill).unwrap();
    assert_eq!(json["market"]["choice"], "market");
    assert_eq!(json["embodied"]["source"], "the maker");
    assert_eq!(json["water"]["site"], 1.8);
    assert_eq!(json["grid"]["license"], "Apache-2.0");
    let factors: Factors = serde_json::from_str(&serde_json::to_string(&whole()).unwrap()).unwrap();
    assert_eq!(factors, whole());
}

#[test]
fn what_no_factor_was_given_for_is_absent_in_text_and_json() {
    let bill = Bill::new(&totals(1.0, 1.0), &Grid::world(), &Tariff::own_machine());
    assert_eq!((bill.total.market_carbon_g, bill.total.water_l, bill.total.embodied_g), (None, None, None));
    let json = serde_json::to_string(&bill).unwrap();
    assert!(!json.contains("market") && !json.contains("water_l") && !json.contains("embodied_g"), "{json}");
    let left = bill.exclusions.join("\n");
    assert!(left.contains("water") && left.contains("hardware"), "{left}");
    let part = Factors { water: Some(Water { source: None, ..whole().water.unwrap() }), ..whole() };
    assert!(
        Bill::from_factors(&totals(1.0, 1.0), &part)
            .exclusions
            .iter()
            .any(|left| left == "water for electricity generation")
    );
}

#[test]
fn software_carbon_intensity_is_using_and_making_by_the_unit() {
    let bill = Bill::from_factors(&totals(1000.0, 10.0), &whole());
    let score = Sci::new("request", 1000.0).unwrap().of(&bill.total).unwrap();
    let making = 1e6 * 10.0 / (4.0 * 8760.0) / 2.0;
    assert_close_relative("value", score.score_g.value().get(), (15.0 * 103.37 + making) / 1000.0, 1e-14);
    assert_close_relative("low", score.score_g.low().get(), (7.5 * 103.37 + making) / 1000.0, 1e-14);
    assert_close_relative("high", score.score_g.high().get(), (30.0 * 103.37 + making) / 1000.0, 1e-14);
    assert_eq!(serde_json::to_value(&score).unwrap()["per"], "request");
    // The market-based figure does not come in.
    let without = Factors { market: None, ..whole() };
    let same =
        Sci::new("request", 1000.0).unwrap().of(&Bill::from_factors(&totals(1000.0, 10.0), &without).total).unwrap();
    assert_eq!(same, score);
    let short = Bill::new(&totals(1.0, 1.0), &Grid::world(), &Tariff::own_machine());
    assert!(matches!(Sci::new("run", 1.0).unwrap().of(&short.total), Err(SciError::NoEmbodied { .. })));
    let none = Bill::from_factors(&Totals::default(), &whole());
    assert!(matches!(Sci::new("run", 1.0).unwrap().of(&none.total), Err(SciError::NoEnergy { .. })));
    assert!(Sci::new("run", 0.0).is_err() && Sci::new("run", f64::NAN).is_err());
}

#[test]
fn units_have_names_and_joules_come_first() {
    let bill = Bill::from_factors(&totals(100.0, 1.0), &whole());
    let cost = bill.per(&Unit::new("point of accuracy", 0.8).unwrap(), 1);
    assert_close_relative("J", cost.energy_j.unwrap().value().get(), 450_000.0, 1e-14);
    assert!(cost.to_string().starts_with("1 × point of accuracy: 188 Wh [94, 375], 1.25 h"), "{cost}");
    let request = bill.per(&Unit::new("request", 1e12).unwrap(), 1);
    assert!(request.to_string().starts_with("1 × request: 540 nJ [270, 1080], 3.60 ns"), "{request}");
    assert!(request.to_string().contains("of water") && request.to_string().contains("market-based"), "{request}");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Unit::new("epoch", bad).is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<Unit>(r#"{"name":"epoch","count":0}"#).is_err());
    let none = Bill::from_factors(&Totals::default(), &whole()).per(&Unit::new("epoch", 1.0).unwrap(), 1);
    assert!(none.to_string().starts_with("1 × epoch: no energy read"), "{none}");
}

#[test]
fn phases_and_total_say_what_they_are() {
    let all = Totals::from_windows(&[
        window("first", Component::Cpu(0), 100.0, 3600.0, Method::Measured),
        window("second", Component::Cpu(0), 50.0, 7200.0, Method::Modeled),
    ]);
    let tariff = Tariff::own_machine().with_electricity(PricePerKwh::new(0.30, usd()).unwrap()).unwrap();
    let bill = Bill::new(&all, &Grid::for_region("FR").unwrap(), &tariff);
    assert_eq!(bill.phases.iter().map(|line| line.phase.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!((bill.phases[0].method, bill.total.method), (Some(Method::Measured), Some(Method::Modeled)));
    assert_eq!(bill.total.energy_kwh.unwrap().to_string(), "200 Wh [100, 400]");
    assert_eq!(bill.total.money.unwrap().to_string(), "0.0600 USD [0.0300, 0.1200]");
    assert_eq!(bill.total.active_s.hours(), 3.0);
    let json: serde_json::Value = serde_json::to_value(&bill).unwrap();
    assert_eq!(json["total"]["facility_kwh"]["high"], 0.4);
    assert_eq!(json["phases"][1]["method"], "modeled");
    assert_eq!(json["grid"]["choice"], "country");
}

#[test]
fn a_thousand_units_cost_a_share() {
    let bill = Bill::new(&totals(100.0, 1.0), &Grid::world(), &Tariff::own_machine());
    let unit = bill.total.per(41_000, 1000).unwrap();
    assert_close_relative("J", unit.energy_j.unwrap().value().get(), 360_000.0 / 41.0, 1e-12);
    assert_close_relative("g", unit.carbon_g.unwrap().high().get(), 95.0 / 41.0, 1e-12);
    assert_eq!((unit.units, unit.money), (1000, None));
    assert_eq!(bill.total.per(0, 1000), None);
}

#[test]
fn what_is_not_known_is_absent_and_named() {
    let bill = Bill::new(&Totals::default(), &Grid::default(), &Tariff::own_machine());
    assert_eq!(
        (bill.total.energy_kwh, bill.total.carbon_g, bill.total.money, bill.total.method),
        (None, None, None, None)
    );
    let text = bill.to_string();
    for expected in [
        "no energy read",
        "REGION NOT GIVEN",
        "all energy: no source reported any",
        "no price was given",
        "embodied",
        "cooling",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn what_is_left_out_follows_from_what_was_read() {
    let left_out = |component, method, pue: f64| {
        let all = Totals::from_windows(&[window("x", component, 10.0, 10.0, method)]);
        let tariff = Tariff::own_machine().with_pue(Pue::new(pue).unwrap());
        Bill::new(&all, &Grid::default(), &tariff).exclusions.join("\n")
    };
    let measured = left_out(Component::Cpu(0), Method::Measured, 1.2);
    assert!(
        measured.contains("memory") && measured.contains("GPUs") && measured.contains("power supply"),
        "{measured}"
    );
    assert!(!measured.contains("cooling"), "{measured}");
    let modeled = left_out(Component::Cpu(0), Method::Modeled, 1.0);
    assert!(modeled.contains("power supply, where the processor is modeled by its design power"), "{modeled}");
    assert!(!measured.contains("design power") && modeled.contains("cooling"), "{modeled}");
    let machine = left_out(Component::Machine, Method::Measured, 1.0);
    assert!(!machine.contains("memory") && !machine.contains("GPUs") && machine.contains("embodied"), "{machine}");
}

#[test]
fn gaps_stand_on_the_bill() {
    let mut lossy = window("x", Component::Gpu(0), 10.0, 10.0, Method::Measured);
    let detail = "fell to 3".to_owned();
    lossy.gaps =
        vec![Gap { of: "gpu0".into(), kind: GapKind::Reset, seconds: Seconds::new(2.0).unwrap(), times: 1, detail }];
    let all = Totals::from_windows(&[lossy.clone(), lossy]);
    let text = Bill::new(&all, &Grid::default(), &Tariff::own_machine()).to_string();
    assert!(text.contains("gap: gpu0: counter reset, energy lost, 4.00 s in all, 2 times (fell to 3)"), "{text}");
}

proptest! {
    // Once to energy and once to power, never twice; and back again.
    #[test]
    fn pue_counts_once_and_units_round_trip(watts in 0.001..1e6_f64, hours in 0.001..1e5_f64, pue in 1.0..2.999_f64, g in 0.1..1999.0_f64) {
        let tariff = Tariff::own_machine().with_pue(Pue::new(pue).unwrap());
        let bill = Bill::new(&totals(watts, hours), &Grid::custom(g, "test").unwrap(), &tariff);
        let line = &bill.total;
        let (energy, facility) = (line.energy_kwh.unwrap().value().get(), line.facility_kwh.unwrap().value().get());
        // Some five roundings of 2^-53.
        let near = 2e-15;
        assert_close_relative("energy", facility / energy, pue, near);
        assert_close_relative("power", line.facility_w.unwrap().value().get() / line.power_w.unwrap().value().get(), pue, near);
        let back = line.carbon_g.unwrap().value().get() / g / pue * JOULES_PER_KILOWATT_HOUR;
        assert_close_relative("joules", back, watts * hours * 3600.0, near);
        assert_close_relative("low", line.carbon_g.unwrap().low().get() * 2.0, line.carbon_g.unwrap().value().get(), near);
    }

    // Water on the site is counted by what the computers draw, that of the electricity by what the building does.
    #[test]
    fn pue_counts_once_in_every_line(watts in 0.001..1e6_f64, hours in 0.001..1e5_f64, pue in 1.0..2.999_f64) {
        let with = |pue: f64| {
            let factors = Factors { tariff: Tariff::own_machine().with_pue(Pue::new(pue).unwrap()), ..whole() };
            Bill::from_factors(&totals(watts, hours), &factors).total
        };
        let (one, more) = (with(1.0), with(pue));
        let near = 1e-14;
        assert_close_relative("market", more.market_carbon_g.unwrap().value().get(), one.market_carbon_g.unwrap().value().get() * pue, near);
        assert_close_relative("share", more.market_carbon_g.unwrap().value().get(), more.carbon_g.unwrap().value().get() * 0.16, near);
        let kwh = watts * hours / 1000.0;
        assert_close_relative("water", more.water_l.unwrap().value().get(), kwh * 1.8 + kwh * pue * 2.0, near);
        prop_assert_eq!(more.embodied_g, one.embodied_g);
        let unit = Unit::new("token", 1e9).unwrap();
        let cost = more.per_unit(&unit, 7);
        assert_close_relative("unit", cost.facility_j.unwrap().value().get(), cost.energy_j.unwrap().value().get() * pue, near);
        let text = cost.to_string();
        let energy = text.split(&[':', ','][..]).nth(1).unwrap();
        prop_assert!(energy.contains(|c: char| ('1'..='9').contains(&c)), "{}", text);
    }

    #[test]
    fn the_phases_of_a_bill_add_up(watts in proptest::collection::vec(0.0..1e4_f64, 1..8)) {
        let windows: Vec<Window> = watts.iter().enumerate()
            .map(|(i, watts)| window(&format!("phase {i}"), Component::Cpu(0), *watts, 100.0, Method::Measured))
            .collect();
        let bill = Bill::new(&Totals::from_windows(&windows), &Grid::for_region("DE").unwrap(), &Tariff::own_machine());
        let sum: f64 = bill.phases.iter().map(|line| line.carbon_g.unwrap().value().get()).sum();
        assert_close_relative("carbon", bill.total.carbon_g.unwrap().value().get(), sum, 1e-14);
    }
}
