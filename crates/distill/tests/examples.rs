//! The programs under `examples` run.

#[path = "../examples/from_memory.rs"]
mod from_memory;

#[test]
fn from_memory_distills_and_answers() {
    from_memory::main().unwrap();
}
