//! `attar energy`: the commands from outside.

mod bills;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{attar, fail, json, succeed, write};

/// `attar energy run` with a constant power, so that joules are known; its output whatever it says.
fn run(folder: &Path, options: &[&str], command: &[&str]) -> Output {
    let fixed = ["energy", "run", "--source", "fixed", "--watts", "100", "--out", "run", "--interval", "50ms"];
    let arguments: Vec<&str> = fixed.iter().chain(options).chain(&["--"]).chain(command).copied().collect();
    attar(folder, &arguments).output().unwrap()
}

fn report(folder: &Path, run: &str, options: &[&str]) -> Value {
    let arguments: Vec<&str> = ["energy", "report", run, "--format", "json"].iter().chain(options).copied().collect();
    json(&succeed(folder, &arguments))
}

fn close(got: f64, expected: f64, relative: f64) {
    assert!((got - expected).abs() <= relative * expected.abs(), "{got} is not {expected}");
}

#[test]
fn a_program_runs_with_its_output_and_exit_code_and_is_billed() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--region", "FR"], &["sh", "-c", "echo out; cat; sleep 0.3; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"out\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("exit code 7") && said.contains("France"), "{said}");

    let report =
        report(folder.path(), "run", &["--intensity", "500", "--pue", "1.5", "--price", "0.4", "--per", "req=10"]);
    let total = &report["total"];
    let (seconds, kwh) = (total["active_s"].as_f64().unwrap(), total["energy_kwh"]["value"].as_f64().unwrap());
    assert!(seconds >= 0.3, "{seconds}");
    close(kwh, 100.0 * seconds / 3.6e6, 1e-9);
    close(total["facility_kwh"]["value"].as_f64().unwrap(), kwh * 1.5, 1e-12);
    close(total["carbon_g"]["value"].as_f64().unwrap(), kwh * 750.0, 1e-12);
    close(total["money"]["value"].as_f64().unwrap(), kwh * 0.6, 1e-12);
    close(report["units"][0]["energy_j"]["value"].as_f64().unwrap(), kwh * 3.6e5, 1e-9);
}

#[test]
fn the_ending_of_a_program_is_told_as_shells_do() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["-q"], &["sh", "-c", "kill -TERM $$"]).status.code(), Some(128 + 15));
    let output = run(folder.path(), &["-q"], &["no-such-program-anywhere"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot start `no-such-program-anywhere`"));
}

// Work done by children and by orphans of theirs belongs to the program.
#[test]
#[cfg(target_os = "linux")]
fn cpu_time_of_children_and_orphans_is_counted() {
    let busy = "i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done";
    // Each does one such loop, and nothing else of weight.
    let child = format!("({busy}) & wait");
    let orphan = format!("(setsid sh -c '{busy}; touch done' &); while [ ! -e done ]; do sleep 0.1; done");
    for script in [child, orphan] {
        let folder = tempfile::tempdir().unwrap();
        assert!(run(folder.path(), &["-q"], &["sh", "-c", &script]).status.success());
        let used = report(folder.path(), "run", &[])["total"]["cpu_s"].as_f64().unwrap();
        // Such a loop takes some 0.4 s of any processor's time; waiting for it takes hundredths.
        assert!(used > 0.1, "{used} s for {script}");
    }
}

// Runs of one second in one folder: each gets a folder of its own, and each starts its program.
#[test]
fn runs_at_once_get_folders_of_their_own() {
    const ROUNDS: usize = 3;
    const AT_ONCE: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let fixed = ["energy", "run", "-q", "--source", "fixed", "--watts", "5", "--", "sh", "-c", "echo ran"];
    for _ in 0..ROUNDS {
        let start = |_| attar(folder.path(), &fixed).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..AT_ONCE).map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && output.stdout == b"ran\n", "{said}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path().join("runs/energy")).unwrap().count(), ROUNDS * AT_ONCE);
}

#[test]
#[cfg(unix)]
fn signals_go_through_to_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo caught; exit 5' TERM; touch ready; while true; do sleep 0.05; done";
    let arguments =
        ["energy", "run", "--source", "fixed", "--watts", "9", "--out", "run", "-q", "--", "sh", "-c", script];
    let mut child = attar(folder.path(), &arguments).stdout(Stdio::piped()).spawn().unwrap();
    wait_for(|| folder.path().join("ready").exists());
    kill("-TERM", child.id());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(5), "caught\n"));
    assert!(report(folder.path(), "run", &[])["total"]["active_s"].as_f64().unwrap() > 0.0);
}

#[test]
#[cfg(unix)]
fn a_killed_meter_leaves_a_ledger_that_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > pid; exec sleep 30";
    let arguments = [
        "energy",
        "run",
        "--source",
        "fixed",
        "--watts",
        "100",
        "--out",
        "run",
        "--interval",
        "50ms",
        "--",
        "sh",
        "-c",
        script,
    ];
    let mut child = attar(folder.path(), &arguments).spawn().unwrap();
    let ledger = folder.path().join("run/ledger.jsonl");
    wait_for(|| std::fs::read_to_string(&ledger).is_ok_and(|text| text.lines().count() > 5));
    child.kill().unwrap();
    child.wait().unwrap();
    let pid: u32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
    kill("-KILL", pid);
    // As if the crash had torn the last line.
    let mut file = std::fs::File::options().append(true).open(&ledger).unwrap();
    file.write_all(b"{\"schema\":1,\"entry\":\"win").unwrap();
    let report = report(folder.path(), "run", &[]);
    let total = &report["total"];
    close(total["energy_kwh"]["value"].as_f64().unwrap(), total["active_s"].as_f64().unwrap() / 3.6e4, 1e-9);
    assert_eq!(report["torn"].as_array().unwrap().len(), 1);
}

#[test]
#[cfg(unix)]
fn a_budget_warns_stops_and_leaves_the_ledger_whole() {
    let folder = tempfile::tempdir().unwrap();
    // 100 W use 20 J in 0.2 s.
    let output = run(folder.path(), &["--budget", "20J"], &["sleep", "20"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("of the budget of 20.0 J are used") && said.contains("used up"), "{said}");
    let used = report(folder.path(), "run", &[])["total"]["energy_kwh"]["value"].as_f64().unwrap() * 3.6e6;
    assert!((20.0..300.0).contains(&used), "{used} J");
    // Enough for all of it.
    assert_eq!(run(folder.path(), &["--budget", "1kWh"], &["true"]).status.code(), Some(0));
    // What could not be watched is refused before anything runs.
    let output = run(folder.path(), &["--budget", "1EUR"], &["touch", "ran"]);
    assert!(!output.status.success() && !folder.path().join("ran").exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no price"));
}

#[test]
fn what_is_required_is_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["energy", "run", "--source", "modeled", "--require", "measured", "--", "touch", "ran"];
    let error = fail(folder.path(), &arguments);
    assert!(error.contains("energy must be measured") && error.contains("would be modeled"), "{error}");
    assert!(!folder.path().join("ran").exists());
}

#[test]
fn idle_power_is_watched_and_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--baseline", "200ms"], &["sleep", "0.2"]);
    assert!(output.status.success());
    let report = report(folder.path(), "run", &[]);
    let phases: Vec<&str> =
        report["phases"].as_array().unwrap().iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    // What was drawn while nothing ran is nobody's cost.
    assert_eq!(phases, ["command"]);
    let said = report["statement"]
        .as_array()
        .unwrap()
        .iter()
        .any(|line| line.as_str().unwrap().starts_with("Idle power: 100"));
    assert!(said, "{report}");
    // A constant power is all idle.
    let shares = &report["attribution"]["components"][0];
    let value = |key: &str| shares[key]["value"].as_f64().unwrap();
    close(value("idle_j") + value("active_j"), value("machine_j"), 1e-9);
    assert!(value("active_j") < 0.02 * value("machine_j"), "{shares}");
}

#[test]
fn every_printed_cell_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let table = json(&succeed(folder.path(), &["energy", "strubell", "--json"]));
    let mut cells = 0;
    for row in table["rows"].as_array().unwrap() {
        for key in ["facility_kwh", "carbon_lb", "usd_low", "usd_high"] {
            let Some(cell) = row[key].as_object() else { continue };
            assert_eq!(cell["rounded"], cell["printed"], "{key} of {}", row["id"]);
            cells += 1;
        }
    }
    assert_eq!(cells, 26);
    let text = succeed(folder.path(), &["energy", "strubell"]);
    for said in ["79 h are printed and 79.2 h used", "32623 h are printed and 32633 h used", "88 times", "26 of 26"] {
        assert!(text.contains(said), "{said} is missing in\n{text}");
    }
    let device = json(&succeed(folder.path(), &["energy", "strubell", "--reading", "device", "--json"]));
    close(device["rows"][4]["usd_high"]["computed"].as_f64().unwrap(), 1728.0, 1e-9);
}

#[test]
fn plans_are_made_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |options: &[&str]| {
        let arguments: Vec<&str> = ["energy", "plan"].iter().chain(options).copied().collect();
        succeed(folder.path(), &arguments)
    };
    let preset = json(&plan(&["--preset", "bert-v100", "--json"]));
    close(preset["what_if"][0]["facility_kwh"]["value"].as_f64().unwrap(), 1506.826, 1e-5);
    let own =
        ["--accelerator", "8xV100-SXM2-32GB", "--accelerator", "A100 PCIe 80 GB", "--hours", "10", "--region", "FR"];
    let both = json(&plan(&[&own[..], &["--also", "gcp/europe-west1,PL", "--json"]].concat()));
    assert_eq!(both["what_if"].as_array().unwrap().len(), 6);
    assert!(plan(&["--preset", "list"]).contains("nas-p100"));
    let text = plan(&["--watts", "250", "--hours", "4", "--price", "0.3", "--currency", "EUR"]);
    assert!(text.contains("1.00 kWh") && text.contains("0.30 EUR"), "{text}");
    for ignored in [
        &["--watts", "5", "--hours", "1", "--utilization", "0.5"][..],
        &["--watts", "5", "--hours", "1", "--efficiency", "0.5"],
        &["--watts", "5", "--hours", "1", "--water", "2"],
        &["--preset", "bert-v100", "--memory", "64"],
    ] {
        let arguments: Vec<&str> = ["energy", "plan"].iter().chain(ignored).copied().collect();
        assert!(fail(folder.path(), &arguments).contains("--"), "{ignored:?}");
    }
    let error = fail(folder.path(), &["energy", "plan", "--accelerator", "A1000000", "--hours", "1"]);
    assert!(error.contains("A1000000") && error.contains("nearest"), "{error}");
}

#[test]
fn reports_come_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["-q"], &["sleep", "0.2"]).status.success());
    let form =
        |format: &str| succeed(folder.path(), &["energy", "report", "run", "--format", format, "--region", "SE"]);
    assert!(form("markdown").contains("| command |"));
    assert!(form("latex").contains("\\begin{tabular}"));
    assert!(form("svg").starts_with("<svg"));
    assert!(form("card").contains("co2_eq_emissions:"));
    let csv = form("csv");
    assert!(csv.starts_with("timestamp,project_name,run_id") && csv.lines().count() == 2, "{csv}");
    assert!(form("table").contains("Sweden"));
    succeed(folder.path(), &["energy", "report", "run", "--format", "svg", "-o", "plot.svg"]);
    assert!(std::fs::read_to_string(folder.path().join("plot.svg")).unwrap().contains("</svg>"));
    let error = fail(folder.path(), &["energy", "report", "nowhere"]);
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn students_repay_their_making() {
    let folder = tempfile::tempdir().unwrap();
    for (name, watts) in [("making", "1000"), ("teacher", "100"), ("student", "10")] {
        let arguments =
            ["energy", "run", "-q", "--source", "fixed", "--watts", watts, "--out", name, "--", "sleep", "0.3"];
        succeed(folder.path(), &arguments);
    }
    let arguments = [
        "energy",
        "break-even",
        "--making",
        "making",
        "--teacher",
        "teacher",
        "--teacher-uses",
        "10",
        "--student",
        "student",
        "--student-uses",
        "10",
        "--json",
    ];
    let answer = json(&succeed(folder.path(), &arguments));
    let energy = &answer["break_even"][0]["independent"];
    let of = |what: &str| answer[what]["facility_j"]["value"].as_f64().unwrap();
    assert_eq!(energy["verdict"], "after");
    close(energy["uses"]["value"].as_f64().unwrap(), of("making") / (of("teacher") - of("student")), 1e-9);
    let compared = json(&succeed(folder.path(), &["energy", "compare", "teacher", "student", "--format", "json"]));
    assert_eq!(compared["pairs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_recorded_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let record = ["energy", "record", "--out", "t.jsonl", "--source", "fixed", "--watts", "80", "--length", "1s"];
    succeed(folder.path(), &record);
    let replay =
        ["energy", "run", "-q", "--source", "replay", "--trace", "t.jsonl", "--out", "run", "--", "sleep", "0.4"];
    succeed(folder.path(), &replay);
    let total = &report(folder.path(), "run", &[])["total"];
    let watts = total["power_w"]["value"].as_f64().unwrap();
    close(watts, 80.0, 0.05);
    assert!(fail(folder.path(), &record).contains("is there already"));
    // A given power was not measured when it was recorded, nor is it when it is replayed.
    let trace = std::fs::read_to_string(folder.path().join("t.jsonl")).unwrap();
    assert!(!trace.contains("measured"), "{}", trace.lines().next().unwrap());
    let said = report(folder.path(), "run", &[])["statement"].to_string();
    assert!(!said.contains("easured"), "{said}");
    let strict = ["energy", "run", "--require", "measured", "--source", "replay", "--trace", "t.jsonl", "--", "true"];
    assert!(fail(folder.path(), &strict).contains("energy must be measured"));
}

#[test]
fn counters_are_served_and_only_grow() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "energy",
        "serve",
        "--source",
        "fixed",
        "--watts",
        "50",
        "--listen",
        "127.0.0.1:0",
        "--interval",
        "50ms",
        "--out",
        "run",
    ];
    let mut child = attar(folder.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0, "no address");
        if let Some((_, rest)) = line.split_once("http://") {
            break rest.trim().trim_end_matches("/metrics").to_owned();
        }
    };
    let scrape = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("application/openmetrics-text") && text.trim_end().ends_with("# EOF"), "{text}");
        let line = text.lines().find(|line| line.starts_with("attar_energy_joules_total") && line.contains("value"));
        line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
    };
    wait_for(|| scrape() > 0.0);
    let first = scrape();
    wait_for(|| scrape() > first);
    #[cfg(unix)]
    {
        kill("-TERM", child.id());
        assert!(child.wait().unwrap().success());
        let served = report(folder.path(), "run", &[])["total"]["energy_kwh"]["value"].as_f64().unwrap() * 3.6e6;
        assert!(served >= first, "{served} J in the ledger, {first} J were served");
    }
    #[cfg(not(unix))]
    child.kill().unwrap();
}

#[test]
fn this_machine_is_examined_and_watched() {
    let folder = tempfile::tempdir().unwrap();
    let diagnosis = json(&succeed(folder.path(), &["energy", "doctor", "--json"]));
    assert!(diagnosis["findings"].as_array().unwrap().len() >= 11);
    let text = succeed(folder.path(), &["energy", "doctor"]);
    assert!(text.starts_with(diagnosis["verdict"]["sentence"].as_str().unwrap()), "{text}");
    let watched = succeed(folder.path(), &["energy", "watch", "--interval", "100ms", "--length", "250ms"]);
    assert!((2..=4).contains(&watched.lines().count()), "{watched}");
    let licenses = succeed(folder.path(), &["energy", "licenses"]);
    for said in ["grid.csv", "CC-BY-4.0", "Copyright (c) 2023 Code Carbon NGO", "Apache License"] {
        assert!(licenses.contains(said), "{said} is missing");
    }
}

#[test]
fn bad_factors_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "other.csv", "a,b\n1,2\n");
    write(folder.path(), "negative.csv", "\u{feff}region,g_per_kwh,year,source\r\nhome,-5,2024,me\r\n");
    write(folder.path(), "twice.csv", "carbon table,,,\nregion,g_per_kwh,year,source\nhome,50,2024,me\n");
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--region", "Germny"], &["Germny", "Germany"]),
        (&["--region", "gcp/europe-wset1"], &["europe-wset1", "gcp/europe-west1"]),
        (&["--region", "FR", "--year", "1999"], &["1999", "2023"]),
        (&["--price", "-1"], &["--price", "-1"]),
        (&["--pue", "4"], &["4"]),
        (&["--intensity", "2000"], &["2000"]),
        (&["--grid-file", "other.csv", "--region", "home"], &["other.csv", "region"]),
        (&["--grid-file", "negative.csv", "--region", "home"], &["negative.csv", "line 2", "-5"]),
        (&["--grid-file", "twice.csv", "--region", "home"], &["twice.csv", "region"]),
    ];
    for (flags, said) in cases {
        let arguments: Vec<&str> =
            ["energy", "plan", "--watts", "1", "--hours", "1"].iter().chain(flags).copied().collect();
        let error = fail(folder.path(), &arguments);
        for word in said {
            assert!(error.contains(word), "{word} is missing in {error}");
        }
    }
    for (interval, said) in [("0", "above zero"), ("1h", "at most 30"), ("3 furlongs", "furlongs")] {
        let output = attar(folder.path(), &["energy", "run", "--interval", interval, "--", "true"]).output().unwrap();
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(said), "{interval}");
    }
}

/// Asks again until it is so; a minute at most.
fn wait_for(so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}
