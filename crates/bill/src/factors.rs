//! All that turns an energy into a bill.

use serde::{Deserialize, Serialize};

use crate::embodied::Embodied;
use crate::grid::Grid;
use crate::tariff::Tariff;
use crate::water::Water;

/// Grid, prices, water and hardware: what a bill is computed with. What is absent here is absent in
/// the bill, which then says so.
///
/// ```
/// use attar_bill::{Bill, DevicePrice, Embodied, Factors, Grid, PuePreset, Tariff, Water};
/// use attar_meter::{LitersPerKwh, Totals};
///
/// let grid = Grid::for_region("gcp/us-central1")?;
/// let market = grid.market()?;
/// let tariff = Tariff::own_machine().with_pue(PuePreset::named("gcp")?.pue);
/// let tariff = DevicePrice::named("V100")?.apply_to(tariff, 1.0)?;
/// let factors = Factors {
///     price_source: Some("strubell2019".to_owned()),
///     ..Factors::new(grid, tariff)
/// }
/// .with_market(market)
/// .with_water(Water { site: LitersPerKwh::new(1.1)?, source: None })
/// .with_embodied(Embodied::for_instance("gcp/n1-standard-8", Embodied::CCF_LIFETIME, 8.0 / 96.0)?);
///
/// let bill = Bill::from_factors(&Totals::default(), &factors);
/// assert!(bill.exclusions.contains(&"water for electricity generation".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// The grid where the machine stands: location-based.
    pub grid: Grid,
    /// What the contracts of its operator make of that: market-based. Never mixed with the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Grid>,
    /// Prices and power usage effectiveness.
    pub tariff: Tariff,
    /// Source of the power usage effectiveness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pue_source: Option<String>,
    /// Source of the prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// Water.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub water: Option<Water>,
    /// Embodied emissions of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embodied: Option<Embodied>,
}

impl Factors {
    /// A grid and prices, nothing else.
    pub fn new(grid: Grid, tariff: Tariff) -> Self {
        Self { grid, tariff, ..Self::default() }
    }

    /// With a market-based grid: [`Grid::market`], or the figure of a contract.
    pub fn with_market(self, market: Grid) -> Self {
        Self { market: Some(market), ..self }
    }

    /// With water.
    pub fn with_water(self, water: Water) -> Self {
        Self { water: Some(water), ..self }
    }

    /// With the manufacturing of the hardware.
    pub fn with_embodied(self, embodied: Embodied) -> Self {
        Self { embodied: Some(embodied), ..self }
    }
}
