//! The tables of hardware: sound, as their sources have them, and found by the names that people use.

use std::collections::BTreeSet;

use attar_meter::hardware::{self, DeviceUnit, HardwareError, PowerFigure, accelerator, accelerators, processor};
use proptest::prelude::*;

#[test]
fn the_tables_are_sound() {
    assert_eq!((accelerators().len(), hardware::processors().len()), (54, 4897 + 12));
    let mut seen = BTreeSet::new();
    for row in accelerators() {
        assert!((1.0..=2000.0).contains(&row.watts.get()), "{row:?}");
        assert!((2019..=2026).contains(&row.year) && !row.original.is_empty(), "{row:?}");
        let license = match row.source.as_str() {
            "mlco2/impact" => "MIT",
            "green-algorithms" => "CC-BY-4.0",
            "zeus" => "Apache-2.0",
            "product pages" => "fact",
            other => panic!("{other} is no source"),
        };
        assert_eq!(row.license, license, "{row:?}");
        for name in row.aliases.iter().chain([&row.name]) {
            assert!(seen.insert(name.to_lowercase()), "{name} stands twice");
            assert_eq!(accelerator(name).unwrap(), row, "{name}");
        }
        for peak in [row.tflops32, row.tflops16].into_iter().flatten() {
            assert!((0.01..3000.0).contains(&peak), "{row:?}");
        }
        assert!(row.listed_watts.is_none() || row.remark.is_some(), "{row:?}");
        assert_eq!(row.figure == PowerFigure::Mean, row.unit != DeviceUnit::Board, "{row:?}");
    }
    for row in hardware::processors() {
        assert!((1.0..=2000.0).contains(&row.watts.get()) && !row.name.is_empty(), "{row:?}");
    }
}

#[test]
fn units_of_tensor_processors_are_told_apart() {
    for generation in ["TPU v2", "TPU v3"] {
        let watts = |unit: &str| accelerator(&format!("{generation} {unit}")).unwrap().watts.get();
        assert_eq!((watts("core") * 2.0, watts("device")), (watts("chip"), watts("chip") * 4.0));
    }
    assert_eq!(accelerator("TPUv3 chip").unwrap().unit, DeviceUnit::Chip);
    let error = accelerator("TPUv2").unwrap_err().to_string();
    for candidate in ["TPU v2 chip (221 W)", "TPU v2 core (110.5 W)", "TPU v2 device (884 W)"] {
        assert!(error.contains(candidate), "{error}");
    }
    let shares = [DeviceUnit::Core, DeviceUnit::Chip, DeviceUnit::Device].map(|unit| unit.share_of_device().unwrap());
    assert_eq!(shares, [0.125, 0.25, 1.0]);
}

#[test]
fn names_are_found_as_people_and_drivers_write_them() {
    for (wanted, name, watts) in [
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80 GB", 400.0),
        ("nvidia a100 80gb pcie", "A100 PCIe 80 GB", 300.0),
        ("NVIDIA H100 80GB HBM3", "H100 SXM", 700.0),
        ("Tesla T4", "T4", 70.0),
        ("tesla-p100-pcie-16gb", "Tesla P100", 250.0),
        ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-16GB", 300.0),
        ("NVIDIA GeForce RTX 3090", "RTX 3090", 350.0),
        ("gtx1080ti", "GTX 1080 Ti", 250.0),
        ("Quadro RTX 6000", "RTX 6000", 260.0),
        ("p100", "Tesla P100", 250.0),
        ("  a40 ", "A40", 300.0),
    ] {
        let found = accelerator(wanted).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((found.name.as_str(), found.watts.get()), (name, watts), "{wanted}");
    }
    for (wanted, watts) in [
        ("Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz", 85.0),
        ("AMD EPYC 7763 64-Core Processor", 280.0),
        ("epyc 7763", 280.0),
        ("INTEL(R) XEON(R) PLATINUM 8592+", 350.0),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 28.0),
        ("e5-2630v4", 85.0),
        ("i7 8700", 65.0),
        ("Intel Core i7-12700H", 45.0),
    ] {
        let found = processor(wanted).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.watts.get(), watts, "{wanted} found {found}");
    }
}

#[test]
fn what_is_ambiguous_or_unknown_is_refused_with_a_way_out() {
    let error = accelerator("A100").unwrap_err();
    let HardwareError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
    assert_eq!(candidates, &["A100 PCIe 40 GB (250 W)", "A100 PCIe 80 GB (300 W)", "A100 SXM4 80 GB (400 W)"]);
    assert!(error.to_string().starts_with("accelerator `A100` is ambiguous; it may be A100 PCIe 40 GB (250 W), "));
    // V100S is another board, and no candidate.
    let error = accelerator("v100").unwrap_err().to_string();
    assert!(error.contains("V100-PCIE") && error.contains("V100-SXM2") && !error.contains("V100S"), "{error}");
    let error = processor("Xeon E5-2697").unwrap_err().to_string();
    assert!(error.contains("v2 (130 W)") && error.contains("v3 (145 W)"), "{error}");
    // Two entries that agree leave nothing to ask.
    assert_eq!(processor("Xeon E5-2699").unwrap().watts.get(), 145.0);
    let error = processor("xeon").unwrap_err().to_string();
    assert!(error.contains(" others; give one of these names or your own watts") && error.len() < 500, "{error}");
    let error = accelerator("RTX 3091").unwrap_err();
    let HardwareError::Unknown { nearest, known: 54, .. } = &error else { panic!("{error}") };
    assert_eq!(nearest[0], "RTX 3090");
    assert!(error.to_string().contains("your own watts"));
    for bad in ["", " ", "@", "(R)", "Processor", "H300 SXM", "RTX 6000 Ada"] {
        assert!(matches!(accelerator(bad), Err(HardwareError::Unknown { .. })), "{bad}");
    }
    let long = "x".repeat(1_000_000);
    assert!(processor(&long).unwrap_err().to_string().len() < 300);
}

#[test]
fn hardware_of_these_years_is_known() {
    for (name, watts) in [
        ("H200 SXM", 700.0),
        ("NVIDIA H200 NVL", 600.0),
        ("B200", 1000.0),
        ("AMD Instinct MI300X", 750.0),
        ("GeForce RTX 5090", 575.0),
    ] {
        assert_eq!(accelerator(name).unwrap().watts.get(), watts, "{name}");
    }
    // Two boards of that name: it must be said which.
    assert!(accelerator("H200").unwrap_err().to_string().contains("H200 NVL (600 W)"));
    let altra = processor("Ampere Altra Q80-30").unwrap();
    assert_eq!((altra.watts.get(), altra.origin().starts_with("heise.de")), (210.0, true));
    assert!(processor("EPYC 7763").unwrap().origin().contains("codecarbon"));
}

/// Rows of the sources that are in no table, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("GTX 750", "another card's figures: 250 W and 1111 TFLOPS"),
    ("Any", "no device"),
    ("NVIDIA Tesla V100", "does not say which form; its 300 W are those of SXM2"),
    ("TPU v2", "TDP of a chip, where the measured mean is used"),
];
/// Rows whose watts another source gives too, and otherwise.
const OTHERWISE: [(&str, &str); 1] = [("TPU v3", "220 W from Google, where the mean of Patterson et al. is used")];

#[test]
#[ignore = "needs the data sets of ../shared"]
fn the_accelerators_are_those_of_the_sources() {
    let dir = attar_testing::shared("data/energy");
    let left_out = |name: &str| LEFT_OUT.iter().chain(&OTHERWISE).any(|(left, _)| *left == name);
    // One row of the source has two fields fewer than its header.
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(dir.join("mlco2-impact/gpus.csv")).unwrap();
    let mut compared = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let (name, kind, watts) = (record[0].trim(), &record[1], record[2].parse::<f64>().unwrap());
        if kind == "cpu" || left_out(name) {
            assert!(accelerators().iter().all(|row| row.original != name), "{name}");
            continue;
        }
        let units = |unit| match unit {
            DeviceUnit::Core => 0.5,
            DeviceUnit::Device => 4.0,
            DeviceUnit::Board | DeviceUnit::Chip => 1.0,
        };
        let rows: Vec<_> =
            accelerators().iter().filter(|row| row.original == name && row.source == "mlco2/impact").collect();
        assert!(!rows.is_empty(), "{name} is missing");
        for row in rows {
            let listed = row.listed_watts.unwrap_or(row.watts).get();
            assert_eq!(listed, watts * units(row.unit), "{name}");
            let peaks = [(&record[3], row.tflops32), (&record[4], row.tflops16)];
            for (text, peak) in peaks {
                let source = text.parse::<f64>().ok().filter(|peak| peak.is_finite());
                assert!(source == peak || row.remark.is_some(), "{name}: {text} {peak:?}");
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 39);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(dir.join("green-algorithms/TDP_gpu.csv"))
        .unwrap();
    let mut compared = 0;
    // Two lines of header.
    for record in reader.records().skip(2) {
        let record = record.unwrap();
        if left_out(&record[0]) {
            continue;
        }
        let watts: f64 = record[1].parse().unwrap();
        let row = accelerators().iter().find(|row| row.original == record[0]);
        let row = row.or_else(|| accelerator(&record[0]).ok()).unwrap_or_else(|| panic!("{} is missing", &record[0]));
        assert_eq!(row.watts.get(), watts, "{}", &record[0]);
        compared += 1;
    }
    assert_eq!(compared, 18);
}

/// The rows of the source whose power is no number of watts from 1 to 2000.
const NO_POWER: [&str; 6] = [
    "Intel Atom Z500",
    "Intel Celeron 1000A",
    "Intel Celeron 1100A",
    "Intel Celeron 1200",
    "Intel Celeron 1400",
    "Intel Quark Microcontroller D1000",
];

#[test]
#[ignore = "needs the data sets of ../shared"]
fn the_processors_are_those_of_the_source() {
    let dir = attar_testing::shared("data/energy/codecarbon");
    let mut reader = csv::Reader::from_path(dir.join("cpu_power.csv")).unwrap();
    let mut rows = hardware::processors().iter();
    let mut without = Vec::new();
    for record in reader.records() {
        let record = record.unwrap();
        match record[1].parse::<f64>() {
            Ok(watts) if (1.0..=2000.0).contains(&watts) => {
                let row = rows.next().unwrap();
                assert_eq!((row.name.as_str(), row.watts.get()), (&record[0], watts));
            }
            _ => without.push(record[0].to_owned()),
        }
    }
    // Then come those of other sources, each of which it names.
    assert!(rows.clone().count() == 12 && rows.all(|row| row.source.is_some()));
    assert_eq!(without, NO_POWER);
}

// Where the board is measured, its largest limit is the table's power.
#[test]
#[ignore = "needs the data sets of ../shared"]
fn the_measured_boards_have_their_limits() {
    let dir = attar_testing::shared("data/energy/zeus-traces");
    for (file, name) in [("v100", "V100 PCIe"), ("p100", "P100"), ("a40", "A40"), ("rtx6000", "RTX 6000")] {
        let mut reader = csv::Reader::from_path(dir.join(format!("summary_power_{file}.csv"))).unwrap();
        let place = reader.headers().unwrap().iter().position(|column| column == "power_limit").unwrap();
        let limit = reader.records().map(|row| row.unwrap()[place].parse::<f64>().unwrap()).fold(0.0, f64::max);
        assert_eq!(accelerator(name).unwrap().watts.get(), limit, "{name}");
    }
}

proptest! {
    // Any text is an answer or an error that names it, never a panic.
    #[test]
    fn any_text_is_answered(name in "\\PC{0,40}") {
        if let Err(error) = accelerator(&name) {
            prop_assert!(error.to_string().starts_with("accelerator `"), "{error}");
        }
    }

    #[test]
    fn case_and_punctuation_do_not_matter(index in 0usize..54, upper: bool, mark in "[-_ ./]") {
        let row = &accelerators()[index];
        let name = row.name.replace([' ', '-'], &mark);
        let name = if upper { name.to_uppercase() } else { name.to_lowercase() };
        prop_assert_eq!(accelerator(&name), Ok(row));
    }
}
