//! Any bytes as a recipe, as the test `hostile` reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/attar/tests/hostile/shared/recipe.rs"]
mod recipe;

fuzz_target!(|text: &str| recipe::read_recipe(text));
