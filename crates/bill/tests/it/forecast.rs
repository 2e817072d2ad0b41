//! Forecasts, from description to bill and comparison.

use attar_bill::forecast::{
    EFFICIENCY, Efficiency, Forecast, ForecastError, MachineSpec, PeakPrecision, Variant, Workload, what_if,
};
use attar_bill::{Currency, Grid, PricePerHour, PricePerKwh, PuePreset, Tariff};
use attar_meter::source::Component;
use attar_meter::{Estimate, Method, Pue, Watts};
use attar_testing::assert_close_relative;
use proptest::prelude::*;

fn usd() -> Currency {
    "USD".parse().unwrap()
}

fn watts(value: f64) -> Watts {
    Watts::new(value).unwrap()
}

fn server() -> MachineSpec {
    MachineSpec::new()
        .with_accelerators("A100-SXM4-80GB", 8)
        .and_then(|machine| machine.with_processors("EPYC 7763", 2))
        .and_then(|machine| machine.with_memory_gb(1024.0))
        .unwrap()
}

fn hours(hours: f64) -> Workload {
    Workload::hours(hours).unwrap()
}

#[test]
fn a_server_adds_up() {
    let workload = hours(10.0).with_utilization(1.0).unwrap().with_processor_utilization(0.5).unwrap();
    let forecast = Forecast::new(&server(), &workload).unwrap();
    let (boards, packages, memory) = (8.0 * 400.0 * 0.89, 2.0 * 280.0 * 0.525, 1024.0 * 0.08);
    assert_close_relative("W", forecast.power_w.value().get(), boards + packages + memory, 1e-12);
    let low = 8.0 * 400.0 * 0.55 + packages * 0.38 + memory / 4.0;
    let high = 8.0 * 400.0 + packages * 1.83 + memory * 5.0;
    assert_close_relative("low", forecast.power_w.low().get(), low, 1e-12);
    assert_close_relative("high", forecast.power_w.high().get(), high, 1e-12);
    assert_close_relative("J", forecast.energy_j.value().get(), (boards + packages + memory) * 36_000.0, 1e-12);
    assert_close_relative("J low", forecast.energy_j.low().get(), low * 36_000.0, 1e-12);
    assert_eq!(forecast.method, Method::Modeled);
    let components: Vec<Component> = forecast.components.keys().copied().collect();
    assert_eq!(components, [Component::Cpu(0), Component::Memory(0), Component::Gpu(0)]);
    let remarks = forecast.remarks.join("\n");
    for text in ["8 × A100 SXM4 80 GB (400 W): 0.89 [0.55, 1.00] of its limit", "MIT", "0.08 W/GB", "base power"] {
        assert!(remarks.contains(text), "{text} is missing in\n{remarks}");
    }
}

// Between spot and on demand lies the price; the doubt about energy and time goes on top of it.
#[test]
fn a_machine_of_two_prices_keeps_both_as_bounds() {
    let price = |usd_per_hour| PricePerHour::new(usd_per_hour, usd()).unwrap();
    let rent = Tariff::own_machine().with_device_hour(price(3.0)).unwrap().with_spot_hour(price(1.0)).unwrap();
    let money = |workload: &Workload, tariff: &Tariff| {
        let forecast = Forecast::new(&server(), workload).unwrap();
        let grid = Grid::world();
        let row = Variant { label: String::new(), forecast: &forecast, grid: &grid, tariff };
        let money = what_if(&[row])[0].money.unwrap();
        (money.low().amount(), money.value().amount(), money.high().amount())
    };
    assert_eq!(money(&hours(10.0), &rent), (10.0, 30.0, 30.0));
    // A spot price above the one on demand is the upper bound.
    let dear = Tariff::own_machine().with_device_hour(price(3.0)).unwrap().with_spot_hour(price(4.0)).unwrap();
    assert_eq!(money(&hours(10.0), &dear), (30.0, 30.0, 40.0));
    // Arithmetic whose time is in doubt: least time at the lower price, most time at the higher.
    let work = Workload::operations(1e18, PeakPrecision::Half).unwrap();
    let time = Forecast::new(&server(), &work).unwrap().time_s;
    let (low, _, high) = money(&work, &rent);
    assert_close_relative("low", low, time.low().hours(), 1e-9);
    assert_close_relative("high", high, 3.0 * time.high().hours(), 1e-9);
}

#[test]
fn a_forecast_becomes_a_bill_by_way_of_totals() {
    let forecast = Forecast::new(&server(), &hours(2.0)).unwrap();
    let totals = forecast.totals();
    assert_eq!((totals.energy(), totals.method()), (Some(forecast.energy_j), Some(Method::Modeled)));
    assert_eq!(totals.active().hours(), 2.0);
    assert_eq!(totals.phase("forecast").unwrap().energy(), totals.energy());
    let tariff = Tariff::own_machine()
        .with_pue(PuePreset::named("uptime2024").unwrap().pue)
        .with_device_hour(PricePerHour::new(20.0, usd()).unwrap())
        .unwrap();
    let bill = forecast.bill(&Grid::for_region("FR").unwrap(), &tariff);
    assert_close_relative(
        "kWh",
        bill.total.facility_kwh.unwrap().value().get(),
        forecast.energy_j.value().get() / 3.6e6 * 1.56,
        1e-12,
    );
    assert_eq!(bill.total.money.unwrap().value().amount(), 40.0);
    let left_out = bill.exclusions.join("\n");
    assert!(left_out.contains("disks, fans, board") && left_out.contains("embodied"), "{left_out}");
}

#[test]
fn what_is_not_told_widens_the_interval() {
    let machine = MachineSpec::new().with_accelerators("A40", 1).unwrap();
    let power = |workload: &Workload| Forecast::new(&machine, workload).unwrap().power_w.to_string();
    assert_eq!(power(&hours(1.0)), "198 W [39, 288]");
    assert_eq!(power(&hours(1.0).with_utilization(1.0).unwrap()), "267 W [165, 300]");
    assert_eq!(power(&hours(1.0).with_utilization(0.0).unwrap()), "42.0 W [24.0, 90.0]");
    let limited = machine.clone().with_power_limit(watts(150.0)).unwrap();
    let forecast = Forecast::new(&limited, &hours(1.0).with_utilization(1.0).unwrap()).unwrap();
    assert_eq!(forecast.power_w.to_string(), "150 W [120, 158]");
    assert!(forecast.remarks.join("\n").contains("limited to 150 W"));
}

#[test]
fn ones_own_watts_stand_for_the_whole() {
    let given = Estimate::new(watts(300.0), watts(250.0), watts(400.0)).unwrap();
    let forecast = Forecast::new(&MachineSpec::from_watts(given), &hours(10.0)).unwrap();
    assert_eq!(forecast.power_w, given);
    assert_close_relative("high", forecast.energy_j.high().get(), 400.0 * 36_000.0, 1e-12);
    assert_eq!(forecast.components.keys().copied().collect::<Vec<_>>(), [Component::Machine]);
    let exact = Forecast::new(&MachineSpec::from_watts(Estimate::exact(watts(300.0))), &hours(10.0)).unwrap();
    assert_eq!(exact.energy_j.low(), exact.energy_j.high());
    assert!(exact.remarks[0].contains("taken as exact"), "{:?}", exact.remarks);
    // Beside boards, the host may be given in watts.
    let host = MachineSpec::new().with_custom_accelerators("H200", watts(700.0), Some(989.5), 4).unwrap();
    let host = host.with_host_watts(Estimate::exact(watts(500.0))).unwrap();
    let forecast = Forecast::new(&host, &hours(1.0).with_utilization(1.0).unwrap()).unwrap();
    assert_close_relative("W", forecast.power_w.value().get(), 4.0 * 700.0 * 0.89 + 500.0, 1e-12);
}

#[test]
fn without_accelerators_the_utilization_is_the_processors() {
    let machine = MachineSpec::new().with_processors("E5-2630v4", 2).unwrap();
    let forecast = Forecast::new(&machine, &hours(1.0).with_utilization(1.0).unwrap()).unwrap();
    assert_eq!(forecast.power_w.value().get(), 170.0);
}

#[test]
fn operations_become_hours() {
    let machine = MachineSpec::new().with_accelerators("A100 SXM", 4).unwrap();
    let workload = Workload::operations(1e21, PeakPrecision::Half).unwrap();
    let forecast = Forecast::new(&machine, &workload).unwrap();
    let seconds = 1e21 / (4.0 * 312e12 * EFFICIENCY.value());
    assert_close_relative("s", forecast.time_s.value().get(), seconds, 1e-12);
    assert_close_relative("low", forecast.time_s.low().get(), seconds * 0.35 / 0.6, 1e-12);
    assert_close_relative("high", forecast.time_s.high().get(), seconds * 3.5, 1e-12);
    // Wider than time and power alone, narrower than their worst cases together.
    let ratio = forecast.energy_j.high().get() / forecast.energy_j.value().get();
    assert!(3.5 < ratio && ratio < 3.5 * 0.96 / 0.66, "{ratio}");
    let own = workload.with_efficiency(Efficiency::new(0.5, 0.5, 0.5).unwrap());
    let forecast = Forecast::new(&machine, &own).unwrap();
    assert_close_relative("s", forecast.time_s.value().get(), 1e21 / (4.0 * 312e12 * 0.5), 1e-12);
    assert_eq!(forecast.time_s.low(), forecast.time_s.high());

    for (name, precision, expected) in [
        ("V100S", PeakPrecision::Half, "no peak is listed for Tesla V100S in half precision"),
        ("RTX 3090", PeakPrecision::Half, "leaves out its tensor cores"),
        ("A100 SXM", PeakPrecision::Single, "no peak is listed for A100 SXM4 80 GB in single precision"),
    ] {
        let machine = MachineSpec::new().with_accelerators(name, 1).unwrap();
        let error = Forecast::new(&machine, &Workload::operations(1e18, precision).unwrap()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("give hours or your own peak"), "{error}");
    }
    let processors = MachineSpec::new().with_processors("EPYC 7763", 1).unwrap();
    let error = Forecast::new(&processors, &Workload::operations(1e18, PeakPrecision::Single).unwrap()).unwrap_err();
    assert!(error.to_string().contains("the machine has no accelerators"), "{error}");
}

#[test]
fn tensor_processors_say_what_is_counted() {
    let forecast =
        |name, count| Forecast::new(&MachineSpec::new().with_accelerators(name, count).unwrap(), &hours(1.0)).unwrap();
    let (chips, devices) = (forecast("TPU v3 chip", 16), forecast("TPU v3 device", 4));
    assert_eq!(chips.power_w, devices.power_w);
    assert_close_relative("W", chips.power_w.value().get(), 16.0 * 283.0, 1e-12);
    // The lowest, mean and highest that Google measured lie inside.
    assert!(chips.power_w.low().get() > 16.0 * 123.0 && chips.power_w.low().get() < 16.0 * 220.0);
    let remarks = chips.remarks.join("\n");
    assert!(remarks.contains("counted by the chip") && remarks.contains("4 chips or 8 cores"), "{remarks}");
}

#[test]
fn bad_input_is_refused_by_name() {
    let texts = [
        MachineSpec::new().with_accelerators("A1000", 1).unwrap_err().to_string(),
        MachineSpec::new().with_accelerators("A40", 0).unwrap_err().to_string(),
        MachineSpec::new().with_processors("EPYC 7763", 0).unwrap_err().to_string(),
        MachineSpec::new().with_accelerators("A40", u32::MAX).unwrap_err().to_string(),
        MachineSpec::new().with_memory_gb(-1.0).unwrap_err().to_string(),
        MachineSpec::new().with_custom_accelerators("mine", watts(5000.0), None, 1).unwrap_err().to_string(),
        MachineSpec::new().with_custom_accelerators("mine", watts(500.0), Some(0.0), 1).unwrap_err().to_string(),
        MachineSpec::new().with_power_limit(watts(0.0)).unwrap_err().to_string(),
        MachineSpec::from_watts(Estimate::exact(watts(5.0))).with_memory_gb(1.0).unwrap_err().to_string(),
        Workload::hours(-1.0).unwrap_err().to_string(),
        Workload::hours(1e9).unwrap_err().to_string(),
        hours(1.0).with_utilization(1.5).unwrap_err().to_string(),
        hours(1.0).with_processor_utilization(f64::NAN).unwrap_err().to_string(),
        Workload::operations(0.0, PeakPrecision::Half).unwrap_err().to_string(),
        Efficiency::new(0.5, 0.6, 0.7).unwrap_err().to_string(),
        Forecast::new(&MachineSpec::new(), &hours(1.0)).unwrap_err().to_string(),
        Forecast::new(&MachineSpec::from_watts(Estimate::exact(watts(1e300))), &hours(1.0)).unwrap_err().to_string(),
        Forecast::new(&server(), &Workload::operations(1e31, PeakPrecision::Half).unwrap()).unwrap_err().to_string(),
    ];
    let expected = [
        "accelerator `A1000` is not among the 54 known; nearest: ",
        "number of accelerators must be from 1 to 1000000, got 0",
        "number of processors must be from 1 to 1000000, got 0",
        "number of accelerators must be from 1 to 1000000, got 4294967295",
        "memory in GB must be from 0 to 1000000, got -1",
        "power of a board in watts must be from 1 to 2000, got 5000",
        "peak in 10^12 operations a second must be more than 0 and at most 1000000, got 0",
        "power limit in watts must be from 1 to 2000, got 0",
        "machine has watts for all of it, and gigabytes of memory are a part of it",
        "time in hours must be more than 0 and at most 10000000, got -1",
        "time in hours must be more than 0 and at most 10000000, got 1000000000",
        "utilization must be from 0 to 1, got 1.5",
        "utilization of processors must be from 0 to 1, got NaN",
        "number of operations must be more than 0 and at most 1e32, got 0",
        "efficiency must be more than 0, at most 1 and between its bounds, got 0.5",
        "machine has no accelerators, no processors, no memory and no watts",
        "power in watts must be at most 1000000000000, got 1000",
        "time in hours that the operations take must be at most 10000000, got ",
    ];
    for (text, expected) in texts.iter().zip(expected) {
        assert!(text.starts_with(expected), "`{text}` does not start with `{expected}`");
    }
    for bad in [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(Workload::hours(bad), Err(ForecastError::OutOfRange { .. })), "{bad}");
    }
}

#[test]
fn machines_places_and_prices_are_compared() {
    let forecast = |name, count, flops: f64| {
        let machine = MachineSpec::new().with_accelerators(name, count).unwrap();
        Forecast::new(&machine, &Workload::operations(flops, PeakPrecision::Half).unwrap()).unwrap()
    };
    let (slow, fast) = (forecast("T4", 4, 1e20), forecast("A100 SXM", 4, 1e20));
    let grids = ["FR", "PL"].map(|region| Grid::for_region(region).unwrap());
    let home = Tariff::own_machine().with_electricity(PricePerKwh::new(0.3, usd()).unwrap()).unwrap();
    let cloud = Tariff::own_machine()
        .with_pue(Pue::new(1.2).unwrap())
        .with_device_hour(PricePerHour::new(10.0, usd()).unwrap())
        .unwrap();
    let variants = Variant::all(
        &[("4 × T4", &slow), ("4 × A100", &fast)],
        &grids.each_ref(),
        &[("home", &home), ("cloud", &cloud)],
    );
    let rows = what_if(&variants);
    let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(rows.len(), 8);
    assert_eq!(labels[0], "4 × T4, France, home");
    assert_eq!(labels[7], "4 × A100, Poland, cloud");
    let (a, b) = (&rows[0], &rows[1]);
    assert_close_relative("PUE", b.facility_kwh.value().get() / a.facility_kwh.value().get(), 1.2, 1e-12);
    assert_close_relative("USD", a.money.unwrap().value().amount(), a.facility_kwh.value().get() * 0.3, 1e-12);
    // Rent follows time, with its doubt: 3.5 times as long costs 3.5 times as much.
    let rent = b.money.unwrap();
    assert_close_relative("rent", rent.value().amount(), slow.time_s.value().hours() * 10.0, 1e-12);
    assert_close_relative("rent high", rent.high().amount() / rent.value().amount(), 3.5, 1e-12);
    let (clean, dirty) = (&rows[0], &rows[2]);
    let ratio = dirty.carbon_g.value().get() / clean.carbon_g.value().get();
    assert_close_relative("carbon", ratio, dirty.g_per_kwh.get() / clean.g_per_kwh.get(), 1e-12);
    assert!(rows[4].time_s.value() < rows[0].time_s.value());
    // Electricity and rent together: bounds of both.
    let both = cloud.with_electricity(PricePerKwh::new(0.3, usd()).unwrap()).unwrap();
    let row = &what_if(&Variant::all(&[("", &slow)], &[&grids[0]], &[("", &both)]))[0];
    assert_eq!(row.label, "France");
    let expected = slow.time_s.low().hours() * 10.0 + row.facility_kwh.low().get() * 0.3;
    assert_close_relative("low", row.money.unwrap().low().amount(), expected, 1e-12);
    let free = &what_if(&Variant::all(&[("", &slow)], &[&grids[0]], &[("", &Tariff::own_machine())]))[0];
    assert_eq!(free.money, None);
    let json = serde_json::to_value(&rows).unwrap();
    assert!(
        json[1]["money"]["high"]["amount"].as_f64().unwrap() > json[1]["money"]["value"]["amount"].as_f64().unwrap()
    );
    assert_eq!(json[0]["method"], "modeled");
}

proptest! {
    // Twice the hours or the boards, twice the energy; bounds in order; nothing infinite.
    #[test]
    fn energy_is_proportional(h in 0.001..1e6_f64, count in 1u32..1000, u in 0.0..=1.0_f64, board in 0usize..49) {
        let name = &attar_meter::hardware::accelerators()[board].name;
        let of = |count: u32, h: f64| {
            let machine = MachineSpec::new().with_accelerators(name, count).unwrap();
            Forecast::new(&machine, &hours(h).with_utilization(u).unwrap()).unwrap().energy_j
        };
        let one = of(count, h);
        prop_assert!(0.0 < one.low().get() && one.low() <= one.value() && one.value() <= one.high());
        prop_assert!(one.high().get().is_finite());
        for twice in [of(count * 2, h), of(count, h * 2.0)] {
            assert_close_relative("value", twice.value().get(), one.value().get() * 2.0, 1e-12);
            assert_close_relative("low", twice.low().get(), one.low().get() * 2.0, 1e-12);
            assert_close_relative("high", twice.high().get(), one.high().get() * 2.0, 1e-12);
        }
    }
}
