//! Where every embedded figure comes from, and under which terms.

use serde::Serialize;

/// One embedded file, or one origin of it where it has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct License {
    /// The file in this crate's folder `data`, or `code` for figures that are in the code.
    pub file: &'static str,
    /// What it holds.
    pub what: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The version that was copied; empty where the source has none.
    pub commit: &'static str,
    /// The year of that version.
    pub year: u16,
    /// The license by its SPDX identifier, `fact` for single facts, or `public domain`.
    pub license: &'static str,
    /// What the license wants to be said: copyright and permission in full, or attribution; empty
    /// for facts and the public domain.
    pub notice: &'static str,
}

macro_rules! mit {
    ($($copyright:literal),+) => {
        concat!("MIT License\n\n", $($copyright, "\n",)+ "\n", include_str!("../licenses/MIT.txt"))
    };
}

const CODECARBON: &str =
    mit!("Copyright (c) 2019 Mila, BCG Gamma, CometML, Haverford College", "Copyright (c) 2023 Code Carbon NGO");
const MLCO2: &str = mit!("Copyright (c) 2013-2019 Blackrock Digital LLC");
const APACHE: &str = include_str!("../licenses/Apache-2.0.txt");
const GREEN_ALGORITHMS: &str = "Data by the Green Algorithms project (https://github.com/GreenAlgorithms/green-algorithms-tool), \
licensed under CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/). Changed: columns and rows chosen and renamed, two names corrected.";
const GREEN_ALGORITHMS_COMMIT: &str = "30df2feead1c7f5db87a3d86ca1239470a0cd415";
const CCF_COMMIT: &str = "b0032d928c787cf76cecd7d1d611c5b46f366e29";
const CODECARBON_COMMIT: &str = "b05965e43b690cdc53787c7577adbe6e2caf4ed9";

/// Every embedded file of this crate with its source and license, sorted by file. A file of several origins
/// is listed here once for each.
pub fn licenses() -> &'static [License] {
    &[
        License {
            file: "accelerators.csv",
            what: "power, peak and memory of boards and tensor processors",
            source: "mlco2/impact data/gpus.csv",
            commit: "d0d3ee5a71ea222ac344a94900642ed2ce649af4",
            year: 2026,
            license: "MIT",
            notice: MLCO2,
        },
        License {
            file: "accelerators.csv",
            what: "power of B200, H200, MI300X and RTX 5090",
            source: "product pages of NVIDIA and AMD, as read in the places that the rows name",
            commit: "",
            year: 2026,
            license: "fact",
            notice: "",
        },
        License {
            file: "accelerators.csv",
            what: "power of some boards",
            source: "GreenAlgorithms/green-algorithms-tool data/latest/TDP_gpu.csv",
            commit: GREEN_ALGORITHMS_COMMIT,
            year: 2025,
            license: "CC-BY-4.0",
            notice: GREEN_ALGORITHMS,
        },
        License {
            file: "accelerators.csv",
            what: "largest power limit of two boards",
            source: "ml-energy/zeus examples/research_reproducibility/zeus_nsdi23/trace/summary_power_*.csv",
            commit: "75a8b9398034eb9baf74ca0a830c2c31bcce52cd",
            year: 2026,
            license: "Apache-2.0",
            notice: APACHE,
        },
        License {
            file: "code",
            what: "mean carbon intensity of the world, watts of a gigabyte of memory",
            source: "GreenAlgorithms/green-algorithms-tool data/latest/CI_aggregated.csv and referenceValues.csv",
            commit: GREEN_ALGORITHMS_COMMIT,
            year: 2025,
            license: "CC-BY-4.0",
            notice: GREEN_ALGORITHMS,
        },
        License {
            file: "cpu-models.csv",
            what: "microarchitecture of a processor by its CPUID",
            source: "numbers read in the Linux kernel's headers, named in the file",
            commit: "",
            year: 2026,
            license: "fact",
            notice: "",
        },
        License {
            file: "cpu-watts.csv",
            what: "watts of a hardware thread by microarchitecture",
            source: "cloud-carbon-footprint/ccf-coefficients output/coefficients-aws-use.csv and others",
            commit: CCF_COMMIT,
            year: 2026,
            license: "Apache-2.0",
            notice: APACHE,
        },
        License {
            file: "processors-arm.csv",
            what: "thermal design power of Arm server processors",
            source: "Ampere's list as read in heise.de 2020-06-23, hardwareluxx.de 57030, theregister.com 2020-06-23",
            commit: "",
            year: 2026,
            license: "fact",
            notice: "",
        },
        License {
            file: "processors.csv",
            what: "thermal design power of processors",
            source: "mlco2/codecarbon codecarbon/data/hardware/cpu_power.csv",
            commit: CODECARBON_COMMIT,
            year: 2026,
            license: "MIT",
            notice: CODECARBON,
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    // Whoever adds a file adds its row.
    #[test]
    fn every_embedded_file_has_its_attribution() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        let named: BTreeSet<String> =
            licenses().iter().map(|one| one.file.to_owned()).filter(|name| name != "code").collect();
        assert_eq!(there, named);
        assert_eq!(there.len(), 5, "the folder was read");
        assert!(licenses().is_sorted_by(|a, b| a.file <= b.file));
    }
}
