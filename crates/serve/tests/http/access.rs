//! Who may ask: keys, rates, other pages, operators.

use std::io::Write;

use attar_serve::Keys;
use serde_json::json;

use crate::client::{Running, read_answer, request};
use crate::models::{all, bundle};

// SHA-256 of `secret` and of `other`.
pub(crate) const KEYS: &str = "ann 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b 2\n\
                    bob d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa\n";
const BODY: &[u8] = br#"{"inputs": "Ada"}"#;

#[test]
fn only_known_keys_are_answered_and_only_as_often_as_they_may() {
    let server = Running::new(vec![bundle("vectors")], |options| options.keys = Some(Keys::parse(KEYS).unwrap()));
    let with = |key: &str| server.ask("POST", "/embed", &[("authorization", key)], BODY);
    for wrong in ["", "Bearer nobody", "Basic secret"] {
        let answer = with(wrong);
        assert_eq!((answer.status, &*answer.headers["www-authenticate"]), (401, "Bearer"), "{wrong}");
        assert_eq!(answer.json()["error_type"], "Unauthorized");
    }
    assert_eq!(server.ask("GET", "/info", &[], b"").status, 401);
    assert_eq!(server.post("/v1/embeddings", &json!({ "input": "Ada" })).json()["error"]["code"], 401);
    assert_eq!([with("Bearer secret").status, with("Bearer secret").status], [200, 200]);
    let third = with("Bearer secret");
    assert_eq!((third.status, third.json()["error_type"].as_str().unwrap()), (429, "Overloaded"));
    assert!(third.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    for _ in 0..4 {
        assert_eq!(with("Bearer other").status, 200);
    }
    // Whoever watches a server needs no key.
    for open in ["/health", "/metrics", "/", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    let events = serde_json::to_string(&*server.events.lock().unwrap()).unwrap();
    assert!(events.contains("\"key\":\"ann\"") && !events.contains("secret"), "{events}");
}

#[test]
fn other_pages_may_ask_only_where_they_are_let() {
    let origin = [("origin", "https://example.org"), ("access-control-request-method", "POST")];
    let closed = Running::new(vec![bundle("vectors")], |_| ());
    let answer = closed.ask("POST", "/embed", &origin, BODY);
    assert!(answer.status == 200 && !answer.headers.contains_key("access-control-allow-origin"), "{answer:?}");
    let open = Running::new(vec![bundle("vectors")], |options| options.cors = vec!["https://example.org".to_owned()]);
    let answer = open.ask("POST", "/embed", &origin, BODY);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://example.org");
    let asked = open.ask("OPTIONS", "/embed", &origin, b"");
    assert!(asked.headers["access-control-allow-methods"].contains("POST"), "{asked:?}");
    let foreign = open.ask("POST", "/embed", &[("origin", "https://example.com")], BODY);
    assert!(!foreign.headers.contains_key("access-control-allow-origin"), "{foreign:?}");
}

#[test]
fn pages_may_not_act_as_operators() {
    let server = Running::new(vec![bundle("vectors")], |_| ());
    assert_eq!(server.ask("POST", "/admin/reload", &[("origin", "https://example.org")], b"").status, 403);
    let reloaded = server.ask("POST", "/admin/reload", &[], b"").ok();
    assert_eq!(reloaded, json!([{ "bundle": "vectors", "outcome": "accepted" }]));
}

#[test]
#[cfg(unix)]
fn a_socket_of_the_file_system_is_a_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attar.sock");
    let _server = Running::at(&path, all(), |_| ());
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(&request("POST", "/embed", &[], BODY)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[test]
fn a_connection_stays_open_for_the_next_request() {
    let server = Running::new(vec![bundle("vectors")], |_| ());
    let mut stream = server.connect();
    let keep = String::from_utf8(request("POST", "/embed", &[], BODY)).unwrap().replace("connection: close\r\n", "");
    stream.write_all(keep.as_bytes()).unwrap();
    // The second answer follows the first one on the same connection.
    stream.write_all(&request("GET", "/health", &[], b"")).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    let mut other = server.connect();
    other.write_all(&request("POST", "/embed", &[], BODY)).unwrap();
    assert_eq!(read_answer(&mut other).status, 200);
}

#[test]
#[cfg(not(feature = "tls"))]
fn a_certificate_without_tls_says_how_to_build_it() {
    use attar_serve::{Event, ServeOptions, Server, TlsFiles};

    let files = TlsFiles { certificate: "certificate.pem".into(), key: "key.pem".into() };
    let options = ServeOptions { tls: Some(files), ..ServeOptions::new(vec![bundle("vectors")]) };
    let factors = attar_bill::Factors::new(attar_bill::Grid::world(), attar_bill::Tariff::own_machine());
    let refused = Server::new(options, crate::client::meter(), factors, std::sync::Arc::new(|_: &Event| ()));
    assert!(refused.unwrap_err().to_string().contains("--features tls"));
}
