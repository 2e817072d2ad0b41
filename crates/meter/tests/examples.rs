//! The programs under `examples` run.

#[path = "../examples/phases.rs"]
mod phases;

#[test]
fn phases_are_metered() {
    phases::main().unwrap();
}
