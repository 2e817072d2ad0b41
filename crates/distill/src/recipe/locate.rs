//! Where in a recipe a wrong value stands.
//!
//! Tables that are told apart by a key (`kind`, `from`) are read before it is known which they are, and the reader then
//! knows their first line only. So the value is looked for: it is the one without which the complaint is another.

use toml::Value;
use toml::de::{DeTable, DeValue};

use serde::Deserialize;

use super::Recipe;

/// The keys that tell tables apart: without them there is a complaint in any case.
const TAGS: [&str; 2] = ["kind", "from"];

/// Longest text that is searched, in bytes: the recipe is read once for each of its keys.
const LONGEST: usize = 16 << 10;

/// The keys of the value that a recipe is refused for and its line, as in "`data.rows`, line 4"; nothing where the
/// text is not even TOML.
pub(super) fn place(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let whole = Value::Table(text.parse().ok()?);
    let complaint = complaint(whole.clone())?;
    let mut path = Vec::new();
    while let Some(step) = culprit(&whole, &path, &complaint) {
        path.push(step);
    }
    let line = line(text, &path)?;
    let mut keys = String::new();
    for step in &path {
        match step {
            Step::Key(key) if keys.is_empty() => keys = key.clone(),
            Step::Key(key) => keys = format!("{keys}.{key}"),
            Step::Item(item) => keys = format!("{keys}[{item}]"),
        }
    }
    (!keys.is_empty()).then(|| format!("`{keys}`, line {line}"))
}

/// A step from a value to one in it.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    /// Counted from 0.
    Item(usize),
}

fn complaint(whole: Value) -> Option<String> {
    Recipe::deserialize(whole).err().map(|error| error.message().to_string())
}

/// The value in the one at `path` that the complaint is about.
fn culprit(whole: &Value, path: &[Step], complaint_now: &str) -> Option<Step> {
    let steps: Vec<Step> = match at(whole, path)? {
        Value::Table(table) => table.keys().cloned().map(Step::Key).collect(),
        Value::Array(array) => (0..array.len()).map(Step::Item).collect(),
        _ => return None,
    };
    let is_tag = |step: &Step| matches!(step, Step::Key(key) if TAGS.contains(&key.as_str()));
    let changes = |step: &&Step| {
        let mut without = whole.clone();
        match (at_mut(&mut without, path), step) {
            (Some(Value::Table(table)), Step::Key(key)) => _ = table.remove(key),
            (Some(Value::Array(array)), Step::Item(item)) => _ = array.remove(*item),
            _ => return false,
        }
        complaint(without).as_deref() != Some(complaint_now)
    };
    let (tags, others): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(is_tag);
    // What is missing is in no value.
    let is_missing = complaint_now.starts_with("missing field");
    others.iter().find(changes).or_else(|| tags.iter().filter(|_| !is_missing).find(changes)).cloned()
}

fn at<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(item) => value.get(*item),
    })
}

fn at_mut<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Item(item) => value.get_mut(*item),
    })
}

/// The line of a value, counted from 1.
fn line(text: &str, path: &[Step]) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = Some(root.get_ref());
    let mut array: Option<&toml::de::DeArray<'_>> = None;
    let mut begin = 0;
    for step in path {
        let value = match (step, table, array) {
            (Step::Key(key), Some(table), _) => table.get(key.as_str())?,
            (Step::Item(item), _, Some(array)) => array.get(*item)?,
            _ => return None,
        };
        begin = value.span().start;
        (table, array) = match value.get_ref() {
            DeValue::Table(table) => (Some(table), None),
            DeValue::Array(array) => (None, Some(array)),
            _ => (None, None),
        };
    }
    Some(1 + text.get(..begin)?.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECIPE: &str = r#"
        [data]
        kind = "embedded"
        rows = 200
        [student]
        from = "shape"
        layers = 4
        hidden = 312
        heads = 12
        feed-forward = 1200
        [[stage]]
        name = "one"
        objective = [
            { kind = "embedding" },
            { kind = "gold", weight = 0.5 },
        ]
        [[stage]]
        name = "two"
        schedule = { kind = "polynomial", power = 2.0 }
        length = { steps = 3 }
        objective = [{ kind = "gold" }]
        [energy]
        price = 0.3
    "#;

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        assert_eq!(place(RECIPE), None);
        let cases = [
            ("rows = 200", "rows = \"x\"", "`data.rows`, line 4"),
            ("rows = 200", "rows = -5", "`data.rows`, line 4"),
            ("rows = 200", "rosw = 200", "`data.rosw`, line 4"),
            ("\"embedded\"", "\"embeded\"", "`data.kind`, line 3"),
            ("hidden = 312", "hidden = 3.5", "`student.hidden`, line 8"),
            ("weight = 0.5", "weight = \"x\"", "`stage[0].objective[1].weight`, line 15"),
            ("power = 2.0", "power = true", "`stage[1].schedule.power`, line 19"),
            ("steps = 3", "steps = \"x\"", "`stage[1].length.steps`, line 20"),
            ("price = 0.3", "price = []", "`energy.price`, line 23"),
        ];
        for (from, to, expected) in cases {
            let text = RECIPE.replacen(from, to, 1);
            assert_ne!(text, RECIPE, "{from} is not in the recipe");
            assert_eq!(place(&text).as_deref(), Some(expected), "{to}");
        }
        // What is missing is missing from its table.
        assert_eq!(place(&RECIPE.replace("layers = 4", "")).as_deref(), Some("`student`, line 5"));
        assert_eq!(place("[data"), None);
    }
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// A recipe whose bytes were changed anywhere is read or refused.
        #[test]
        fn any_change_of_a_recipe_is_read_or_refused(changes in proptest::collection::vec((0..700usize, any::<u8>(), 0..3), 1..6)) {
            let mut bytes = RECIPE.as_bytes().to_vec();
            for (at, byte, how) in changes {
                let at = at % bytes.len();
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => _ = bytes.remove(at),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Err(error) = Recipe::parse(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
