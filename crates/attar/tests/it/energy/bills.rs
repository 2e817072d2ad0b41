//! What bills hold and leave out, from outside.

use super::{close, report, run};
use crate::common::{attar, fail, json, succeed, write};

const PRICES: &str = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n\
                      m5.large,,,2,8,0.096,us-east-1,,0.04\n";

#[test]
fn making_a_server_is_charged_only_where_asked_for_and_by_its_part() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "prices.csv", PRICES);
    assert!(run(folder.path(), &["-q"], &["sleep", "0.1"]).status.success());
    let priced = ["--price-file", "prices.csv", "--instance", "aws/m5.large"];
    let for_its_price = report(folder.path(), "run", &priced);
    assert_eq!(for_its_price["embodied"], serde_json::Value::Null);
    let asked = ["--instance", "aws/m5.large", "--embodied", "instance"];
    let part = report(folder.path(), "run", &asked);
    close(part["embodied"]["share"].as_f64().unwrap(), 2.0 / 96.0, 1e-12);
    assert!(part["embodied"]["source"].as_str().unwrap().ends_with("2 of 96 vCPUs"), "{}", part["embodied"]);
    let own = report(folder.path(), "run", &[&asked[..], &["--embodied-share", "0.5"]].concat());
    close(own["embodied"]["share"].as_f64().unwrap(), 0.5, 1e-12);
    for (flags, said) in [
        (&["--instance", "aws/m5.large"][..], "--embodied instance"),
        (&["--embodied", "instance"], "--instance"),
        (&["--embodied", "some"], "instance"),
        (&["--embodied-share", "0.5"], "--embodied"),
        (&["--embodied", "instance", "--instance", "gcp/f1-micro"], "--embodied-share"),
    ] {
        let error = fail(folder.path(), &[&["energy", "report", "run"], flags].concat());
        assert!(error.contains(said), "{said} is missing in {error}");
    }
}

// A power that was given has no stated error: no form may show one, and no verdict may rest on it.
#[test]
fn a_given_power_has_no_interval() {
    let folder = tempfile::tempdir().unwrap();
    for (name, watts) in [("much", "100"), ("little", "10")] {
        let fixed = ["energy", "run", "-q", "--source", "fixed", "--watts", watts, "--out", name, "--", "sleep", "0.2"];
        succeed(folder.path(), &fixed);
    }
    let said = report(folder.path(), "much", &[]);
    let energy = &said["total"]["energy_kwh"];
    assert!(energy["value"].as_f64().unwrap() > 0.0 && energy["low"].is_null() && energy["high"].is_null(), "{energy}");
    let text = said["statement"].to_string();
    assert!(text.contains("its error is not known") && !text.contains("90 %") && !text.contains("×1.00"), "{text}");
    let pair = &json(&succeed(folder.path(), &["energy", "compare", "much", "little", "--format", "json"]))["pairs"][0];
    let energy = pair["ratios"].as_array().unwrap().iter().find(|ratio| ratio["what"] == "energy_kwh").unwrap();
    assert_eq!(energy["verdict"], "no_interval");
    assert!(energy["independent"].is_null() && energy["shared"].is_null(), "{energy}");
    let uses = ["--teacher-uses", "1", "--student-uses", "1"];
    let runs = ["energy", "break-even", "--making", "much", "--teacher", "much", "--student", "little"];
    assert!(succeed(folder.path(), &[&runs[..], &uses].concat()).contains("has no interval"));
    assert!(succeed(folder.path(), &["energy", "plan", "--watts", "5", "--hours", "1"]).contains("error is not known"));
    let output = run(folder.path(), &[], &["true"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("whose error is not known"));
}

// As every other figure does, these say how it came about, with which grid and PUE, and of what.
#[test]
fn comparisons_name_what_they_rest_on() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        succeed(folder.path(), &["energy", "run", "-q", "--source", "modeled", "--out", name, "--", "sleep", "0.2"]);
    }
    let factors = ["--region", "SE", "--pue", "1.2"];
    let uses = ["--teacher", "a", "--teacher-uses", "1", "--student", "b", "--student-uses", "1"];
    let even = ["energy", "break-even", "--making", "a"];
    let compared = ["energy", "compare", "a", "b"];
    for text in [
        succeed(folder.path(), &[&compared[..], &factors].concat()),
        succeed(folder.path(), &[&compared[..], &factors, &["--format", "markdown"]].concat()),
        succeed(folder.path(), &[&even[..], &uses, &factors].concat()),
    ] {
        for said in ["energy modeled", "cpu0", "PUE 1.2", "Sweden", "Not included: ", "network"] {
            assert!(text.contains(said), "{said} is missing in {text}");
        }
    }
    let compared = json(&succeed(folder.path(), &[&compared[..], &factors, &["--format", "json"]].concat()));
    assert_eq!(compared["pairs"][0]["basis"]["a"]["method"], "modeled");
    let even = json(&succeed(folder.path(), &[&even[..], &uses, &factors, &["--json"]].concat()));
    assert_eq!(even["basis"]["student"]["pue"], 1.2);
}

// The bill is of the whole machine: it says so, and shows beside it what the program had of it.
#[test]
#[cfg(target_os = "linux")]
fn a_bill_says_whose_energy_it_charges() {
    let folder = tempfile::tempdir().unwrap();
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let arguments = ["energy", "run", "--source", "modeled", "--out", "run", "--", "sh", "-c", busy];
    let output = attar(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("the program") && said.contains("the bill covers the whole machine, whoever used it"),
        "{said}"
    );
    assert!(said.contains("% of its CPU time"), "{said}");
    let statement = report(folder.path(), "run", &[])["statement"].to_string();
    assert!(statement.contains("Scope: the bill covers the whole machine"), "{statement}");
    assert!(statement.contains("beyond idle power") && statement.contains("are theirs"), "{statement}");
}

// A life-cycle figure beside one of production alone is a comparison of two accounts, not of two grids.
#[test]
fn grids_of_different_kinds_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "mine.csv", "region,g_per_kwh,year,source,kind\nhall,50,2024,me,consumption\n");
    let plan = ["energy", "plan", "--watts", "5", "--hours", "1", "--region"];
    let mixed = succeed(folder.path(), &[&plan[..], &["FR", "--also", "DE,us/california"]].concat());
    assert!(mixed.contains("of different kinds") && mixed.contains("production of us/california"), "{mixed}");
    let alike = succeed(folder.path(), &[&plan[..], &["FR", "--also", "DE"]].concat());
    assert!(!alike.contains("of different kinds") && alike.contains("life cycle"), "{alike}");
    let own = [&plan[..], &["hall", "--grid-file", "mine.csv", "--also", "FR", "--json"]].concat();
    let own = json(&succeed(folder.path(), &own));
    assert_eq!(
        (&own["what_if"][0]["grid_kind"], &own["what_if"][1]["grid_kind"]),
        (&"consumption".into(), &"life_cycle".into())
    );
    write(folder.path(), "mine.csv", "region,g_per_kwh,year,source,kind\nhall,50,2024,me,other\n");
    assert!(fail(folder.path(), &[&plan[..], &["hall", "--grid-file", "mine.csv"]].concat()).contains("consumption"));
}

// What a command refuses or ignores does not stand in its help.
#[test]
fn help_names_what_a_command_takes() {
    let folder = tempfile::tempdir().unwrap();
    let further = ["--market", "--water", "--embodied", "--lifetime", "--embodied-share"];
    let prices = ["--price", "--machine-hour", "--spot-hour", "--currency", "--price-file", "--instance"];
    let without = [
        ("plan", [&further[..], &["--per"]].concat()),
        ("watch", [&further[..], &prices, &["--per"]].concat()),
        ("serve", [&further[..], &prices, &["--per"]].concat()),
        ("break-even", vec!["--per"]),
    ];
    for (command, flags) in without {
        let help = succeed(folder.path(), &["energy", command, "--help"]);
        for flag in flags {
            let named = help.split_whitespace().any(|word| word.trim_matches(['`', ',', '.']) == flag);
            assert!(!named, "{command} names {flag}");
            assert!(fail(folder.path(), &["energy", command, flag, "1"]).contains("unexpected argument"), "{flag}");
        }
    }
    let help = succeed(folder.path(), &["energy", "report", "--help"]);
    assert!(further.iter().chain(&prices).chain(&["--per"]).all(|flag| help.contains(flag)), "{help}");
}

// A phase in which the machine was left alone may have any name.
#[test]
fn idle_phases_are_those_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["-q"], &["sleep", "0.2"]).status.success());
    let statement = report(folder.path(), "run", &["--idle", "command"])["statement"].to_string();
    assert!(statement.contains("Idle power: 100"), "{statement}");
    let error = fail(folder.path(), &["energy", "report", "run", "--idle", "comand"]);
    assert!(error.contains("no ledger has a phase `comand`; nearest: command"), "{error}");
}

// Each window has the carbon of its own hour, where a table of the hours is given.
#[test]
fn carbon_goes_by_the_hour_where_a_table_is_given() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["-q"], &["sleep", "0.2"]).status.success());
    let ledger = std::fs::read_to_string(folder.path().join("run/ledger.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(ledger.lines().next().unwrap()).unwrap();
    let day = &first["start"].as_str().unwrap()[..10];
    // The last row holds as long as the one before: a day more, should this run at midnight.
    write(folder.path(), "hours.csv", &format!("time,g_per_kwh\n{day}T00:00:00Z,250\n{day}T23:59:59Z,250\n"));
    let total = &report(folder.path(), "run", &["--hourly", "hours.csv"])["total"];
    let (kwh, grams) = (total["energy_kwh"]["value"].as_f64().unwrap(), total["carbon_g"]["value"].as_f64().unwrap());
    close(grams, 250.0 * kwh, 1e-9);
    let compared = ["energy", "compare", "run", "run", "--hourly", "hours.csv"];
    assert!(succeed(folder.path(), &compared).contains("hours.csv, 250 g CO2e/kWh"));
    write(folder.path(), "old.csv", "time,g_per_kwh\n2020-01-01T00:00:00Z,250\n");
    let error = fail(folder.path(), &["energy", "report", "run", "--hourly", "old.csv"]);
    assert!(error.contains("old.csv has intensities from 2020-01-01") && error.contains("--region"), "{error}");
    assert!(fail(folder.path(), &["energy", "report", "run", "--hourly", "x", "--region", "FR"]).contains("--region"));
}

// A job of two ranks on this machine: its energy is counted once, and billed by what both used.
#[test]
#[cfg(target_os = "linux")]
fn ranks_of_a_job_are_billed_their_share_together() {
    let folder = tempfile::tempdir().unwrap();
    let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 0.3";
    let rank = |number: &str| {
        let arguments = ["energy", "run", "-q", "--source", "modeled", "--out", number, "--", "sh", "-c", busy];
        let mut command = attar(folder.path(), &arguments);
        command.env("SLURM_JOB_ID", "77").env("SLURM_PROCID", number).env("SLURM_NTASKS", "2").spawn().unwrap()
    };
    let ranks = [rank("0"), rank("1")];
    for mut rank in ranks {
        assert!(rank.wait().unwrap().success());
    }
    let bill = |flags: &[&str]| {
        let arguments = [&["energy", "report", "0", "1", "--format", "json"], flags].concat();
        json(&succeed(folder.path(), &arguments))
    };
    let joules = |report: &serde_json::Value| report["total"]["energy_kwh"]["value"].as_f64().unwrap() * 3.6e6;
    let (whole, own, active) = (bill(&[]), bill(&["--share", "own"]), bill(&["--share", "active"]));
    assert!(joules(&active) <= joules(&own) && joules(&own) <= joules(&whole) * (1.0 + 1e-9), "{own}");
    assert!(joules(&own) > 0.0);
    let statement = own["statement"].to_string();
    assert!(statement.contains("Job: slurm 77: 2 ranks of 2 on 1 machine"), "{statement}");
    assert!(statement.contains("own share of the machine"), "{statement}");
    assert_eq!((&own["share"], &whole["share"]), (&"own".into(), &"machine".into()));
    if whole["meters"][0]["host"]["boot"].is_string() {
        let each: f64 = ["0", "1"].map(|rank| joules(&report(folder.path(), rank, &[]))).iter().sum();
        assert!(joules(&whole) < each, "what both saw is counted once");
    }
}

// Making a model and using it have scores of their own; attempts that were given up belong to making.
#[test]
fn making_and_using_have_scores_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["made", "lost", "used"] {
        let fixed = ["energy", "run", "-q", "--source", "fixed", "--watts", "100", "--out", name, "--", "sleep", "0.1"];
        succeed(folder.path(), &fixed);
    }
    const FACTORS: [&str; 5] = ["--intensity", "500", "--embodied", "1000", "--json"];
    fn sci<'a>(flags: &[&'a str]) -> Vec<&'a str> {
        [&["energy", "sci"], flags, &FACTORS].concat()
    }
    let making = ["--making", "made", "--making-per", "parameters=1000"];
    let using = ["--using", "used", "--using-per", "requests=10"];
    let whole = json(&succeed(folder.path(), &sci(&[&making[..], &["--abandoned", "lost"], &using].concat())));
    let (provider, consumer) = (&whole["provider"], &whole["consumer"]);
    let grams = |score: &serde_json::Value, key: &str| score[key]["value"].as_f64().unwrap();
    let line = |run: &str| {
        let total = report(folder.path(), run, &FACTORS[..4])["total"].clone();
        grams(&total, "carbon_g") + grams(&total, "embodied_g")
    };
    close(grams(provider, "score_g"), (line("made") + line("lost")) / 1000.0, 1e-9);
    close(grams(provider, "abandoned_g"), line("lost"), 1e-9);
    close(grams(consumer, "score_g"), line("used") / 10.0, 1e-9);
    assert_eq!((provider["per"].as_str(), consumer["per"].as_str()), (Some("parameters"), Some("requests")));
    let alone = json(&succeed(folder.path(), &sci(&making)));
    assert!(alone["consumer"].is_null() && alone["provider"]["abandoned_g"].is_null());
    for (flags, said) in [
        (sci(&[]), "--making"),
        (sci(&["--making", "made"]), "--making-per"),
        (sci(&[&making[..], &["--abandoned", "made"]].concat()), "as made and as abandoned"),
        ([&["energy", "sci"], &using[..], &["--intensity", "500"]].concat(), "--embodied"),
    ] {
        assert!(fail(folder.path(), &flags).contains(said), "{said}");
    }
}

// Between two ticks of the CPU clock nothing is counted: that is a bound, or not known, and never 0 J.
#[test]
#[cfg(target_os = "linux")]
fn a_program_shorter_than_a_tick_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    for (name, interval) in [("a", "30s"), ("b", "1s")] {
        let arguments = ["energy", "run", "--source", "modeled", "--interval", interval, "--out", name, "--", "true"];
        let output = attar(folder.path(), &arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let program = said.lines().find(|line| line.contains("the program")).unwrap();
        assert!(program.contains("at most") || program.contains('–') || program.contains('['), "{said}");
        let total = &report(folder.path(), name, &[])["total"]["energy_kwh"];
        assert!(total["value"].as_f64().unwrap() > 0.0 && total["high"].as_f64().unwrap().is_finite(), "{total}");
    }
}
