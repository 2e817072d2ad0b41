//! The range of every number of a recipe that stands by itself.

use std::ops::RangeInclusive;

use crate::Error;
use crate::objectives::Objective;
use crate::optimizer::ScheduleKind;
use crate::recipe::{DataSpec, EnergySpec, MoreSpec, Recipe, StageLength, StageSpec, StudentSpec};

/// Most rows that are made, read or computed at a time; what has more is a typing error.
const MOST_ROWS: usize = 100_000_000;
/// Most updates of a stage.
const MOST_STEPS: usize = 10_000_000;
/// Widest layer and longest text.
const MOST_WIDTH: usize = 1 << 20;

/// Checks all of them.
///
/// # Errors
/// For the first that is out of its range, with its table, its key and the range.
pub(super) fn recipe(recipe: &Recipe) -> Result<(), Error> {
    data(&recipe.data)?;
    student(&recipe.student)?;
    more(&recipe.more)?;
    let checkpoint = RecipeTable("checkpoint");
    checkpoint.count("every", recipe.checkpoint.every, 1..=usize::MAX)?;
    checkpoint.count("keep", recipe.checkpoint.keep, 1..=usize::MAX)?;
    energy(&recipe.energy)?;
    recipe.stages.iter().try_for_each(stage)
}

/// Those of the data alone, for who reads data before there is a plan.
///
/// # Errors
/// As [`recipe`].
pub(crate) fn data(spec: &DataSpec) -> Result<(), Error> {
    let table = RecipeTable("data");
    let share = |share: f64| table.number("dev-share", share, share > 0.0 && share < 1.0, "above 0, below 1");
    let max_tokens = match spec {
        DataSpec::Known { max_tokens, rows, dev_share, .. } => {
            table.optional("rows", *rows, 1..=usize::MAX)?;
            dev_share.map_or(Ok(()), share)?;
            max_tokens
        }
        DataSpec::Table { max_tokens, rows, dev_share, regression, .. } => {
            table.optional("rows", *rows, 1..=usize::MAX)?;
            share(*dev_share)?;
            if let Some([low, high]) = regression {
                let holds = low < high && low.is_finite() && high.is_finite();
                table.holds(holds, "`regression` from a number to a larger one", format!("[{low}, {high}]"))?;
            }
            max_tokens
        }
        DataSpec::Tagged { max_tokens, rows, dev_share, .. }
        | DataSpec::Answers { max_tokens, rows, dev_share, .. } => {
            table.optional("rows", *rows, 1..=usize::MAX)?;
            share(*dev_share)?;
            max_tokens
        }
        DataSpec::Memory { max_tokens, dev_share, .. } => {
            share(*dev_share)?;
            max_tokens
        }
        DataSpec::Corpus { held_out, max_tokens, rows, .. } => {
            table.count("held-out", *held_out, 0..=MOST_ROWS)?;
            table.optional("rows", *rows, 1..=usize::MAX)?;
            max_tokens
        }
        DataSpec::Embedded { rows, dev_rows, max_tokens } => {
            table.count("rows", *rows, 1..=MOST_ROWS)?;
            table.count("dev-rows", *dev_rows, 1..=MOST_ROWS)?;
            max_tokens
        }
    };
    table.count("max-tokens", *max_tokens, 3..=MOST_WIDTH)
}

fn student(spec: &StudentSpec) -> Result<(), Error> {
    let table = RecipeTable("student");
    let (hidden, embedding_width, heads, feed_forward) = match spec {
        StudentSpec::Model { .. } => return Ok(()),
        StudentSpec::Teacher { hidden, embedding_width, heads, feed_forward, .. } => {
            (*hidden, *embedding_width, *heads, *feed_forward)
        }
        StudentSpec::Shape { layers, hidden, embedding_width, heads, feed_forward, .. } => {
            table.count("layers", *layers, 1..=1000)?;
            (Some(*hidden), *embedding_width, Some(*heads), Some(*feed_forward))
        }
    };
    // A normalization over one number leaves nothing of it.
    table.optional("embedding-width", embedding_width, 2..=MOST_WIDTH)?;
    table.optional("hidden", hidden, 1..=MOST_WIDTH)?;
    table.optional("heads", heads, 1..=MOST_WIDTH)?;
    table.optional("feed-forward", feed_forward, 1..=MOST_WIDTH)?;
    table.optional("vocabulary", spec.vocabulary(), 1..=100 * MOST_WIDTH)
}

fn more(spec: &MoreSpec) -> Result<(), Error> {
    let table = RecipeTable("more");
    table.optional("unlabeled-rows", spec.unlabeled_rows, 1..=MOST_ROWS)?;
    table.count("noisy-copies", spec.noisy_copies, 0..=10_000)
}

fn energy(spec: &EnergySpec) -> Result<(), Error> {
    let table = RecipeTable("energy");
    for (key, value) in [("watts", spec.watts), ("price", spec.price), ("machine-hour", spec.machine_hour)] {
        let Some(value) = value else { continue };
        table.number(key, value, value >= 0.0 && value.is_finite(), "of at least 0")?;
    }
    match spec.pue.as_ref().and_then(|pue| pue.parse::<f64>().ok()) {
        Some(pue) => table.number("pue", pue, pue >= 1.0 && pue.is_finite(), "of at least 1, or a preset"),
        None => Ok(()),
    }
}

fn stage(stage: &StageSpec) -> Result<(), Error> {
    let place = format!("stage {}", stage.name);
    let table = RecipeTable(&place);
    match stage.length {
        StageLength::Epochs(epochs) => table.count("epochs", epochs, 1..=10_000)?,
        StageLength::Steps(steps) => table.count("steps", steps, 1..=MOST_STEPS)?,
    }
    table.count("batch-rows", stage.batch_rows, 1..=1_000_000)?;
    table.optional("batch-tokens", stage.batch_tokens, 1..=MOST_ROWS)?;
    table.optional("feed-forward", stage.feed_forward, 1..=MOST_WIDTH)?;
    table.count("accumulate", stage.accumulate, 1..=1_000_000)?;
    table.optional("patience", stage.patience, 1..=MOST_STEPS)?;
    let finite = |key: &str, value: f64, holds: bool, expected: &str| {
        table.number(key, value, holds && value.is_finite(), expected)
    };
    finite("rate", stage.rate, stage.rate > 0.0, "above 0")?;
    finite(
        "layer-decay",
        stage.layer_decay,
        stage.layer_decay > 0.0 && stage.layer_decay <= 1.0,
        "above 0, at most 1",
    )?;
    finite("warmup", stage.warmup, (0.0..=1.0).contains(&stage.warmup), "from 0 to 1")?;
    finite("clip", stage.clip, stage.clip >= 0.0, "of at least 0")?;
    match stage.schedule {
        ScheduleKind::Linear {} | ScheduleKind::Constant {} => {}
        ScheduleKind::Cosine { cycles } => finite("cycles", cycles, cycles > 0.0, "above 0")?,
        ScheduleKind::Polynomial { power, end } => {
            finite("power", power, power > 0.0, "above 0")?;
            finite("end", end, end >= 0.0, "of at least 0")?;
        }
    }
    let o = stage.optimizer;
    finite("beta1", o.beta1, (0.0..1.0).contains(&o.beta1), "from 0, below 1")?;
    finite("beta2", o.beta2, (0.0..1.0).contains(&o.beta2), "from 0, below 1")?;
    finite("epsilon", o.epsilon, o.epsilon > 0.0, "above 0")?;
    finite("weight-decay", o.weight_decay, o.weight_decay >= 0.0, "of at least 0")?;
    table.holds(!stage.objectives.is_empty(), "at least one objective", "none".into())?;
    for (kind, [first, last]) in &stage.weight_schedule {
        let known = stage.objectives.iter().map(Objective::name);
        if !known.clone().any(|name| name == kind) {
            let names = known.clone().collect::<Vec<_>>().join(", ");
            table.holds(false, &format!("`weight-schedule` of its own objectives ({names})"), kind.clone())?;
        }
        let holds = [first, last].into_iter().all(|factor| *factor >= 0.0 && factor.is_finite()) && first + last > 0.0;
        let expected = "`weight-schedule` with two factors of at least 0, not both 0";
        table.holds(holds, expected, format!("{kind} = [{first}, {last}]"))?;
    }
    for objective in &stage.objectives {
        objective.check_numbers().map_err(|misfit| super::check::refused(&place, misfit))?;
    }
    Ok(())
}

/// A table of a recipe, by its name.
struct RecipeTable<'a>(&'a str);

impl RecipeTable<'_> {
    fn count(&self, key: &str, value: usize, range: RangeInclusive<usize>) -> Result<(), Error> {
        let expected = match (*range.start(), *range.end()) {
            (low, usize::MAX) => format!("`{key}` of at least {low}"),
            (low, high) => format!("`{key}` from {low} to {high}"),
        };
        self.holds(range.contains(&value), &expected, value.to_string())
    }

    fn optional(&self, key: &str, value: Option<usize>, range: RangeInclusive<usize>) -> Result<(), Error> {
        value.map_or(Ok(()), |value| self.count(key, value, range))
    }

    fn number(&self, key: &str, value: f64, holds: bool, expected: &str) -> Result<(), Error> {
        self.holds(holds, &format!("`{key}` {expected}"), value.to_string())
    }

    fn holds(&self, holds: bool, expected: &str, got: String) -> Result<(), Error> {
        let out = "correct it; a key that is left out has a sound default";
        if holds { Ok(()) } else { Err(Error::refused(self.0, expected, got, out)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
        data = { kind = "embedded", rows = 200, dev-rows = 60, max-tokens = 32 }
        student = { from = "shape", layers = 1, hidden = 16, heads = 4, feed-forward = 32, tokenizer = "t" }
        more = { noisy-copies = 2 }
        checkpoint = { every = 3, keep = 1 }
        energy = { source = "fixed", watts = 10.0, price = 0.3, machine-hour = 1.0, pue = "1.2" }
        [[stage]]
        name = "one"
        length = { steps = 3 }
        batch-rows = 16
        batch-tokens = 4096
        accumulate = 2
        rate = 1e-3
        layer-decay = 0.9
        warmup = 0.2
        clip = 1.5
        patience = 2
        schedule = { kind = "polynomial", power = 2.0, end = 1e-6 }
        optimizer = { beta1 = 0.8, beta2 = 0.98, epsilon = 1e-7, weight-decay = 0.02 }
        objective = [{ kind = "gold", weight = 0.7 }]
    "#;

    fn check(text: &str) -> Result<(), String> {
        recipe(&Recipe::parse(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_number_has_a_range() {
        assert_eq!(check(RECIPE), Ok(()));
        let wrong = [
            ("rows = 200", &["0", "1000000000000"][..]),
            ("dev-rows = 60", &["0", "1000000000000"]),
            ("max-tokens = 32", &["0", "2", "9000000000000000000"]),
            ("layers = 1", &["0", "9000000000000000000"]),
            ("hidden = 16", &["0", "9000000000000000000"]),
            ("heads = 4", &["0", "9000000000000000000"]),
            ("feed-forward = 32", &["0", "9000000000000000000"]),
            ("noisy-copies = 2", &["1000000000000"]),
            ("every = 3", &["0"]),
            ("keep = 1", &["0"]),
            ("watts = 10.0", &["-1.0", "nan", "inf"]),
            ("price = 0.3", &["-1.0", "nan", "inf"]),
            ("machine-hour = 1.0", &["-1.0", "nan", "inf"]),
            ("pue = \"1.2\"", &["\"0.9\"", "\"nan\"", "\"inf\""]),
            ("steps = 3", &["0", "1000000000"]),
            ("batch-rows = 16", &["0", "1000000000000"]),
            ("batch-tokens = 4096", &["0", "1000000000000"]),
            ("accumulate = 2", &["0", "1000000000000"]),
            ("rate = 1e-3", &["0.0", "-1.0", "nan", "inf"]),
            ("layer-decay = 0.9", &["0.0", "1.1", "nan"]),
            ("warmup = 0.2", &["-0.1", "1.1", "nan"]),
            ("clip = 1.5", &["-1.0", "nan", "inf"]),
            ("patience = 2", &["0"]),
            ("power = 2.0", &["0.0", "nan", "inf"]),
            ("end = 1e-6", &["-1.0", "nan", "inf"]),
            ("beta1 = 0.8", &["-0.1", "1.0", "nan"]),
            ("beta2 = 0.98", &["-0.1", "1.0", "nan"]),
            ("epsilon = 1e-7", &["0.0", "nan", "inf"]),
            ("weight-decay = 0.02", &["-0.1", "nan", "inf"]),
            ("weight = 0.7", &["0.0", "-1.0", "nan", "inf"]),
        ];
        for (number, values) in wrong {
            assert!(RECIPE.contains(number), "{number} is not in the recipe");
            let (key, _) = number.split_once(" = ").unwrap();
            for value in values {
                let text = RECIPE.replacen(number, &format!("{key} = {value}"), 1);
                let complaint = check(&text).expect_err(&format!("{key} = {value}"));
                assert!(complaint.contains(key) && complaint.contains("expected"), "{key} = {value}: {complaint}");
            }
        }
        for schedule in ["gold = [0.0, 0.0]", "gold = [-1.0, 1.0]", "gold = [0.0, nan]", "soft = [0.0, 1.0]"] {
            let text = RECIPE.replace("warmup", &format!("weight-schedule = {{ {schedule} }}\n        warmup"));
            assert!(check(&text).unwrap_err().contains("`weight-schedule`"), "{schedule}");
        }
        let text = RECIPE.replace("warmup", "weight-schedule = { gold = [0.0, 1.0] }\n        warmup");
        assert_eq!(check(&text), Ok(()));
        let table = RECIPE.replace(
            "kind = \"embedded\", rows = 200, dev-rows = 60",
            "kind = \"table\", train = \"t\", dev-share = 0.1",
        );
        assert_eq!(check(&table), Ok(()));
        for share in ["0.0", "1.0", "nan"] {
            let complaint = check(&table.replace("dev-share = 0.1", &format!("dev-share = {share}"))).unwrap_err();
            assert!(complaint.contains("`dev-share`"), "{complaint}");
        }
        let known = "kind = \"known\", layout = \"sst-2\", path = \"t\", dev-share = 1.0";
        let text = RECIPE.replace("kind = \"embedded\", rows = 200, dev-rows = 60", known);
        assert!(check(&text).unwrap_err().contains("`dev-share`"));
        for range in ["[1.0, 1.0]", "[nan, 1.0]", "[0.0, inf]"] {
            let text = table.replace("dev-share = 0.1", &format!("regression = {range}"));
            assert!(check(&text).unwrap_err().contains("`regression`"));
        }
    }
}
