//! From the recipe's words to a meter, a grid and a tariff.

use attar_bill::{Currency, Grid, PricePerHour, PricePerKwh, PuePreset, Tariff};
use attar_meter::source::SourceChoice;
use attar_meter::{Pue, Watts};

use crate::Error;
use crate::recipe::{EnergySource, EnergySpec};

/// Which source a meter is to read.
///
/// # Errors
/// If `fixed` has no watts or another source has some.
pub fn source(spec: &EnergySpec) -> Result<SourceChoice, Error> {
    match (spec.source, spec.watts) {
        (EnergySource::Fixed, Some(watts)) => Ok(SourceChoice::Fixed(Watts::new(watts).map_err(Error::energy)?)),
        (EnergySource::Fixed, None) => Err(Error::refused(
            "energy",
            "`watts` beside `source = \"fixed\"`",
            "none",
            "add the machine's power in watts",
        )),
        (_, Some(_)) => Err(Error::refused(
            "energy",
            "`watts` only with `source = \"fixed\"`",
            "another source",
            "set `source = \"fixed\"`",
        )),
        (EnergySource::Auto, None) => Ok(SourceChoice::Auto),
        (EnergySource::Modeled, None) => Ok(SourceChoice::Modeled),
        (EnergySource::Off, None) => Ok(SourceChoice::Off),
    }
}

/// The grid and the prices of a bill.
///
/// # Errors
/// If a region, preset or currency is unknown, or a number is out of range.
pub fn rates(spec: &EnergySpec) -> Result<(Grid, Tariff), Error> {
    source(spec)?;
    let grid = match &spec.region {
        Some(region) => Grid::for_region(region).map_err(Error::energy)?,
        None => Grid::world(),
    };
    let mut tariff = Tariff::own_machine();
    if let Some(pue) = &spec.pue {
        let pue = match pue.parse::<f64>() {
            Ok(number) => Pue::new(number).map_err(Error::energy)?,
            Err(_) => PuePreset::named(pue).map_err(Error::energy)?.pue,
        };
        tariff = tariff.with_pue(pue);
    }
    let currency: Currency = spec.currency.as_deref().unwrap_or("USD").parse().map_err(Error::energy)?;
    if let Some(price) = spec.price {
        let price = PricePerKwh::new(price, currency).map_err(Error::energy)?;
        tariff = tariff.with_electricity(price).map_err(Error::energy)?;
    }
    if let Some(price) = spec.machine_hour {
        let price = PricePerHour::new(price, currency).map_err(Error::energy)?;
        tariff = tariff.with_device_hour(price).map_err(Error::energy)?;
    }
    Ok((grid, tariff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_a_recipe() {
        let spec = EnergySpec {
            region: Some("DE".into()),
            pue: Some("strubell2019".into()),
            price: Some(0.3),
            currency: Some("EUR".into()),
            ..EnergySpec::default()
        };
        let (grid, tariff) = rates(&spec).unwrap();
        assert_eq!(grid.region, "Germany");
        assert_eq!(tariff.pue().get(), 1.58);
        assert_eq!(tariff.electricity().unwrap().currency().code(), "EUR");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let with = |change: fn(&mut EnergySpec)| {
            let mut spec = EnergySpec::default();
            change(&mut spec);
            rates(&spec).unwrap_err().to_string()
        };
        assert!(with(|s| s.region = Some("Germny".into())).contains("Germany"));
        assert!(with(|s| s.pue = Some("0.5".into())).contains("0.5"));
        assert!(with(|s| s.price = Some(-1.0)).contains("-1"));
        assert!(with(|s| s.source = EnergySource::Fixed).contains("watts"));
        assert!(with(|s| s.watts = Some(5.0)).contains("fixed"));
    }
}
