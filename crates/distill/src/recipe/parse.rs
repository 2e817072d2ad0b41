//! Reading and writing recipes.

use std::path::{Path, PathBuf};

use super::{DataSpec, Recipe, StudentSpec, locate};
use crate::model_directory;

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a recipe.
    #[error("{}{}{}{}", in_file(path), source.to_string().trim_end(), at(place), did_you_mean(nearest))]
    Syntax {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// The keys and the line of the value.
        place: Option<String>,
        /// The known key nearest to an unknown one.
        nearest: Option<String>,
        /// Line, column, what was expected and what stands there.
        source: Box<toml::de::Error>,
    },
}

fn in_file(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(String::new, |path| format!("{}: ", path.display()))
}

fn at(place: &Option<String>) -> String {
    place.as_ref().map_or_else(String::new, |place| format!("\nat {place}"))
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("\ndid you mean `{nearest}`?"))
}

impl Recipe {
    /// Reads a recipe; relative paths in it are taken from its own folder.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or holds an unknown key or a value of the wrong kind.
    pub fn read(path: &Path) -> Result<Recipe, RecipeError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| RecipeError::Read { path: path.to_path_buf(), source })?;
        let mut recipe = Recipe::parse(&text).map_err(|error| match error {
            RecipeError::Syntax { place, nearest, source, .. } => {
                RecipeError::Syntax { path: Some(path.to_path_buf()), place, nearest, source }
            }
            other => other,
        })?;
        recipe.rebase(path.parent().unwrap_or(Path::new("")));
        Ok(recipe)
    }

    /// Reads a recipe from text.
    ///
    /// # Errors
    /// As [`Recipe::read`]; the text says where, what was expected, and the nearest known key.
    pub fn parse(text: &str) -> Result<Recipe, RecipeError> {
        toml::from_str(text).map_err(|error: toml::de::Error| RecipeError::Syntax {
            path: None,
            place: locate::place(text),
            nearest: nearest_key(error.message()),
            source: Box::new(error),
        })
    }

    /// The recipe as TOML with every default written out.
    ///
    /// # Panics
    /// Never: a recipe has no value that TOML cannot hold.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is representable in TOML")
    }

    /// The recipe with absolute paths: one that means the same in whatever folder it is written to.
    ///
    /// # Errors
    /// If the folder that relative paths start from cannot be told.
    pub fn absolute(&self) -> std::io::Result<Recipe> {
        let mut recipe = self.clone();
        for path in recipe.paths().into_iter().filter(|path| !model_directory::is_hub_name(path)) {
            *path = std::path::absolute(&*path)?;
        }
        Ok(recipe)
    }

    /// Takes relative paths from `folder`.
    fn rebase(&mut self, folder: &Path) {
        for path in self.paths().into_iter().filter(|path| !model_directory::is_hub_name(path)) {
            *path = folder.join(&*path);
        }
    }

    /// The models that the recipe names: its teacher, and what its student begins with. A program may put directories in place
    /// of names of the hub.
    pub fn models(&mut self) -> Vec<&mut PathBuf> {
        let teacher = self.teacher.as_mut().and_then(|teacher| teacher.path.as_mut());
        let student = match &mut self.student {
            StudentSpec::Model { path, .. } => path.as_mut(),
            StudentSpec::Teacher { .. } | StudentSpec::Shape { .. } => None,
        };
        teacher.into_iter().chain(student).collect()
    }

    /// Every path that the recipe names.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = Vec::new();
        match &mut self.data {
            DataSpec::Known { path, .. } => paths.push(path),
            DataSpec::Table { train, dev, label_file, dev_label_file, .. } => {
                paths.push(train);
                paths.extend([dev, label_file, dev_label_file].into_iter().flatten());
            }
            DataSpec::Tagged { train, dev, .. } | DataSpec::Answers { train, dev, .. } => {
                paths.push(train);
                paths.extend(dev);
            }
            DataSpec::Corpus { files, mix, .. } => {
                paths.extend(files);
                paths.extend(mix.as_mut().map(|mix| &mut mix.tokenizer));
            }
            DataSpec::Memory { .. } | DataSpec::Embedded { .. } => {}
        }
        paths.extend(self.teacher.as_mut().and_then(|teacher| teacher.path.as_mut()));
        match &mut self.student {
            StudentSpec::Model { path, .. } => paths.extend(path),
            StudentSpec::Teacher { tokenizer, .. } => paths.extend(tokenizer),
            StudentSpec::Shape { tokenizer, embeddings, .. } => {
                paths.extend([tokenizer, embeddings].into_iter().flatten());
            }
        }
        paths.extend(&mut self.more.unlabeled);
        paths
    }
}

/// The key nearest to an unknown one, out of those that the message of serde offers.
fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let closeness = |key: &&str| (strsim::jaro_winkler(unknown, key) * 1000.0) as u32;
    let nearest = quoted.max_by_key(closeness).filter(|key| closeness(key) > 700)?;
    Some(nearest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
        [data]
        kind = "known"
        layout = "sst-2"
        path = "SST-2"

        [teacher]
        path = "teacher"

        [student]
        from = "shape"
        layers = 4
        hidden = 312
        heads = 12
        feed-forward = 1200

        [[stage]]
        name = "intermediate"
        length = { epochs = 2 }
        schedule = { kind = "constant" }
        objective = [{ kind = "embedding" }, { kind = "hidden", map = "uniform" }, { kind = "attention", map = [[4, 12]] }]

        [[stage]]
        name = "prediction"
        objective = [{ kind = "soft", temperature = 2.0 }, { kind = "gold", weight = 0.5 }]
    "#;

    #[test]
    fn resolved_recipe_says_everything_and_reads_back() {
        let recipe = Recipe::parse(RECIPE).unwrap();
        let resolved = recipe.to_toml();
        assert_eq!(Recipe::parse(&resolved).unwrap(), recipe);
        for key in [
            "seed",
            "semantics",
            "device",
            "weight-decay",
            "warmup",
            "clip",
            "batch-rows",
            "max-tokens",
            "every",
            "precision",
        ] {
            assert!(resolved.contains(&format!("{key} = ")), "{key} is not in\n{resolved}");
        }
    }

    #[test]
    fn a_misspelt_key_is_refused_in_every_table() {
        let cases = [
            ("[data]", "[data]\nlayuot = 1", "layout"),
            ("[data]", "sede = 1\n[data]", "seed"),
            ("[teacher]", "[teacher]\npaht = 1", "path"),
            ("[teacher]", "[teacher]\nprecision = \"in8\"", "int8"),
            ("[student]", "[student]\nhiden = 1", "hidden"),
            ("[[stage]]", "[checkpoint]\nevry = 1\n[[stage]]", "every"),
            ("[[stage]]", "[energy]\nregoin = \"DE\"\n[[stage]]", "region"),
            ("name = \"prediction\"", "name = \"prediction\"\nclipp = 1.0", "clip"),
            ("name = \"prediction\"", "name = \"prediction\"\noptimizer = { beta3 = 0.9 }", "beta2"),
            ("{ kind = \"embedding\" }", "{ kind = \"embedding\", wieght = 1.0 }", "weight"),
            ("{ kind = \"embedding\" }", "{ kind = \"embeding\" }", "embedding"),
            ("{ kind = \"constant\" }", "{ kind = \"polynomial\", powr = 2.0 }", "power"),
            ("{ epochs = 2 }", "{ epohcs = 2 }", "epochs"),
            ("kind = \"known\"", "kind = \"knwon\"", "known"),
        ];
        for (from, to, nearest) in cases {
            let text = RECIPE.replacen(from, to, 1);
            assert_ne!(text, RECIPE, "{from} is not in the recipe");
            let error = Recipe::parse(&text).expect_err(to);
            assert!(error.to_string().contains("unknown"), "{to}: {error}");
            assert!(error.to_string().contains(&format!("did you mean `{nearest}`")), "{to}: {error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recipe.toml");
        std::fs::write(&file, RECIPE).unwrap();
        let recipe = Recipe::read(&file).unwrap();
        assert_eq!(recipe.teacher.unwrap().path.unwrap(), folder.path().join("teacher"));
        // Written elsewhere it has to say where its files are.
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("recipe.toml");
        let absolute = Recipe::parse(RECIPE).unwrap().absolute().unwrap();
        std::fs::write(&file, absolute.to_toml()).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(Recipe::read(&file).unwrap().teacher.unwrap().path.unwrap(), here.join("teacher"));
        let missing = Recipe::read(&folder.path().join("nothing.toml")).unwrap_err();
        assert!(missing.to_string().contains("nothing.toml"));
    }
}
