//! Class names: `id2label`, `num_labels` and `problem_type`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::{ConfigError, Target};
use crate::files::describe;

/// Most classes that are made up from `num_labels` alone.
const UNNAMED_LIMIT: usize = 1 << 16;

/// The `problem_type` of a model that gives a text several labels.
pub(super) const MULTI_LABEL: &str = "multi_label_classification";

/// The target of a sequence classifier.
///
/// One class means a number. The name of that one output has no place in [`Target::Regression`] and stays
/// among the other keys when it is not the usual one.
pub(super) fn read_target(map: &mut Map<String, Value>) -> Result<Target, ConfigError> {
    let labels = read_labels(map)?;
    let problem = map.get("problem_type").filter(|value| !value.is_null());
    let is_regression = match problem.map(|value| value.as_str()) {
        None => labels.len() == 1,
        Some(Some("regression")) => true,
        Some(Some("single_label_classification")) => false,
        Some(Some(MULTI_LABEL)) => {
            map.shift_remove("problem_type");
            remove_names(map);
            return Ok(Target::MultiLabel(labels));
        }
        Some(_) => {
            let expected = "\"regression\", \"single_label_classification\" or \"multi_label_classification\"";
            let got = problem.map(describe).unwrap_or_default();
            return Err(ConfigError::Key { key: "problem_type", expected, got });
        }
    };
    if !is_regression {
        remove_names(map);
        return Ok(Target::Labels(labels));
    }
    if labels.len() != 1 {
        let got = format!("regression with {} outputs", labels.len());
        let reason = "attar's regression has one output; set num_labels to 1";
        return Err(ConfigError::Unsupported { key: "problem_type", got, reason });
    }
    map.shift_remove("problem_type");
    map.shift_remove("num_labels");
    if labels == [default_label(0)] {
        remove_names(map);
    }
    Ok(Target::Regression)
}

/// Class names of a token classifier.
pub(super) fn read_token_labels(map: &mut Map<String, Value>) -> Result<Vec<String>, ConfigError> {
    let labels = read_labels(map)?;
    remove_names(map);
    Ok(labels)
}

/// The name `transformers` gives to a class without one.
pub(super) fn default_label(id: usize) -> String {
    format!("LABEL_{id}")
}

/// Whether class names are those that `transformers` makes up, `LABEL_0`, `LABEL_1` and so on: they say nothing.
pub fn are_default_labels(names: &[String]) -> bool {
    names.iter().enumerate().all(|(id, name)| *name == default_label(id))
}

fn remove_names(map: &mut Map<String, Value>) {
    for key in ["id2label", "label2id", "num_labels"] {
        map.shift_remove(key);
    }
}

fn read_labels(map: &Map<String, Value>) -> Result<Vec<String>, ConfigError> {
    let given = |key: &str| map.get(key).filter(|value| !value.is_null());
    let count = match given("num_labels") {
        None => None,
        Some(value) => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) if (1..=UNNAMED_LIMIT).contains(&number) => Some(number),
            _ => {
                let expected = "a whole number from 1 to 65536";
                return Err(ConfigError::Key { key: "num_labels", expected, got: describe(value) });
            }
        },
    };
    let Some(names) = given("id2label") else {
        return Ok((0..count.unwrap_or(2)).map(default_label).collect());
    };
    let Value::Object(names) = names else {
        return Err(ConfigError::Key { key: "id2label", expected: "an object from id to name", got: describe(names) });
    };
    if let Some(num_labels) = count
        && num_labels != names.len()
    {
        return Err(ConfigError::LabelCount { num_labels, id2label: names.len() });
    }
    read_names(names)
}

fn read_names(names: &Map<String, Value>) -> Result<Vec<String>, ConfigError> {
    let count = names.len();
    let error = |problem: String| ConfigError::Labels { count, problem };
    if names.is_empty() {
        return Err(error("it is empty".into()));
    }
    let mut labels: Vec<Option<String>> = vec![None; count];
    for (key, value) in names {
        let Ok(id) = key.parse::<usize>() else {
            return Err(error(format!("`{key}` is not an id")));
        };
        let Some(name) = value.as_str() else {
            return Err(error(format!("the name of {id} is {}", describe(value))));
        };
        match labels.get_mut(id) {
            None => return Err(error(format!("{id} is beyond the last"))),
            Some(Some(_)) => return Err(error(format!("{id} stands there twice"))),
            Some(slot) => *slot = Some(name.into()),
        }
    }
    // As many distinct ids below `count` as there are slots: none is empty.
    let labels: Vec<String> = labels.into_iter().flatten().collect();
    let mut first = HashMap::new();
    for (id, name) in labels.iter().enumerate() {
        if let Some(other) = first.insert(name.as_str(), id) {
            let name: String = name.chars().take(60).collect();
            return Err(error(format!(
                "{other} and {id} are both called {name:?}, so that answers cannot be told apart"
            )));
        }
    }
    Ok(labels)
}
