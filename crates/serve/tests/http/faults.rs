//! Clients that are slow, broken or hostile: clear errors, and no one else notices.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::client::{Running, read_answer, request};
use crate::models::{all, bundle};

#[test]
fn bytes_that_are_no_json_are_refused() {
    let server = Running::new(all(), |_| ());
    for body in [&b"{"[..], b"", b"\xff\xfe", b"{\"inputs\": \"\xff\"}", b"{\"inputs\": \"a\"} x", b"[[[["] {
        let answer = server.ask("POST", "/embed", &[], body);
        assert_eq!((answer.status, answer.json()["error_type"].as_str().unwrap()), (400, "Validation"), "{body:?}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(server.ask("POST", "/", &[], deep.as_bytes()).status, 400);
}

#[test]
fn strange_texts_are_texts() {
    let server = Running::new(all(), |_| ());
    for text in ["\0", "a\0b", &"x".repeat(100_000), "\u{202e}\u{fffd}", "[MASK] [SEP]", "\u{1f600}", " \n\t"] {
        let vector = server.post("/models/vectors/embed", &json!({ "inputs": text })).ok();
        let numbers = vector[0].as_array().unwrap();
        assert!(numbers.len() == 24 && numbers.iter().all(|x| x.is_number()), "{vector}");
        server.post("/models/tags/tag", &json!({ "inputs": text })).ok();
        server.post("/models/answers/answer", &json!({ "inputs": { "question": "Who?", "context": text } })).ok();
        server.post("/tokenize", &json!({ "inputs": text })).ok();
    }
    // Lone halves of pairs of UTF-16 are no text.
    assert_eq!(server.ask("POST", "/embed", &[], br#"{"inputs": "\ud800"}"#).status, 400);
}

#[test]
fn bodies_that_are_too_large_are_refused_with_and_without_a_length() {
    let server = Running::new(vec![bundle("vectors")], |options| options.limits.max_body = 1000);
    let body = json!({ "inputs": "x".repeat(5000) }).to_string();
    assert_eq!(server.ask("POST", "/embed", &[], body.as_bytes()).status, 413);
    let mut stream = server.connect();
    let head = "POST /embed HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!(answer.status, 413, "{answer:?}");
    // A length that is only announced is refused before it comes.
    let mut stream = server.connect();
    stream
        .write_all(b"POST /embed HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n{")
        .unwrap();
    assert_eq!(read_answer(&mut stream).status, 413);
}

#[test]
fn slow_clients_are_closed_and_hinder_nobody() {
    let server = Running::new(vec![bundle("vectors")], |options| options.limits.timeout = Duration::from_millis(150));
    let mut slow = server.connect();
    let whole = request("POST", "/embed", &[], br#"{"inputs": "Ada"}"#);
    let mut is_closed = false;
    for byte in whole.iter().take(whole.len() - 1).cycle().take(200) {
        if slow.write_all(&[*byte]).is_err() {
            is_closed = true;
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        if byte == &b'\n' {
            server.get("/health");
        }
    }
    assert!(is_closed, "two seconds were not too long");
}

#[test]
fn many_that_say_nothing_hinder_nobody_within_the_limit() {
    let server = Running::new(vec![bundle("vectors")], |options| options.limits.max_connections = 300);
    let idle: Vec<_> = (0..250).map(|_| server.connect()).collect();
    for _ in 0..20 {
        server.post("/embed", &json!({ "inputs": "Ada" })).ok();
    }
    let more: Vec<_> = (0..100).map(|_| server.connect()).collect();
    // Past the limit connections are closed; when some leave there is room again.
    drop((idle, more));
    crate::client::wait_for(|| {
        let mut stream = server.connect();
        let sent = stream.write_all(&request("GET", "/health", &[], b""));
        let mut text = String::new();
        sent.is_ok() && stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.1 200")
    });
}
