//! The zones of a processor's energy counters (RAPL), and those of Linux powercap as sysfs shows them.
//!
//! `package-N` holds its cores and uncore; `dram` lies outside the package; `psys` holds the whole
//! platform. The same package can appear twice, under the control types `intel-rapl` (read through
//! model-specific registers) and `intel-rapl-mmio` (memory-mapped).

use std::path::{Path, PathBuf};

use super::{SourceError, files};
use crate::quantity::{Joules, Watts};

/// The unit of all counters in sysfs.
pub(crate) const MICROJOULE: Joules = Joules::raw(1e-6);

/// What a zone covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Domain {
    Package,
    Dram,
    Psys,
}

/// One zone that can be counted.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Its folder name or the like, such as `intel-rapl:0:1`.
    pub(crate) id: String,
    /// Its own name, with that of the package before it for `dram`: the same under both control types.
    pub(crate) name: String,
    pub(crate) domain: Domain,
    /// Whether it is the memory-mapped twin.
    pub(crate) mapped: bool,
    /// Energy of one count.
    pub(crate) unit: Joules,
    /// Where the counter wraps, in counts; `None` if the system does not tell or it never does.
    pub(crate) range: Option<u64>,
    /// Thermal design power, where the system reports a credible one.
    pub(crate) design: Option<Watts>,
}

/// Zones with the files of their counters, and remarks.
pub(crate) type FoundZones = (Vec<(Zone, PathBuf)>, Vec<String>);

/// All zones below a sysfs root with the files of their counters, registers before their
/// memory-mapped twins, and remarks about what was passed over.
pub(crate) fn find(sys: &Path) -> Result<FoundZones, SourceError> {
    let root = sys.join("class/powercap");
    let mut folders = below(&root).map_err(|error| SourceError::File { path: root, error })?;
    // The class folder lists sub-zones beside their parents on real systems; elsewhere they lie inside.
    let inside: Vec<PathBuf> = folders.iter().flat_map(|folder| below(folder).unwrap_or_default()).collect();
    folders.extend(inside);
    folders.sort_by_key(|folder| id(folder));
    folders.dedup_by_key(|folder| id(folder));

    let names: Vec<(String, String)> = folders
        .iter()
        .filter_map(|folder| {
            Some((id(folder), files::text(&folder.join("name")).ok().filter(|name| !name.is_empty())?))
        })
        .collect();
    let (mut zones, mut remarks) = (Vec::new(), Vec::new());
    for folder in &folders {
        let id = id(folder);
        let name_of = |id: &str| names.iter().find(|(known, _)| known == id).map(|(_, name)| name.as_str());
        let Some(own) = name_of(&id) else {
            remarks.push(format!("zone {id} has no name: left out"));
            continue;
        };
        let domain = match own {
            "dram" => Domain::Dram,
            "psys" => Domain::Psys,
            // Parts of a package: adding them would count them twice.
            "core" | "uncore" => continue,
            _ if own.starts_with("package") => Domain::Package,
            _ => {
                remarks
                    .push(format!("zone {id} is named `{own}`, not package-N, dram, psys, core or uncore: left out"));
                continue;
            }
        };
        let parent = id.rsplit_once(':').and_then(|(parent, _)| name_of(parent));
        let name = parent.map_or_else(|| own.to_owned(), |parent| format!("{parent}/{own}"));
        let zone = Zone {
            name,
            domain,
            mapped: id.starts_with("intel-rapl-mmio"),
            unit: MICROJOULE,
            range: files::number(&folder.join("max_energy_range_uj")).ok().filter(|range| *range > 0),
            design: design_power(folder),
            id,
        };
        zones.push((zone, folder.join("energy_uj")));
    }
    zones.sort_by(|(a, _), (b, _)| (a.domain, a.mapped, &a.id).cmp(&(b.domain, b.mapped, &b.id)));
    Ok((zones, remarks))
}

/// The largest power that a constraint of the zone allows to set.
fn design_power(folder: &Path) -> Option<Watts> {
    let microwatts =
        (0..4).filter_map(|i| files::number(&folder.join(format!("constraint_{i}_max_power_uw"))).ok()).max()?;
    let watts = microwatts as f64 * 1e-6;
    // Some firmware says 0 or a placeholder.
    (1.0..=2000.0).contains(&watts).then(|| Watts::raw(watts))
}

/// Zone folders directly below another.
fn below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    Ok(entries.filter(|path| id(path).starts_with("intel-rapl") && id(path).contains(':') && path.is_dir()).collect())
}

fn id(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
