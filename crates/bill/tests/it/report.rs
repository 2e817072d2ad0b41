//! Reports of a small ledger, form by form, and of hostile ones.

use std::path::{Path, PathBuf};

use attar_bill::report::{BillShare, Comparison, ComparisonVerdict, Report, ReportError, ReportTable, emissions_csv};
use attar_bill::{Bill, Currency, Grid, PricePerKwh, Tariff, Unit};
use attar_meter::source::Component;
use attar_meter::{
    ComponentEnergy, Estimate, Joules, Ledger, LedgerContents, Method, Pue, Seconds, Split, TornLine, Totals, Window,
};
use attar_testing::assert_close_relative;
use proptest::prelude::*;

fn unit(name: &str, count: f64) -> Unit {
    Unit::new(name, count).unwrap()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/report").join(name)
}

pub(crate) fn bill(totals: &Totals) -> Bill {
    let price = PricePerKwh::new(0.3, "EUR".parse::<Currency>().unwrap()).unwrap();
    let tariff = Tariff::own_machine().with_pue(Pue::new(1.5).unwrap()).with_electricity(price).unwrap();
    Bill::new(totals, &Grid::custom(400.0, "our grid").unwrap(), &tariff)
}

pub(crate) fn report() -> Report {
    Report::read(&[data("run")], bill).unwrap().with_units([unit("request", 41_000.0)])
}

/// Compares with a file beside the ledger. `ATTAR_ENERGY_BLESS=1` writes what is said now: look at
/// the difference before it is kept.
#[track_caller]
fn is(name: &str, text: &str) {
    let path = data(name);
    if std::env::var_os("ATTAR_ENERGY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(text == expected, "{} differs; got:\n{text}", path.display());
}

/// Tables as plain text, for the comparison alone.
fn plain(tables: &[ReportTable]) -> String {
    let table = |table: &ReportTable| {
        let rows = std::iter::once(&table.head).chain(&table.rows).map(|row| row.join(" ; ") + "\n");
        format!("== {}\n{}", table.title, rows.collect::<String>())
    };
    tables.iter().map(table).collect()
}

#[test]
fn every_form_of_a_small_ledger() {
    let report = report();
    is("tables.txt", &plain(&report.tables()));
    is("report.md", &report.markdown());
    is("report.tex", &report.latex());
    is("report.json", &(serde_json::to_string_pretty(&report.json()).unwrap() + "\n"));
    is("card.yaml", &report.model_card(Some("fine-tuning")).unwrap());
    is("emissions.csv", &emissions_csv([&report]));
    is("power.svg", &report.svg());
}

pub(crate) fn window(phase: &str, start: f64, seconds: f64, joules: f64, factor: f64) -> Window {
    let of = |x: f64| Joules::new(x).unwrap();
    let joules = Estimate::new(of(joules), of(joules / factor), of(joules * factor)).unwrap();
    Window {
        phase: phase.to_owned(),
        start: jiff::Timestamp::UNIX_EPOCH,
        end: jiff::Timestamp::UNIX_EPOCH,
        start_s: Seconds::new(start).unwrap(),
        end_s: Seconds::new(start + seconds).unwrap(),
        active_s: Seconds::new(seconds).unwrap(),
        cpu_s: None,
        others_cpu_s: None,
        own_share: Default::default(),
        energy: [(Component::Cpu(0), ComponentEnergy { joules, method: Method::Modeled })].into(),
        split: Split::Whole,
        gaps: Vec::new(),
    }
}

/// A report of these windows, with the header of the small ledger.
pub(crate) fn over(name: &str, windows: &[Window]) -> Report {
    let headers = report().headers().to_vec();
    Report::from_contents(
        name,
        &LedgerContents { headers, windows: windows.to_vec(), torn: Vec::new(), ..LedgerContents::default() },
        bill,
    )
    .unwrap()
}

/// Balanced tags, quoted attributes, no raw ampersand, no number that is none. Returns the text
/// between the tags.
#[track_caller]
fn assert_well_formed(svg: &str) -> Vec<String> {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "a number that is none");
    let (mut open, mut texts, mut rest) = (Vec::new(), Vec::new(), svg);
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        for part in text.split('&').skip(1) {
            let entity = part.split(';').next().unwrap();
            assert!(["lt", "gt", "amp", "quot", "apos"].contains(&entity), "`&{part}`");
        }
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        texts.extend(Some(text.trim().to_owned()).filter(|text| !text.is_empty()));
        let (tag, after) = tag[1..].split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains('<'), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "tags cross");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "open: {open:?}");
    texts
}

#[test]
fn the_check_of_xml_can_fail() {
    for bad in ["<a><b></a></b>", "<a>", "<a>&nbsp;</a>", "<a x=\"1>2\"/>", "<a>NaN</a>", "<a></a>x"] {
        assert!(std::panic::catch_unwind(|| assert_well_formed(bad)).is_err(), "{bad}");
    }
}

const HOSTILE: &str = "a_b&50%{}\\ <b>\"|`$\n\u{7}[x](y) 'é";

#[test]
fn hostile_names_keep_every_form_sound() {
    let report = over(HOSTILE, &[window(HOSTILE, 0.0, 10.0, 50.0, 2.0)]).with_units([unit(HOSTILE, 3.0)]);
    let texts = assert_well_formed(&report.svg());
    assert!(texts.iter().any(|text| text.starts_with("a_b&amp;50%{}\\ &lt;b&gt;")), "{texts:?}");

    let tex = report.latex();
    assert!(tex.contains(r"a\_b\&50\%\{\}\textbackslash{} \textless{}b\textgreater{}"), "{tex}");
    let bare = tex.replace("\\\\\n", "\n").replace(['\\', '{', '}'], "");
    assert_eq!(bare.matches('&').count(), tex.matches(" & ").count() + tex.matches("\\&").count());
    let depth = tex.replace(r"\{", "").replace(r"\}", "");
    assert_eq!(depth.matches('{').count(), depth.matches('}').count());

    let markdown = report.markdown();
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        assert!(line.ends_with('|'), "{line}");
        assert!(!line.contains("<b>") && !line.replace("\\](y)", "").contains("](y)"), "{line}");
    }
    let rows: Vec<&str> = markdown.lines().skip_while(|line| !line.starts_with("| phase")).take(4).collect();
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(rows.iter().all(|row| bars(row) == bars(rows[0])), "{rows:?}");

    assert_eq!(report.json()["phases"][0]["phase"], HOSTILE);
    let csv = emissions_csv([&report]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(&reader.records().next().unwrap().unwrap()[1], HOSTILE);

    let grid = Grid::custom(10.0, HOSTILE).unwrap();
    let card = report.with_bill(|totals| Bill::new(totals, &grid, &Tariff::own_machine())).model_card(Some(HOSTILE));
    let card = card.unwrap();
    assert_eq!(card.lines().count(), 6, "{card}");
    let quoted = r#""a_b&50%{}\\ <b>\"|`$\n\x07[x](y) 'é""#;
    assert!(card.contains(&format!("  training_type: {quoted}\n  geographical_location: {quoted}\n")), "{card}");
}

#[test]
fn a_ledger_is_costed_again() {
    let before = report();
    let after = before.clone().with_bill(|totals| Bill::new(totals, &Grid::world(), &Tariff::own_machine()));
    assert_eq!(after.totals(), before.totals());
    let (a, b) =
        (after.bill().total.carbon_g.unwrap().value().get(), before.bill().total.carbon_g.unwrap().value().get());
    assert_close_relative("carbon", a / b, 475.0 / (400.0 * 1.5), 1e-12);
    let markdown = after.markdown();
    assert!(markdown.contains("REGION NOT GIVEN") && markdown.contains("Name the country"), "{markdown}");
    assert!(!markdown.contains("energy × PUE") && markdown.contains("PUE: 1, so no facility overhead"), "{markdown}");
    // An average of the world is no place, and no price makes no column.
    assert!(!after.model_card(None).unwrap().contains("geographical_location"));
    assert!(after.tables()[0].head.iter().all(|head| head != "money"), "{:?}", after.tables()[0].head);
}

#[test]
fn without_energy_every_form_says_so() {
    let mut idle = window("x", 0.0, 10.0, 0.0, 1.0);
    idle.energy.clear();
    let report = over("no energy", &[idle]).with_units([unit("request", 5.0)]);
    assert!(assert_well_formed(&report.svg()).iter().any(|text| text.contains("no energy was read")));
    assert_eq!(report.model_card(None), None);
    assert_eq!(report.json()["total"]["energy_kwh"], serde_json::Value::Null);
    assert!(report.markdown().contains("That is not zero energy"));
    assert!(emissions_csv([&report]).lines().nth(1).unwrap().contains(",10,,,,,,,,,,"));
    assert_eq!(report.tables()[1].head, ["unit", "count", "time each"]);
}

#[test]
fn a_number_without_interval_is_not_called_certain() {
    let report = over("given", &[window("x", 0.0, 10.0, 500.0, 1.0)]);
    assert!(report.markdown().contains("its error is not known"), "{}", report.markdown());
    assert!(report.model_card(None).unwrap().contains("modeled energy, error not known; PUE"));
}

#[test]
fn plots_of_any_size_are_sound() {
    let one = over("one", &[window("x", 0.0, 1e-9, 1e-12, 2.0)]).svg();
    assert!(assert_well_formed(&one).iter().any(|text| text == "x"));
    let windows: Vec<Window> =
        (0..100_000).map(|i| window(["load", "compute"][i % 2], 10.0 * i as f64, 10.0, (i % 97) as f64, 3.0)).collect();
    let many = over("many", &windows);
    let svg = many.svg();
    let texts = assert_well_formed(&svg);
    for text in ["load", "compute", "time on the meter (d)", "mean power (W)", "90 % interval of the sum"] {
        assert!(texts.iter().any(|got| got == text), "{text} is not among {texts:?}");
    }
    assert!(svg.len() < 400_000, "{} bytes", svg.len());
    assert_eq!(svg, many.svg());
    let still = over("still", &[window("x", 0.0, 0.0, 5.0, 2.0)]).svg();
    assert!(assert_well_formed(&still).iter().any(|text| text.contains("no time passed")));
    // The largest numbers that are let in.
    assert_well_formed(&over("large", &[window("x", 0.0, 1e12, 1e21, 2.0), window("y", 1e12, 0.0, 1.0, 1.0)]).svg());
    assert_well_formed(&over("zero", &[window("x", 0.0, 5.0, 0.0, 1.0)]).svg());
    let phases: Vec<Window> = (0..500).map(|i| window(&format!("phase {i}"), f64::from(i), 1.0, 1.0, 2.0)).collect();
    assert!(assert_well_formed(&over("phases", &phases).svg()).iter().any(|text| text == "493 other phases"));
}

#[test]
fn several_meters_and_ledgers_are_one_report() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("second.jsonl");
    let first = std::fs::read_to_string(data("run/ledger.jsonl")).unwrap();
    // Two meters in one file, the first one torn.
    std::fs::write(&other, format!("{first}\n{first}\n")).unwrap();
    let alone = Report::read(&[&other], bill).unwrap();
    assert_eq!((alone.name(), alone.headers().len(), alone.torn().len()), ("second", 2, 2));
    assert!(alone.statement().iter().any(|text| text.starts_with("Meters: 2 wrote this")), "{:?}", alone.statement());
    assert!(assert_well_formed(&alone.svg()).iter().any(|text| text == "another meter begins"));
    let both = Report::read(&[data("run"), other], bill).unwrap();
    assert_eq!((both.name(), both.windows().len()), ("run + second", 9));
    let merged = Report::merged("all", &[report(), alone], bill).unwrap();
    assert_eq!((merged.totals(), merged.torn()), (both.totals(), both.torn()));
    assert_eq!(merged.units(), report().units());
}

#[test]
fn what_is_no_ledger_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let read = |path: &Path| Report::read(&[path], bill).unwrap_err();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let says = |error: ReportError, parts: &[&str]| {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    says(read(&dir.path().join("none")), &["none does not exist", "give a ledger"]);
    says(read(dir.path()), &["must hold ledger.jsonl, but it does not; give the folder"]);
    write("events.jsonl", "");
    says(read(dir.path()), &["(nearest: events.jsonl)"]);
    says(read(&write("empty.jsonl", "")), &["empty.jsonl must hold at least one window", "headers: 0"]);
    let header = std::fs::read_to_string(data("run/ledger.jsonl")).unwrap().lines().next().unwrap().to_owned();
    says(read(&write("header.jsonl", &header)), &["header.jsonl", "holds none (headers: 1)", "run it to the end"]);
    says(
        read(&write("table.csv", "timestamp,project_name\n2026,x\n")),
        &["table.csv is not a ledger", "none of its 2 lines"],
    );
    says(
        read(&write("other.jsonl", "{\"schema\":7}")),
        &["other.jsonl line 1: schema must be 1, got 7", "with the version"],
    );
    assert!(matches!(Report::read::<&Path>(&[], bill), Err(ReportError::NoPath)));
    says(Report::merged("x", &[], bill).unwrap_err(), &["x must hold at least one window"]);

    let window = std::fs::read_to_string(data("run/ledger.jsonl")).unwrap().lines().nth(3).unwrap().to_owned();
    for (from, to, part) in [
        ("\"end_s\":30.0", "\"end_s\":3.0", "1 (phase `compute`): end_s must be at least start_s"),
        ("\"end_s\":30.0", "\"end_s\":1e300", "at most 1e12 s, got 1"),
        ("\"active_s\":20.0", "\"active_s\":1e308", "active_s must be at most 1e12 s"),
        ("\"high\":360.0", "\"high\":1e308", "high of an energy must be at most 1e22 J"),
    ] {
        says(read(&write("odd.jsonl", &window.replacen(from, to, 1))), &["odd.jsonl window", part, "repair or remove"]);
    }
}

#[test]
fn twice_the_work_on_one_machine_is_told_apart_together_only() {
    let counted = |name: &str, factor: f64| {
        let mut headers = report().headers().to_vec();
        // A counter, whose error is a factor: whatever the load it cancels.
        (headers[0].sources[0].name, headers[0].sources[0].method) = ("powercap".to_owned(), Method::Measured);
        let contents = LedgerContents { headers, windows: scaled(factor), ..LedgerContents::default() };
        Report::from_contents(name, &contents, bill).unwrap().with_units([unit("request", 41_000.0)])
    };
    let comparison = Comparison::new(&[counted("small", 1.0), counted("large", 2.0)]).unwrap();
    let pair = &comparison.pairs[0];
    assert!(pair.same_instrument, "{:?}", pair.warnings);
    let of = |key: &str| pair.ratios.iter().find(|ratio| ratio.key == key).unwrap();
    for key in ["energy_kwh", "facility_kwh", "carbon_g", "money", "request.energy_j", "request.money"] {
        let ratio = of(key);
        assert_close_relative(key, ratio.ratio.unwrap(), 2.0, 1e-12);
        // The worst case: half of one over double of the other, and the reverse.
        let (independent, shared) = (ratio.independent.unwrap(), ratio.shared.unwrap());
        assert_close_relative(key, independent.low, 0.5, 1e-12);
        assert_close_relative(key, independent.high.unwrap(), 8.0, 1e-12);
        assert_close_relative(key, shared.low, 2.0, 1e-9);
        assert_close_relative(key, shared.high.unwrap(), 2.0, 1e-9);
        assert_eq!(ratio.verdict, ComparisonVerdict::More);
    }
    assert_eq!((of("active_s").ratio, of("active_s").verdict), (Some(1.0), ComparisonVerdict::NoInterval));
    assert_eq!(of("energy_kwh").difference_text, "372 J [186, 745]");

    // A model errs otherwise at another load: of the processor's ratio a good part stays in doubt.
    let (a, b) = (report().named("small"), over("large", &scaled(2.0)).with_units([unit("request", 41_000.0)]));
    assert_eq!(b.shares_errors_with(&a).map(|spread| spread.high()), Ok(3.2));
    let comparison = Comparison::new(&[a, b]).unwrap();
    let pair = &comparison.pairs[0];
    let energy = pair.ratios.iter().find(|ratio| ratio.key == "energy_kwh").unwrap();
    let (independent, shared) = (energy.independent.unwrap(), energy.shared.unwrap());
    assert!(independent.low <= shared.low && shared.low < 1.5, "{shared}");
    assert!(shared.high.unwrap() > 3.0 && shared.high <= independent.high, "{shared}");
    assert!(comparison.statement().iter().any(|line| line.contains("error differs with the load")));
    is("comparison.md", &comparison.markdown());
    is("comparison.json", &(serde_json::to_string_pretty(&comparison.json()).unwrap() + "\n"));
}

/// The windows of the small ledger with so many times the energy.
fn scaled(factor: f64) -> Vec<Window> {
    let mut windows = Ledger::read(data("run/ledger.jsonl")).unwrap().windows;
    for energy in windows.iter_mut().flat_map(|window| window.energy.values_mut()) {
        energy.joules = energy.joules.scaled(factor);
    }
    windows.iter_mut().for_each(|window| window.gaps.clear());
    windows
}

#[test]
fn another_machine_is_compared_apart_and_said_so() {
    let a = report();
    let mut headers = a.headers().to_vec();
    headers[0].host.threads = Some(64);
    let contents = LedgerContents {
        headers,
        windows: scaled(2.0),
        torn: vec![TornLine { line: 1, bytes: 2 }],
        ..LedgerContents::default()
    };
    let b = Report::from_contents("b", &contents, |totals| {
        Bill::new(totals, &Grid::for_region("FR").unwrap(), &Tariff::own_machine())
    })
    .unwrap();
    let pair = &Comparison::new(&[a.clone(), b]).unwrap().pairs[0];
    let energy = &pair.ratios.iter().find(|ratio| ratio.key == "energy_kwh").unwrap();
    assert_eq!((pair.same_instrument, energy.shared, energy.verdict), (false, None, ComparisonVerdict::Inconclusive));
    // No price on one side: no ratio of money.
    assert!(pair.ratios.iter().all(|ratio| ratio.key != "money"));
    let warnings = pair.warnings.join("\n");
    for part in [
        "the machines differ",
        "64 hardware threads",
        "the PUE differs: 1.5 in A, 1 in B",
        "the grids differ",
        "the prices differ",
        "A has 1 kind of gaps",
        "B has 1 torn line",
    ] {
        assert!(warnings.contains(part), "{part} is not in\n{warnings}");
    }
    for (change, part) in [
        ("version", "the versions of the meter differ"),
        ("source", "the sources differ"),
        ("note", "100 W as given by the user"),
        ("none", "without header"),
    ] {
        let mut headers = a.headers().to_vec();
        match change {
            "version" => headers[0].version = "9.9.9".to_owned(),
            "note" => headers[0].sources[0].notes = vec!["100 W as given by the user".to_owned()],
            "source" => headers[0].sources[0].scope = "this process".to_owned(),
            _ => headers.clear(),
        }
        let contents = LedgerContents { headers, windows: scaled(1.0), torn: Vec::new(), ..LedgerContents::default() };
        let pair =
            &Comparison::new(&[a.clone(), Report::from_contents("b", &contents, bill).unwrap()]).unwrap().pairs[0];
        assert!(!pair.same_instrument && pair.warnings[0].contains(part), "{:?}", pair.warnings);
    }
    assert!(matches!(Comparison::new(&[a]), Err(ReportError::Alone { .. })));
}

#[test]
fn zero_and_unequal_components_have_no_false_bounds() {
    let zero = over("zero", &[window("x", 0.0, 10.0, 0.0, 1.0)]);
    let some = over("some", &[window("x", 0.0, 10.0, 5.0, 2.0)]);
    let comparison = Comparison::new(&[zero, some.clone(), report()]).unwrap();
    let energy = &comparison.pairs[0].ratios[1];
    assert_eq!((energy.key.as_str(), energy.ratio), ("energy_kwh", None));
    assert_eq!(energy.independent.unwrap().high, None);
    // A component that one of them lacks: what is common cannot be told.
    let pair = &Comparison::new(&[some, report()]).unwrap().pairs[0];
    assert!(
        !pair.same_instrument && pair.warnings.iter().any(|text| text.starts_with("the components differ: cpu0 in A"))
    );
    assert!(!comparison.markdown().contains("inf") && !comparison.json().to_string().contains("NaN"));
}

proptest! {
    #[test]
    fn a_report_is_the_sum_of_its_parts_and_merging_adds(
        steps in proptest::collection::vec((0usize..4, 0.001..1e4_f64, 0.0..1e6_f64, 1.0..5.0_f64), 2..40),
        cut in 0.0..1.0_f64,
    ) {
        let names = ["a", "b", "c", "d"];
        let windows: Vec<Window> = steps.iter().enumerate()
            .map(|(i, (phase, seconds, joules, factor))| window(names[*phase], 1e5 * i as f64, *seconds, *joules, *factor))
            .collect();
        let cut = 1 + (cut * (windows.len() - 1) as f64) as usize;
        let (first, second) = (over("first", &windows[..cut]), over("second", &windows[cut.min(windows.len() - 1)..]));
        let merged = Report::merged("all", &[first.clone(), second.clone()], bill).unwrap();
        let number = |report: &Report, row: &str, key: &str| report.json()[row][key]["value"].as_f64().unwrap();
        for key in ["energy_kwh", "facility_kwh", "carbon_g", "money"] {
            let json = merged.json();
            let phases: f64 = json["phases"].as_array().unwrap().iter().map(|phase| phase[key]["value"].as_f64().unwrap()).sum();
            let total = number(&merged, "total", key);
            // Some hundred roundings of 2^-53.
            prop_assert!((phases - total).abs() <= 1e-13 * total);
            prop_assert!((number(&first, "total", key) + number(&second, "total", key) - total).abs() <= 1e-13 * total);
        }
        let active = |report: &Report| report.totals().active().get();
        prop_assert!((active(&first) + active(&second) - active(&merged)).abs() <= 1e-13 * active(&merged));
        prop_assert_eq!(merged.tables()[0].rows.len(), merged.totals().phases.len() + 1);
        for table in merged.tables() {
            prop_assert!(table.rows.iter().all(|row| row.len() == table.head.len()));
        }
    }
}

/// Everything that a report can be shown as.
fn every_form(report: &Report) {
    assert_well_formed(&report.svg());
    let forms = [report.markdown(), report.latex(), report.json().to_string(), emissions_csv([report])];
    let card = report.model_card(Some("x"));
    for form in forms.iter().chain(&card) {
        assert!(!form.contains("NaN"), "{form}");
    }
    let pair = Comparison::new(&[report.clone(), report.clone()]).unwrap();
    assert!(!pair.markdown().contains("NaN") && !pair.json().to_string().contains("NaN"));
    for share in [BillShare::Own, BillShare::Active] {
        if let Ok(own) = report.clone().with_share(share, bill) {
            let json = own.json().to_string();
            assert!(!json.contains("NaN") && !json.contains("inf\""), "{json}");
        }
    }
}

proptest! {
    // A ledger with bytes changed is refused or shown, and never a panic.
    #[test]
    fn spoiled_ledgers_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789.-eE\"{}[]:, x\n\xff".to_vec())), 1..6),
    ) {
        let mut bytes = std::fs::read(data("run/ledger.jsonl")).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let dir = tempfile::tempdir().unwrap();
        // Named by its file, not by the folder, whose random name may hold any letters.
        let path = dir.path().join("spoiled.jsonl");
        std::fs::write(&path, bytes).unwrap();
        match Report::read(&[path], bill) {
            Ok(report) => every_form(&report.with_units([unit("x", f64::MAX), unit("y", 1.0)])),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn windows_of_any_size_never_panic(
        steps in proptest::collection::vec((0usize..3, -300..12i32, -300..20i32, 0.0..1e12_f64, any::<bool>()), 1..20),
    ) {
        let windows: Vec<Window> = steps.iter().map(|(phase, seconds, joules, start, clear)| {
            let seconds = 10f64.powi(*seconds).min(1e12 - start);
            let mut window = window(["a", "b", ""][*phase], *start, seconds, 10f64.powi(*joules), 2.0);
            if *clear {
                window.energy.clear();
            }
            window
        }).collect();
        every_form(&over("any", &windows));
    }
}
