//! The recipes that come with the project are recipes.

use std::path::Path;

use attar_distill::objectives::Objective;
use attar_distill::recipe::{DataSpec, Recipe, StudentSpec};

#[test]
fn every_recipe_is_read_and_its_numbers_are_in_range() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let recipe = Recipe::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!recipe.stages.is_empty(), "{name}");
        for stage in &recipe.stages {
            stage.objectives.iter().for_each(|objective| objective.check_numbers().unwrap());
        }
        // The first lines say how a copy of it is run, under its own name.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("--recipe {name}.toml --out runs/{name}\n")), "{name}");
        names.push(name);
    }
    names.sort();
    let expected = [
        "both-at-once",
        "extreme-192",
        "extreme-48",
        "extreme-96",
        "factorized",
        "gradual-4x312",
        "minilm-l3",
        "mixed-12x256",
        "mixed-6x256",
        "pruned-4x312",
        "tinybert4",
        "tinybert4-general",
        "tinybert6",
        "tinybert6-general",
        "two-cores",
    ];
    assert_eq!(names, expected);
}

#[test]
fn extreme_students_have_the_size_that_their_name_says() {
    for width in [48, 96, 192] {
        let path = format!("{}/../../recipes/extreme-{width}.toml", env!("CARGO_MANIFEST_DIR"));
        let recipe = Recipe::read(Path::new(&path)).unwrap();
        let StudentSpec::Shape { layers: 12, hidden, heads: 12, feed_forward, .. } = recipe.student else {
            panic!("{:?}", recipe.student)
        };
        assert_eq!((hidden, feed_forward), (width, 4 * width));
        assert!(matches!(recipe.data, DataSpec::Corpus { .. }));
        assert!(recipe.stages[0].objectives.iter().any(Objective::projects_weights));
    }
}
