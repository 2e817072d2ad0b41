//! Ledgers whose times overlap: what two meters of one machine saw is counted once.

use attar_bill::report::{BillShare, Report};
use attar_bill::{Bill, Grid, Tariff};
use attar_meter::source::{Component, Description};
use attar_meter::{
    ComponentEnergy, Estimate, HostFacts, Job, Joules, LedgerContents, LedgerHeader, Method, Seconds, Split, Spread,
    Totals, Watts, Window,
};
use attar_testing::assert_close_relative;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn bill(totals: &Totals) -> Bill {
    Bill::new(totals, &Grid::world(), &Tariff::own_machine())
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(seconds)
}

/// A window of this phase with so many watts in each component.
fn window(phase: &str, (start, end): (f64, f64), watts: &[(Component, f64)]) -> Window {
    let seconds = |x: f64| Seconds::new(x).unwrap();
    let energy = |(component, watts): &(Component, f64)| {
        let joules = Estimate::exact(Joules::new(watts * (end - start)).unwrap());
        (*component, ComponentEnergy { joules, method: Method::Measured })
    };
    Window {
        phase: phase.to_owned(),
        start: at(start),
        end: at(end),
        start_s: Seconds::ZERO,
        end_s: seconds(end - start),
        active_s: seconds(end - start),
        cpu_s: None,
        others_cpu_s: None,
        own_share: Default::default(),
        energy: watts.iter().map(energy).collect(),
        split: Split::Whole,
        gaps: Vec::new(),
    }
}

fn report(name: &str, boot: Option<&str>, windows: Vec<Window>) -> Report {
    let host = HostFacts {
        system: "linux x86_64".to_owned(),
        kernel: None,
        cpu: Default::default(),
        threads: Some(2),
        memory_bytes: None,
        boot: boot.map(str::to_owned),
    };
    let header = LedgerHeader {
        start: at(0.0),
        version: "0".to_owned(),
        host,
        job: None,
        sources: Vec::new(),
        reasons: Vec::new(),
    };
    let contents = LedgerContents { headers: vec![header], starts: vec![0], windows, ..LedgerContents::default() };
    Report::from_contents(name, &contents, bill).unwrap()
}

fn merged(reports: &[Report]) -> Report {
    Report::merged("all", reports, bill).unwrap()
}

fn joules(report: &Report) -> f64 {
    report.totals().energy().unwrap().value().get()
}

const CPU: Component = Component::Cpu(0);

#[test]
fn a_run_inside_another_is_counted_once() {
    let outer = report("outer", Some("a"), vec![window("all", (0.0, 100.0), &[(CPU, 10.0)])]);
    let inner = report("inner", Some("a"), vec![window("part", (20.0, 50.0), &[(CPU, 10.0)])]);
    for order in [[outer.clone(), inner.clone()], [inner.clone(), outer.clone()]] {
        let both = merged(&order);
        assert_eq!((joules(&both), both.totals().active().get()), (1000.0, 100.0));
        let [overlap] = both.overlaps() else { panic!("{:?}", both.overlaps()) };
        assert_eq!((overlap.ledger.as_str(), overlap.within.as_str(), overlap.one_machine), ("inner", "outer", true));
        assert_close_relative("overlap", overlap.time.get(), 30.0, 1e-6);
        assert!(both.statement().iter().any(|line| line.contains("counted once")), "{:?}", both.statement());
        assert_eq!(both.json()["overlaps"][0]["ledger"], "inner");
    }
}

#[test]
fn only_what_both_saw_is_left_out() {
    // Half of the second lies in the first, which does not read the board.
    let board = Component::Gpu(0);
    let first = report("first", Some("a"), vec![window("x", (0.0, 20.0), &[(CPU, 10.0)])]);
    let second = report("second", Some("a"), vec![window("y", (10.0, 30.0), &[(CPU, 10.0), (board, 100.0)])]);
    let both = merged(&[first, second]);
    assert_close_relative("J", joules(&both), 10.0 * 30.0 + 100.0 * 20.0, 1e-6);
    assert_close_relative("s", both.totals().active().get(), 30.0, 1e-6);
    // A meter of the whole machine contains the parts that another one reads.
    let whole = report("whole", Some("a"), vec![window("x", (0.0, 40.0), &[(Component::Machine, 50.0)])]);
    let part = report("part", Some("a"), vec![window("y", (0.0, 30.0), &[(CPU, 10.0)])]);
    assert_eq!(joules(&merged(&[part, whole])), 2000.0);
}

#[test]
fn other_machines_and_other_times_are_added() {
    let make = |name, boot, from| report(name, boot, vec![window("x", (from, from + 10.0), &[(CPU, 10.0)])]);
    let apart = merged(&[make("a", Some("1"), 0.0), make("b", Some("2"), 0.0), make("c", Some("1"), 10.0)]);
    assert_eq!((joules(&apart), apart.overlaps().len()), (300.0, 0));
    // Ledgers of before do not tell the machine: added, and said.
    let unsure = merged(&[make("a", None, 0.0), make("b", None, 5.0)]);
    assert_eq!((joules(&unsure), unsure.overlaps()[0].one_machine), (200.0, false));
    assert!(unsure.overlaps()[0].to_string().contains("counted twice"), "{}", unsure.overlaps()[0]);
}

#[test]
fn ledgers_that_are_read_together_are_looked_at_too() {
    use attar_meter::source::SourceChoice;
    use attar_meter::{Host, Ledger, ManualClock, Meter, MeterOptions};
    let folder = tempfile::tempdir().unwrap();
    let paths = ["outer", "inner"].map(|name| folder.path().join(format!("{name}.jsonl")));
    let clock = ManualClock::new();
    let start = |path| {
        let options = MeterOptions { sources: SourceChoice::Fixed(Watts::new(10.0).unwrap()), ..Default::default() };
        Meter::start_on(&Host::local(), Box::new(clock.clone()), options, Some(Ledger::append_to(path).unwrap()))
            .unwrap()
    };
    let outer = start(&paths[0]);
    clock.advance(std::time::Duration::from_secs(10), Default::default());
    let inner = start(&paths[1]);
    clock.advance(std::time::Duration::from_secs(10), Default::default());
    drop(inner);
    clock.advance(std::time::Duration::from_secs(10), Default::default());
    drop(outer);
    let report = Report::read(&paths, bill).unwrap();
    if report.headers()[0].host.boot.is_some() {
        assert_close_relative("J", joules(&report), 300.0, 1e-6);
    }
    assert_eq!(report.overlaps().len(), 1);
}

/// A rank of a job: one window of ten seconds at 40 W, 10 of them idle, in which it used so much CPU time.
fn rank(number: u32, boot: &str, own: f64, others: f64) -> Report {
    let mut one = window("train", (0.0, 10.0), &[(CPU, 40.0)]);
    (one.cpu_s, one.others_cpu_s) = (Seconds::new(own).ok(), Seconds::new(others).ok());
    let job = Job { scheduler: "slurm".to_owned(), id: Some("7".to_owned()), rank: Some(number), ranks: Some(3) };
    let source = Description {
        name: "powercap".to_owned(),
        components: vec![CPU],
        method: Method::Measured,
        spread: Spread::relative(0.1),
        spreads: Default::default(),
        between_loads: Default::default(),
        resolution: Seconds::ZERO,
        poll: None,
        scope: String::new(),
        idle: [(CPU, Watts::new(10.0).unwrap())].into(),
        notes: Vec::new(),
    };
    let host = HostFacts {
        system: "linux x86_64".to_owned(),
        kernel: None,
        cpu: Default::default(),
        threads: Some(8),
        memory_bytes: None,
        boot: Some(boot.to_owned()),
    };
    let (version, job) = ("0".to_owned(), Some(job));
    let header = LedgerHeader { start: at(0.0), version, host, job, sources: vec![source], reasons: Vec::new() };
    let contents =
        LedgerContents { headers: vec![header], starts: vec![0], windows: vec![one], ..LedgerContents::default() };
    Report::from_contents(&format!("rank {number}"), &contents, bill).unwrap()
}

// Two ranks on one machine, each of which sees the other as somebody else, and one on another.
#[test]
fn ranks_of_a_job_are_merged_and_billed_their_share() {
    let all = merged(&[rank(0, "a", 30.0, 50.0), rank(1, "a", 10.0, 70.0), rank(2, "b", 20.0, 0.0)]);
    // Two machines for ten seconds each.
    assert_close_relative("machines", joules(&all), 2.0 * 400.0, 1e-6);
    assert!(all.statement().contains(&"Job: slurm 7: 3 ranks of 3 on 2 machines.".to_owned()), "{:?}", all.statement());
    // 30 and 10 of 80 s of the first machine's CPU time, all of the second's.
    let own = all.clone().with_share(BillShare::Own, bill).unwrap();
    assert_close_relative("own", joules(&own), 0.5 * 400.0 + 400.0, 1e-6);
    let active = all.clone().with_share(BillShare::Active, bill).unwrap();
    assert_close_relative("active", joules(&active), 0.5 * 300.0 + 300.0, 1e-6);
    assert_eq!(own.totals().method(), Some(Method::Modeled));
    assert!(own.bill().scope().contains("own share of the machine"), "{}", own.bill().scope());
    let whole = all.clone().with_share(BillShare::Machine, bill).unwrap();
    assert_eq!(whole.bill(), all.bill());
    // The parts of all who used a machine are the machine.
    let parts: f64 = [(30.0, 50.0), (50.0, 30.0)]
        .map(|(own, others)| joules(&rank(0, "a", own, others).with_share(BillShare::Own, bill).unwrap()))
        .iter()
        .sum();
    assert_close_relative("parts", parts, 400.0, 1e-9);
    // Without CPU time there is no share.
    let untold = report("untold", None, vec![window("x", (0.0, 1.0), &[(CPU, 1.0)])]);
    assert!(
        untold.with_share(BillShare::Own, bill).unwrap_err().to_string().contains("share of the machine is not known")
    );
}

proptest! {
    // Windows of one constant power on one machine: the union of their times is what counts.
    #[test]
    fn the_union_of_all_times_is_counted(spans in prop::collection::vec((0_u32..100, 1_u32..50), 1..8)) {
        let reports: Vec<Report> = spans.iter().enumerate().map(|(number, (start, length))| {
            let (start, end) = (f64::from(*start), f64::from(start + length));
            report(&format!("r{number}"), Some("a"), vec![window("x", (start, end), &[(CPU, 1.0)])])
        }).collect();
        let union = (0..150).filter(|t| spans.iter().any(|(start, length)| (*start..start + length).contains(t))).count();
        let all = merged(&reports);
        prop_assert!((joules(&all) - union as f64).abs() < 1e-3, "{} J in {union} s", joules(&all));
        prop_assert!((all.totals().active().get() - union as f64).abs() < 1e-3);
    }
}
