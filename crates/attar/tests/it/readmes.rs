//! The README of each crate shows the example of its documentation, which is compiled and run.

use std::path::Path;

#[test]
fn examples_are_those_of_the_documentation() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in
        ["bill", "chart", "distill", "export", "kernels", "meter", "model", "runtime", "serve", "testing", "text"]
    {
        let read = |path: &str| std::fs::read_to_string(crates.join(name).join(path)).unwrap();
        let (readme, source) = (read("README.md"), read("src/lib.rs"));
        let [_, example, _] = readme.split("```rust\n").flat_map(|part| part.split("\n```")).collect::<Vec<_>>()[..]
        else {
            panic!("{name}: expected one example")
        };
        let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
        let documentation = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let shown: Vec<&str> = documentation.filter(|line| *line != "#" && !line.starts_with("# ")).collect();
        assert!(shown.join("\n").contains(example.trim()), "{name}: README.md and src/lib.rs differ in\n{example}");
    }
}
