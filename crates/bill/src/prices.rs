//! Prices of cloud instances, from a file that the user gives.

use std::path::{Path, PathBuf};

use attar_meter::table;
use serde::Serialize;

use crate::money::{Currency, MoneyError, PricePerHour};
use crate::tariff::Tariff;
use crate::user_table::{TableColumn, TableError, UserRow, UserTable, excerpt};

/// Prices of instance types by region, in the schema of the SkyPilot catalog.
///
/// A file is comma-separated with the columns `InstanceType, AcceleratorName, AcceleratorCount,
/// vCPUs, MemoryGiB, Price, Region, GpuInfo, SpotPrice` in any order; others are ignored. Prices
/// are of the whole instance for one hour; an empty one is not known. No such table is embedded,
/// because none was found that may be and is dated.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceBook {
    file: PathBuf,
    offers: Vec<Offer>,
}

/// What one instance type costs in one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// The instance type.
    pub instance: String,
    /// Its accelerators: name and how many.
    pub accelerator: Option<(String, f64)>,
    /// Virtual processors.
    pub vcpus: Option<f64>,
    /// Memory in GiB.
    pub memory_gib: Option<f64>,
    /// The region.
    pub region: String,
    /// Price on demand of all of it.
    pub on_demand: Option<PricePerHour>,
    /// The lowest and the highest spot price, where the file has one; they differ where the zones of
    /// a region have prices of their own.
    pub spot: Option<(PricePerHour, PricePerHour)>,
}

/// A question that a book of prices cannot answer with one offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Nothing of that name.
    #[error("{what} `{got}` is not in `{}`; nearest: {}", file.display(), nearest.join(", "))]
    Unknown {
        /// The file.
        file: PathBuf,
        /// What was asked for: an instance type, an accelerator, a region.
        what: &'static str,
        /// The value given.
        got: String,
        /// The closest matches, best first.
        nearest: Vec<String>,
    },
    /// More than one offer answers.
    #[error("`{got}` fits {count} offers in `{}`: {}; name the {choose}", file.display(), some.join(", "))]
    Ambiguous {
        /// The file.
        file: PathBuf,
        /// The value given.
        got: String,
        /// How many offers fit.
        count: usize,
        /// Some of them, the cheapest first.
        some: Vec<String>,
        /// What tells them apart.
        choose: &'static str,
    },
}

impl PriceBook {
    /// Reads a file whose prices are in US dollars, as those of the SkyPilot catalog are (from memory:
    /// the file itself names no currency).
    ///
    /// # Errors
    /// As [`read_with_currency`](Self::read_with_currency).
    pub fn read(path: &Path) -> Result<Self, TableError> {
        Self::read_with_currency(path, Currency::USD)
    }

    /// Reads a file whose prices are in this currency.
    ///
    /// # Errors
    /// If the file cannot be read, lacks a column, or has a price that is negative or not a number;
    /// the error names line and column. Two rows of one instance type and region must agree on the
    /// price on demand.
    pub fn read_with_currency(path: &Path, currency: Currency) -> Result<Self, TableError> {
        let columns = [
            "InstanceType",
            "AcceleratorName",
            "AcceleratorCount",
            "vCPUs",
            "MemoryGiB",
            "Price",
            "Region",
            "GpuInfo",
            "SpotPrice",
        ];
        let table = UserTable::read(path, &columns.map(|name| TableColumn::required(name, &[])), true)?;
        let mut offers: Vec<Offer> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for row in table.rows() {
            let offer = Offer::read(&row, currency)?;
            let place =
                *places.entry((offer.instance.to_lowercase(), offer.region.to_lowercase())).or_insert(offers.len());
            match offers.get_mut(place) {
                None => offers.push(offer),
                Some(known) => known.join(offer).ok_or_else(|| {
                    row.wrong(
                        "Price",
                        &format!("the same price as in an earlier row of {} in {}", known.instance, known.region),
                    )
                })?,
            }
        }
        Ok(Self { file: path.to_owned(), offers })
    }

    /// All offers, in the file's order.
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The offer of an instance type, in any case; the region may be left out where the file has it
    /// in one only.
    ///
    /// # Errors
    /// If the file does not know the type or the region, or has the type in several and none is named.
    pub fn instance(&self, name: &str, region: Option<&str>) -> Result<&Offer, PriceError> {
        let wanted = name.trim();
        let fitting: Vec<&Offer> =
            self.offers.iter().filter(|offer| offer.instance.eq_ignore_ascii_case(wanted)).collect();
        if fitting.is_empty() {
            return Err(self.unknown("instance type", wanted, self.offers.iter().map(|offer| offer.instance.as_str())));
        }
        self.one(fitting, wanted, region)
    }

    /// The offer with so many of an accelerator: `("V100", 8.0)`.
    ///
    /// # Errors
    /// If the file does not know the accelerator, that number of it, or the region, or has several
    /// instance types or regions with it.
    pub fn accelerator(&self, name: &str, count: f64, region: Option<&str>) -> Result<&Offer, PriceError> {
        let wanted = name.trim();
        let has = |offer: &&Offer| offer.accelerator.as_ref().is_some_and(|(own, _)| own.eq_ignore_ascii_case(wanted));
        let named: Vec<&Offer> = self.offers.iter().filter(has).collect();
        if named.is_empty() {
            let names =
                self.offers.iter().filter_map(|offer| offer.accelerator.as_ref().map(|(name, _)| name.as_str()));
            return Err(self.unknown("accelerator", wanted, names));
        }
        let got = format!("{count} × {wanted}");
        let of_count = |offer: &&Offer| offer.accelerator.as_ref().is_some_and(|(_, own)| *own == count);
        let fitting: Vec<&Offer> = named.iter().copied().filter(of_count).collect();
        if fitting.is_empty() {
            let counts: Vec<String> = named.iter().filter_map(|offer| offer.accelerators()).collect();
            return Err(self.unknown("accelerator", &got, counts.iter().map(String::as_str)));
        }
        self.one(fitting, &got, region)
    }

    fn one<'a>(
        &'a self,
        mut fitting: Vec<&'a Offer>,
        got: &str,
        region: Option<&str>,
    ) -> Result<&'a Offer, PriceError> {
        if let Some(region) = region {
            let there = fitting.clone();
            fitting.retain(|offer| offer.region.eq_ignore_ascii_case(region.trim()));
            if fitting.is_empty() {
                let what = "region of this offer";
                return Err(self.unknown(what, region.trim(), there.iter().map(|offer| offer.region.as_str())));
            }
        }
        if let [offer] = fitting[..] {
            return Ok(offer);
        }
        let price =
            |offer: &Offer| offer.on_demand.or(offer.spot.map(|(low, _)| low)).map_or(f64::MAX, PricePerHour::amount);
        fitting.sort_by(|a, b| price(a).total_cmp(&price(b)));
        let several_types = fitting.iter().any(|offer| offer.instance != fitting[0].instance);
        Err(PriceError::Ambiguous {
            file: self.file.clone(),
            got: excerpt(got),
            count: fitting.len(),
            some: fitting.iter().take(4).map(|offer| format!("{} in {}", offer.instance, offer.region)).collect(),
            choose: if several_types { "instance type and the region" } else { "region" },
        })
    }

    fn unknown<'a>(&self, what: &'static str, got: &str, names: impl Iterator<Item = &'a str>) -> PriceError {
        let names: std::collections::BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
        let nearest = table::nearest(&excerpt(got), names, 3).into_iter().map(excerpt).collect();
        PriceError::Unknown { file: self.file.clone(), what, got: excerpt(got), nearest }
    }
}

impl Offer {
    /// A tariff with these prices: of the spot prices the lowest, so that the machine costs from that
    /// to the price on demand.
    ///
    /// # Errors
    /// If the tariff has a price in another currency.
    pub fn apply_to(&self, mut tariff: Tariff) -> Result<Tariff, MoneyError> {
        if let Some(price) = self.on_demand {
            tariff = tariff.with_device_hour(price)?;
        }
        match self.spot {
            Some((low, _)) => tariff.with_spot_hour(low),
            None => Ok(tariff),
        }
    }

    fn read(row: &UserRow<'_>, currency: Currency) -> Result<Self, TableError> {
        let wanted = "a price of at least 0, or nothing";
        let price = |column| {
            let amount = row.number(column, wanted, |x| x >= 0.0)?;
            // Checked just above; a currency refuses nothing.
            amount.map(|amount| PricePerHour::new(amount, currency).map_err(|_| row.wrong(column, wanted))).transpose()
        };
        let count = |column| row.number(column, "a number of at least 0, or nothing", |x| x >= 0.0);
        let instance = row.name("InstanceType")?;
        let accelerator = row.name("AcceleratorName")?;
        if instance.is_empty() && accelerator.is_empty() {
            return Err(row.wrong("InstanceType", "the name of an instance type, or of an accelerator in its column"));
        }
        // Where accelerators are sold without a machine's name (TPUs), they name the offer.
        let instance = if instance.is_empty() { accelerator } else { instance };
        let accelerators = count("AcceleratorCount")?;
        Ok(Self {
            instance: instance.to_owned(),
            accelerator: (!accelerator.is_empty()).then(|| (accelerator.to_owned(), accelerators.unwrap_or(1.0))),
            vcpus: count("vCPUs")?,
            memory_gib: count("MemoryGiB")?,
            region: row.name("Region")?.to_owned(),
            on_demand: price("Price")?,
            spot: price("SpotPrice")?.map(|spot| (spot, spot)),
        })
    }

    /// Joins a row of another zone; `None` where the prices on demand contradict each other.
    fn join(&mut self, other: Self) -> Option<()> {
        match (self.on_demand, other.on_demand) {
            (Some(a), Some(b)) if a != b => return None,
            (None, price) => self.on_demand = price,
            _ => {}
        }
        self.spot = match (self.spot, other.spot) {
            (Some((low, high)), Some((a, b))) => Some((
                if a.amount() < low.amount() { a } else { low },
                if b.amount() > high.amount() { b } else { high },
            )),
            (one, another) => one.or(another),
        };
        Some(())
    }

    fn accelerators(&self) -> Option<String> {
        self.accelerator.as_ref().map(|(name, count)| format!("{count} × {name}"))
    }
}
