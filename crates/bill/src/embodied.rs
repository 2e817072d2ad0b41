//! Greenhouse gas of manufacturing the hardware, and the share of it that a run is charged with.

mod instance;

use std::fmt;
use std::sync::OnceLock;

use attar_meter::table;
use attar_meter::{Estimate, GramsCo2e, QuantityError, Seconds, check_range};
use serde::{Deserialize, Serialize};

use crate::user_table::excerpt;
use instance::InstancePart;

/// What making a piece of hardware cost, how long it serves, and how much of it a run occupies.
///
/// The share of a run is `M = TE · (TiR / EL) · (RR / ToR)` of the Software Carbon Intensity
/// specification 1.1 (from memory, also ISO/IEC 21031): `TE` is [`total`](Self::total), `TiR` the
/// time of the run, `EL` the [`lifetime`](Self::lifetime), `RR / ToR` the [`share`](Self::share).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawEmbodied")]
pub struct Embodied {
    total: Estimate<GramsCo2e>,
    lifetime: Seconds,
    share: f64,
    source: String,
}

/// An instance type whose making no table knows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbodiedError {
    /// No table knows it.
    #[error("instance type `{got}` is not among the {known} that are known; nearest: {}; write aws/m5.large, gcp/n2-standard-4 or azure/D2 v3, or give the total in grams yourself", nearest.join(", "))]
    Instance {
        /// The value given.
        got: String,
        /// How many types are known.
        known: usize,
        /// The closest names, best first.
        nearest: Vec<String>,
    },
    /// Which part of its server a type is, its name does not say.
    #[error(
        "the name of `{got}` does not say which part of its server the instance is: give its share, its vCPUs over those of the server"
    )]
    NoShare {
        /// The type.
        got: String,
    },
    /// Lifetime or share is out of range.
    #[error(transparent)]
    Number(#[from] QuantityError),
}

impl Embodied {
    /// Four years, in seconds of 365 days each: the lifetime that Cloud Carbon Footprint takes for a
    /// server, from the life-cycle assessment of a Dell PowerEdge R740 (its documentation, page
    /// Embodied Emissions).
    pub const CCF_LIFETIME: Seconds = Seconds::raw(4.0 * 365.0 * 86_400.0);

    /// User-supplied: the greenhouse gas of making all of a machine, how long it serves, and which
    /// part of it the run occupies (1 for all of it).
    ///
    /// # Errors
    /// If the lifetime is zero, or the share is not more than 0 and at most 1.
    pub fn new(total: Estimate<GramsCo2e>, lifetime: Seconds, share: f64, source: &str) -> Result<Self, QuantityError> {
        check_range("lifetime in seconds", "more than 0", lifetime.get(), lifetime.get() > 0.0)?;
        let share =
            check_range("share of the hardware", "more than 0 and at most 1", share, share > 0.0 && share <= 1.0)?;
        Ok(Self { total, lifetime, share, source: source.to_owned() })
    }

    /// From Cloud Carbon Footprint's table, by cloud and instance type: `aws/m5.large`.
    ///
    /// The table's number is the making of the **whole server** under the instance, the same for all
    /// sizes of a family (`m5.large` and `m5.24xlarge` alike), not of the instance's part. So the
    /// share must be given: Cloud Carbon Footprint takes the instance's vCPUs divided by those of
    /// the largest instance of its family (`m5.large` with 2 beside `m5.24xlarge` with 96: 2/96). Where a type may run on several
    /// processors, the interval spans them; elsewhere it is a point, because the source states no
    /// error, not because there is none.
    ///
    /// ```
    /// use attar_bill::Embodied;
    /// let server = Embodied::for_instance("aws/m5.large", Embodied::CCF_LIFETIME, 2.0 / 96.0)?;
    /// assert_eq!(server.total().to_string(), "1.61 t CO2e");
    /// # Ok::<(), attar_bill::EmbodiedError>(())
    /// ```
    ///
    /// # Errors
    /// If the table does not know the type (the error names the closest match), or as [`new`](Self::new).
    pub fn for_instance(instance: &str, lifetime: Seconds, share: f64) -> Result<Self, EmbodiedError> {
        let wanted = key(instance);
        let row = instances().iter().find(|row| key(&row.instance) == wanted).ok_or_else(|| {
            // Compared with its like where the cloud is named.
            let prefix = instance.split_once('/').map(|(cloud, _)| format!("{}/", cloud.trim().to_lowercase()));
            let prefix = prefix.filter(|prefix| instances().iter().any(|row| row.instance.starts_with(prefix)));
            let names = instances().iter().map(|row| row.instance.as_str());
            let names = names.filter(|name| prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix)));
            EmbodiedError::Instance {
                got: excerpt(instance),
                known: instances().len(),
                nearest: table::nearest(&excerpt(instance), names, 3).into_iter().map(str::to_owned).collect(),
            }
        })?;
        let grams = |kg: f64| GramsCo2e::raw(kg * 1000.0);
        let total = Estimate::exact(grams(row.kg))
            .with_bounds(grams(row.low.unwrap_or(row.kg)), grams(row.high.unwrap_or(row.kg)));
        let source =
            format!("Cloud Carbon Footprint ccf-coefficients @b0032d92 (2026), Apache-2.0: server of {}", row.instance);
        Ok(Self::new(total, lifetime, share, &source)?)
    }

    /// The same for the part of the server that the instance is: its vCPUs over those of the largest
    /// type of its family, both read off the names.
    ///
    /// ```
    /// use attar_bill::Embodied;
    /// let part = Embodied::for_instance_part("aws/m5.large", Embodied::CCF_LIFETIME)?;
    /// assert_eq!(part.share(), 2.0 / 96.0);
    /// # Ok::<(), attar_bill::EmbodiedError>(())
    /// ```
    ///
    /// # Errors
    /// As [`for_instance`](Self::for_instance), or if the name does not say the part.
    pub fn for_instance_part(instance: &str, lifetime: Seconds) -> Result<Self, EmbodiedError> {
        let whole = Self::for_instance(instance, lifetime, 1.0)?;
        let all: Vec<String> = instances().iter().map(|row| key(&row.instance)).collect();
        let part = InstancePart::of(&key(instance), all.iter().map(String::as_str))
            .ok_or_else(|| EmbodiedError::NoShare { got: excerpt(instance) })?;
        let source = format!("{}, {} of {} vCPUs", whole.source, part.vcpus, part.of);
        Ok(Self::new(whole.total, lifetime, part.share(), &source)?)
    }

    /// Greenhouse gas of making all of the hardware (`TE`).
    pub fn total(&self) -> Estimate<GramsCo2e> {
        self.total
    }

    /// How long the hardware serves (`EL`).
    pub fn lifetime(&self) -> Seconds {
        self.lifetime
    }

    /// Which part of the hardware the run occupies (`RR / ToR`), more than 0 and at most 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Source of the figure.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What a run of this length is charged with (`M`).
    pub fn for_duration(&self, time: Seconds) -> Estimate<GramsCo2e> {
        let factor = time.get() / self.lifetime.get() * self.share;
        self.total.map(|grams| GramsCo2e::raw(grams.get() * factor))
    }
}

/// `1.61 t CO2e over 1460 d, share 0.021 (source)`.
impl fmt::Display for Embodied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} over {}, share {:.3} ({})", self.total, self.lifetime, self.share, self.source)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmbodied {
    total: Estimate<GramsCo2e>,
    lifetime: Seconds,
    share: f64,
    source: String,
}

impl TryFrom<RawEmbodied> for Embodied {
    type Error = QuantityError;
    fn try_from(raw: RawEmbodied) -> Result<Self, QuantityError> {
        Self::new(raw.total, raw.lifetime, raw.share, &raw.source)
    }
}

/// A row of `data/embodied.csv`: kilograms of the whole server.
#[derive(Debug, Deserialize)]
struct Instance {
    instance: String,
    kg: f64,
    low: Option<f64>,
    high: Option<f64>,
}

fn instances() -> &'static [Instance] {
    static INSTANCES: OnceLock<Vec<Instance>> = OnceLock::new();
    INSTANCES.get_or_init(|| table::embedded(include_str!("../data/embodied.csv")))
}

/// A name as it is compared: Azure's programs write `Standard_D2_v3` for `D2 v3`.
fn key(name: &str) -> String {
    let name: String = name.trim().to_lowercase().chars().map(|c| if c == '_' { ' ' } else { c }).collect();
    name.replace("azure/standard ", "azure/")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use attar_testing::{assert_close_relative, shared};

    use super::*;

    fn original(name: &str) -> BTreeMap<String, Vec<f64>> {
        let path = shared(&format!("data/energy/ccf-coefficients/coefficients-{name}.csv"));
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        let place = |name: &str| header.iter().position(|column| column == name);
        let (name, total) = (place("type").unwrap(), place("total").or(place("total_mean")).unwrap());
        let mut all = BTreeMap::<String, Vec<f64>>::new();
        for row in reader.records().map(Result::unwrap) {
            all.entry(row[name].to_owned()).or_default().push(row[total].parse().unwrap());
        }
        all
    }

    fn table() -> BTreeMap<&'static str, &'static Instance> {
        instances().iter().map(|row| (row.instance.as_str(), row)).collect()
    }

    #[test]
    fn no_type_stands_twice() {
        assert_eq!(table().len(), instances().len());
        assert_eq!(instances().iter().map(|row| key(&row.instance)).collect::<BTreeSet<_>>().len(), table().len());
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn the_table_is_as_published() {
        let ours = table();
        let [aws, azure] = ["aws-embodied", "azure-embodied"].map(original);
        let [gcp, mean] = ["gcp-embodied", "gcp-embodied-mean"].map(original);
        assert_eq!(aws.len() + azure.len() + mean.len(), ours.len());
        for (cloud, all) in [("aws", &aws), ("azure", &azure)] {
            for (name, totals) in all {
                let row = ours[format!("{cloud}/{name}").as_str()];
                assert!(totals.iter().all(|total| *total == row.kg) && row.low.is_none(), "{row:?} {totals:?}");
            }
        }
        for (name, totals) in &mean {
            let row = ours[format!("gcp/{name}").as_str()];
            let (low, high) = gcp[name].iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
            assert_eq!((row.kg, row.low.unwrap_or(row.kg), row.high.unwrap_or(row.kg)), (totals[0], low, high));
        }
    }

    #[test]
    fn a_run_is_charged_with_its_share() {
        let total = Estimate::exact(GramsCo2e::raw(1_000_000.0)).with_bounds(GramsCo2e::raw(8e5), GramsCo2e::raw(2e6));
        let year = Seconds::raw(365.0 * 86_400.0);
        let embodied = Embodied::new(total, Seconds::raw(4.0 * year.get()), 0.5, "own").unwrap();
        let charged = embodied.for_duration(Seconds::raw(year.get() / 365.0));
        assert_close_relative("M", charged.value().get(), 1e6 / 4.0 / 365.0 / 2.0, 1e-15);
        assert_close_relative("low", charged.low().get(), 8e5 / 4.0 / 365.0 / 2.0, 1e-15);
        let text = serde_json::to_string(&embodied).unwrap();
        assert_eq!(serde_json::from_str::<Embodied>(&text).unwrap(), embodied);
        assert!(serde_json::from_str::<Embodied>(&text.replace("0.5", "1.5")).is_err());
        for bad in [0.0, -0.1, 1.01, f64::NAN] {
            assert!(Embodied::new(total, year, bad, "").is_err(), "{bad}");
        }
        assert!(Embodied::new(total, Seconds::ZERO, 1.0, "").is_err());
    }

    #[test]
    fn an_instance_is_charged_with_its_part_of_the_server() {
        let share = |name: &str| Embodied::for_instance_part(name, Embodied::CCF_LIFETIME).map(|part| part.share());
        for (name, vcpus, server) in [
            ("aws/m5.large", 2.0, 96.0),
            ("aws/m5.24xlarge", 96.0, 96.0),
            ("aws/m5.metal", 96.0, 96.0),
            ("aws/mac1.metal", 1.0, 1.0),
            ("aws/i3.16xlarge", 64.0, 72.0),
            ("gcp/e2-standard-2", 2.0, 32.0),
            ("gcp/n1-highmem-8", 8.0, 96.0),
            ("azure/Standard_D2s_v3", 2.0, 64.0),
            ("azure/E4-2s v4", 4.0, 96.0),
        ] {
            assert_eq!(share(name).unwrap(), vcpus / server, "{name}");
        }
        // Every type has a share of at most the whole, or is told to have none.
        let mut without = 0;
        for row in instances() {
            match share(&row.instance) {
                Ok(share) => assert!(share > 0.0 && share <= 1.0, "{}: {share}", row.instance),
                Err(EmbodiedError::NoShare { .. }) => without += 1,
                Err(error) => panic!("{}: {error}", row.instance),
            }
        }
        assert!(without < 50, "{without} of {}", instances().len());
    }

    #[test]
    fn instances_are_found_by_name() {
        let of = |name: &str| Embodied::for_instance(name, Embodied::CCF_LIFETIME, 1.0);
        assert_eq!(of("aws/m5.large").unwrap().total(), of("AWS/M5.24xlarge").unwrap().total());
        assert_eq!(of("azure/Standard_D2_v3").unwrap(), of("azure/D2 v3").unwrap());
        assert_eq!(of("gcp/e2-standard-2").unwrap().total().to_string(), "1.23 t CO2e [1.16, 1.26]");
        for (wrong, near) in
            [("aws/m5.lagre", "aws/m5.large"), ("m5.large", "aws/m5.large"), ("gcp/n2-standard-5", "gcp/n2-standard-")]
        {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains(near), "{error}");
        }
        assert!(matches!(
            Embodied::for_instance("aws/m5.large", Embodied::CCF_LIFETIME, 2.0),
            Err(EmbodiedError::Number(_))
        ));
    }
}
