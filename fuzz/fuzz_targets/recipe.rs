//! Any bytes as a recipe: an error, or a recipe that is read as it was written.

#![no_main]

use attar_distill::recipe::Recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(recipe) = Recipe::parse(text) else { return };
    let written = recipe.to_toml();
    // Recipes with numbers that are none differ from themselves, so their texts are compared.
    let read = Recipe::parse(&written).expect("what was written can be read");
    assert_eq!(read.to_toml(), written);
});
