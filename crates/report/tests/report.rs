//! What holds for every report: the page is whole and closed, hostile text stays text, and size has a bound.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attar_bill::report::Report as BillReport;
use attar_bill::{Bill, BreakEven, Errors, Grid, Tariff};
use attar_meter::source::Component;
use attar_meter::{ComponentEnergy, Estimate, Joules, LedgerContents, Method, Pue, Seconds, Split, Window};
use attar_report::{
    Attention, BreakEvenFacts, Calibration, Curve, EnergyReport, Fact, Inventory, Mistake, ModelKind, Report,
    ReportedModel, Run, RunData, Speed, Stage, Suite, SuiteLine, TokenAttention,
};
use attar_text::metrics::{ClassReport, Confusion, Interval, Metric, Score, Spread};

const HOSTILE: &str =
    "</title></style><script>alert(1)</script><img src=x onerror=alert(1)> \" ' & ]]> --> \u{0}\u{202e}|`*_ &lt;";

fn joules(value: f64) -> Estimate<Joules> {
    let of = |x: f64| Joules::new(x).unwrap();
    Estimate::new(of(value), of(value / 2.0), of(value * 2.0)).unwrap()
}

fn window(phase: &str, start: f64) -> Window {
    let energy = ComponentEnergy { joules: joules(50.0), method: Method::Modeled };
    Window {
        phase: phase.into(),
        start: "2026-01-01T00:00:00Z".parse().unwrap(),
        end: "2026-01-01T00:00:10Z".parse().unwrap(),
        start_s: Seconds::new(start).unwrap(),
        end_s: Seconds::new(start + 10.0).unwrap(),
        active_s: Seconds::new(10.0).unwrap(),
        cpu_s: None,
        others_cpu_s: None,
        own_share: Default::default(),
        energy: [(Component::Machine, energy)].into(),
        split: Split::Whole,
        gaps: Vec::new(),
    }
}

fn energy(name: &str, windows: usize) -> EnergyReport {
    let windows = (0..windows).map(|at| window(["teacher", "training", HOSTILE][at % 3], 10.0 * at as f64)).collect();
    let contents = LedgerContents { windows, ..LedgerContents::default() };
    let tariff = Tariff::own_machine().with_pue(Pue::new(1.5).unwrap());
    let bill = |totals: &_| Bill::new(totals, &Grid::world(), &tariff);
    EnergyReport(BillReport::from_contents(name, &contents, bill).unwrap())
}

fn model(kind: ModelKind, name: &str, value: f64, bytes: u64) -> ReportedModel {
    let interval = Some(Interval { low: value - 0.01, high: value + 0.01, confidence: 0.95 });
    let names = [HOSTILE.to_string(), "other".to_string()];
    ReportedModel {
        kind,
        name: name.into(),
        scores: vec![Score { metric: Metric::Accuracy, value: Some(value), interval, rows: 100 }],
        classes: Some(ClassReport::new(&Confusion::new(&[0, 1, 1, 0], &[0, 1, 0, 0], 2), &names)),
        difference: None,
        kept: Some(0.99),
        bytes: Some(bytes),
        parameters: Some(1_000_000),
        flops: None,
        speed: Some(Speed { micros: 50.0, micros_range: [48.0, 55.0], joules_per_thousand: Some(joules(3.0)) }),
    }
}

/// A run with everything, whose every text is hostile.
fn run(updates: usize, windows: usize) -> Run {
    let points = |from: f64| (0..updates).map(|at| [10.0 * at as f64, from / (1.0 + at as f64)]).collect();
    let curve = |name: &str, from| Curve { name: name.into(), points: points(from) };
    let looks = |model: &str| TokenAttention {
        model: model.into(),
        layer: 2,
        heads: 4,
        tokens: vec!["[CLS]".into(), HOSTILE.into()],
        shares: vec![0.5, 0.5, 0.9, 0.1],
    };
    Run {
        name: HOSTILE.into(),
        summary: vec![HOSTILE.into()],
        data: Some(RunData { name: HOSTILE.into(), rows: 100 }),
        models: vec![
            model(ModelKind::Teacher, "teacher", 0.98, 90_000_000),
            model(ModelKind::Student, HOSTILE, 0.97, 9_000_000),
            model(ModelKind::Ngrams, "word n-grams", 0.9, 1_000_000),
        ],
        stages: vec![Stage {
            name: HOSTILE.into(),
            steps: 10 * updates,
            losses: vec![curve("weighted sum", 3.0), curve(HOSTILE, 1.0)],
            scores: Some(curve("accuracy", 0.9)),
        }],
        energy: Some(energy(HOSTILE, windows)),
        break_even: Some(BreakEvenFacts {
            making: joules(8000.0),
            incumbent: ("teacher".into(), joules(0.02)),
            replacement: (HOSTILE.into(), joules(0.002)),
            verdict: BreakEven::new(joules(8000.0), joules(0.02), joules(0.002), Errors::Shared).unwrap(),
            basis: HOSTILE.into(),
        }),
        calibration: Some(Calibration::of(HOSTILE, &[0.9, 0.1, 0.3, 0.7], 2, &[0, 0])),
        mistakes: vec![Mistake {
            text: HOSTILE.into(),
            pair: Some(HOSTILE.into()),
            truth: HOSTILE.into(),
            predicted: "other".into(),
            probability: 0.9,
            teacher: None,
        }],
        attention: Some(Attention { text: HOSTILE.into(), teacher: Some(looks("teacher")), student: looks(HOSTILE) }),
        provenance: vec![Fact { name: "machine".into(), value: HOSTILE.into() }],
        recipe: Some(HOSTILE.into()),
        inventory: Some(Inventory {
            license: Some(HOSTILE.into()),
            task: "text-classification".into(),
            base: Some(HOSTILE.into()),
            fingerprint: Some("ab".into()),
            architecture: "DistilBERT".into(),
            parameters: Some(1_000_000),
            layers: Some(2),
            data: HOSTILE.into(),
            rows: 100,
            data_sha256: "cd".into(),
            is_labeled: true,
        }),
        left_out: Vec::new(),
    }
}

fn report(runs: Vec<Run>) -> Report {
    Report { title: HOSTILE.into(), attar: "0.1.0".into(), time: "2026-01-01".into(), runs, suites: Vec::new() }
}

/// Tags that HTML has no end of.
const VOID: [&str; 1] = ["meta"];

/// Checks that tags nest and attributes are quoted; returns what stands outside of tags.
fn well_formed(page: &str) -> String {
    let (mut open, mut texts, mut rest) = (Vec::new(), String::new(), page.strip_prefix("<!DOCTYPE html>").unwrap());
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        for part in text.split('&').skip(1) {
            let entity = part.split(';').next().unwrap();
            assert!(["lt", "gt", "amp", "quot"].contains(&entity), "`&{part}`");
        }
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        texts.push_str(text);
        let (tag, after) = tag[1..].split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains('<'), "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        assert!(!["script", "img", "link", "iframe", "object"].contains(&name), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "tags cross");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "open: {open:?}");
    texts
}

#[test]
fn the_check_can_fail() {
    for bad in [
        "<!DOCTYPE html><a><b></a></b>",
        "<!DOCTYPE html><a>",
        "<!DOCTYPE html><a>&nbsp;</a>",
        "<!DOCTYPE html><script></script>",
    ] {
        assert!(std::panic::catch_unwind(|| well_formed(bad)).is_err(), "{bad}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let page = report(vec![run(100, 30)]).html();
    let texts = well_formed(&page);
    assert!(texts.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<script") && !page.contains("onerror=alert(1)>") && !page.contains('\u{202e}'));
    // Markdown: no markup of the user's, and tables keep their columns.
    let markdown = report(vec![run(100, 30)]).markdown();
    let outside_code = markdown.split("\n```").step_by(2).collect::<String>();
    let unescaped = outside_code.replace("\\<", "").replace("\\>", "");
    assert!(!unescaped.contains(['<', '>', '\u{202e}']), "{outside_code}");
    assert!(!outside_code.replace("\\&", "").contains('&'), "no entity: {outside_code}");
    for table in outside_code.split("\n\n").filter(|block| block.starts_with('|')) {
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        let first = bars(table.lines().next().unwrap());
        assert!(table.lines().all(|line| bars(line) == first), "{table}");
    }
}

#[test]
fn a_page_refers_to_nothing_outside() {
    let page = report(vec![run(100, 30)]).html();
    for reference in [" src=", "url(", "@import", "javascript:"] {
        // What the user wrote is text, in which the same letters mean nothing.
        assert!(!page.replace("&lt;img src=x", "").contains(reference), "{reference}");
    }
    assert!(page.split("href=\"").skip(1).all(|rest| rest.starts_with("#section-")));
    assert!(page.contains("default-src 'none'"));
    let sections: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut distinct = sections.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(sections.len(), distinct.len(), "ids are single");
    assert!(page.split("href=\"#").skip(1).all(|rest| sections.contains(&rest.split('"').next().unwrap())));
}

#[test]
fn long_runs_make_small_pages() {
    let mut long = run(100_000, 20_000);
    let class = |number: usize| format!("class {number}");
    let names: Vec<String> = (0..150).map(class).collect();
    let truth: Vec<u32> = (0..100_000).map(|row| row % 150).collect();
    let predicted: Vec<u32> = (0..100_000).map(|row| (row + row / 7) % 150).collect();
    long.models[1].classes = Some(ClassReport::new(&Confusion::new(&truth, &predicted, 150), &names));
    let page = report(vec![long]).html();
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    well_formed(&page);
}

#[test]
fn what_is_left_out_is_said() {
    let mut bare = run(0, 3);
    bare.models.clear();
    (bare.energy, bare.break_even, bare.calibration, bare.attention, bare.recipe) = (None, None, None, None, None);
    bare.mistakes.clear();
    bare.leave_out("Energy", "the ledger is <gone>");
    let report = report(vec![bare]);
    assert!(report.html().contains("<strong>Energy</strong> left out: the ledger is &lt;gone&gt;"));
    assert!(report.markdown().contains("**Energy** left out: the ledger is \\<gone\\>"));
    assert!(!report.html().contains("Verdict") && !report.html().contains("Calibration"));
    well_formed(&report.html());
}

#[test]
fn the_forms_have_the_same_numbers() {
    let report = report(vec![run(100, 30)]);
    let (json, page, markdown) = (report.json(), report.html(), report.markdown());
    assert_eq!((json["schema"].as_u64(), json["kind"].as_str()), (Some(1), Some("run report")));
    let run = &json["runs"][0];
    assert_eq!(run["models"][0]["scores"][0]["value"], 0.98);
    assert_eq!(run["models"][0]["kind"], "teacher");
    assert_eq!(run["energy"], report.runs[0].energy.as_ref().unwrap().0.json());
    for text in ["0.9800 [0.9700, 0.9900]", "90.0 MB", "99.0 %"] {
        assert!(page.contains(text), "{text}");
        assert!(markdown.contains(&text.replace('[', "\\[").replace(']', "\\]")), "{text}");
    }
}

#[test]
fn several_runs_and_suites_stand_side_by_side() {
    let line = |model: &str, mean: f64| SuiteLine {
        task: "SST-2".into(),
        model: model.into(),
        metric: Some("accuracy".into()),
        score: Spread::of(&[mean, mean + 0.01]),
        kept: Spread::of(&[0.98]),
        bytes: Some(8_000_000),
        micros: None,
        joules_per_thousand: None,
    };
    let lines = vec![line("teacher", 0.91), line("student", 0.9)];
    let suite = Suite { name: "glue".into(), averages: lines.clone(), lines };
    let mut report = report(vec![run(20, 3), run(20, 3)]);
    report.suites.push(suite);
    let page = report.html();
    well_formed(&page);
    assert!(page.contains("Runs side by side") && page.contains("Suite glue") && page.contains("mean score"));
    assert_eq!(page.matches(">Calibration</h3>").count(), 2);
    // One run beside a suite has its summary once.
    report.runs.truncate(1);
    assert_eq!(report.html().matches("class=\"lead\"").count(), 1);
}

#[test]
fn each_task_of_a_suite_has_its_charts() {
    let line = |task: &str, model: &str, mean: f64, kept: Option<f64>, micros: Option<f64>| SuiteLine {
        task: task.into(),
        model: model.into(),
        metric: Some("accuracy".into()),
        score: Spread::of(&[mean, mean + 0.01]),
        kept: kept.and_then(|kept| Spread::of(&[kept, kept + 0.02])),
        bytes: Some(if model == "teacher" { 90_000_000 } else { 8_000_000 }),
        micros: micros.and_then(|micros| Spread::of(&[micros])),
        joules_per_thousand: None,
    };
    let lines = vec![
        line("CoLA", "teacher", 0.5, None, Some(90.0)),
        line("CoLA", HOSTILE, 0.4, Some(0.8), Some(15.0)),
        line(HOSTILE, "teacher", 0.9, None, None),
        line(HOSTILE, HOSTILE, 0.88, Some(0.97), None),
    ];
    let suite = Suite { name: "glue".into(), averages: Vec::new(), lines };
    let mut report = report(Vec::new());
    report.suites.push(suite);
    let page = report.html();
    well_formed(&page);
    assert!(page.contains("Bars are standard deviations over seeds."));
    // Of a task whose speed was not measured there is no chart of time.
    let count = |caption: &str| page.matches(&format!("<figcaption>{caption}</figcaption>")).count();
    assert_eq!((count("Score by size"), count("Score by time")), (2, 1));
    assert_eq!(count("Share of the teacher&#39;s score retained") + count("Share of the teacher's score retained"), 1);
    assert!(page.contains("<h3>CoLA</h3>") && page.contains("81.0 ± 1.4 %"), "{page}");
    let markdown = report.markdown();
    assert!(markdown.contains("### CoLA") && markdown.contains("from 81.0 % (CoLA) to 98.0 %"), "{markdown}");
    // Of a single seed nothing is a deviation.
    let of_one = |spread: &mut Option<Spread>| *spread = spread.and_then(|spread| Spread::of(&[spread.mean]));
    for line in &mut report.suites[0].lines {
        [&mut line.score, &mut line.kept, &mut line.micros].into_iter().for_each(of_one);
    }
    let page = report.html();
    assert!(!page.contains("standard deviation") && page.contains("Every task"), "{page}");
}

#[test]
fn a_size_that_is_not_known_is_no_zero() {
    let mut run = run(20, 3);
    run.models.truncate(2);
    run.models[0].bytes = None;
    let page = report(vec![run.clone()]).html();
    assert!(!page.contains("0 B<") && !page.contains("Score by size"), "one size alone is no chart");
    let page = report(vec![run.clone(), run]).html();
    assert!(page.contains("9.0 MB") && !page.contains("0 B<"));
}

#[test]
fn of_errors_less_is_better() {
    let mut run = run(20, 3);
    assert!(report(vec![run.clone()]).html().contains("Up and to the left is better"));
    run.models.iter_mut().for_each(|model| model.scores[0].metric = Metric::MeanSquaredError);
    let page = report(vec![run]).html();
    assert!(page.contains("Down and to the left is better"));
    assert!(page.contains("None is both better and less costly than word n-grams."), "it has the least error");
}

#[test]
fn markdown_says_what_the_charts_show() {
    let markdown = report(vec![run(100, 30)]).markdown();
    for part in ["- Score by size: 3 models by bytes", "- Watts over time, by phase: ", "- Reliability of "] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    assert!(!markdown.contains("to the left is better") && !markdown.contains("darker is more"));
}

#[test]
fn every_chart_says_what_it_shows() {
    let page = report(vec![run(100, 30)]).html();
    let charts = page.matches("<svg").count();
    // Three costs, losses and scores, power, break-even, reliability, two of attention.
    assert_eq!(charts, 10);
    assert_eq!(page.matches("role=\"img\"").count(), charts);
    assert_eq!(page.matches("<desc>").count(), charts);
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
}

#[test]
fn an_inventory_has_the_energy_with_its_units() {
    let run = run(20, 30);
    let energy = run.energy.as_ref().unwrap().0.totals().energy().unwrap().value().get();
    let bom = run.cyclonedx("0.1.0", "2026-01-01T00:00:00Z").unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    let card = &bom["metadata"]["component"]["modelCard"];
    let making = &card["considerations"]["environmentalConsiderations"]["energyConsumptions"][0];
    assert_eq!(making["activity"], "fine-tuning");
    assert_eq!(making["activityEnergyCost"]["unit"], "kWh");
    let kwh = making["activityEnergyCost"]["value"].as_f64().unwrap();
    // The machine's, as that of the texts, without what the building adds.
    assert!((kwh * 3.6e6 / energy - 1.0).abs() < 1e-12, "{making}");
    assert_eq!(card["modelParameters"]["modelArchitecture"], "DistilBERT");
    assert_eq!(card["quantitativeAnalysis"]["performanceMetrics"][0]["value"], "0.97");
    let unlabeled = {
        let mut run = run.clone();
        run.inventory.as_mut().unwrap().is_labeled = false;
        run.cyclonedx("0.1.0", "2026-01-01T00:00:00Z").unwrap().to_string()
    };
    assert!(bom.to_string().contains("100 rows to learn from"));
    assert!(unlabeled.contains("100 sequences to learn from"));
    // What is not known is not said.
    let mut bare = run.clone();
    bare.energy = None;
    assert!(bare.cyclonedx("0.1.0", "").unwrap_err().contains("energy is not known"));
    // A ledger without a header does not tell the machine, which BoAmps asks for.
    assert!(run.boamps("0.1.0", "").unwrap_err().contains("header"));
    bare.inventory = None;
    assert!(bare.boamps("0.1.0", "").unwrap_err().contains("no model yet"));
}
