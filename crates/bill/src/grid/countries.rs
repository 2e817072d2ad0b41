//! Countries by every name that is usual: ISO 3166-1 codes, English names and those of their official
//! languages. Which of them have a carbon intensity the grid tables say.

use std::collections::HashMap;
use std::sync::OnceLock;

use attar_meter::table;
use serde::Deserialize;

use super::table::key;

/// A row of `data/countries.csv`.
#[derive(Debug, Deserialize)]
pub(super) struct Country {
    pub(super) alpha2: String,
    pub(super) alpha3: String,
    /// Code of the nearest place that has a carbon intensity, where this one has none and one is near.
    pub(super) near: Option<String>,
    names: String,
}

impl Country {
    /// A country by its code or one of its names.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        static INDEX: OnceLock<HashMap<String, &'static Country>> = OnceLock::new();
        let index = INDEX.get_or_init(|| {
            let names = |country: &'static Country| {
                let codes = [country.alpha2.as_str(), country.alpha3.as_str()];
                codes.into_iter().chain(country.names()).map(move |name| (key(name), country))
            };
            all().iter().flat_map(names).collect()
        });
        index.get(&key(name)).copied()
    }

    /// Its usual English name.
    pub(super) fn name(&self) -> &str {
        self.names().next().unwrap_or(&self.alpha2)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.split(';')
    }
}

/// All of them, by code.
pub(super) fn all() -> &'static [Country] {
    static COUNTRIES: OnceLock<Vec<Country>> = OnceLock::new();
    COUNTRIES.get_or_init(|| table::embedded(include_str!("../../data/countries.csv")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::grid::{GridError, GridTable};

    #[test]
    fn no_name_means_two_countries() {
        assert_eq!(all().len(), 249);
        let mut owners = BTreeMap::new();
        for country in all() {
            let codes = [country.alpha2.as_str(), country.alpha3.as_str()];
            for name in codes.into_iter().chain(country.names()) {
                let owner = owners.entry(key(name)).or_insert(&country.alpha2);
                assert_eq!(*owner, &country.alpha2, "{name}");
            }
        }
    }

    // Every code and every name finds its row, or says that there is none and what is near.
    #[test]
    fn every_country_has_its_row_or_a_hint() {
        let grids = GridTable::embedded();
        let mut without = 0;
        for country in all() {
            let codes = [country.alpha2.as_str(), country.alpha3.as_str()];
            let found: Vec<_> = codes.into_iter().chain(country.names()).map(|name| grids.lookup(name)).collect();
            match &found[0] {
                Ok(grid) => {
                    assert_eq!(grid.country.as_ref(), Some(&country.alpha3));
                    assert!(found.iter().all(|other| other.as_ref() == Ok(grid)), "{}: {found:?}", country.name());
                    assert_eq!(country.near, None, "{}", country.name());
                }
                Err(error) => {
                    let GridError::NoFigure { name, nearest, .. } = error else { panic!("{error}") };
                    assert_eq!((name.as_str(), nearest.is_some()), (country.name(), country.near.is_some()));
                    without += 1;
                }
            }
        }
        assert_eq!(without, 249 - 212);
    }
}
