//! Documents whose commands are run as a reader would run them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// What stands in the blocks of `sh` of a document.
fn script(document: &str) -> String {
    let mut is_shell = false;
    let mut script = String::new();
    for line in document.lines() {
        match line {
            "```sh" => is_shell = true,
            "```" => is_shell = false,
            _ if is_shell => script += &format!("{line}\n"),
            _ => {}
        }
    }
    script
}

/// Runs the tutorial's commands, and checks that every step left what it is for. Returns what they printed.
#[cfg(unix)]
fn run(document: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = script(document);
    assert!(script.matches("\nattar ").count() > 6, "{script}");
    // A port that nobody else listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_attar")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    let shell = shell.args(["-eu", "-c", &script.replace("8080", &port)]).current_dir(folder.path()).env("PATH", path);
    let output = shell.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success() && !err.contains("error: "), "{out}{err}");
    for file in ["encoder/student", "runs/requests/small", "runs/requests/teacher", "report.html"] {
        assert!(folder.path().join(file).exists(), "{file}: {out}{err}");
    }
    assert!(out.contains("word n-grams"), "{out}");
    let answered = std::fs::read_to_string(folder.path().join("answered.csv")).unwrap();
    assert!(answered.starts_with("id,message,predicted_label,predicted_probability\n481,"), "{answered}");
    out
}

#[cfg(unix)]
const CSV_TO_STUDENT: &str = include_str!("../../../../docs/tutorials/csv-to-student.md");

#[test]
#[cfg(unix)]
fn a_csv_becomes_a_student() {
    let (before, _) = CSV_TO_STUDENT.split_once("\n## 7. Serve it").expect("the last step serves");
    run(before);
}

#[cfg(unix)]
mod scripts {
    use super::*;

    #[test]
    #[ignore = "needs curl"]
    fn with_curl_a_csv_becomes_a_served_student() {
        let out = run(CSV_TO_STUDENT);
        // The server's answer comes last.
        let served = out.lines().last().unwrap();
        assert!(["billing", "delivery", "account"].iter().all(|team| served.contains(team)), "{served}");
    }
}
