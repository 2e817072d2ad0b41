//! Hardware monitors over fake trees.

use std::time::Duration;

use attar_meter::source::{Component, Gpus, Hwmon, Liveness, Source, amd_boards, unknown_sensors};
use attar_meter::{Clock, ManualClock, Method};

use crate::tree::Tree;

const SECOND: Duration = Duration::from_secs(1);

fn board(tree: &Tree, number: u32, microwatts: &str) {
    let folder = format!("class/hwmon/hwmon{number}");
    tree.at(&format!("{folder}/name"), "amdgpu\n").at(&format!("{folder}/power1_average"), microwatts);
    tree.at(&format!("{folder}/power1_cap"), "300000000\n").at(&format!("{folder}/device/gpu_busy_percent"), "50\n");
}

/// A board whose power wavers by a little while time passes.
fn living(tree: &Tree, number: u32, microwatts: u64) {
    board(tree, number, "");
    tree.counter_at(&format!("class/hwmon/hwmon{number}/power1_average"), microwatts, 0.05);
}

fn sockets(tree: &Tree) {
    const FOLDER: &str = "class/hwmon/hwmon0";
    tree.at(&format!("{FOLDER}/name"), "amd_energy\n");
    for (input, label) in ["Ecore000", "Ecore001", "Esocket0", "Esocket1"].iter().enumerate() {
        let input = input + 1;
        tree.at(&format!("{FOLDER}/energy{input}_label"), &format!("{label}\n"));
        tree.counter_at(&format!("{FOLDER}/energy{input}_input"), 1_000_000_007 * input as u64, 40.0 * input as f64);
    }
}

#[test]
fn sockets_count_and_cores_do_not() {
    let tree = Tree::new();
    sockets(&tree);
    let (mut hwmon, clock) = (Hwmon::open(tree.sys(), false).unwrap(), tree.clock());
    assert_eq!(hwmon.probe(&clock), Liveness::Alive);
    hwmon.read(clock.now()).unwrap();
    tree.pass(&clock, SECOND);
    let reading = hwmon.read(clock.now()).unwrap();
    let joules: Vec<_> = reading.parts.iter().map(|part| (part.component, part.energy.value().get())).collect();
    assert_eq!(joules, [(Component::Cpu(0), 120.0), (Component::Cpu(1), 160.0)]);
    assert_eq!(hwmon.describe().method, Method::Measured);
    assert_eq!(hwmon.describe().name, "amd_energy");
}

#[test]
fn sockets_pass_the_same_gate() {
    let tree = Tree::new();
    sockets(&tree);
    tree.at("class/hwmon/hwmon0/energy3_input", "lots\n");
    let Liveness::Dead(reason) = Hwmon::open(tree.sys(), false).unwrap().probe(&tree.clock()) else { panic!("alive") };
    assert!(reason.contains("energy3_input must hold a whole number, got `lots`"), "{reason}");
    let error = Hwmon::open(Tree::new().sys(), false).err().unwrap().to_string();
    assert!(error.ends_with("class/hwmon gave nothing: no socket counter of amd_energy there"), "{error}");
}

#[test]
fn amd_boards_are_sampled_in_the_order_of_their_numbers() {
    let tree = Tree::new();
    living(&tree, 10, 50_000_000);
    living(&tree, 2, 200_000_000);
    let (boards, remarks) = amd_boards(tree.sys(), 4);
    assert!(remarks.is_empty());
    let clock = tree.clock();
    let mut gpus = Gpus::new(boards);
    assert_eq!(gpus.probe(&clock), Liveness::Alive);
    assert_eq!(gpus.describe().components, [Component::Gpu(4), Component::Gpu(5)]);
    assert!(gpus.describe().notes.iter().any(|note| note.contains("±10 % is a guess")), "{:?}", gpus.describe().notes);
    gpus.read(clock.now()).unwrap();
    for _ in 0..10 {
        clock.advance(SECOND / 10, SECOND / 10);
        gpus.poll(clock.now());
    }
    let reading = gpus.read(clock.now()).unwrap();
    let energy = reading.parts[0].energy;
    attar_testing::assert_close_relative("200 W for 1 s", energy.value().get(), 200.0, 1e-3);
    attar_testing::assert_close_relative("its upper bound", energy.high().get(), 220.0, 1e-3);
    let shown = gpus.raw_readings();
    attar_testing::assert_close_relative("W", shown[0].power.unwrap().get(), 200.0, 1e-3);
    assert_eq!((shown[0].utilization, shown[0].energy), (Some(0.5), None));
}

// A file that its driver no longer renews shows its last number for ever.
#[test]
fn a_board_that_shows_one_number_is_dead() {
    let tree = Tree::new();
    board(&tree, 0, "35000000\n");
    let mut gpus = Gpus::new(amd_boards(tree.sys(), 0).0);
    let Liveness::Dead(reason) = gpus.probe(&tree.clock()) else { panic!("alive") };
    assert!(reason.contains("shows 35.0 W and nothing else for 2 s"), "{reason}");
    // Beside a living one it is left out and named.
    living(&tree, 1, 50_000_000);
    let mut gpus = Gpus::new(amd_boards(tree.sys(), 0).0);
    assert_eq!(gpus.probe(&tree.clock()), Liveness::Alive);
    assert_eq!(gpus.describe().components, [Component::Gpu(1)]);
    assert!(gpus.describe().notes.iter().any(|note| note.contains("not counted") && note.contains("nothing else")));
}

#[test]
fn a_board_at_zero_or_unreadable_is_dead() {
    for (content, expected) in [
        ("0\n", "showed 0 W"),
        ("", "reports neither"),
        ("n/a", "reports neither"),
        ("9999999999\n", "not 0.5 to 900 W"),
    ] {
        let tree = Tree::new();
        board(&tree, 0, content);
        let mut gpus = Gpus::new(amd_boards(tree.sys(), 0).0);
        let Liveness::Dead(reason) = gpus.probe(&ManualClock::new()) else { panic!("alive at `{content}`") };
        assert!(reason.contains(expected), "{reason}");
    }
}

// Its power is that of the whole package, which the processor's own counter shows too.
#[test]
fn graphics_inside_a_processor_are_not_counted_twice() {
    let tree = Tree::new();
    tree.at("class/hwmon/hwmon3/name", "amdgpu\n").at("class/hwmon/hwmon3/power1_input", "9000000\n");
    tree.at("class/hwmon/hwmon4/name", "amdgpu\n");
    let (boards, remarks) = amd_boards(tree.sys(), 0);
    assert!(boards.is_empty());
    assert!(remarks[0].contains("hwmon3") && remarks[0].contains("part of a processor"), "{remarks:?}");
    assert!(remarks[1].contains("hwmon4 `amdgpu` reports no power"), "{remarks:?}");
}

#[test]
fn unknown_monitors_are_named_and_not_counted() {
    let tree = Tree::new();
    board(&tree, 0, "50000000\n");
    tree.at("class/hwmon/hwmon1/name", "ina226\n").at("class/hwmon/hwmon1/power1_input", "7\n");
    tree.at("class/hwmon/hwmon2/name", "coretemp\n").at("class/hwmon/hwmon2/temp1_input", "7\n");
    tree.at("class/hwmon/hwmon3/name", "xgene\n").at("class/hwmon/hwmon3/power1_input", "7\n");
    tree.at("class/hwmon/hwmon3/power2_input", "7\n").at("class/hwmon/hwmon4/power1_input", "7\n");
    tree.at("class/hwmon/odd/name", "x\n").at("class/hwmon/hwmon9/name", "");
    let remarks = unknown_sensors(tree.sys());
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].starts_with("hwmon1 `ina226` shows power1_input"), "{remarks:?}");
    assert!(remarks[1].starts_with("hwmon3 `xgene` shows power1_input, power2_input"), "{remarks:?}");
    assert!(unknown_sensors(Tree::new().sys()).is_empty());
}
