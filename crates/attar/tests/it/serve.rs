//! `attar serve` from outside: the commands of the tutorial, what `predict` and `embed` say too, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{attar, fail, json as parsed, succeed, workshop, write};

/// A server that is killed when it is dropped, with what it says line by line.
pub(crate) struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Running {
    fn new(arguments: &[&str]) -> Running {
        Running::within(workshop(), arguments)
    }

    /// A server that is started in a folder.
    pub(crate) fn within(folder: &Path, arguments: &[&str]) -> Running {
        let all = [&["serve", "--port", "0", "--source", "fixed", "--watts", "50"], arguments].concat();
        let mut child = attar(folder, &all).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut running = Running { child, said, address: String::new() };
        let line = running.line_with("://");
        let rest = line.split_once("://").unwrap().1;
        running.address = rest.split([';', '"']).next().unwrap().to_owned();
        running
    }

    /// The next line that has this in it.
    fn line_with(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended without {word}");
            if line.contains(word) {
                return line;
            }
        }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        parsed(&self.ask(&format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len()), &body))
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    /// The body of a good answer to a request that begins so.
    fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{head}host: x\r\nconnection: close\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn answers_are_those_of_predict_and_embed() {
    let server = Running::new(&["teacher"]);
    let text = "dim the lights in the kitchen";
    let predicted = parsed(&succeed(workshop(), &["predict", "teacher", text, "--json"]));
    let given = server.post("/predict", &json!({ "inputs": text }));
    assert_eq!(given[0]["label"], predicted["label"]);
    let probabilities = predicted["probabilities"].as_array().unwrap();
    assert_eq!(given.as_array().unwrap().len(), probabilities.len());
    for pair in probabilities {
        let same = given.as_array().unwrap().iter().find(|one| one["label"] == pair[0]).unwrap();
        // The rounding of a 32-bit probability.
        assert!((same["score"].as_f64().unwrap() - pair[1].as_f64().unwrap()).abs() < 1e-6, "{pair}");
    }
    let embedded = parsed(&succeed(workshop(), &["embed", "teacher", text, "--normalize", "true", "--json"]));
    let given = server.post("/embed", &json!({ "inputs": text }));
    assert_eq!(given[0], embedded["vector"]);
}

/// Lines of the blocks of one kind.
fn lines_of<'a>(document: &'a str, kind: &str) -> Vec<&'a str> {
    let mut is_inside = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        match line.strip_prefix("```") {
            Some(fence) => is_inside = fence == kind,
            None if is_inside => lines.push(line),
            None => {}
        }
    }
    lines
}

/// A command of a shell, in a folder.
#[cfg(unix)]
fn shell(folder: &Path, command: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(command).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const TUTORIAL: &str = include_str!("../../../../docs/tutorials/serve.md");

#[cfg(unix)]
mod scripts {
    use super::*;

    /// All lines of `sh` in the tutorial, at a server with the bundles that it names.
    #[test]
    #[ignore = "needs curl"]
    fn with_curl_the_tutorial_runs() {
        let server = Running::new(&["student=teacher", "teacher"]);
        let commands = lines_of(TUTORIAL, "sh");
        assert!(commands.len() > 8, "{commands:?}");
        for command in commands {
            assert!(command.contains("localhost:8080"), "{command}");
            let command = command.replace("localhost:8080", &server.address).replace("curl ", "curl -f ");
            let answer = parsed(&shell(workshop(), &command));
            let is_empty = answer.as_array().is_some_and(Vec::is_empty);
            assert!(!is_empty && answer.get("error").is_none(), "{command}: {answer}");
        }
    }

    /// The other commands of the tutorial, but for the quickstart, which makes what they serve; with a certificate where this
    /// program can use one.
    #[test]
    #[ignore = "needs curl and openssl"]
    fn with_curl_and_openssl_the_servers_of_the_tutorial_start() {
        let folder = tempfile::tempdir().unwrap();
        let made = workshop().join("teacher").display().to_string();
        let mut encrypted = None;
        for line in lines_of(TUTORIAL, "text") {
            // The same model under both names.
            let line = line.replace("runs/quickstart/teacher", &made);
            let line = line.replace("runs/quickstart/student", &format!("student={made}"));
            if let Some(arguments) = line.strip_prefix("attar serve ") {
                let arguments: Vec<&str> = arguments.split(' ').collect();
                let is_secured = arguments.contains(&"--tls-cert");
                if is_secured && cfg!(not(feature = "tls")) {
                    let error = fail(folder.path(), &[&["serve", "--port", "0"], &arguments[..]].concat());
                    assert!(error.contains("--features tls"), "{error}");
                    continue;
                }
                let server = Running::within(folder.path(), &arguments);
                encrypted = is_secured.then_some(server);
            } else if line.starts_with("openssl ") {
                shell(folder.path(), &line);
            } else if line.starts_with("curl ") && cfg!(feature = "tls") {
                let server = encrypted.as_ref().expect("a server with a certificate comes before");
                let port = server.address.rsplit_once(':').unwrap().1;
                shell(folder.path(), &line.replace("8080", port).replace("curl ", "curl -f "));
            }
        }
        assert_eq!(encrypted.is_some(), cfg!(feature = "tls"));
    }
}

/// The commands of the other tutorial that ends at a server.
#[test]
#[cfg(unix)]
fn the_commands_of_the_tutorial_on_browsers_run() {
    let folder = tempfile::tempdir().unwrap();
    let made = workshop().join("teacher").display().to_string();
    let mut count = 0;
    for line in lines_of(include_str!("../../../../docs/tutorials/browser.md"), "sh") {
        let line = line.replace("runs/intents/small", &made);
        let line = line.strip_prefix("attar ").unwrap_or_else(|| panic!("not a command of attar: {line}"));
        let arguments: Vec<&str> = line
            .split('"')
            .enumerate()
            .flat_map(|(part, text)| match part % 2 {
                0 => text.split_whitespace().collect::<Vec<_>>(),
                _ => vec![text],
            })
            .collect();
        match arguments.split_first() {
            Some((&"serve", rest)) => drop(Running::within(folder.path(), rest)),
            _ => _ = succeed(folder.path(), &arguments),
        }
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
#[cfg(unix)]
fn signals_reload_and_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy(&workshop().join("teacher/student"), &model);
    let mut server = Running::new(&["--log", "json", &format!("mine={}", model.display())]);
    let signal = |name: &str, server: &Running| {
        assert!(Command::new("kill").args([name, &server.child.id().to_string()]).status().unwrap().success());
    };
    signal("-HUP", &server);
    assert_eq!(parsed(&server.line_with("reload")), json!({ "event": "reloaded", "bundle": "mine" }));
    std::fs::write(model.join("config.json"), "{").unwrap();
    signal("-HUP", &server);
    let refused = parsed(&server.line_with("reload"));
    assert_eq!(refused["event"], "reload_refused");
    server.post("/predict", &json!({ "inputs": "dim the lights" }));
    let request = parsed(&server.line_with("request"));
    assert_eq!(
        (&request["route"], &request["bundle"], &request["status"]),
        (&json!("/predict"), &json!("mine"), &json!(200))
    );
    assert!(!request.to_string().contains("lights"), "{request}");
    signal("-TERM", &server);
    server.line_with("stopping");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = workshop().join("teacher").display().to_string();
    write(folder.path(), "keys", "ann secret");
    for (arguments, said) in [
        (&["nowhere"][..], "nowhere"),
        (&[teacher.as_str(), teacher.as_str()], "two bundles are named"),
        (&[&format!("a/b={teacher}")], "cannot name a bundle"),
        (&[&teacher, "--api-key-file", "keys"], "line 1 of the keys"),
        (&[&teacher, "--api-key-file", "none"], "cannot read the keys in none"),
        (&[&teacher, "--cors", "example.org"], "not the origin of a page"),
        (&[&teacher, "--tls-cert", "cert.pem"], "--tls-key"),
    ] {
        let all = [&["serve", "--port", "0", "--source", "off"], arguments].concat();
        let error = fail(folder.path(), &all);
        assert!(error.contains(said), "{said}: {error}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
#[cfg(unix)]
fn a_cascade_answers_by_its_contract() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.attar");
    let teacher = workshop().join("teacher/student");
    attar_model::single_file::write(&teacher, &file, attar_model::single_file::StoredWeights::F32).unwrap();
    let file = file.display().to_string();
    let both = [&format!("small={file}"), "large=teacher"];
    let error = fail(workshop(), &[&["serve", "--port", "0", "--cascade", "small=large"][..], &both].concat());
    assert!(error.contains("small.contract.json") && error.contains("attar contract"), "{error}");
    let identity = attar_distill::contract::identity(file.as_ref(), false).unwrap();
    let counts = json!({ "rows": 400, "covered": 300, "agreeing": 300 });
    // The same model twice: sure of nothing, the student asks.
    let threshold = json!({ "confidence": 1.0, "selection": counts, "test": counts, "agreement_lower_bound": 0.99 });
    let mut contract = json!({ "version": 1, "teacher": identity, "student": identity, "threshold": threshold,
                               "requirements": { "min_agreement": 0.99, "confidence_level": 0.95 } });
    write(folder.path(), "small.contract.json", &contract.to_string());
    let mut server = Running::new(&[&both[..], &["--cascade", "small=large"]].concat());
    let answer = server.post("/predict", &json!({ "inputs": "turn on the lights" }));
    assert_eq!(answer, server.post("/models/large/predict", &json!({ "inputs": "turn on the lights" })));
    let counted = server.get("/metrics");
    assert!(counted.contains("attar_cascade_inputs_total{student=\"small\",answered_by=\"large\"} 1"), "{counted}");

    // Read again with a contract by which the student is sure of everything; and not with one of other weights.
    let hang_up = |server: &Running| {
        assert!(Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().unwrap().success());
    };
    contract["threshold"]["confidence"] = json!(0.0);
    write(folder.path(), "small.contract.json", &contract.to_string());
    hang_up(&server);
    server.line_with("large was read again");
    server.post("/predict", &json!({ "inputs": "turn on the lights" }));
    let counted = server.get("/metrics");
    assert!(counted.contains("attar_cascade_inputs_total{student=\"small\",answered_by=\"small\"} 1"), "{counted}");
    contract["teacher"] = json!("another");
    write(folder.path(), "small.contract.json", &contract.to_string());
    hang_up(&server);
    let refused = server.line_with("small stays as it was");
    assert!(refused.contains("other weights than those of the teacher"), "{refused}");
    let error = fail(workshop(), &[&["serve", "--port", "0", "--cascade", "other=large"][..], &both].concat());
    assert!(error.contains("there are small, large"), "{error}");
}
