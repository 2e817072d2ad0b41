//! Which sources are taken on which machine.

use attar_meter::source::{Component, Cpu, GpuChoice, Scope, Selection, SourceChoice, select};
use attar_meter::{Host, Method, Watts};

use crate::tree::Tree;

fn host(tree: &Tree, virtual_machine: bool) -> Host {
    let proc = tree.sys().join("proc");
    std::fs::create_dir_all(&proc).unwrap();
    std::fs::write(proc.join("stat"), "cpu 1 0 0 1\ncpu0 1 0 0 1\n").unwrap();
    std::fs::write(proc.join("meminfo"), "MemTotal: 8000000 kB\n").unwrap();
    let cpu =
        Cpu { vendor: "AuthenticAMD".into(), family: 26, model: 2, stepping: 1, name: String::new(), virtual_machine };
    Host { sys: tree.sys().to_owned(), proc, cpu }
}

fn chosen(tree: &Tree, choice: SourceChoice, virtual_machine: bool) -> Selection {
    select(choice, &GpuChoice::None, Scope::Machine, &host(tree, virtual_machine), &tree.clock())
}

fn components(selection: &Selection) -> Vec<Component> {
    selection.sources.iter().flat_map(|source| source.describe().components).collect()
}

#[test]
fn live_counters_leave_nothing_to_the_model() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 0, 50.0).zone("intel-rapl:0:0", "dram", 0, 3.0);
    let selection = chosen(&tree, SourceChoice::Auto, false);
    assert_eq!(components(&selection), [Component::Cpu(0), Component::Memory(0)]);
    assert_eq!(selection.sources[0].describe().method, Method::Measured);
    assert!(selection.reasons[0].starts_with("processor: measured, source powercap"), "{:?}", selection.reasons);
}

#[test]
fn memory_without_a_counter_is_modeled_beside_a_measured_processor() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 0, 50.0);
    let selection = chosen(&tree, SourceChoice::Auto, false);
    assert_eq!(components(&selection), [Component::Cpu(0), Component::Memory(0)]);
    assert_eq!(selection.sources[1].describe().method, Method::Modeled);
}

#[test]
fn a_machine_without_counters_is_modeled_and_the_phantom_is_named() {
    let tree = Tree::new();
    std::fs::create_dir_all(tree.sys().join("bus/event_source/devices/power")).unwrap();
    let selection = chosen(&tree, SourceChoice::Auto, true);
    assert_eq!(components(&selection), [Component::Cpu(0), Component::Memory(0)]);
    let reasons = selection.reasons.join("\n");
    for expected in [
        "no counter read",
        "virtual machine",
        "phantoms",
        "Zen 5",
        "stands in for EPYC 5th Gen",
        "GPUs: no counter read: not asked for",
    ] {
        assert!(reasons.contains(expected), "{expected} is missing in\n{reasons}");
    }
}

#[test]
fn a_dead_counter_gives_way_to_the_model() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 77, 0.0);
    let selection = chosen(&tree, SourceChoice::Auto, false);
    assert!(selection.sources.iter().all(|source| source.describe().method == Method::Modeled));
    assert!(selection.reasons[0].contains("package-0 did not change"), "{:?}", selection.reasons);
}

#[test]
fn choices_are_written_in_settings_files() {
    for (text, choice) in [
        ("\"auto\"", SourceChoice::Auto),
        ("\"off\"", SourceChoice::Off),
        ("{\"replay\":\"log.jsonl\"}", SourceChoice::Replay("log.jsonl".into())),
        ("{\"fixed\":35.0}", SourceChoice::Fixed(Watts::new(35.0).unwrap())),
    ] {
        assert_eq!(serde_json::from_str::<SourceChoice>(text).unwrap(), choice);
        assert_eq!(serde_json::to_string(&choice).unwrap(), text);
    }
    assert!(serde_json::from_str::<SourceChoice>("{\"fixed\":-1}").is_err());
    assert_eq!(serde_json::from_str::<GpuChoice>("{\"only\":[0,2]}").unwrap(), GpuChoice::Only(vec![0, 2]));
}

#[test]
fn the_user_can_choose() {
    let tree = Tree::new();
    tree.zone("intel-rapl:0", "package-0", 0, 50.0);
    assert_eq!(components(&chosen(&tree, SourceChoice::Modeled, false)), [Component::Cpu(0), Component::Memory(0)]);
    let fixed = chosen(&tree, SourceChoice::Fixed(Watts::new(35.0).unwrap()), false);
    assert_eq!(components(&fixed), [Component::Machine]);
    assert!(fixed.reasons.iter().any(|reason| reason.contains("35.0 W as given by the user")), "{:?}", fixed.reasons);
    let off = chosen(&tree, SourceChoice::Off, false);
    assert!(off.sources.is_empty() && off.reasons[0].contains("only time is kept"));
}
