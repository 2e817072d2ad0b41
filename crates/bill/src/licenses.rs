//! Where every embedded figure comes from, and under which terms.

pub use attar_meter::License;

macro_rules! mit {
    ($($copyright:literal),+) => {
        concat!("MIT License\n\n", $($copyright, "\n",)+ "\n", include_str!("../licenses/MIT.txt"))
    };
}

const CARBONTRACKER: &str = mit!("Copyright (c) 2020 Lasse F. Wolff Anthony & Benjamin Kanding");
const CODECARBON: &str =
    mit!("Copyright (c) 2019 Mila, BCG Gamma, CometML, Haverford College", "Copyright (c) 2023 Code Carbon NGO");
const APACHE: &str = include_str!("../licenses/Apache-2.0.txt");
const UNICODE: &str = include_str!("../licenses/Unicode-3.0.txt");
const OWID: &str = "Data by Our World in Data (https://ourworldindata.org/grapher/carbon-intensity-electricity), from Ember \
(https://ember-energy.org), licensed under CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/). Changed: columns renamed, \
two collections joined, rows sorted, one row without an intensity left out.";
const GREEN_ALGORITHMS: &str = "Data by the Green Algorithms project (https://github.com/GreenAlgorithms/green-algorithms-tool), \
licensed under CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/). Changed: columns and rows chosen and renamed, two names corrected.";
const GREEN_ALGORITHMS_COMMIT: &str = "30df2feead1c7f5db87a3d86ca1239470a0cd415";
const CCF_COMMIT: &str = "b0032d928c787cf76cecd7d1d611c5b46f366e29";
const CODECARBON_COMMIT: &str = "b05965e43b690cdc53787c7577adbe6e2caf4ed9";
const CARBONTRACKER_COMMIT: &str = "8beb2b9dc124f910deeef9aaae39c45a9b017ca5";

/// Every embedded file of this crate and of [`attar_meter`] with its source and license, sorted by file. A file
/// of several origins is listed here once for each.
pub fn licenses() -> Vec<License> {
    let mut all = [attar_meter::licenses(), OWN].concat();
    all.sort_by_key(|license| license.file);
    all
}

const OWN: &[License] = &[
    License {
        file: "countries.csv",
        what: "countries by name in English and in their official languages",
        source: "Unicode CLDR 49, locale data of territories, through Babel 2.19.0",
        commit: "",
        year: 2026,
        license: "Unicode-3.0",
        notice: UNICODE,
    },
    License {
        file: "embodied.csv",
        what: "greenhouse gas of making the server under a cloud instance",
        source: "cloud-carbon-footprint/ccf-coefficients output/coefficients-*-embodied*.csv; AWS totals by Teads",
        commit: CCF_COMMIT,
        year: 2026,
        license: "Apache-2.0",
        notice: APACHE,
    },
    License {
        file: "equivalents.csv",
        what: "greenhouse gas of flights, cars and people",
        source: "Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 1",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
    License {
        file: "equivalents.csv",
        what: "greenhouse gas of a kilometer by car",
        source: "lfwa/carbontracker carbontracker/emissions/conversion/co2eq.csv",
        commit: CARBONTRACKER_COMMIT,
        year: 2025,
        license: "MIT",
        notice: CARBONTRACKER,
    },
    License {
        file: "grid-ccf.csv",
        what: "carbon intensity by AWS and Azure region",
        source: "cloud-carbon-footprint/ccf-coefficients data/grid-emissions-factors-aws.csv and -azure.csv",
        commit: CCF_COMMIT,
        year: 2026,
        license: "Apache-2.0",
        notice: APACHE,
    },
    License {
        file: "grid-egrid-2016.csv",
        what: "carbon intensity by state of the United States, 2016",
        source: "US Environmental Protection Agency, eGRID 2016",
        commit: "",
        year: 2016,
        license: "public domain",
        notice: "",
    },
    License {
        file: "grid-egrid-2016.csv",
        what: "the collection of them",
        source: "mlco2/codecarbon codecarbon/data/private_infra/2016/usa_emissions.json",
        commit: CODECARBON_COMMIT,
        year: 2026,
        license: "MIT",
        notice: CODECARBON,
    },
    License {
        file: "grid-gcp.csv",
        what: "carbon intensity and carbon-free energy by Google Cloud region and year",
        source: "GoogleCloudPlatform/region-carbon-info data/yearly/2019.csv to 2024.csv",
        commit: "49f3f26bfd682305e8d9b572fea1f811900421a9",
        year: 2025,
        license: "Apache-2.0",
        notice: APACHE,
    },
    License {
        file: "grid-green-algorithms.csv",
        what: "carbon intensity by country, state and province in further years",
        source: "GreenAlgorithms/green-algorithms-tool data/latest/CI_aggregated.csv",
        commit: GREEN_ALGORITHMS_COMMIT,
        year: 2025,
        license: "CC-BY-4.0",
        notice: GREEN_ALGORITHMS,
    },
    License {
        file: "grid.csv",
        what: "carbon intensity by country",
        source: "Our World in Data, from Ember",
        commit: "",
        year: 2024,
        license: "CC-BY-4.0",
        notice: OWID,
    },
    License {
        file: "grid.csv",
        what: "the collection of 188 of them",
        source: "lfwa/carbontracker carbontracker/data/carbon-intensities.csv",
        commit: CARBONTRACKER_COMMIT,
        year: 2025,
        license: "MIT",
        notice: CARBONTRACKER,
    },
    License {
        file: "grid.csv",
        what: "the collection of 24 of them",
        source: "mlco2/codecarbon codecarbon/data/private_infra/global_energy_mix.json",
        commit: CODECARBON_COMMIT,
        year: 2026,
        license: "MIT",
        notice: CODECARBON,
    },
    License {
        file: "prices-strubell2019.csv",
        what: "prices of devices by the hour that reproduce a published table",
        source: "derived from Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 3",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
    License {
        file: "pue.csv",
        what: "power usage effectiveness of the world in 2018",
        source: "Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), section 2",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
    License {
        file: "pue.csv",
        what: "power usage effectiveness of the world in 2024",
        source: "GreenAlgorithms/green-algorithms-tool data/latest/defaults_PUE.csv",
        commit: GREEN_ALGORITHMS_COMMIT,
        year: 2025,
        license: "CC-BY-4.0",
        notice: GREEN_ALGORITHMS,
    },
    License {
        file: "pue.csv",
        what: "power usage effectiveness of three clouds",
        source: "cloud-carbon-footprint/cloud-carbon-footprint",
        commit: "",
        year: 2024,
        license: "Apache-2.0",
        notice: APACHE,
    },
    License {
        file: "strubell-comparators.csv",
        what: "greenhouse gas of flights, cars and people",
        source: "Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 1",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
    License {
        file: "strubell-lisa.csv",
        what: "cost of developing one model",
        source: "Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 4",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
    License {
        file: "strubell.csv",
        what: "cost of five published models",
        source: "Strubell, Ganesh, McCallum 2019 (arXiv 1906.02243), table 3 and section 2.1",
        commit: "",
        year: 2019,
        license: "fact",
        notice: "",
    },
];

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
        let named: BTreeSet<String> = OWN.iter().map(|one| one.file.to_owned()).filter(|name| name != "code").collect();
        assert_eq!(there, named);
        assert!(there.len() >= 9, "the folder was read");
    }

    #[test]
    fn every_license_says_what_it_must() {
        assert!(licenses().is_sorted_by(|a, b| a.file <= b.file));
        for one in licenses() {
            assert!(!one.source.is_empty() && !one.what.is_empty() && (2016..=2026).contains(&one.year), "{one:?}");
            match one.license {
                "MIT" => {
                    assert!(one.notice.contains("Copyright (c)"), "{one:?}");
                    assert!(one.notice.contains("this permission notice shall be included"), "{one:?}");
                    assert!(one.notice.contains("AS IS"), "{one:?}");
                }
                "Apache-2.0" => {
                    assert!(one.notice.contains("Version 2.0, January 2004"), "{one:?}");
                    assert!(one.notice.contains("4. Redistribution"), "{one:?}");
                }
                "Unicode-3.0" => {
                    assert!(
                        one.notice.contains("UNICODE LICENSE V3") && one.notice.contains("Unicode, Inc."),
                        "{one:?}"
                    );
                    assert!(one.notice.contains("this copyright and permission notice appear"), "{one:?}");
                }
                "CC-BY-4.0" => assert!(
                    one.notice.contains("creativecommons.org/licenses/by/4.0") && one.notice.contains("Changed:"),
                    "{one:?}"
                ),
                "fact" | "public domain" => assert_eq!(one.notice, "", "{one:?}"),
                other => panic!("{other} is not a license under which a table may be embedded"),
            }
        }
    }

    #[test]
    #[ignore = "needs the data sets of ../shared"]
    fn the_notices_are_those_of_the_sources() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (folder, notice) in [("carbontracker", CARBONTRACKER), ("codecarbon", CODECARBON)] {
            let path = attar_testing::shared(&format!("data/energy/{folder}/LICENSE"));
            assert_eq!(words(notice), words(&std::fs::read_to_string(path).unwrap()), "{folder}");
        }
    }
}
