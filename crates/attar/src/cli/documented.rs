//! Commands and recipes of the documents parse: lines of `sh` blocks that begin with `attar `, and blocks of TOML.

use std::path::{Path, PathBuf};

use attar_distill::recipe::Recipe;
use clap::Parser;

use super::Cli;

/// The lines of a document's blocks of this language, block by block.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<Vec<&'a str>> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Vec<&str>)> = None;
    for line in document.lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(name), None) => open = Some((name == language, Vec::new())),
            (Some(_), Some((is_wanted, lines))) => blocks.extend(is_wanted.then_some(lines)),
            (None, Some((is_wanted, mut lines))) => {
                lines.push(line);
                open = Some((is_wanted, lines));
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The words of a line that calls the program; none of another line. What follows a redirection or `&` is the shell's.
fn call(line: &str) -> Option<Vec<String>> {
    line.strip_prefix("attar ")?;
    let words = shlex::split(line).unwrap_or_else(|| panic!("not a line of a shell: {line}"));
    let is_shell = |word: &String| matches!(word.as_str(), ">" | "|" | "<" | "&" | "&&" | "#");
    let end = words.iter().position(is_shell).unwrap_or(words.len());
    Some(words[..end].to_vec())
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = ["docs", "docs/tutorials"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let pages = docs.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    all.push(root.join("README.md"));
    all.sort();
    all
}

#[test]
fn documented_commands_parse() {
    let mut calls = 0;
    for path in documents() {
        let document = std::fs::read_to_string(&path).unwrap();
        for line in blocks(&document, "sh").into_iter().flatten() {
            let Some(words) = call(line) else { continue };
            calls += 1;
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {line}\n{error}", path.display());
            }
        }
    }
    // Fewer would mean that they are no longer found.
    assert!(calls > 60, "{calls}");
}

#[test]
fn recipes_are_such_as_the_program_reads() {
    let research = include_str!("../../../../docs/research.md");
    let recipes = blocks(research, "toml");
    assert_eq!(recipes.len(), 1);
    let recipe = Recipe::parse(&recipes[0].join("\n")).unwrap();
    assert_eq!(recipe.stages.len(), 2);
    let broken = recipes[0].join("\n").replace("temperature", "temprature");
    assert!(Recipe::parse(&broken).unwrap_err().to_string().contains("did you mean `temperature`?"));
}

#[test]
fn wrong_commands_are_noticed() {
    let words = |line| call(line).unwrap();
    assert_eq!(words("attar predict m \"a text\" > out.txt"), ["attar", "predict", "m", "a text"]);
    assert_eq!((call("curl attar"), call("cat > x.csv <<'CSV'")), (None, None));
    assert!(Cli::try_parse_from(words("attar distill --teechar t --data d")).is_err());
    assert_eq!(blocks("```sh\na\n```\n```text\nb\n```\n```sh\nc\n```", "sh"), [["a"], ["c"]]);
}
