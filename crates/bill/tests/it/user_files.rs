//! Files that users give: what is read, and what is said about those that cannot be.

use std::path::PathBuf;

use attar_bill::{Grid, GridChoice, GridError, GridTable, PriceBook, PriceError, TableError, Tariff};
use attar_meter::Seconds;
use proptest::prelude::*;
use tempfile::TempDir;

const PRICES: &str = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice";

struct Given {
    _folder: TempDir,
    path: PathBuf,
}

fn file(content: impl AsRef<[u8]>) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.csv");
    std::fs::write(&path, content).unwrap();
    Given { _folder: folder, path }
}

fn grid(content: impl AsRef<[u8]>) -> Result<GridTable, TableError> {
    GridTable::with_file(&file(content).path)
}

fn prices(content: impl AsRef<[u8]>) -> Result<PriceBook, TableError> {
    PriceBook::read(&file(content).path)
}

#[test]
fn a_table_of_ones_own_lies_over_the_embedded_ones() {
    let table = grid(
        "region,g_per_kwh,year,source\nDE,350,2021,our contract\ngermany,300,2018,older\nour hall,12.5,,\nDEU,310,2019,\n",
    )
    .unwrap();
    let newest = table.lookup("Germany").unwrap();
    assert_eq!((newest.g_per_kwh.get(), newest.year, newest.choice), (350.0, Some(2021), GridChoice::File));
    assert!(newest.source.starts_with("our contract, through "), "{newest}");
    // The embedded years stay, below the file's.
    assert_eq!(table.lookup_year("DE", 2018).unwrap().g_per_kwh.get(), 300.0);
    assert_eq!(table.lookup_year("DE", 2023).unwrap(), Grid::for_region_year("DE", 2023).unwrap());
    assert_eq!(table.years("DE").unwrap(), [2023, 2021, 2020, 2019, 2018]);
    let hall = table.lookup("Our-Hall").unwrap();
    assert_eq!((hall.g_per_kwh.get(), hall.year), (12.5, None));
    assert!(hall.source.ends_with("given.csv, line 4"), "{hall}");
    assert_eq!(table.lookup("FR").unwrap(), Grid::for_region("FR").unwrap());
    assert!(matches!(table.lookup("our hell"), Err(GridError::Region { nearest, .. }) if nearest[0] == "our hall"));
    assert_eq!(
        GridTable::embedded().lookup("DE").unwrap().choice,
        GridChoice::Country,
        "the embedded one is untouched"
    );
}

#[test]
fn what_editors_do_to_files_does_no_harm() {
    let plain = grid("region,g_per_kwh,year,source\nX,100,2024,me\n").unwrap().lookup("X").unwrap();
    for other in [
        "\u{feff}region,g_per_kwh,year,source\r\nX,100,2024,me\r\n",
        "# ours\n\nregion,g_per_kwh,year,source\n\nX , 100.0 ,2024, me\n,,,\n# end",
        "Source,Year,G_PER_KWH,Region\nme,2024,1e2,X",
        "zone,gCO2e/kWh,year,source\nX,100,2024,me",
        "region,g/kWh,year,source\n\"X\",\"100\",\"2024\",\"me\"",
    ] {
        let grid = grid(other).unwrap().lookup("X").unwrap();
        assert_eq!((grid.g_per_kwh, grid.year), (plain.g_per_kwh, plain.year), "{other}");
    }
}

#[test]
fn a_table_that_cannot_be_used_is_refused_where_it_fails() {
    let head = "region,g_per_kwh,year,source\n";
    let cases: [(String, &[&str]); 22] = [
        (format!("{head}X,-5,2024,me"), &["line 2", "`g_per_kwh`", "more than 0 and less than 2000 g/kWh", "got `-5`"]),
        (format!("{head}X,0,2024,me"), &["line 2", "got `0`"]),
        (format!("{head}X,2000,2024,me"), &["got `2000`"]),
        (format!("{head}X,NaN,2024,me"), &["got `NaN`"]),
        (format!("{head}X,inf,2024,me"), &["got `inf`"]),
        (format!("{head}X,,2024,me"), &["`g_per_kwh`", "got ``"]),
        (format!("{head}X,\"1,5\",2024,me"), &["got `1,5`"]),
        (format!("{head},100,2024,me"), &["line 2", "`region`", "the name of a place"]),
        (
            format!("{head}\u{1b}[31mX,100,2024,me"),
            &["`region`", "none of them a control character", "got `\\u{1b}[31mX`"],
        ),
        (format!("{head}X,100,2024,\"two\nlines\""), &["`source`", "none of them a control character"]),
        (format!("{head}{},100,2024,me", "x".repeat(301)), &["`region`", "at most 300 characters", "xxx…`"]),
        (format!("{head}X,100,24,me"), &["`year`", "got `24`"]),
        (format!("{head}X,100,2023.5,me"), &["`year`", "got `2023.5`"]),
        (format!("{head}A,1,2024,me\nX,100,2024,me,more"), &["line 3", "4 fields as in the header", "got 5"]),
        (
            format!("{head}DE,100,2024,me\nGermany,90,2024,me"),
            &["line 3", "each place once for a year", "got `Germany`"],
        ),
        (
            format!("{head}name,gCO2/kWh,year,who\nX,100,2024,me"),
            &["line 2", "a second line of header?", "got `gCO2/kWh`"],
        ),
        (
            format!(",,in gCO2e/kWh,\n{head}X,100,2024,me"),
            &["line 1", "lacks region, g_per_kwh, year, source", "remove what is above it"],
        ),
        ("region,g_per_kwh,year,sauce\nX,1,2024,me".into(), &["line 1", "lacks source", "nearest: sauce"]),
        ("region,g_per_kwh,year,source,pue\nX,1,2024,me,2".into(), &["`pue` that is not known"]),
        ("region,g_per_kwh,year,source,zone\nX,1,2024,me,2".into(), &["each column once", "`region` twice"]),
        (head.into(), &["at least one row", "none"]),
        (String::new(), &["a header with region,g_per_kwh,year,source", "an empty file"]),
    ];
    for (content, expected) in cases {
        let error = grid(&content).unwrap_err().to_string();
        assert!(error.contains("given.csv`"), "{error}");
        for expected in expected {
            assert!(error.contains(expected), "`{expected}` is missing in: {error}\nfor\n{content}");
        }
    }
}

#[test]
fn files_of_another_kind_are_refused_whole() {
    // Rows as published by others: the embedded tables' own originals, and no table at all.
    for other in [
        "alpha-2,Entity,Code,Year,Carbon intensity of electricity (gCO2/kWh)\nDE,Germany,DEU,2023,380\n",
        "\u{feff}provider,providerName,offsetRatio,region\ngcp,Google,100,x\n",
        "{\"DE\": {\"carbon_intensity\": 380}}\n",
        "PK\u{3}\u{4}",
    ] {
        let error = grid(other).unwrap_err();
        assert!(matches!(&error, TableError::Content(fault) if fault.line == 1 && fault.column.is_none()), "{error}");
        assert!(!error.to_string().contains('\u{3}'), "{error}");
    }
    for (bytes, expected) in [
        (b"region,g_per_kwh,year,source\nX\xff,1,2024,me\n".to_vec(), "text in UTF-8"),
        (b"region,g_per_kwh,year,source\nX\0,1,2024,me\n".to_vec(), "zero bytes"),
        (
            [b"region,g_per_kwh,year,source\n".to_vec(), vec![b'x'; 200_000]].concat(),
            "line 2: expected lines of at most",
        ),
        (format!("region,g_per_kwh,year,source\n{},1,2024,me", "\"x\n".repeat(50_000)).into_bytes(), "fields"),
    ] {
        let error = grid(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected) && error.len() < 600, "{error}");
    }
    let absent = GridTable::with_file(&PathBuf::from("/no/such/file.csv")).unwrap_err();
    assert!(matches!(absent, TableError::Read { .. }) && absent.to_string().contains("/no/such/file.csv"), "{absent}");
    assert!(GridTable::with_file(tempfile::tempdir().unwrap().path()).is_err(), "a folder");
}

fn book() -> PriceBook {
    prices(format!(
        "\u{feff}{PRICES},AvailabilityZone\r\n\
         p3.2xlarge,V100,1.0,8.0,61.0,3.06,us-east-1,\"{{'Gpus': [1]}}\",0.95,us-east-1a\r\n\
         p3.2xlarge,V100,1.0,8.0,61.0,3.06,us-east-1,,1.10,us-east-1b\r\n\
         p3.2xlarge,V100,1.0,8.0,61.0,3.30,eu-west-1,,,eu-west-1a\r\n\
         p3.16xlarge,V100,8.0,64.0,488.0,24.48,us-east-1,,7.34,us-east-1a\r\n\
         p3dn.24xlarge,V100,8.0,96.0,768.0,31.21,us-east-1,,,us-east-1a\r\n\
         m5.large,,,2.0,8.0,0.096,us-east-1,,0.04,us-east-1a\r\n\
         ,tpu-v3-8,1.0,,,8.0,us-central1,,2.4,a\r\n"
    ))
    .unwrap()
}

#[test]
fn prices_are_found_by_instance_and_accelerator() {
    let book = book();
    let one = book.instance("P3.2xlarge", Some("us-east-1")).unwrap();
    assert_eq!(one.on_demand.unwrap().amount(), 3.06);
    let (low, high) = one.spot.unwrap();
    assert_eq!((low.amount(), high.amount()), (0.95, 1.10), "zones of one region");
    assert_eq!(book.instance("m5.large", None).unwrap().accelerator, None);
    assert_eq!(book.instance("p3.2xlarge", Some("eu-west-1")).unwrap().spot, None);
    assert_eq!(book.accelerator("v100", 1.0, Some("us-east-1")).unwrap(), one);
    assert_eq!(book.accelerator("tpu-v3-8", 1.0, None).unwrap().vcpus, None);
    assert_eq!(book.offers().len(), 6);
    let tariff = one.apply_to(Tariff::own_machine()).unwrap();
    assert_eq!(tariff.machine(Seconds::new(36_000.0).unwrap()).unwrap().to_string(), "30.6 USD [9.5, 30.6]");
    assert_eq!(serde_json::to_value(one).unwrap()["spot"][0]["currency"], "USD");
}

#[test]
fn a_question_with_no_answer_or_several_says_what_there_is() {
    let book = book();
    let unknown = |error: PriceError| match error {
        PriceError::Unknown { nearest, .. } => nearest[0].clone(),
        other => panic!("{other}"),
    };
    assert_eq!(unknown(book.instance("p3.2xlagre", None).unwrap_err()), "p3.2xlarge");
    assert_eq!(unknown(book.accelerator("V-100", 1.0, None).unwrap_err()), "V100");
    assert_eq!(unknown(book.accelerator("V100", 4.0, None).unwrap_err()), "1 × V100");
    assert_eq!(unknown(book.instance("p3.2xlarge", Some("us-east-2")).unwrap_err()), "us-east-1");
    let error = book.instance("p3.2xlarge", None).unwrap_err().to_string();
    assert!(error.contains("fits 2 offers") && error.ends_with("name the region"), "{error}");
    assert!(error.contains("p3.2xlarge in us-east-1, p3.2xlarge in eu-west-1"), "the cheapest first: {error}");
    let error = book.accelerator("V100", 8.0, Some("us-east-1")).unwrap_err().to_string();
    assert!(error.contains("p3.16xlarge in us-east-1, p3dn.24xlarge in us-east-1; name the instance type"), "{error}");
}

#[test]
fn a_book_of_prices_that_cannot_be_used_is_refused_where_it_fails() {
    let row = |price: &str, spot: &str| format!("{PRICES}\nm5.large,,,2,8,{price},us-east-1,,{spot}\n");
    let cases: [(String, &[&str]); 9] = [
        (row("-0.1", ""), &["line 2", "`Price`", "a price of at least 0", "got `-0.1`"]),
        (row("NaN", ""), &["`Price`", "got `NaN`"]),
        (row("1", "-3"), &["`SpotPrice`", "got `-3`"]),
        (row("1", "inf"), &["`SpotPrice`", "got `inf`"]),
        (row("$1.20", ""), &["`Price`", "got `$1.20`"]),
        (
            format!("{PRICES}\nm5.large,,,2,8,1,r,,\nm5.large,,,2,8,2,r,,\n"),
            &["line 3", "the same price as in an earlier row of m5.large in r"],
        ),
        (format!("{PRICES}\n,,,2,8,1,r,,\n"), &["line 2", "`InstanceType`"]),
        (
            "InstanceType,Price\nm5.large,1\n".into(),
            &["line 1", "lacks AcceleratorName, AcceleratorCount, vCPUs, MemoryGiB, Region, GpuInfo, SpotPrice"],
        ),
        ("instance,vcpu,usd\nm5.large,2,1\n".into(), &["lacks InstanceType", "nearest: instance"]),
    ];
    for (content, expected) in cases {
        let error = prices(&content).unwrap_err().to_string();
        for expected in expected {
            assert!(error.contains(expected), "`{expected}` is missing in: {error}\nfor\n{content}");
        }
    }
}

proptest! {
    // Whatever stands in a file: an answer or one error of a bearable length, never a panic.
    #[test]
    fn no_file_brings_a_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in 0..3_u8) {
        let mut content = match head {
            0 => Vec::new(),
            1 => b"region,g_per_kwh,year,source\n".to_vec(),
            _ => format!("{PRICES}\n").into_bytes(),
        };
        content.extend(bytes);
        let given = file(&content);
        for error in [GridTable::with_file(&given.path).err(), PriceBook::read(&given.path).err()].into_iter().flatten() {
            let text = error.to_string();
            prop_assert!(text.len() < 1500 && !text.contains('\n'), "{}", text);
        }
    }

    // A row that is written is the row that is read.
    #[test]
    fn a_table_round_trips(g in 0.001..1999.0_f64, year in 1900..2100_u16, name in "[a-z]{3,12}") {
        let name = format!("own/{name}");
        let table = grid(format!("region,g_per_kwh,year,source\n{name},{g},{year},me\n")).unwrap();
        let grid = table.lookup_year(&name, year).unwrap();
        prop_assert_eq!((grid.g_per_kwh.get(), grid.region), (g, name));
    }
}
