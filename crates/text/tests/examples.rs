//! The programs under `examples` run.

#[path = "../examples/tokenize.rs"]
#[expect(dead_code, reason = "a test has arguments of its own")]
mod tokenize;

#[test]
fn tokenize_trains_and_splits() {
    tokenize::trained().unwrap();
}
