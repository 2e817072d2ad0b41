//! Carbon intensity of electricity by place and year.

use std::fmt;

use attar_meter::{GramsPerKwh, QuantityError};
use serde::{Deserialize, Serialize};

mod countries;
mod embedded;
mod figure;
mod hourly;
mod table;

pub use hourly::{HourlyError, HourlyIntensity};
pub use table::GridTable;

/// Where the electricity comes from, and its carbon intensity. Taken as exact in sums: the yearly
/// mean of a country says nothing about the hour or the plant, and no source states an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Name of the place, or the user's words.
    pub region: String,
    /// Grams of CO2 equivalent for a kilowatt-hour.
    pub g_per_kwh: GramsPerKwh,
    /// The year of the figure, where known.
    pub year: Option<u16>,
    /// Source of the figure.
    pub source: String,
    /// Under which license they say so; empty where none is needed or known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Share of carbon-free energy (CFE) that a cloud states for this region, from 0 to 1; only
    /// Google's table has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carbon_free: Option<f64>,
    /// Whether the user chose it.
    pub choice: GridChoice,
    /// Which emissions are in the figure. Figures of different kinds do not compare.
    #[serde(default, skip_serializing_if = "GridKind::is_unstated")]
    pub kind: GridKind,
    /// ISO 3166-1 code of three letters of the country, where the place is one or lies in one that is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// How a grid was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GridChoice {
    /// The user named a country.
    Country,
    /// The user named a state or a province of one.
    State,
    /// The user named a region of a cloud.
    Cloud,
    /// The user named a place of their own table.
    File,
    /// The user gave the number.
    Custom,
    /// Computed from a grid and a share of carbon-free energy: market-based.
    Market,
    /// Nobody chose: the world's average stands in.
    Unspecified,
}

/// Which emissions are in a figure of carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GridKind {
    /// Of making fuel and plants too: for wind and nuclear power that is nearly all.
    LifeCycle,
    /// Of burning fuel in the place, for what is made there.
    Production,
    /// Of burning fuel for what is used in the place, imports in and exports out.
    Consumption,
    /// The source does not say.
    #[default]
    Unstated,
}

impl GridKind {
    /// A kind by the word that a table has for it.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let word = word.to_lowercase().replace(['-', '_'], " ");
        match word.as_str() {
            "life cycle" | "lifecycle" => Some(Self::LifeCycle),
            "production" | "direct" => Some(Self::Production),
            "consumption" => Some(Self::Consumption),
            "" => Some(Self::Unstated),
            _ => None,
        }
    }

    fn is_unstated(&self) -> bool {
        *self == Self::Unstated
    }

    /// Says of figures that stand beside each other which kinds they are, if they are of several.
    pub fn mixed<'a>(grids: impl IntoIterator<Item = &'a Grid>) -> Option<String> {
        let mut kinds: Vec<(Self, Vec<&str>)> = Vec::new();
        for grid in grids {
            match kinds.iter_mut().find(|(kind, _)| *kind == grid.kind) {
                Some((_, places)) if places.contains(&grid.region.as_str()) => {}
                Some((_, places)) => places.push(&grid.region),
                None => kinds.push((grid.kind, vec![&grid.region])),
            }
        }
        let each = kinds.iter().map(|(kind, places)| format!("{kind} of {}", places.join(", ")));
        (kinds.len() > 1).then(|| {
            format!(
                "the carbon intensities are of different kinds, which do not compare: {}",
                each.collect::<Vec<_>>().join("; ")
            )
        })
    }
}

impl fmt::Display for GridKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LifeCycle => "life cycle",
            Self::Production => "production",
            Self::Consumption => "consumption",
            Self::Unstated => "kind not stated",
        })
    }
}

/// A place or a year that no table has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// No table knows the place.
    #[error("region `{got}` is not among the {known} that are known; nearest: {}; give a country's name or code, a cloud's region such as gcp/europe-west1, a state such as us/california, or your own g/kWh", nearest.join(", "))]
    Region {
        /// The value given.
        got: String,
        /// How many places are known.
        known: usize,
        /// The closest names, best first.
        nearest: Vec<String>,
    },
    /// The country is known, but no table has a carbon intensity of it.
    #[error("`{got}` is {name}, of which no table has a carbon intensity; {}", instead(nearest.as_deref()))]
    NoFigure {
        /// The value given.
        got: String,
        /// The country's usual English name.
        name: String,
        /// The nearest place that has a figure, or the country that it belongs to.
        nearest: Option<String>,
    },
    /// The place is known, but not in that year.
    #[error("region `{region}` has no figure for {got}; {}", there_are(years))]
    Year {
        /// The place.
        region: String,
        /// The year asked for.
        got: u16,
        /// The years that there are, the newest first.
        years: Vec<u16>,
    },
}

/// Why there is no market-based figure for a grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MarketError {
    /// The share of carbon-free energy is not known.
    #[error("no share of carbon-free energy is known for `{region}`{}; name a region of Google's cloud, or give your own market-based g/kWh", year.map(|year| format!(" in {year}")).unwrap_or_default())]
    NoShare {
        /// The place.
        region: String,
        /// The year of its figure.
        year: Option<u16>,
    },
    /// The share rounds to the whole, which would make the figure zero.
    #[error(
        "the share of carbon-free energy of `{region}` is published as {share:.2}: two decimals do not prove that the rest is zero; give your own market-based g/kWh"
    )]
    AllFree {
        /// The place.
        region: String,
        /// The share as published.
        share: f64,
    },
}

impl Grid {
    /// The newest figure of a place: a country by its name or its ISO 3166-1 code of two or three
    /// letters, a cloud's region (`gcp/…`, `aws/…`, `azure/…`), a state or province (`us/…`, `ca/…`,
    /// `au/…`); in any case. See [`GridTable`].
    ///
    /// ```
    /// use attar_bill::Grid;
    /// assert_eq!(Grid::for_region("de")?, Grid::for_region("Germany")?);
    /// assert_eq!(Grid::for_region("gcp/europe-west1")?.year, Some(2024));
    /// assert!(Grid::for_region("Germny").unwrap_err().to_string().contains("Germany (DE)"));
    /// # Ok::<(), attar_bill::GridError>(())
    /// ```
    ///
    /// # Errors
    /// If no table knows it; the error names the closest match.
    pub fn for_region(region: &str) -> Result<Self, GridError> {
        GridTable::embedded().lookup(region)
    }

    /// The figure of a place in a year.
    ///
    /// ```
    /// use attar_bill::Grid;
    /// assert_eq!(Grid::for_region_year("gcp/europe-west1", 2019)?.g_per_kwh.get(), 196.0);
    /// let error = Grid::for_region_year("gcp/europe-west1", 2018).unwrap_err().to_string();
    /// assert!(error.ends_with("there are 2024, 2023, 2022, 2021, 2020, 2019"), "{error}");
    /// # Ok::<(), attar_bill::GridError>(())
    /// ```
    ///
    /// # Errors
    /// If no table knows the place, or has the year for it; the error names the closest places, or
    /// the years that there are.
    pub fn for_region_year(region: &str, year: u16) -> Result<Self, GridError> {
        GridTable::embedded().lookup_year(region, year)
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
            license: "CC-BY-4.0".to_owned(),
            carbon_free: None,
            choice: GridChoice::Unspecified,
            kind: GridKind::Production,
            country: None,
        }
    }

    /// The user's own figure.
    ///
    /// # Errors
    /// If the number is not between 0 and 2000 g/kWh.
    pub fn custom(g_per_kwh: f64, label: &str) -> Result<Self, QuantityError> {
        Ok(Self {
            region: label.to_owned(),
            g_per_kwh: GramsPerKwh::new(g_per_kwh)?,
            year: None,
            source: "given by the user".to_owned(),
            license: String::new(),
            carbon_free: None,
            choice: GridChoice::Custom,
            kind: GridKind::Unstated,
            country: None,
        })
    }

    /// The market-based figure that goes with this location-based one: grid × (1 − CFE), CFE being
    /// the share of carbon-free energy that the cloud buys. It is an approximation, for it takes
    /// what is bought beyond that share to be as the grid's mean.
    ///
    /// # Errors
    /// If no share is known for the place and year, or it rounds to the whole.
    pub fn market(&self) -> Result<Self, MarketError> {
        let share =
            self.carbon_free.ok_or_else(|| MarketError::NoShare { region: self.region.clone(), year: self.year })?;
        let g_per_kwh = GramsPerKwh::new(self.g_per_kwh.get() * (1.0 - share))
            .map_err(|_| MarketError::AllFree { region: self.region.clone(), share })?;
        Ok(Self {
            region: self.region.clone(),
            g_per_kwh,
            year: self.year,
            source: format!("grid × (1 − CFE) = {} × (1 − {share:.2}), {}", self.g_per_kwh, self.source),
            license: self.license.clone(),
            carbon_free: None,
            choice: GridChoice::Market,
            kind: self.kind,
            country: self.country.clone(),
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
        if self.choice == GridChoice::Unspecified {
            f.write_str("REGION NOT GIVEN: ")?;
        }
        write!(f, "{}", self.region)?;
        if let Some(year) = self.year {
            write!(f, " {year}")?;
        }
        write!(f, ", {}", self.g_per_kwh)?;
        // Of one's own figure the kind is one's own matter.
        if self.choice != GridChoice::Custom || !self.kind.is_unstated() {
            write!(f, " {}", self.kind)?;
        }
        write!(f, " ({})", self.source)
    }
}

fn instead(nearest: Option<&str>) -> String {
    let own = "give your own g/kWh";
    nearest.map_or_else(
        || own.to_owned(),
        |near| format!("{own}, or take the nearest that has one, {near}, if its grid serves it"),
    )
}

fn there_are(years: &[u16]) -> String {
    if years.is_empty() {
        return "its figures name no year: ask without one".to_owned();
    }
    format!("there are {}", years.iter().map(u16::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_found_by_code_and_name() {
        for name in ["DE", "deu", " Germany ", "gERMANY"] {
            assert_eq!(Grid::for_region(name).unwrap().region, "Germany", "{name}");
        }
        assert_eq!(Grid::for_region("UK").unwrap().region, "United Kingdom");
        assert_eq!(Grid::for_region("NA").unwrap().region, "Namibia");
        assert_eq!(Grid::for_region("KR").unwrap().g_per_kwh.get(), 430.567);
        assert_eq!(
            Grid::for_region("FR").unwrap().to_string(),
            "France 2023, 56.0 g CO2e/kWh life cycle (Our World in Data, Ember, CC-BY-4.0, through carbontracker)"
        );
    }

    #[test]
    fn countries_are_found_by_any_usual_name() {
        for (name, country) in [
            ("Great Britain", "United Kingdom"),
            ("u.k.", "United Kingdom"),
            ("USA", "United States"),
            ("America", "United States"),
            ("Holland", "Netherlands"),
            ("Deutschland", "Germany"),
            ("España", "Spain"),
            ("espana", "Spain"),
            ("日本", "Japan"),
            ("Türkiye", "Turkey"),
            ("turkiye", "Turkey"),
            ("Côte d'Ivoire", "Cote d'Ivoire"),
            ("Ivory Coast", "Cote d'Ivoire"),
            ("South Korea", "South Korea"),
            ("Россия", "Russia"),
            ("Česko", "Czechia"),
            ("Czech Republic", "Czechia"),
        ] {
            assert_eq!(Grid::for_region(name).unwrap().region, country, "{name}");
        }
        assert_eq!(
            Grid::for_region("LI").unwrap_err().to_string(),
            "`LI` is Liechtenstein, of which no table has a carbon intensity; give your own g/kWh, or take the nearest \
             that has one, Switzerland (CH), if its grid serves it"
        );
        assert!(Grid::for_region("Antarctica").unwrap_err().to_string().ends_with("give your own g/kWh"));
        assert!(Grid::for_region("Central African Republic").unwrap_err().to_string().contains("Cameroon (CM)"));
        // A typing error in another name of a country names that country.
        let error = Grid::for_region("Grate Britain").unwrap_err().to_string();
        assert!(error.contains("nearest: United Kingdom (GB)"), "{error}");
    }

    #[test]
    fn an_unknown_place_names_the_nearest() {
        let first = |region: &str| match Grid::for_region(region).unwrap_err() {
            GridError::Region { nearest, .. } => {
                assert_eq!(nearest.len(), 3, "{region}");
                nearest[0].clone()
            }
            other => panic!("{other}"),
        };
        assert_eq!(first("Swizerland"), "Switzerland (CH)");
        assert_eq!(first("gcp/europe-west11"), "gcp/europe-west1");
        assert_eq!(first("aws/us-east-l"), "aws/us-east-1");
        assert_eq!(first("europe-west4"), "gcp/europe-west4");
        assert_eq!(first("us/califronia"), "us/california (US-CA)");
        for bad in ["", "XX", "Atlantis", "/", "gcp/", "\u{0}\u{202e}", &"x".repeat(100_000)] {
            assert!(!first(bad).is_empty(), "{bad}");
        }
        let error = Grid::for_region("gcp/us").unwrap_err().to_string();
        assert!(error.starts_with("region `gcp/us` is not among the 375 that are known; nearest: gcp/us-"), "{error}");
    }

    #[test]
    fn an_unknown_year_names_those_there_are() {
        assert_eq!(
            Grid::for_region_year("FR", 1999).unwrap_err().to_string(),
            "region `France` has no figure for 1999; there are 2023, 2020"
        );
        let error = Grid::for_region_year("azure/West Europe", 2020).unwrap_err().to_string();
        assert!(error.contains("name no year"), "{error}");
        assert_eq!(Grid::for_region("azure/West Europe").unwrap().year, None);
    }

    #[test]
    fn market_is_the_grid_less_what_is_carbon_free() {
        let grid = Grid::for_region_year("gcp/europe-west1", 2024).unwrap();
        let market = grid.market().unwrap();
        assert_eq!(grid.g_per_kwh.get(), 103.37);
        assert!((market.g_per_kwh.get() - 103.37 * 0.16).abs() < 1e-9, "{market}");
        assert_eq!(market.choice, GridChoice::Market);
        assert!(market.source.starts_with("grid × (1 − CFE) = 103 g CO2e/kWh × (1 − 0.84), Google"), "{market}");
        assert!(matches!(market.market(), Err(MarketError::NoShare { .. })), "never twice");
        assert!(matches!(Grid::for_region("DE").unwrap().market(), Err(MarketError::NoShare { .. })));
        assert!(matches!(Grid::for_region("gcp/europe-north2").unwrap().market(), Err(MarketError::AllFree { .. })));
    }

    #[test]
    fn figures_of_different_kinds_are_told_apart() {
        let kind = |place: &str| Grid::for_region(place).unwrap().kind;
        assert_eq!(kind("FR"), GridKind::LifeCycle);
        assert_eq!(Grid::for_region_year("FR", 2020).unwrap().kind, GridKind::Production);
        assert_eq!((kind("us/california"), kind("aws/us-east-1")), (GridKind::Production, GridKind::Production));
        assert_eq!(Grid::for_region_year("gcp/europe-west1", 2019).unwrap().kind, GridKind::LifeCycle);
        assert_eq!(kind("gcp/europe-west1"), GridKind::Unstated);
        let grids = ["FR", "DE", "us/california"].map(|place| Grid::for_region(place).unwrap());
        let said = GridKind::mixed(&grids).unwrap();
        assert!(said.ends_with("life cycle of France, Germany; production of us/california"), "{said}");
        assert_eq!(GridKind::mixed(&grids[..2]), None);
        assert!(Grid::default().to_string().contains("475 g CO2e/kWh production"), "{}", Grid::default());
    }

    #[test]
    fn nobody_chose_is_said_loudly() {
        assert!(Grid::default().to_string().starts_with("REGION NOT GIVEN: world average 2019, 475 g CO2e/kWh"));
        assert!(!Grid::custom(20.0, "our roof").unwrap().to_string().contains("NOT GIVEN"));
        assert!(
            Grid::custom(0.0, "").is_err() && Grid::custom(2000.0, "").is_err() && Grid::custom(f64::NAN, "").is_err()
        );
    }

    #[test]
    fn grids_of_older_records_are_read() {
        let text = r#"{"region":"x","g_per_kwh":20.0,"year":null,"source":"s","choice":"custom"}"#;
        let grid: Grid = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&grid).unwrap(), text);
    }
}
