//! Encrypted connections: what a client sees of the certificate, and what happens to those that do not get that far.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attar_serve::{Event, ServeError, ServeOptions, Server, TlsFiles};
use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::client::{Running, meter, request, wait_for};
use crate::models::bundle;

/// Bytes as a file of letters.
fn pem(kind: &str, bytes: &[u8]) -> String {
    let letters = base64::encode(bytes);
    let lines = letters.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")
}

/// Writes a fresh certificate of `localhost`; what a client has to trust.
fn certify(folder: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let files = TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, pem("CERTIFICATE", cert.der())).unwrap();
    std::fs::write(&files.key, pem("PRIVATE KEY", &signing_key.serialize_der())).unwrap();
    (files, cert.der().clone())
}

/// The answer to a request by someone who trusts this certificate alone.
fn exchange(
    server: &Running,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    request: &[u8],
    ends_input: bool,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, server.connect());
    stream.write_all(request)?;
    if ends_input {
        stream.conn.send_close_notify();
        stream.flush()?;
    }
    let mut text = String::new();
    // A clean end: the server takes leave before it closes.
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn get(server: &Running, trusted: &CertificateDer<'static>, path: &str) -> std::io::Result<String> {
    exchange(server, trusted, &TLS13, &request("GET", path, &[], b""), false)
}

fn ask(
    server: &Running,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<String> {
    exchange(server, trusted, version, &question(), false)
}

fn question() -> Vec<u8> {
    request("POST", "/embed", &[], json!({ "inputs": "Ada wrote notes" }).to_string().as_bytes())
}

fn body(answer: &str) -> &str {
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn answers_are_those_of_an_open_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (files, trusted) = certify(folder.path());
    let server = Running::new(vec![bundle("vectors")], |options| options.tls = Some(files));
    let open = Running::new(vec![bundle("vectors")], |_| ());
    let expected = open.post("/embed", &json!({ "inputs": "Ada wrote notes" })).body;
    for version in [&TLS12, &TLS13] {
        for ends_input in [false, true] {
            let answer = exchange(&server, &trusted, version, &question(), ends_input).unwrap();
            assert_eq!(body(&answer), expected);
        }
    }
    let at = server.events.lock().unwrap().iter().find_map(|event| match event {
        Event::Listening { at, .. } => Some(at.clone()),
        _ => None,
    });
    assert!(at.unwrap().starts_with("https://"));
}

#[test]
fn plain_and_silent_connections_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (files, trusted) = certify(folder.path());
    let server = Running::new(vec![bundle("vectors")], |options| options.tls = Some(files));
    let rest = |stream: &mut TcpStream| {
        let mut bytes = Vec::new();
        // The reset of a connection is an end too.
        _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut plain = server.connect();
    plain.write_all(&request("GET", "/health", &[], b"")).unwrap();
    assert!(!rest(&mut plain).contains("HTTP"));
    // Silent ones hold up nobody, and are closed when the time of a handshake is over.
    let begin = Instant::now();
    let mut silent: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    body(&ask(&server, &trusted, &TLS13).unwrap());
    assert!(silent.iter_mut().all(|stream| rest(stream).is_empty()));
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
}

#[test]
fn a_certificate_is_replaced_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = certify(folder.path());
    let server = Running::new(vec![bundle("vectors")], |options| options.tls = Some(files.clone()));
    body(&ask(&server, &first, &TLS13).unwrap());
    // SIGHUP does the same; this process has other servers that would hear it.
    let reload = |trusted: &CertificateDer<'static>| {
        exchange(&server, trusted, &TLS13, &request("POST", "/admin/reload", &[], b""), false).unwrap()
    };
    for (path, broken) in [
        (&files.certificate, "no certificate".to_owned()),
        (&files.key, "no key".to_owned()),
        // The key of another certificate.
        (&files.key, pem("PRIVATE KEY", &KeyPair::generate().unwrap().serialize_der())),
    ] {
        let whole = std::fs::read(path).unwrap();
        std::fs::write(path, broken).unwrap();
        let told = reload(&first);
        assert!(told.starts_with("HTTP/1.1 424") && told.contains("\"certificate\":true"), "{told}");
        assert!(told.contains(&path.display().to_string()), "{told}");
        body(&ask(&server, &first, &TLS13).unwrap());
        std::fs::write(path, whole).unwrap();
    }
    let (_, second) = certify(folder.path());
    assert!(reload(&first).starts_with("HTTP/1.1 200"));
    body(&ask(&server, &second, &TLS13).unwrap());
    assert!(ask(&server, &first, &TLS13).is_err(), "the former certificate is still shown");
    wait_for(|| server.events.lock().unwrap().iter().any(|event| matches!(event, Event::CertificateReloaded)));
    let events = server.events.lock().unwrap();
    assert_eq!(events.iter().filter(|event| matches!(event, Event::CertificateRefused { .. })).count(), 3);
    drop(events);
    let counted = get(&server, &second, "/metrics").unwrap();
    for line in [
        r#"attar_certificate_reloads_total{outcome="refused"} 3"#,
        r#"attar_certificate_reloads_total{outcome="accepted"} 1"#,
    ] {
        assert!(counted.contains(line), "{line} in\n{counted}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certify(folder.path());
    let refused = |files: TlsFiles| {
        let options = ServeOptions { tls: Some(files), ..ServeOptions::new(vec![bundle("vectors")]) };
        let factors = attar_bill::Factors::new(attar_bill::Grid::world(), attar_bill::Tariff::own_machine());
        match Server::new(options, meter(), factors, Arc::new(|_: &Event| ())) {
            Err(error @ ServeError::Tls { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let missing = folder.path().join("missing.pem");
    let error = refused(TlsFiles { certificate: missing.clone(), ..files.clone() });
    assert!(error.contains("missing.pem") && error.contains("expected a certificate"), "{error}");
    let error = refused(TlsFiles { key: missing, ..files.clone() });
    assert!(error.contains("missing.pem") && error.contains("expected a private key"), "{error}");
    let error = refused(TlsFiles { certificate: files.key.clone(), ..files.clone() });
    assert!(error.contains("no certificate in it"), "{error}");
    // Letters of a certificate around bytes of none.
    let whole = std::fs::read(&files.certificate).unwrap();
    std::fs::write(&files.certificate, pem("CERTIFICATE", b"no DER")).unwrap();
    let error = refused(files.clone());
    assert!(error.contains("certificate.pem") && error.contains("expected a certificate"), "{error}");
    std::fs::write(&files.certificate, whole).unwrap();
    // An authority's own key does not fit.
    let other = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["other".into()]).unwrap().self_signed(&other).unwrap();
    std::fs::write(&files.certificate, pem("CERTIFICATE", own.der())).unwrap();
    let error = refused(files);
    assert!(error.contains("key.pem") && error.contains("private key of the certificate"), "{error}");
}
