//! The embedded tables of carbon intensity, each with its own source and license.

use attar_meter::table;
use serde::Deserialize;

use super::figure::{NamedFigure, RegionFigure};
use super::{GridChoice, GridKind};

/// All rows of all embedded tables.
pub(super) fn all() -> Vec<NamedFigure> {
    countries().chain(google()).chain(other_clouds()).chain(states_2016()).chain(green_algorithms()).collect()
}

#[derive(Deserialize)]
struct Country {
    alpha2: String,
    alpha3: String,
    name: String,
    year: u16,
    g_per_kwh: f64,
    source: String,
}

fn countries() -> impl Iterator<Item = NamedFigure> {
    table::embedded::<Country>(include_str!("../../data/grid.csv")).into_iter().map(|country| {
        let mut names = vec![country.name, country.alpha2, country.alpha3];
        if names[1] == "GB" {
            // Reserved by ISO 3166-1 for the country that the table lists as GB.
            names.push("UK".to_owned());
        }
        let row = RegionFigure {
            year: Some(country.year),
            g_per_kwh: country.g_per_kwh,
            carbon_free: None,
            source: format!("Our World in Data, Ember, CC-BY-4.0, through {}", country.source),
            license: "CC-BY-4.0 (data), MIT (collection)".to_owned(),
            choice: GridChoice::Country,
            kind: GridKind::LifeCycle,
        };
        NamedFigure { names, row }
    })
}

#[derive(Deserialize)]
struct Google {
    region: String,
    year: u16,
    g_per_kwh: f64,
    cfe: Option<f64>,
}

fn google() -> impl Iterator<Item = NamedFigure> {
    table::embedded::<Google>(include_str!("../../data/grid-gcp.csv")).into_iter().map(|google| {
        let row = RegionFigure {
            year: Some(google.year),
            g_per_kwh: google.g_per_kwh,
            carbon_free: google.cfe,
            source: "Google region-carbon-info".to_owned(),
            license: "Apache-2.0".to_owned(),
            choice: GridChoice::Cloud,
            kind: if google.year <= 2020 { GridKind::LifeCycle } else { GridKind::Unstated },
        };
        NamedFigure { names: vec![google.region], row }
    })
}

#[derive(Deserialize)]
struct OtherCloud {
    region: String,
    g_per_kwh: f64,
    from: String,
}

fn other_clouds() -> impl Iterator<Item = NamedFigure> {
    table::embedded::<OtherCloud>(include_str!("../../data/grid-ccf.csv")).into_iter().map(|cloud| {
        let row = RegionFigure {
            year: None,
            g_per_kwh: cloud.g_per_kwh,
            carbon_free: None,
            source: format!("Cloud Carbon Footprint, from {}", cloud.from),
            license: "Apache-2.0".to_owned(),
            choice: GridChoice::Cloud,
            // Both agencies count what is emitted where it is made.
            kind: if matches!(cloud.from.as_str(), "EPA" | "EEA") { GridKind::Production } else { GridKind::Unstated },
        };
        NamedFigure { names: vec![cloud.region], row }
    })
}

#[derive(Deserialize)]
struct StateIntensity {
    region: String,
    iso: String,
    g_per_kwh: f64,
}

fn states_2016() -> impl Iterator<Item = NamedFigure> {
    table::embedded::<StateIntensity>(include_str!("../../data/grid-egrid-2016.csv")).into_iter().map(|state| {
        let row = RegionFigure {
            year: Some(2016),
            g_per_kwh: state.g_per_kwh,
            carbon_free: None,
            source: "EPA eGRID 2016, through codecarbon".to_owned(),
            license: "public domain (data), MIT (collection)".to_owned(),
            choice: GridChoice::State,
            kind: GridKind::Production,
        };
        NamedFigure { names: vec![state.region, state.iso], row }
    })
}

#[derive(Deserialize)]
struct GreenAlgorithms {
    region: String,
    iso: String,
    year: u16,
    g_per_kwh: f64,
    from: String,
}

fn green_algorithms() -> impl Iterator<Item = NamedFigure> {
    table::embedded::<GreenAlgorithms>(include_str!("../../data/grid-green-algorithms.csv")).into_iter().map(|place| {
        let choice = if place.region.contains('/') { GridChoice::State } else { GridChoice::Country };
        let row = RegionFigure {
            year: Some(place.year),
            g_per_kwh: place.g_per_kwh,
            carbon_free: None,
            source: format!("Green Algorithms, from {}", place.from),
            license: "CC-BY-4.0".to_owned(),
            choice,
            kind: GridKind::Production,
        };
        let names = if place.iso.is_empty() { vec![place.region] } else { vec![place.region, place.iso] };
        NamedFigure { names, row }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use attar_testing::{assert_close_relative, shared};

    use super::*;

    const GRAMS_PER_POUND: f64 = 453.592_37;

    fn original(path: &str, skip: usize) -> Vec<BTreeMap<String, String>> {
        let text = std::fs::read_to_string(shared(&format!("data/energy/{path}"))).unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let text: String = text.split_inclusive('\n').skip(skip).collect();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows = reader.into_records().map(|row| {
            let row = row.unwrap();
            header.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
        });
        rows.collect()
    }

    fn json(path: &str) -> serde_json::Value {
        attar_testing::json(&shared(&format!("data/energy/{path}")))
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn countries_are_as_published() {
        let rows = original("carbontracker/carbon-intensities.csv", 0);
        let mix = json("codecarbon/global_energy_mix.json");
        let ours = table::embedded::<Country>(include_str!("../../data/grid.csv"));
        let (mut first, mut second) = (0, 0);
        for country in &ours {
            if country.source == "carbontracker" {
                let row = rows.iter().find(|row| row["Code"] == country.alpha3).unwrap();
                assert_eq!(row["Year"].parse::<u16>().unwrap(), country.year, "{}", country.name);
                let published: f64 = row["Carbon intensity of electricity (gCO2/kWh)"].parse().unwrap();
                assert_eq!(published, country.g_per_kwh, "{}", country.name);
                first += 1;
            } else {
                let published = &mix[&country.alpha3];
                assert_eq!(published["carbon_intensity"].as_f64(), Some(country.g_per_kwh), "{}", country.name);
                assert_eq!(published["year"].as_u64(), Some(country.year.into()), "{}", country.name);
                second += 1;
            }
        }
        // Both files have one place whose intensity is zero, which is left out.
        assert_eq!((first + 1, first + second + 1), (rows.len(), mix.as_object().unwrap().len()));
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn google_is_as_published() {
        let ours = table::embedded::<Google>(include_str!("../../data/grid-gcp.csv"));
        let mut published = 0;
        for year in 2019..=2024 {
            let rows = original(&format!("gcp-region-carbon/{year}.csv"), 0);
            for row in rows {
                let intensity = row.iter().find(|(name, _)| name.contains("intensity")).unwrap().1;
                let intensity: f64 = intensity.parse().unwrap();
                let region = format!("gcp/{}", row["Google Cloud Region"]);
                let here = ours.iter().find(|ours| ours.region == region && ours.year == year);
                if intensity == 0.0 {
                    assert!(here.is_none(), "{region} {year}");
                    continue;
                }
                let here = here.unwrap_or_else(|| panic!("{region} {year} is missing"));
                assert_eq!((here.g_per_kwh, here.cfe), (intensity, row["Google CFE"].parse().ok()), "{region} {year}");
                published += 1;
            }
        }
        assert_eq!(published, ours.len());
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn other_clouds_are_as_published() {
        let ours = table::embedded::<OtherCloud>(include_str!("../../data/grid-ccf.csv"));
        let mut published = 0;
        for provider in ["aws", "azure"] {
            let path = format!("ccf-coefficients/grid-emissions-factors-{provider}.csv");
            let rows = original(&path, 0);
            for row in rows {
                let region = format!("{provider}/{}", row["Region"].to_lowercase().replace(' ', ""));
                let tons = &row["CO2e (metric ton/kWh)"];
                let here = ours.iter().find(|ours| ours.region == region);
                if !tons.starts_with("0.") {
                    assert!(here.is_none(), "{region}: {tons}");
                    continue;
                }
                // One rounding to six decimals of a gram.
                let here = here.unwrap_or_else(|| panic!("{region} is missing"));
                assert_close_relative(&region, here.g_per_kwh, tons.parse::<f64>().unwrap() * 1e6, 1e-7);
                assert_eq!(here.from, row["Source"]);
                published += 1;
            }
        }
        assert_eq!(published, ours.len());
        assert!(!ours.iter().any(|ours| ours.region.starts_with("gcp/")), "sums of regions are no intensities");
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn states_are_as_published() {
        let published = json("codecarbon/usa_emissions.json");
        let ours = table::embedded::<StateIntensity>(include_str!("../../data/grid-egrid-2016.csv"));
        for (name, entry) in published.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with('_')) {
            let here = ours.iter().find(|ours| ours.region == format!("us/{}", name.replace(' ', "-"))).unwrap();
            assert_eq!(here.iso, format!("US-{}", entry["regionCode"].as_str().unwrap()));
            let grams = entry["emissions"].as_f64().unwrap() * GRAMS_PER_POUND / 1000.0;
            // Four decimals are kept.
            assert!((here.g_per_kwh - grams).abs() <= 5.001e-5, "{name}: {grams}");
        }
        assert_eq!(ours.len(), published.as_object().unwrap().len() - 1);
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn green_algorithms_is_as_published() {
        let rows = original("green-algorithms/CI_aggregated.csv", 1);
        let ours = table::embedded::<GreenAlgorithms>(include_str!("../../data/grid-green-algorithms.csv"));
        for here in &ours {
            let code = if here.iso.is_empty() { &here.region } else { &here.iso };
            let code = if code == "CA-MB" { "CA-MT" } else { code };
            let row = rows.iter().find(|row| row["location"] == code).unwrap();
            assert_eq!(row["carbonIntensity"].parse::<f64>().unwrap(), here.g_per_kwh, "{code}");
            assert_eq!(row["source"].replace('"', ""), here.from, "{code}");
            let words = [format!("data from {}", here.year), format!("based on {} data", here.year)];
            assert!(words.iter().any(|words| here.from.contains(words)), "{code}: {} says no {}", here.from, here.year);
        }
        // The world, two without a year, two of Hong Kong, three parts of Australian states, and the
        // United Kingdom, whose row names two years.
        assert_eq!(ours.len() + 10, rows.len());
    }
}
