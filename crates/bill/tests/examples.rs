//! The programs under `examples` run.

#[path = "../examples/measure.rs"]
#[expect(dead_code, reason = "a test has arguments of its own")]
mod measure;

#[test]
fn measure_bills_a_closure() {
    measure::measure("DE").unwrap();
}
