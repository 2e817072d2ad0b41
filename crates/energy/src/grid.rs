//! Carbon intensity of electricity by country.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::quantity::{GramsPerKwh, QuantityError};
use crate::table;

/// Where the electricity comes from, and its carbon intensity. Taken as exact in sums: the yearly
/// mean of a country says nothing about the hour or the plant, and no source states an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Name of the country, or the user's words.
    pub region: String,
    /// Grams of CO2 equivalent for a kilowatt-hour.
    pub g_per_kwh: GramsPerKwh,
    /// The year of the figure, where known.
    pub year: Option<u16>,
    /// Who says so.
    pub source: String,
    /// Whether the user chose it.
    pub choice: GridChoice,
}

/// How a grid was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridChoice {
    /// The user named a country.
    Country,
    /// The user gave the number.
    Own,
    /// Nobody chose: the world's average stands in.
    NotGiven,
}

/// A country that the table does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("region `{got}` is not in the table of {} countries; nearest: {}; give a name, a code of two or three letters, or your own g/kWh", known, nearest.join(", "))]
pub struct GridError {
    /// What was given.
    pub got: String,
    /// How many countries are known.
    pub known: usize,
    /// The nearest names, the best first.
    pub nearest: Vec<String>,
}

impl Grid {
    /// A country by its name or its ISO 3166-1 code of two or three letters, in any case.
    ///
    /// ```
    /// use attar_energy::Grid;
    /// assert_eq!(Grid::of("de")?, Grid::of("Germany")?);
    /// assert!(Grid::of("Germny").unwrap_err().to_string().contains("Germany (DE)"));
    /// # Ok::<(), attar_energy::GridError>(())
    /// ```
    ///
    /// # Errors
    /// If the table does not know it; the error names the nearest.
    pub fn of(region: &str) -> Result<Self, GridError> {
        let wanted = region.trim();
        // Reserved by ISO 3166-1 for the country that the table lists as GB.
        let wanted = if wanted.eq_ignore_ascii_case("UK") { "GB" } else { wanted };
        let is = |name: &str| name.eq_ignore_ascii_case(wanted);
        match countries().iter().find(|country| is(&country.alpha2) || is(&country.alpha3) || is(&country.name)) {
            Some(country) => Ok(Self {
                region: country.name.clone(),
                g_per_kwh: GramsPerKwh::raw(country.g_per_kwh),
                year: Some(country.year),
                source: format!("Our World in Data, Ember, CC-BY-4.0, through {}", country.source),
                choice: GridChoice::Country,
            }),
            None => Err(GridError { got: region.to_owned(), known: countries().len(), nearest: nearest(wanted) }),
        }
    }

    /// The world's average, for a place that nobody named: 475 g/kWh, the figure of the
    /// International Energy Agency for 2019 (Global Energy & CO2 Status Report), as Green
    /// Algorithms lists it (`CI_aggregated.csv` @30df2fea, CC-BY-4.0). The embedded table has no
    /// row for the world.
    pub fn world() -> Self {
        Self {
            region: "world average".to_owned(),
            g_per_kwh: GramsPerKwh::raw(475.0),
            year: Some(2019),
            source: "IEA Global Energy & CO2 Status Report 2019, through Green Algorithms, CC-BY-4.0".to_owned(),
            choice: GridChoice::NotGiven,
        }
    }

    /// The user's own figure.
    ///
    /// # Errors
    /// If the number is not between 0 and 2000 g/kWh.
    pub fn own(g_per_kwh: f64, label: &str) -> Result<Self, QuantityError> {
        Ok(Self {
            region: label.to_owned(),
            g_per_kwh: GramsPerKwh::new(g_per_kwh)?,
            year: None,
            source: "given by the user".to_owned(),
            choice: GridChoice::Own,
        })
    }
}

/// Nobody named a place: [`Grid::world`].
impl Default for Grid {
    fn default() -> Self {
        Self::world()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.choice == GridChoice::NotGiven {
            f.write_str("REGION NOT GIVEN: ")?;
        }
        write!(f, "{}", self.region)?;
        if let Some(year) = self.year {
            write!(f, " {year}")?;
        }
        write!(f, ", {} ({})", self.g_per_kwh, self.source)
    }
}

/// A row of `data/grid.csv`.
#[derive(Debug, Deserialize)]
struct Country {
    alpha2: String,
    alpha3: String,
    name: String,
    year: u16,
    g_per_kwh: f64,
    source: String,
}

fn countries() -> &'static [Country] {
    static COUNTRIES: OnceLock<Vec<Country>> = OnceLock::new();
    COUNTRIES.get_or_init(|| table::embedded(include_str!("../data/grid.csv")))
}

fn nearest(wanted: &str) -> Vec<String> {
    let by_name = table::nearest(wanted, countries().iter().map(|country| country.name.as_str()), 3);
    let described = |name: &str| {
        let country = countries().iter().find(|country| country.name == name)?;
        Some(format!("{} ({})", country.name, country.alpha2))
    };
    by_name.into_iter().filter_map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(countries().len(), 212);
        let mut seen = BTreeSet::new();
        for country in countries() {
            assert!(GramsPerKwh::new(country.g_per_kwh).is_ok(), "{country:?}");
            assert!((2000..=2026).contains(&country.year), "{country:?}");
            assert!(matches!(country.source.as_str(), "carbontracker" | "codecarbon"), "{country:?}");
            for (code, length) in [(&country.alpha2, 2), (&country.alpha3, 3)] {
                assert!(code.len() == length && code.bytes().all(|c| c.is_ascii_uppercase()), "{country:?}");
                assert!(seen.insert(code.clone()), "{code} stands twice");
            }
            assert!(seen.insert(country.name.to_lowercase()), "{} stands twice", country.name);
        }
    }

    #[test]
    fn countries_are_found_by_code_and_name() {
        for name in ["DE", "deu", " Germany ", "gERMANY"] {
            assert_eq!(Grid::of(name).unwrap().region, "Germany", "{name}");
        }
        assert_eq!(Grid::of("UK").unwrap().region, "United Kingdom");
        assert_eq!(Grid::of("NA").unwrap().region, "Namibia");
        assert_eq!(Grid::of("KR").unwrap().g_per_kwh.get(), 430.567);
        assert_eq!(
            Grid::of("FR").unwrap().to_string(),
            "France 2023, 56.0 g CO2e/kWh (Our World in Data, Ember, CC-BY-4.0, through carbontracker)"
        );
    }

    #[test]
    fn an_unknown_country_names_the_nearest() {
        let error = Grid::of("Swizerland").unwrap_err();
        assert_eq!(error.nearest[0], "Switzerland (CH)");
        assert!(error.to_string().starts_with("region `Swizerland` is not in the table of 212 countries"), "{error}");
        for bad in ["", "XX", "Atlantis", "CF"] {
            assert_eq!(Grid::of(bad).unwrap_err().nearest.len(), 3, "{bad}");
        }
    }

    #[test]
    fn nobody_chose_is_said_loudly() {
        assert!(Grid::default().to_string().starts_with("REGION NOT GIVEN: world average 2019, 475 g CO2e/kWh"));
        assert!(!Grid::own(20.0, "our roof").unwrap().to_string().contains("NOT GIVEN"));
        assert!(Grid::own(0.0, "").is_err() && Grid::own(2000.0, "").is_err() && Grid::own(f64::NAN, "").is_err());
    }
}
