//! A recipe: an error, or a recipe that survives being written and read again.

use attar_distill::recipe::Recipe;

/// Reads and writes this text.
pub(crate) fn read_recipe(text: &str) {
    let Ok(recipe) = Recipe::parse(text) else { return };
    let written = recipe.to_toml();
    // A recipe that contains NaN does not equal itself, so the written texts are compared.
    let read = Recipe::parse(&written).expect("what was written can be read");
    assert_eq!(read.to_toml(), written);
}
