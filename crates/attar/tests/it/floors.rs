//! Which crate may import which (ARCHITECTURE.md, floors): a lower floor does not know a higher one.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate of ours may import of ours.
const MAY_IMPORT: [(&str, &[&str]); 7] = [
    ("attar-energy", &[]),
    ("attar-kernels", &[]),
    ("attar-text", &[]),
    ("attar-testing", &[]),
    ("attar-model", &["attar-text"]),
    ("attar-distill", &["attar-energy", "attar-kernels", "attar-model", "attar-text"]),
    ("attar", &["attar-distill", "attar-energy", "attar-model", "attar-text"]),
];

/// Crates that one crate alone may use, because they are heavy or dangerous.
const KEPT_TO: [(&str, &str); 3] = [("burn", "attar-distill"), ("clap", "attar"), ("nvml-wrapper", "attar-energy")];

#[test]
fn imports_go_downwards() {
    let metadata =
        MetadataCommand::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).no_deps().exec();
    let metadata = metadata.unwrap();
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut seen = 0;
    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} has no floor yet: give it one"));
        for dependency in &package.dependencies {
            let import = dependency.name.as_str();
            if import == "attar-testing" {
                assert_eq!(dependency.kind, DependencyKind::Development, "{name} uses attar-testing outside tests");
            } else if import.starts_with("attar") && dependency.kind != DependencyKind::Development {
                assert!(allowed.contains(&import), "{name} imports {import}");
            }
            for (heavy, owner) in KEPT_TO {
                assert!(
                    import != heavy || name == owner || dependency.kind == DependencyKind::Development,
                    "{name} imports {heavy}"
                );
            }
        }
        seen += 1;
    }
    assert_eq!(seen, MAY_IMPORT.len());
}
