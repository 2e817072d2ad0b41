//! Which crate may import which (ARCHITECTURE.md, floors): a lower floor does not know a higher one.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::common::json;

/// What each crate of ours may import of ours.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    ("attar-chart", &[]),
    ("attar-meter", &[]),
    ("attar-bill", &["attar-chart", "attar-meter"]),
    ("attar-kernels", &[]),
    ("attar-text", &[]),
    ("attar-testing", &[]),
    ("attar-model", &[]),
    ("attar-runtime", &["attar-kernels", "attar-model", "attar-text"]),
    ("attar-distill", &["attar-bill", "attar-kernels", "attar-meter", "attar-model", "attar-runtime", "attar-text"]),
    ("attar-export", &["attar-model", "attar-runtime"]),
    ("attar-serve", &["attar-bill", "attar-meter", "attar-model", "attar-runtime", "attar-text"]),
    ("attar-report", &["attar-bill", "attar-chart", "attar-meter", "attar-text"]),
    ("attar-wasm", &["attar-model", "attar-runtime"]),
    (
        "attar",
        &[
            "attar-bill",
            "attar-distill",
            "attar-export",
            "attar-kernels",
            "attar-meter",
            "attar-model",
            "attar-report",
            "attar-runtime",
            "attar-serve",
            "attar-text",
        ],
    ),
];

/// Crates that few of ours may use, because they are heavy or dangerous.
const KEPT_TO: [(&str, &[&str]); 16] = [
    ("axum", &["attar-serve"]),
    ("burn-core", &["attar-distill"]),
    ("clap", &["attar"]),
    ("hf-hub", &["attar"]),
    ("hyper", &["attar-serve"]),
    ("hyper-util", &["attar-serve"]),
    ("nvml-wrapper", &["attar-meter"]),
    ("parquet", &["attar-text"]),
    ("perf-event2", &["attar-meter"]),
    ("prost", &["attar-distill", "attar-export"]),
    ("prometheus-client", &["attar-bill", "attar-serve"]),
    ("tokio", &["attar-serve"]),
    ("tower-http", &["attar-serve"]),
    ("schemars", &["attar-serve"]),
    ("ureq", &["attar"]),
    ("wasm-bindgen", &["attar-wasm"]),
];

#[test]
fn imports_go_downwards() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = json(&String::from_utf8(output.stdout).unwrap());
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let packages = metadata["packages"].as_array().unwrap();
    let mut imported = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} has no floor yet: give it one"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let import = dependency["name"].as_str().unwrap();
            imported.insert(import);
            if dependency["kind"] == "dev" {
                continue;
            }
            assert_ne!(import, "attar-testing", "{name} uses attar-testing outside tests");
            assert!(!import.starts_with("attar") || allowed.contains(&import), "{name} imports {import}");
            for (heavy, owners) in KEPT_TO {
                assert!(import != heavy || owners.contains(&name), "{name} imports {heavy}");
            }
        }
    }
    assert_eq!(packages.len(), MAY_IMPORT.len());
    for (heavy, _) in KEPT_TO {
        assert!(imported.contains(heavy), "nobody imports {heavy} any more: take it out of the list");
    }
}
