//! What a mass of greenhouse gas compares with.

use std::fmt;
use std::sync::OnceLock;

use attar_meter::table;
use attar_meter::{Estimate, GramsCo2e};
use serde::{Deserialize, Serialize};

use crate::count::Count;

/// So many of something cause as much greenhouse gas.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Equivalent {
    /// What is counted.
    pub name: &'static str,
    /// How many.
    pub count: Estimate<Count>,
    /// Grams of one of them, taken as exact.
    pub grams_of_one: GramsCo2e,
    /// Source of the figure.
    pub source: &'static str,
    /// The year of that figure.
    pub year: u16,
}

/// All comparisons, from the smallest thing to the largest: kilometers in a car, and those that
/// Strubell et al. 2019 made.
///
/// ```
/// use attar_bill::equivalents;
/// use attar_meter::{Estimate, GramsCo2e};
/// let search = Estimate::exact(GramsCo2e::new(626_155.0 * 453.592_37)?);
/// let cars = equivalents(search).pop().unwrap();
/// assert_eq!(cars.to_string(), "4.97 lives of an average American car, fuel included");
/// # Ok::<(), attar_meter::QuantityError>(())
/// ```
pub fn equivalents(carbon: Estimate<GramsCo2e>) -> Vec<Equivalent> {
    comparisons()
        .iter()
        .map(|row| Equivalent {
            name: &row.name,
            count: carbon.map(|grams| Count::raw(grams.get() / row.grams.get())),
            grams_of_one: row.grams,
            source: &row.source,
            year: row.year,
        })
        .collect()
}

/// `4.97 lives of an average American car, fuel included`.
impl fmt::Display for Equivalent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.name)
    }
}

/// A row of `data/equivalents.csv`.
#[derive(Debug, Deserialize)]
struct EquivalentRow {
    name: String,
    grams: GramsCo2e,
    year: u16,
    source: String,
}

fn comparisons() -> &'static [EquivalentRow] {
    static ROWS: OnceLock<Vec<EquivalentRow>> = OnceLock::new();
    ROWS.get_or_init(|| table::embedded(include_str!("../data/equivalents.csv")))
}

#[cfg(test)]
mod tests {
    use attar_testing::{assert_close_relative, shared};

    use super::*;

    #[test]
    fn strubells_comparisons_come_out() {
        let pounds = [1984.0, 11_023.0, 36_156.0, 126_000.0];
        let ours: Vec<f64> =
            comparisons().iter().filter(|row| row.source.contains("Strubell")).map(|row| row.grams.get()).collect();
        assert_eq!(ours.len(), pounds.len());
        for (grams, pounds) in ours.iter().zip(pounds) {
            assert_close_relative("grams", *grams, pounds * 453.592_37, 1e-15);
        }
        // BERT on V100: 1438 lb, 0.72 of a flight.
        let bert = equivalents(Estimate::exact(GramsCo2e::raw(1438.0 * 453.592_37)));
        let flight = bert.iter().find(|one| one.name.contains("San Francisco")).unwrap();
        assert!(flight.to_string().starts_with("0.725 passenger's flights"), "{flight}");
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn the_car_is_as_published() {
        let path = shared("data/energy/carbontracker/co2eq-equivalents.csv");
        for row in csv::Reader::from_path(path).unwrap().records().map(Result::unwrap) {
            let year = row[0].rsplit('_').next().unwrap();
            let ours = comparisons().iter().find(|ours| ours.name.contains(&format!("of {year}"))).unwrap();
            assert_eq!(ours.grams.get(), row[1].parse::<f64>().unwrap());
        }
    }

    #[test]
    fn intervals_go_along_and_small_ones_are_not_zero() {
        let grams = Estimate::new(GramsCo2e::raw(1.0), GramsCo2e::raw(0.5), GramsCo2e::raw(2.0)).unwrap();
        let all = equivalents(grams);
        assert_eq!(all[0].to_string(), "0.00930 [0.00465, 0.01860] km in an average new car of 2020 (EU)");
        assert!(all.iter().all(|one| one.to_string().contains(|c: char| ('1'..='9').contains(&c))));
        assert!(all.is_sorted_by(|a, b| a.grams_of_one.get() <= b.grams_of_one.get()));
    }
}
