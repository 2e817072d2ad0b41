//! Places by name, each with its carbon intensity in the years that there are.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use attar_meter::GramsPerKwh;
use attar_meter::table;

use super::countries::{self, Country};
use super::embedded;
use super::figure::{NamedFigure, RegionFigure};
use super::{Grid, GridChoice, GridError, GridKind};
use crate::user_table::{TableColumn, TableError, UserTable};

/// How many near names an error gives.
const NEAREST: usize = 3;

/// Carbon intensities of places in years: the embedded tables, and a user's own over them.
///
/// Places are countries (`DE`, `DEU`, `Germany`), regions of clouds (`gcp/europe-west1`,
/// `aws/us-east-1`, `azure/westeurope`), and states or provinces of the United States, Canada and
/// Australia (`us/california` or `US-CA`). Case, spaces, hyphens and underscores make no difference.
#[derive(Debug, Clone)]
pub struct GridTable {
    places: Vec<Region>,
    /// The place of each name, the name written as [`key`] does.
    index: BTreeMap<String, usize>,
}

#[derive(Debug, Clone)]
struct Region {
    names: Vec<String>,
    /// The newest first; one without a year is the oldest.
    rows: Vec<RegionFigure>,
}

impl GridTable {
    /// The tables that are compiled in; their sources and licenses stand in [`licenses`](crate::licenses()).
    pub fn embedded() -> &'static Self {
        static TABLE: OnceLock<GridTable> = OnceLock::new();
        TABLE.get_or_init(|| {
            let mut table = Self { places: Vec::new(), index: BTreeMap::new() };
            embedded::all().into_iter().for_each(|found| table.add(found));
            table.places.iter_mut().for_each(Region::sort);
            table
        })
    }

    /// The embedded tables with a user's file over them: a place that the file names has the file's
    /// figures alone, but for years that only the embedded tables know. Places that those do not
    /// know are new.
    ///
    /// The file is comma-separated with the header `region,g_per_kwh,year,source`, in any order.
    /// `g/kWh` and `gCO2e/kWh` are taken for `g_per_kwh`, `zone` for `region`; other columns are
    /// refused. `year` and `source` may be empty in a row. Lines that begin with `#` are skipped. A column `kind` may say which emissions are in a figure ([`GridKind`]).
    ///
    /// # Errors
    /// If the file cannot be read, has another header, or has a row with a number out of range; the
    /// error names line and column.
    pub fn with_file(path: &Path) -> Result<Self, TableError> {
        let columns = [
            TableColumn::required("region", &["zone"]),
            TableColumn::required("g_per_kwh", &["g/kWh", "gCO2e/kWh"]),
            TableColumn::required("year", &[]),
            TableColumn::required("source", &[]),
            TableColumn::optional("kind", &[]),
        ];
        let file = UserTable::read(path, &columns, false)?;
        let mut table = Self::embedded().clone();
        for row in file.rows() {
            let region = row.name("region")?;
            if key(region).is_empty() {
                return Err(row.wrong("region", "the name of a place"));
            }
            let wanted = "more than 0 and less than 2000 g/kWh";
            let g_per_kwh = row
                .number("g_per_kwh", wanted, |g| GramsPerKwh::new(g).is_ok())?
                .ok_or_else(|| row.wrong("g_per_kwh", wanted))?;
            let year = row
                .number("year", "a year or nothing", |year| year.fract() == 0.0 && (1900.0..=2100.0).contains(&year))?;
            // Checked above: a whole number of four digits.
            let year = year.map(|year| year as u16);
            let taken = |place: &usize| {
                table.places[*place].rows.iter().any(|known| known.choice == GridChoice::File && known.year == year)
            };
            if table.index.get(&key(region)).is_some_and(taken) {
                return Err(row.wrong("region", "each place once for a year"));
            }
            let source = match row.name("source")? {
                "" => format!("{}, line {}", path.display(), row.line),
                source => format!("{source}, through {}", path.display()),
            };
            let wanted = "life cycle, production, consumption or nothing";
            let kind = GridKind::named(row.text("kind")).ok_or_else(|| row.wrong("kind", wanted))?;
            let license = "not known: the user's file".to_owned();
            let row =
                RegionFigure { year, g_per_kwh, carbon_free: None, source, license, choice: GridChoice::File, kind };
            table.add(NamedFigure { names: vec![region.to_owned()], row });
        }
        table.places.iter_mut().for_each(Region::sort);
        Ok(table)
    }

    /// The newest figure of a place; of a user's file over any other.
    ///
    /// # Errors
    /// If no table knows the place; the error names the closest match.
    pub fn lookup(&self, region: &str) -> Result<Grid, GridError> {
        let place = self.place(region)?;
        // A place comes to be with its first row.
        place.rows.first().map(|row| place.grid(row)).ok_or_else(|| self.unknown(region))
    }

    /// The figure of a place in a year.
    ///
    /// # Errors
    /// If no table knows the place, or has the year for it; the error names the closest places, or
    /// the years that there are.
    pub fn lookup_year(&self, region: &str, year: u16) -> Result<Grid, GridError> {
        let place = self.place(region)?;
        place.rows.iter().find(|row| row.year == Some(year)).map(|row| place.grid(row)).ok_or_else(|| GridError::Year {
            region: place.name().to_owned(),
            got: year,
            years: place.years(),
        })
    }

    /// The years that there are for a place, the newest first; none where no figure names its year.
    ///
    /// # Errors
    /// If no table knows the place.
    pub fn years(&self, region: &str) -> Result<Vec<u16>, GridError> {
        self.place(region).map(Region::years)
    }

    /// The names of all places.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(Region::name)
    }

    fn place(&self, region: &str) -> Result<&Region, GridError> {
        if let Some(place) = self.index.get(&key(region)) {
            return Ok(&self.places[*place]);
        }
        let Some(country) = Country::named(region) else { return Err(self.unknown(region)) };
        let of_code = |code: &str| self.index.get(&key(code)).map(|place| &self.places[*place]);
        of_code(&country.alpha2).ok_or_else(|| GridError::NoFigure {
            got: crate::user_table::excerpt(region),
            name: country.name().to_owned(),
            nearest: country.near.as_deref().and_then(of_code).map(Region::label),
        })
    }

    fn unknown(&self, region: &str) -> GridError {
        // A name with the prefix of a cloud or of a country's states is compared with its like.
        let prefix = region.split_once('/').map(|(prefix, _)| format!("{}/", key(prefix)));
        let like = |place: &&Region| prefix.as_ref().is_some_and(|prefix| place.name().starts_with(prefix.as_str()));
        let alike: Vec<&Region> = self.places.iter().filter(like).collect();
        let places = if alike.is_empty() { self.places.iter().collect() } else { alike };
        let mut names: Vec<(&str, &Region)> = places
            .iter()
            .flat_map(|place| {
                let short = place.name().split_once('/').map(|(_, short)| short).filter(|_| prefix.is_none());
                [Some(place.name()), short].into_iter().flatten().map(|name| (name, *place))
            })
            .collect();
        if prefix.is_none() {
            let place = |country: &Country| self.index.get(&key(&country.alpha2)).map(|place| &self.places[*place]);
            let others = countries::all().iter().filter_map(|country| Some((country, place(country)?)));
            names.extend(others.flat_map(|(country, place)| country.names().map(move |name| (name, place))));
        }
        let mut nearest: Vec<String> = Vec::new();
        for name in table::nearest(region.trim(), names.iter().map(|(name, _)| *name), 4 * NEAREST) {
            let label = names.iter().find(|(known, _)| *known == name).map(|(_, place)| place.label());
            if let Some(label) = label.filter(|label| !nearest.contains(label) && nearest.len() < NEAREST) {
                nearest.push(label);
            }
        }
        GridError::Region { got: crate::user_table::excerpt(region), known: self.places.len(), nearest }
    }

    fn add(&mut self, found: NamedFigure) {
        let known = found.names.iter().find_map(|name| self.index.get(&key(name)).copied());
        let place = known.unwrap_or_else(|| {
            self.places.push(Region { names: found.names.clone(), rows: Vec::new() });
            self.places.len() - 1
        });
        for name in &found.names {
            self.index.entry(key(name)).or_insert(place);
        }
        self.places[place].rows.push(found.row);
    }
}

impl Region {
    fn name(&self) -> &str {
        // A place comes to be with a name.
        self.names.first().map_or("", String::as_str)
    }

    /// The country's code of three letters: its own, or that of the state's country.
    fn country(&self) -> Option<&str> {
        let of_state = self.name().split_once('/').and_then(|(country, _)| match country {
            "us" => Some("USA"),
            "ca" => Some("CAN"),
            "au" => Some("AUS"),
            _ => None,
        });
        let is_code = |name: &&String| name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_uppercase());
        of_state.or_else(|| self.names.iter().skip(1).find(is_code).map(String::as_str))
    }

    fn label(&self) -> String {
        match self.names.get(1) {
            Some(code) => format!("{} ({code})", self.name()),
            None => self.name().to_owned(),
        }
    }

    fn years(&self) -> Vec<u16> {
        let mut years: Vec<u16> = self.rows.iter().filter_map(|row| row.year).collect();
        years.sort_unstable_by(|a, b| b.cmp(a));
        years.dedup();
        years
    }

    /// A user's figures before others, and the newest of each first.
    fn sort(&mut self) {
        self.rows.sort_by_key(|row| std::cmp::Reverse((row.choice == GridChoice::File, row.year)));
    }

    fn grid(&self, row: &RegionFigure) -> Grid {
        Grid {
            region: self.name().to_owned(),
            g_per_kwh: GramsPerKwh::raw(row.g_per_kwh),
            year: row.year,
            source: row.source.clone(),
            license: row.license.clone(),
            carbon_free: row.carbon_free,
            choice: row.choice,
            kind: row.kind,
            country: self.country().map(str::to_owned),
        }
    }
}

/// A name as it is compared: in lower case, without spaces, hyphens, underscores, apostrophes and marks of
/// abbreviation.
pub(super) fn key(name: &str) -> String {
    let mark = |c: &char| matches!(c, ' ' | '-' | '_' | '\t' | '\'' | '’' | 'ʻ' | '.' | ',' | '(' | ')');
    name.chars().filter(|c| !mark(c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_embedded_tables_are_sound() {
        let table = GridTable::embedded();
        let of = |choice| table.places.iter().filter(|place| place.rows[0].choice == choice).count();
        assert_eq!((of(GridChoice::Country), of(GridChoice::Cloud), of(GridChoice::State)), (212, 91, 72));
        for place in &table.places {
            let mut years = BTreeSet::new();
            for row in &place.rows {
                assert!(GramsPerKwh::new(row.g_per_kwh).is_ok(), "{place:?}");
                assert!(years.insert(row.year), "{} has {:?} twice", place.name(), row.year);
                assert!(row.year.is_none_or(|year| (2000..=2026).contains(&year)), "{place:?}");
                assert!(row.carbon_free.is_none_or(|share| (0.0..=1.0).contains(&share)), "{place:?}");
                assert!(!row.source.is_empty() && !row.license.is_empty(), "{place:?}");
            }
            assert_eq!(table.lookup(place.name()).unwrap().region, place.name(), "a grid's region finds it again");
            for name in &place.names {
                assert_eq!(table.index[&key(name)], table.index[&key(place.name())], "{name} means two places");
            }
        }
    }

    #[test]
    fn states_have_two_years_of_two_sources() {
        let table = GridTable::embedded();
        assert_eq!(table.years("us/california").unwrap(), [2020, 2016]);
        let (old, new) = (table.lookup_year("US-CA", 2016).unwrap(), table.lookup("us/California").unwrap());
        assert!(old.source.contains("eGRID") && new.source.contains("Green Algorithms"), "{old} {new}");
        assert_eq!(table.lookup("ca/manitoba").unwrap().g_per_kwh.get(), 1.3);
        assert_eq!(table.lookup("us/new york").unwrap(), table.lookup("US-NY").unwrap());
        assert_eq!(table.lookup("us/georgia").unwrap().choice, GridChoice::State);
        assert_eq!(table.lookup("Georgia").unwrap().choice, GridChoice::Country);
    }
}
