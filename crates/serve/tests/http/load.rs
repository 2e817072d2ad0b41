//! Under load: batches, back-pressure, time limits, reloading, ending.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attar_model::{ClassifierInput, Head};
use attar_serve::{Event, NamedBundle};
use serde_json::json;

use crate::client::{Answer, Running, wait_for};
use crate::models::{bundle, options, session, write};

const LONG: Duration = Duration::from_secs(300);

#[test]
fn whoever_comes_too_late_is_told_when_to_come_back() {
    let server = Running::new(vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.batches.max_queue = 2;
        options.limits.timeout = LONG;
    });
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| server.post("/embed", &json!({ "inputs": ["Ada", "wrote"] })));
        wait_for(|| server.waiting() == 2.0);
        let refused = server.post("/embed", &json!({ "inputs": "notes" }));
        assert_eq!((refused.status, refused.json()["error_type"].as_str().unwrap()), (429, "Overloaded"));
        assert_eq!(refused.headers["retry-after"], "1");
        let metrics = server.get("/metrics").body;
        assert!(metrics.contains(r#"te_request_failure{err="overloaded"} 1"#), "{metrics}");
        // At the end whoever waits is answered.
        server.end();
        assert_eq!(patient.join().unwrap().status, 200);
    });
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let server = Running::new(vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.limits.timeout = Duration::from_millis(50);
    });
    let answer = server.post("/embed", &json!({ "inputs": "Ada" }));
    assert_eq!((answer.status, answer.json()["error_type"].as_str().unwrap()), (503, "Timeout"));
    assert_eq!(answer.headers["retry-after"], "1");
    // Nobody waits for it anymore, so it waits no more.
    wait_for(|| {
        server.post("/embed", &json!({ "inputs": "Ada" }));
        server.waiting() <= 1.0
    });
}

#[test]
fn requests_of_several_clients_are_computed_together() {
    let session = session("vectors");
    let tokens = session.tokenizer().encode("Ada", None, session.limit()).unwrap().len();
    let server = Running::new(vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.limits.timeout = LONG;
        options.batches.max_tokens = 3 * tokens;
    });
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| server.post("/embed", &json!({ "inputs": "Ada" })).ok())).collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]));
    });
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("te_batch_next_size_count 1\n"), "{metrics}");
}

#[test]
fn ending_drops_nothing_that_was_accepted() {
    let mut server = Running::new(vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.limits.timeout = LONG;
    });
    let address = server.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                let body = json!({ "inputs": ["Ada", "wrote"] }).to_string();
                std::io::Write::write_all(&mut stream, &crate::client::request("POST", "/embed", &[], body.as_bytes()))
                    .unwrap();
                crate::client::read_answer(&mut stream)
            })
        })
        .collect();
    wait_for(|| server.waiting() == 16.0);
    server.end();
    for client in clients {
        let answer: Answer = client.join().unwrap();
        assert_eq!(answer.ok().as_array().unwrap().len(), 2);
    }
    server.join();
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(server.events.lock().unwrap().contains(&Event::Stopping));
}

#[test]
fn bundles_are_swapped_under_load_and_broken_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    std::fs::create_dir(&dir).unwrap();
    write(&dir, Head::None, ClassifierInput::FirstToken, 1);
    let named = NamedBundle { name: "model".to_owned(), dir: dir.clone(), options: options() };
    let server = Running::new(vec![named], |_| ());
    let ask = || server.post("/embed", &json!({ "inputs": ["Ada", "wrote notes"] })).ok();
    let before = ask();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        answers.push(ask());
                    }
                    answers
                })
            })
            .collect();
        // Broken: the old one stays.
        let weights = dir.join("model.safetensors");
        let whole = std::fs::read(&weights).unwrap();
        std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
        let refused = server.ask("POST", "/admin/reload", &[], b"");
        assert_eq!(refused.status, 424);
        assert!(refused.json()[0]["error"].as_str().unwrap().contains("`model` cannot be served"), "{refused:?}");
        assert_eq!(ask(), before);
        // Another one: it answers from now on.
        write(&dir, Head::None, ClassifierInput::FirstToken, 2);
        assert_eq!(server.ask("POST", "/admin/reload", &[], b"").status, 200);
        let after = ask();
        assert_ne!(after, before);
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            for answer in client.join().unwrap() {
                assert!(answer == before || answer == after);
            }
        }
    });
    let events = server.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::ReloadRefused { .. })));
    assert!(events.contains(&Event::Reloaded { bundle: "model".to_owned() }));
}
