//! The powercap source over fake trees, whole and broken.

use std::time::Duration;

use attar_meter::source::{Component, Domains, Liveness, Rapl, Reading, Source};
use attar_meter::{Clock, GapKind, ManualClock, Method};
use proptest::prelude::*;

use crate::tree::{RANGE, Tree};

const SECOND: Duration = Duration::from_secs(1);

fn open(tree: &Tree) -> Rapl {
    Rapl::open(tree.sys(), Domains::PackagesAndMemory, false).unwrap()
}

/// Opened, found alive, and read once.
fn started(tree: &Tree) -> (Rapl, ManualClock) {
    let (mut rapl, clock) = (open(tree), tree.clock());
    assert_eq!(rapl.probe(&clock), Liveness::Alive);
    assert_eq!(rapl.read(clock.now()).unwrap(), Reading::default());
    (rapl, clock)
}

fn dead(tree: &Tree) -> String {
    match open(tree).probe(&tree.clock()) {
        Liveness::Dead(reason) => reason,
        Liveness::Alive => panic!("alive"),
    }
}

fn joules(reading: &Reading) -> Vec<(Component, f64)> {
    reading.parts.iter().map(|part| (part.component, part.energy.value().get())).collect()
}

fn two_sockets() -> Tree {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 1_000_000, 60.0).zone("intel-rapl:1", "package-1", 900_000_000, 80.0);
    tree.zone("intel-rapl:0:0", "dram", 5_000, 4.0).zone("intel-rapl:1:0", "dram", 70_000_000, 6.0);
    tree.zone("intel-rapl:0:1", "core", 1_000, 50.0).zone("intel-rapl:0:2", "uncore", 1_000, 5.0);
    tree
}

#[test]
fn packages_and_memory_count_and_nothing_inside_them() {
    let tree = two_sockets();
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND * 10);
    let reading = rapl.read(clock.now()).unwrap();
    let expected = [
        (Component::Cpu(0), 600.0),
        (Component::Cpu(1), 800.0),
        (Component::Memory(0), 40.0),
        (Component::Memory(1), 60.0),
    ];
    assert_eq!(joules(&reading), expected);
    assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
    let package = &reading.parts[0];
    assert_eq!((package.method, package.over), (Method::Measured, SECOND * 10));
    assert_eq!((package.energy.low().get(), package.energy.high().get()), (540.0, 660.0));
    assert_eq!(rapl.describe().method, Method::Measured);
}

#[test]
fn the_platform_is_read_alone_or_not_at_all() {
    let tree = two_sockets();
    tree.zone("intel-rapl:2", "psys", 0, 200.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert!(joules(&rapl.read(clock.now()).unwrap()).iter().all(|(component, _)| *component != Component::Machine));

    let mut platform = Rapl::open(tree.sys(), Domains::Platform, false).unwrap();
    assert_eq!(platform.probe(&clock), Liveness::Alive);
    platform.read(clock.now()).unwrap();
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&platform.read(clock.now()).unwrap()), [(Component::Machine, 200.0)]);
}

#[test]
fn a_memory_mapped_twin_is_left_out() {
    let tree = two_sockets();
    tree.zone("intel-rapl-mmio:0", "package-0", 77, 60.0).zone("intel-rapl-mmio:0:0", "dram", 77, 4.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()).len(), 4);
    let notes = rapl.describe().notes.join("\n");
    assert!(notes.contains("intel-rapl-mmio:0 shows package-0 a second time"), "{notes}");
}

#[test]
fn a_living_twin_replaces_a_dead_zone() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 5, 0.0).zone("intel-rapl-mmio:0", "package-0", 5, 30.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()), [(Component::Cpu(0), 30.0)]);
}

#[test]
fn mirrored_dies_count_once() {
    let tree = Tree::new();
    // Read a moment apart, so not quite equal: 40 mJ.
    tree.zone("intel-rapl:0", "package-0-die-0", 123_456_789, 90.0);
    tree.zone("intel-rapl:1", "package-0-die-1", 123_496_789, 90.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()), [(Component::Cpu(0), 90.0)]);
    assert!(rapl.describe().notes.iter().any(|note| note.contains("intel-rapl:1 mirrors intel-rapl:0")));

    // Equal power is not enough: these are two dies.
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0-die-0", 123_456_789, 90.0).zone(
        "intel-rapl:1",
        "package-0-die-1",
        23_456_789,
        90.0,
    );
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()).len(), 2);
}

#[test]
fn zones_may_lie_inside_their_parents() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 9, 20.0).zone("intel-rapl:0/intel-rapl:0:0", "dram", 9, 2.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()), [(Component::Cpu(0), 20.0), (Component::Memory(0), 2.0)]);
}

#[test]
fn odd_names_do_no_harm() {
    let tree = Tree::new();
    tree.zone("intel-rapl:a", "package-0", 9, 20.0).zone("intel-rapl:é:0", "accelerator", 9, 20.0).zone(
        "intel-rapl:1",
        "",
        9,
        20.0,
    );
    tree.file("intel-rapl", "enabled", "1").file("dtpm:0", "name", "package-7").file("intel-rapl:2", "other", "");
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()), [(Component::Cpu(0), 20.0)]);
    let notes = rapl.describe().notes.join("\n");
    assert!(notes.contains("named `accelerator`") && notes.contains("intel-rapl:1 has no name"), "{notes}");
}

#[test]
fn nothing_there_is_an_error_with_its_path() {
    let empty = Tree::new();
    let error = Rapl::open(empty.sys(), Domains::PackagesAndMemory, false).err().unwrap().to_string();
    assert!(error.ends_with("class/powercap gave nothing: no package zone there"), "{error}");
    let error = Rapl::open(&empty.sys().join("nowhere"), Domains::PackagesAndMemory, false).err().unwrap().to_string();
    assert!(error.starts_with("cannot read") && error.contains("nowhere/class/powercap"), "{error}");
}

#[test]
fn a_dead_counter_is_dead_not_zero() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 12_345, 0.0);
    assert_eq!(dead(&tree), "package-0 did not change while a core was busy");
    // Half a machine must not pass for all of it.
    tree.zone("intel-rapl:1", "package-1", 12_345, 50.0);
    assert_eq!(dead(&tree), "package-0 did not change while a core was busy");
}

#[test]
fn implausible_power_is_dead() {
    for (watts, design) in [(0.3, None), (1500.0, None), (500.0, Some(125)), (90_000.0, Some(0))] {
        let tree = Tree::new();
        tree.zone("intel-rapl:0", "package-0", 12_345, watts);
        if let Some(design) = design {
            tree.file("intel-rapl:0", "constraint_0_max_power_uw", &format!("{}\n", design * 1_000_000));
        }
        let reason = dead(&tree);
        assert!(
            reason.contains("package-0 showed") && reason.contains("while a core was busy, not 0.5 to"),
            "{reason}"
        );
    }
    let turbo = Tree::new();
    turbo.zone("intel-rapl:0", "package-0", 1, 64.0).file("intel-rapl:0", "constraint_0_max_power_uw", "15000000");
    started(&turbo);
}

#[test]
fn unreadable_counters_are_dead_with_the_reason() {
    for spoil in ["", "abc\n", "-5\n", "1e9\n", "99999999999999999999999\n", "\u{0}"] {
        let tree = Tree::new();
        tree.zone("intel-rapl:0", "package-0", 1, 50.0).file("intel-rapl:0", "energy_uj", spoil);
        let reason = dead(&tree);
        assert!(reason.contains("intel-rapl:0/energy_uj must hold a whole number, got `"), "{spoil:?}: {reason}");
    }
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 1, 50.0).remove("intel-rapl:0", "energy_uj");
    assert!(dead(&tree).contains("cannot read"));
}

// A folder refuses to be read as a file, whoever asks.
#[test]
fn a_folder_in_place_of_a_counter_is_dead_and_later_a_gap() {
    let tree = two_sockets();
    let (mut rapl, clock) = started(&tree);
    tree.remove("intel-rapl:0", "energy_uj");
    std::fs::create_dir(tree.folder("intel-rapl:0").join("energy_uj")).unwrap();
    tree.pass(&clock, SECOND);
    let reading = rapl.read(clock.now()).unwrap();
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].of.as_str()), (GapKind::ReadFailed, "cpu0"));
    assert_eq!(joules(&reading)[0], (Component::Cpu(1), 80.0));
    let reason = dead(&tree);
    assert!(reason.contains("package-0: cannot read") && reason.contains("intel-rapl:0/energy_uj"), "{reason}");
}

// Two wraps in one span cannot be told from one: the energy of one is counted, the other is named.
#[test]
fn a_second_wrap_is_not_made_up() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 0, 900.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND * 600);
    let reading = rapl.read(clock.now()).unwrap();
    let (range, energy) = (RANGE as f64 * 1e-6, reading.parts[0].energy);
    attar_testing::assert_close_relative("seen", energy.value().get(), 540_000.0 - 2.0 * range, 1e-9);
    assert_eq!(reading.gaps[0].kind, GapKind::Ambiguous);
    assert!(energy.high().get() >= 540_000.0);
}

proptest! {
    // Wherever the counter starts, and however the time is cut, the same energy comes out.
    #[test]
    fn neither_the_place_of_a_wrap_nor_the_rate_of_reading_matters(
        start in 0..RANGE,
        watts in 1_u32..900,
        steps in proptest::collection::vec(1_u64..120, 1..8),
    ) {
        let tree = Tree::new();
        tree.zone("intel-rapl:0", "package-0", start, f64::from(watts));
        let (mut rapl, clock) = started(&tree);
        let mut sum = 0.0;
        for step in &steps {
            tree.pass(&clock, SECOND * *step as u32);
            let reading = rapl.read(clock.now()).unwrap();
            prop_assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
            sum += reading.parts[0].energy.value().get();
        }
        let expected = f64::from(watts) * steps.iter().sum::<u64>() as f64;
        prop_assert!((sum - expected).abs() <= 1e-9 * expected, "{} J is not {} J", sum, expected);
    }
}

// A superuser may read everything, so there the test has nothing to refuse it.
#[test]
#[cfg(unix)]
fn a_denied_counter_names_the_way_out() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 1, 50.0);
    let counter = tree.folder("intel-rapl:0").join("energy_uj");
    std::fs::set_permissions(&counter, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&counter).is_err() {
        assert!(dead(&tree).ends_with("run as root, or give read access to energy_uj"));
    }
}

#[test]
fn dead_memory_is_left_to_the_model() {
    let tree = two_sockets();
    tree.set_watts("intel-rapl:1:0", 0.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND);
    assert_eq!(joules(&rapl.read(clock.now()).unwrap()).len(), 2);
    let notes = rapl.describe().notes.join("\n");
    assert!(notes.contains("memory not counted: package-1/dram did not change"), "{notes}");
}

#[test]
fn inside_a_virtual_machine_it_is_apportioned() {
    let tree = two_sockets();
    let mut rapl = Rapl::open(tree.sys(), Domains::PackagesAndMemory, true).unwrap();
    assert_eq!(rapl.probe(&tree.clock()), Liveness::Alive);
    assert_eq!(rapl.describe().method, Method::Apportioned);
    assert!(rapl.describe().notes.iter().any(|note| note.contains("virtual machine")));
}

#[test]
fn a_wrap_is_corrected_even_while_probing() {
    let tree = Tree::new();
    // Wraps after 1 J, that is within the first rounds, and again after 262 kJ.
    tree.zone("intel-rapl:0", "package-0", RANGE - 1_000_000, 100.0);
    let (mut rapl, clock) = started(&tree);
    let mut total = 0.0;
    for _ in 0..300 {
        tree.pass(&clock, SECOND * 10);
        let reading = rapl.read(clock.now()).unwrap();
        assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        total += reading.parts[0].energy.value().get();
    }
    attar_testing::assert_close_relative("wraps", total, 300_000.0, 1e-9);
}

#[test]
fn a_long_silence_names_the_wraps_that_may_hide_in_it() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 0, 100.0);
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND * 1000);
    let reading = rapl.read(clock.now()).unwrap();
    assert_eq!(reading.gaps[0].kind, GapKind::Ambiguous);
    // 100 kJ were seen; at the limit of a kilowatt three wraps more would fit.
    let energy = reading.parts[0].energy;
    assert_eq!((energy.value().get(), energy.low().get()), (100_000.0, 90_000.0));
    attar_testing::assert_close_relative("high", energy.high().get(), 110_000.0 + 3.0 * RANGE as f64 * 1e-6, 1e-12);
}

#[test]
fn without_a_range_a_fall_is_a_gap() {
    for spoil in [None, Some("lots\n"), Some("0\n")] {
        let tree = Tree::new();
        tree.zone("intel-rapl:0", "package-0", RANGE - 50_000_000, 100.0);
        match spoil {
            None => tree.remove("intel-rapl:0", "max_energy_range_uj"),
            Some(text) => tree.file("intel-rapl:0", "max_energy_range_uj", text),
        };
        let (mut rapl, clock) = started(&tree);
        tree.pass(&clock, SECOND);
        let reading = rapl.read(clock.now()).unwrap();
        assert_eq!(reading.gaps[0].kind, GapKind::Reset);
        let energy = reading.parts[0].energy;
        // Nothing was counted before, so the limit of a kilowatt stands for what was lost.
        assert_eq!((energy.value().get(), energy.low().get(), energy.high().get()), (0.0, 0.0, 1000.0));
    }
}

#[test]
fn a_failed_read_in_the_middle_loses_nothing() {
    let tree = two_sockets();
    let (mut rapl, clock) = started(&tree);
    tree.pass(&clock, SECOND * 10);
    let kept = std::fs::read_to_string(tree.folder("intel-rapl:0").join("energy_uj")).unwrap();
    tree.file("intel-rapl:0", "energy_uj", "");
    let reading = rapl.read(clock.now()).unwrap();
    assert_eq!(joules(&reading)[0].0, Component::Cpu(1));
    assert_eq!((reading.gaps[0].kind, reading.gaps[0].of.as_str()), (GapKind::ReadFailed, "cpu0"));
    tree.file("intel-rapl:0", "energy_uj", &kept);
    tree.pass(&clock, SECOND * 10);
    let reading = rapl.read(clock.now()).unwrap();
    assert_eq!(joules(&reading)[0], (Component::Cpu(0), 1200.0));
    assert_eq!(reading.parts[0].over, SECOND * 20);
}

#[test]
fn a_counter_that_stops_is_stalled_not_zero() {
    let tree = two_sockets();
    let (mut rapl, clock) = started(&tree);
    tree.set_watts("intel-rapl:0", 0.0);
    for _ in 0..3 {
        clock.advance(SECOND, SECOND);
        let reading = rapl.read(clock.now()).unwrap();
        assert!(joules(&reading).iter().all(|(component, _)| *component != Component::Cpu(0)));
        assert!(reading.gaps.iter().any(|gap| gap.kind == GapKind::Stalled && gap.of == "cpu0"), "{:?}", reading.gaps);
    }
}
