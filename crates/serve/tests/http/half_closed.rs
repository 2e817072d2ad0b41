//! Clients that send no more: who waits is answered, and the work of those that left does not pile up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Running, number, read_answer, request, wait_for};
use crate::models::{all, bundle};

const LONG: Duration = Duration::from_secs(300);

/// A server whose texts wait for others to come.
fn waiting_server(max_queue: usize) -> Running {
    Running::new(vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.batches.max_queue = max_queue;
        options.limits.timeout = LONG;
    })
}

fn embed(inputs: &Value) -> Vec<u8> {
    request("POST", "/embed", &[], json!({ "inputs": inputs }).to_string().as_bytes())
}

/// Sends bytes and ends the input.
fn send_last(server: &Running, bytes: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

#[test]
fn a_whole_request_is_answered() {
    let server = Running::new(all(), |_| ());
    let expected = server.post("/embed", &json!({ "inputs": "Ada" })).body;
    let bytes = embed(&json!("Ada"));
    let old = String::from_utf8(bytes.clone()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let streams: Vec<TcpStream> =
        (0..50).flat_map(|_| [&bytes[..], old.as_bytes()]).map(|bytes| send_last(&server, bytes)).collect();
    for mut stream in streams {
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, &answer.body), (200, &expected));
    }
    for path in ["/health", "/info", "/metrics", "/openapi.json"] {
        assert_eq!(read_answer(&mut send_last(&server, &request("GET", path, &[], b""))).status, 200, "{path}");
    }
    // Two requests at once on a connection that stays open, the second one cut in pieces, and the end.
    let keep = String::from_utf8(bytes.clone()).unwrap().replace("connection: close\r\n", "");
    let mut stream = server.connect();
    stream.write_all(keep.as_bytes()).unwrap();
    for piece in bytes.chunks(20) {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
}

#[test]
fn half_a_request_is_not_answered_and_hinders_nobody() {
    let server = Running::new(vec![bundle("vectors")], |_| ());
    let whole = embed(&json!("Ada"));
    // Without its end, without its body, in the middle of its head, nothing at all.
    for length in [whole.len() - 5, whole.len() - json!({ "inputs": "Ada" }).to_string().len(), 20, 0] {
        let mut rest = String::new();
        send_last(&server, &whole[..length]).read_to_string(&mut rest).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{length}: {rest}");
    }
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_body_that_comes_slowly_is_read_whole() {
    let server = Running::new(vec![bundle("vectors")], |_| ());
    let expected = server.post("/embed", &json!({ "inputs": "Ada wrote notes" })).body;
    let mut stream = server.connect();
    for piece in embed(&json!("Ada wrote notes")).chunks(7) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(3));
    }
    assert_eq!(read_answer(&mut stream).body, expected);
}

#[test]
fn the_work_of_a_connection_that_fails_is_dropped() {
    let server = waiting_server(100);
    for ends_input in [false, true] {
        let mut stream = server.connect();
        // With an answer unread, closing the connection resets it.
        let health = String::from_utf8(request("GET", "/health", &[], b"")).unwrap().replace("close", "keep-alive");
        stream.write_all(health.as_bytes()).unwrap();
        stream.peek(&mut [0]).unwrap();
        stream.write_all(&embed(&json!(["Ada", "wrote"]))).unwrap();
        if ends_input {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        wait_for(|| server.waiting() == 2.0);
        drop(stream);
        wait_for(|| server.waiting() == 0.0);
    }
    assert_eq!(number(&server.get("/metrics").body, "te_batch_next_size_count"), 0.0, "it was computed");
}

#[test]
fn clients_that_send_no_more_make_room_for_others() {
    let server = waiting_server(4);
    let patient = send_last(&server, &embed(&json!(["Ada", "wrote"])));
    wait_for(|| server.waiting() == 2.0);
    // Nobody can tell that this one has left.
    drop(send_last(&server, &embed(&json!(["Ada", "wrote"]))));
    wait_for(|| server.waiting() == 4.0);
    std::thread::scope(|scope| {
        let open = |count: usize| {
            let server = &server;
            scope.spawn(move || server.post("/embed", &json!({ "inputs": vec!["Ada"; count] })).ok())
        };
        let first = open(1);
        // The oldest goes, and is told so.
        let refused = read_answer(&mut { patient });
        assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (429, "1"), "{refused:?}");
        wait_for(|| server.waiting() == 3.0);
        let second = open(3);
        wait_for(|| server.waiting() == 4.0);
        // Among those that yield there is no precedence.
        assert_eq!(read_answer(&mut send_last(&server, &embed(&json!("notes")))).status, 429);
        server.end();
        assert_eq!(first.join().unwrap().as_array().unwrap().len(), 1);
        assert_eq!(second.join().unwrap().as_array().unwrap().len(), 3);
    });
}

#[test]
#[cfg(unix)]
fn a_closed_unix_socket_is_told_from_one_that_sends_no_more() {
    use std::os::unix::net::UnixStream;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attar.sock");
    let server = Running::at(&path, vec![bundle("vectors")], |options| {
        options.batches.max_wait = LONG;
        options.limits.timeout = LONG;
    });
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    };
    let ask = |bytes: &[u8]| {
        let (mut stream, mut text) = (connect(), String::new());
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let waiting = || number(&ask(&request("GET", "/metrics", &[], b"")), "te_queue_size");
    for ends_input in [false, true] {
        let mut left = connect();
        left.write_all(&embed(&json!(["Ada", "wrote"]))).unwrap();
        if ends_input {
            left.shutdown(Shutdown::Write).unwrap();
        }
        wait_for(|| waiting() == 2.0);
        drop(left);
        wait_for(|| waiting() == 0.0);
    }
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| ask(&embed(&json!("Ada"))));
        wait_for(|| waiting() == 1.0);
        server.end();
        let answer = patient.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}
