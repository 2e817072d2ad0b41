//! What the program says of itself: help, completions, manual pages.

use crate::common::succeed;

#[test]
fn every_shell_gets_a_script_that_knows_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeed(folder.path(), &["completions", shell]);
        for word in ["quickstart", "doctor", "noisy-copies"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["man", "a/b"]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(format!("a/b/{name}.1"))).unwrap();
    let commands = include_str!("help.txt").lines().skip_while(|line| *line != "Commands:").skip(1);
    // A name stands two columns in; what it does may go on below, further in.
    let names = commands.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> =
        names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"distill"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(page(&format!("attar-{name}")).contains(".SH NAME"), "{name}");
    }
    assert!(page("attar-energy-doctor").contains(".SH NAME"));
    assert!(page("attar-distill").contains("noisy\\-copies"));
    // Hidden commands have none.
    assert!(!folder.path().join("a/b/attar-first-answer.1").exists());
}

#[test]
fn help_comes_in_groups_and_is_short_when_asked_so() {
    let folder = tempfile::tempdir().unwrap();
    let [short, long] = ["-h", "--help"].map(|flag| succeed(folder.path(), &["distill", flag]));
    for help in [&short, &long] {
        let heading = |name: &str| help.find(&format!("\n{name}:\n")).unwrap_or_else(|| panic!("no {name} in {help}"));
        assert!(["Student", "Data", "Training", "Energy", "Output"].map(heading).is_sorted(), "{help}");
    }
    assert!(short.lines().count() < 70, "{} lines:\n{short}", short.lines().count());
    for rare in ["--batch-tokens", "--quoting", "--machine-hour"] {
        assert!(long.contains(rare) && !short.contains(rare), "{rare}");
    }
}
