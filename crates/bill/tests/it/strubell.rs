//! Strubell et al.'s tables: every printed cell comes out of its inputs.

use attar_bill::strubell::{self, RecomputedCell, StrubellRow, TpuPricing};
use attar_bill::{Bill, Tariff, forecast};
use attar_meter::Estimate;
use attar_meter::hardware::DeviceUnit;
use attar_testing::assert_close_relative;

fn row(reading: TpuPricing, id: &str) -> StrubellRow {
    strubell::table(reading).into_iter().find(|row| row.id == id).unwrap()
}

fn cells(row: &StrubellRow) -> Vec<&RecomputedCell> {
    row.facility_kwh.iter().chain(&row.carbon_lb).chain([&row.usd_low, &row.usd_high]).collect()
}

/// Watts, hours, devices, prices and printed cells, written out again: the embedded table is not its own witness.
#[test]
fn every_printed_cell_is_reproduced() {
    type Expected = (&'static str, &'static str, f64, f64, u32, Option<(f64, u64, u64)>, u64, u64);
    let expected: [Expected; 8] = [
        ("t2t-base", "P100x8", 0.43, 1.46, 8, Some((1415.78, 27, 26)), 41, 140),
        ("t2t-big", "P100x8", 0.43, 1.46, 8, Some((1515.43, 201, 192)), 289, 981),
        ("elmo", "P100x3", 0.43, 1.46, 3, Some((517.66, 275, 262)), 433, 1472),
        ("bert-v100", "V100x64", 0.74, 2.48, 64, Some((12_041.51, 1507, 1438)), 3751, 12_571),
        ("bert-tpu", "TPUv2x16", 1.35, 4.50, 16, None, 2074, 6912),
        ("nas-p100", "P100x8", 0.43, 1.46, 8, Some((1515.43, 656_347, 626_155)), 942_973, 3_201_722),
        ("nas-tpu", "TPUv2x1", 1.35, 4.50, 1, None, 44_055, 146_848),
        ("gpt2-tpu", "TPUv3x32", 2.40, 8.00, 32, None, 12_902, 43_008),
    ];
    let rows = strubell::table(TpuPricing::Paper);
    assert_eq!(rows.len(), expected.len());
    for (row, (id, hardware, low, high, devices, energy, usd_low, usd_high)) in rows.iter().zip(expected) {
        assert_eq!((row.id.as_str(), row.hardware.as_str(), row.devices), (id, hardware, devices));
        assert_eq!((row.price_low.amount(), row.price_high.amount()), (low, high));
        assert_eq!(row.power_w.map(|watts| watts.get()), energy.map(|(watts, ..)| watts));
        assert_eq!(row.facility_kwh.as_ref().map(|cell| cell.printed), energy.map(|(_, kwh, _)| kwh));
        assert_eq!(row.carbon_lb.as_ref().map(|cell| cell.printed), energy.map(|(.., lb)| lb));
        assert_eq!((row.usd_low.printed, row.usd_high.printed), (usd_low, usd_high));
        for cell in cells(row) {
            assert!(cell.matches && cell.rounded == cell.printed, "{id}: {cell:?}");
        }
    }
}

// The computed values before rounding, as the notes on the paper have them.
#[test]
fn the_unrounded_cells_are_as_worked_out_by_hand() {
    for (id, expected) in [
        ("t2t-base", vec![26.843, 25.608, 41.28, 140.16]),
        ("t2t-big", vec![201.128, 191.876, 288.96, 981.12]),
        ("elmo", vec![274.815, 262.174, 433.44, 1471.68]),
        ("bert-v100", vec![1506.826, 1437.512, 3750.91, 12_570.62]),
        ("bert-tpu", vec![2073.60, 6912.00]),
        ("nas-p100", vec![656_347.28, 626_155.31, 942_972.8, 3_201_721.6]),
        ("nas-tpu", vec![44_054.55, 146_848.50]),
        ("gpt2-tpu", vec![12_902.40, 43_008.00]),
    ] {
        let row = row(TpuPricing::Paper, id);
        for (cell, expected) in cells(&row).into_iter().zip(expected) {
            // Three digits after the point are given at the smallest.
            assert_close_relative(id, cell.computed, expected, 2e-5);
        }
    }
}

#[test]
fn two_rows_need_other_hours_than_printed_and_say_so() {
    for row in strubell::table(TpuPricing::Paper) {
        let off = matches!(row.id.as_str(), "bert-v100" | "nas-tpu");
        assert_eq!(row.hours != row.hours_printed, off, "{}", row.id);
        for cell in cells(&row) {
            assert_eq!(cell.matches_as_printed, !off, "{}: {cell:?}", row.id);
        }
    }
    let bert = row(TpuPricing::Paper, "bert-v100");
    assert_eq!((bert.hours_printed, bert.hours), (79.0, 79.2));
    let as_printed: Vec<u64> = cells(&bert).iter().map(|cell| cell.as_printed_rounded).collect();
    assert_eq!(as_printed, [1503, 1434, 3741, 12_539]);
    let remark = &bert.remarks[0];
    for text in ["79 h are printed", "79.2 h used", "1503 kWh and 1434 lb where 1507 and 1438", "3741 to 12539 USD"] {
        assert!(remark.contains(text), "{text} is missing in {remark}");
    }
    let search = row(TpuPricing::Paper, "nas-tpu");
    assert_eq!((search.hours_printed, search.hours), (32_623.0, 32_633.0));
    assert_eq!((search.usd_low.as_printed_rounded, search.usd_high.as_printed_rounded), (44_041, 146_804));
    let remark = &search.remarks[0];
    for text in ["32623 h are printed", "32633 h used", "32,633.33", "44041 to 146804 USD where 44055 to 146848"] {
        assert!(remark.contains(text), "{text} is missing in {remark}");
    }
    // The one cell that tells rounding half to even from rounding half up.
    assert_eq!((search.usd_high.computed, search.usd_high.rounded), (146_848.5, 146_848));
    // Hours worked out from the number of steps: 10 h, and 84 h, for 300 thousand.
    assert!((979e6 / 300e3 * 10.0 - search.hours) < 0.34);
    assert_close_relative("NAS P100", row(TpuPricing::Paper, "nas-p100").hours, 979e6 / 300e3 * 84.0, 1e-12);
}

#[test]
fn tensor_processors_are_rented_by_the_device() {
    let (paper, device) = (strubell::table(TpuPricing::Paper), strubell::table(TpuPricing::Device));
    for (paper, device) in paper.iter().zip(&device) {
        let times = match paper.unit {
            DeviceUnit::Board => 1.0,
            DeviceUnit::Chip => 4.0,
            DeviceUnit::Core => 8.0,
            DeviceUnit::Device => unreachable!("no row counts devices"),
        };
        for (a, b) in cells(paper).into_iter().zip(cells(device)) {
            let usd = a.printed == paper.usd_low.printed || a.printed == paper.usd_high.printed;
            assert_close_relative(&paper.id, a.computed / b.computed, if usd { times } else { 1.0 }, 1e-12);
            assert_eq!(b.matches, times == 1.0, "{}: {b:?}", paper.id);
        }
        assert_close_relative("devices", paper.priced_devices / device.priced_devices, times, 1e-12);
    }
    let dollars = |id| (row(TpuPricing::Device, id).usd_low.rounded, row(TpuPricing::Device, id).usd_high.rounded);
    assert_eq!(dollars("bert-tpu"), (518, 1728));
    assert_eq!(dollars("gpt2-tpu"), (3226, 10_752));
    let search = row(TpuPricing::Device, "nas-tpu").remarks.join("\n");
    assert!(
        search.contains("one core is priced as a whole device") && search.contains("1/8 of the paper's"),
        "{search}"
    );
    assert!(row(TpuPricing::Paper, "bert-tpu").remarks.join("\n").contains("paid here for every chip: 4 times"));
}

#[test]
fn rows_carry_their_provenance_and_comparisons() {
    let search = row(TpuPricing::Paper, "nas-p100");
    let ratio =
        |row: &StrubellRow, id: &str| row.comparisons.iter().find(|with| with.comparator.id == id).unwrap().ratio;
    assert_close_relative("cars", ratio(&search, "car"), 4.97, 1e-3);
    assert_close_relative("flights", ratio(&row(TpuPricing::Paper, "bert-v100"), "flight"), 0.7246, 1e-3);
    assert_close_relative("tonnes", search.carbon_g.unwrap().get() / 1e6, 284.02, 1e-4);
    let remarks = search.remarks.join("\n");
    assert!(remarks.contains("18.7 times") && remarks.contains("88 times") && remarks.contains("2104.10350"));
    assert!(row(TpuPricing::Paper, "bert-tpu").comparisons.is_empty());
    let notes = strubell::notes().join("\n");
    for text in ["Titan X", "1.58", "not measured on P100 or V100", "inferred"] {
        assert!(notes.contains(text), "{text} is missing in {notes}");
    }
    assert_close_relative("g/kWh", strubell::grid().g_per_kwh.get(), 432.727_12, 1e-7);
    assert_eq!(strubell::GRAMS_PER_POUND, 453.592_37);
    let printed: Vec<f64> = strubell::comparators().iter().map(|comparator| comparator.pounds).collect();
    assert_eq!(printed, [1984.0, 11_023.0, 36_156.0, 126_000.0]);
}

#[test]
fn the_development_of_lisa_comes_out() {
    let rows = strubell::lisa();
    let expected = [
        (1, 120.0, 51.6, 175.2, 52, 175, 5),
        (24, 2880.0, 1238.4, 4204.8, 1238, 4205, 118),
        (4789, 239_942.0, 103_175.06, 350_315.32, 103_000, 350_000, 9870),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (models, hours, low, high, printed_low, printed_high, electricity)) in rows.iter().zip(expected) {
        assert_eq!((row.models, row.gpu_hours), (models, hours));
        assert_close_relative("low", row.usd_low.computed, low, 1e-9);
        assert_close_relative("high", row.usd_high.computed, high, 1e-9);
        assert_eq!((row.usd_low.printed, row.usd_high.printed), (printed_low, printed_high));
        assert!(row.usd_low.matches && row.usd_high.matches, "{row:?}");
        assert_eq!(row.electricity_usd_recalled, electricity);
    }
}

#[test]
fn presets_bill_what_the_table_says() {
    for row in strubell::table(TpuPricing::Paper) {
        let preset = forecast::preset(&row.id).unwrap();
        let bill = |tariff: &Tariff| preset.forecast.bill(&preset.grid, tariff).total;
        let (low, high) = (bill(&preset.tariff_low), bill(&preset.tariff_high));
        // Products in another order: a few roundings of 2^-53.
        let near = 1e-14;
        assert_close_relative("USD", low.money.unwrap().value().amount(), row.usd_low.computed, near);
        assert_close_relative("USD", high.money.unwrap().value().amount(), row.usd_high.computed, near);
        match (&row.facility_kwh, &row.carbon_g) {
            (Some(kwh), Some(carbon)) => {
                assert_close_relative("kWh", low.facility_kwh.unwrap().value().get(), kwh.computed, near);
                assert_close_relative("g", low.carbon_g.unwrap().value().get(), carbon.get(), near);
                assert!(preset.notes[0].contains("Titan X"), "{:?}", preset.notes);
            }
            _ => {
                let power: Estimate<attar_meter::Watts> = preset.forecast.power_w;
                assert!(power.low() < power.value() && power.value() < power.high());
                assert!(preset.notes[0].contains("no power for this row"), "{:?}", preset.notes);
            }
        }
        assert!(row.remarks.iter().all(|remark| preset.notes.contains(remark)));
    }
    let error = forecast::preset("bert-v10").unwrap_err().to_string();
    assert!(error.starts_with("preset `bert-v10` is not known; nearest: bert-v100; there are t2t-base"), "{error}");
    assert_eq!(forecast::presets().len(), 8);
    let preset = forecast::preset(" BERT-V100 ").unwrap();
    let bill = Bill::new(&preset.forecast.totals(), &preset.grid, &preset.tariff_low);
    assert_eq!(bill.total.carbon_g.unwrap().to_string(), "652 kg CO2e");
}

#[test]
fn rows_serialize() {
    let json = serde_json::to_value(strubell::table(TpuPricing::Paper)).unwrap();
    assert_eq!(json[3]["id"], "bert-v100");
    assert_eq!(json[3]["carbon_lb"]["printed"], 1438);
    assert_eq!(json[3]["comparisons"][0]["id"], "flight");
    assert_eq!(json[4]["facility_kwh"], serde_json::Value::Null);
    assert_eq!(json[4]["unit"], "chip");
    assert!(serde_json::to_string(&forecast::preset("elmo").unwrap()).unwrap().contains("Titan X"));
}
