//! The bill, and Strubell's figures as a check of its arithmetic.

use std::collections::BTreeMap;

use attar_energy::source::Component;
use attar_energy::{
    Bill, ComponentEnergy, Currency, Estimate, Gap, GapKind, Grid, JOULES_PER_KILOWATT_HOUR, Joules, Method,
    PricePerHour, PricePerKwh, Pue, PuePreset, Seconds, Split, Tariff, Totals, Window,
};
use attar_testing::assert_close_relative;
use proptest::prelude::*;

/// Grams in a pound, exactly (international avoirdupois pound).
const POUND: f64 = 453.592_37;

fn window(phase: &str, component: Component, watts: f64, seconds: f64, method: Method) -> Window {
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
    let grid = Grid::own(0.954 * POUND, "US 2018, 0.954 lb/kWh").unwrap();
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

#[test]
fn phases_and_total_say_what_they_are() {
    let all = Totals::from_windows(&[
        window("first", Component::Cpu(0), 100.0, 3600.0, Method::Measured),
        window("second", Component::Cpu(0), 50.0, 7200.0, Method::Modelled),
    ]);
    let tariff = Tariff::own_machine().with_electricity(PricePerKwh::new(0.30, usd()).unwrap()).unwrap();
    let bill = Bill::new(&all, &Grid::of("FR").unwrap(), &tariff);
    assert_eq!(bill.phases.iter().map(|line| line.phase.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!((bill.phases[0].method, bill.total.method), (Some(Method::Measured), Some(Method::Modelled)));
    assert_eq!(bill.total.energy_kwh.unwrap().to_string(), "200 Wh [100, 400]");
    assert_eq!(bill.total.money.unwrap().to_string(), "0.0600 USD [0.0300, 0.1200]");
    assert_eq!(bill.total.active_s.hours(), 3.0);
    let json: serde_json::Value = serde_json::to_value(&bill).unwrap();
    assert_eq!(json["total"]["facility_kwh"]["high"], 0.4);
    assert_eq!(json["phases"][1]["method"], "modelled");
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
        "all energy: no source gave any",
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
        Bill::new(&all, &Grid::default(), &tariff).leaves_out.join("\n")
    };
    let measured = left_out(Component::Cpu(0), Method::Measured, 1.2);
    assert!(
        measured.contains("memory") && measured.contains("graphics") && measured.contains("power supply"),
        "{measured}"
    );
    assert!(!measured.contains("cooling"), "{measured}");
    let modelled = left_out(Component::Cpu(0), Method::Modelled, 1.0);
    assert!(!modelled.contains("power supply") && modelled.contains("cooling"), "{modelled}");
    let machine = left_out(Component::Machine, Method::Measured, 1.0);
    assert!(!machine.contains("memory") && !machine.contains("graphics") && machine.contains("embodied"), "{machine}");
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
        let bill = Bill::new(&totals(watts, hours), &Grid::own(g, "test").unwrap(), &tariff);
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

    #[test]
    fn the_phases_of_a_bill_add_up(watts in proptest::collection::vec(0.0..1e4_f64, 1..8)) {
        let windows: Vec<Window> = watts.iter().enumerate()
            .map(|(i, watts)| window(&format!("phase {i}"), Component::Cpu(0), *watts, 100.0, Method::Measured))
            .collect();
        let bill = Bill::new(&Totals::from_windows(&windows), &Grid::of("DE").unwrap(), &Tariff::own_machine());
        let sum: f64 = bill.phases.iter().map(|line| line.carbon_g.unwrap().value().get()).sum();
        assert_close_relative("carbon", bill.total.carbon_g.unwrap().value().get(), sum, 1e-14);
    }
}
