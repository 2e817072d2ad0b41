//! A small server that speaks the hub's protocol, of one model, `owner/tiny`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::Digest;

use crate::common::workshop;

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(super) const WEIGHTS: &str = "model.safetensors";

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection ends in the middle of the weights, this many times.
    CutOff(usize),
    /// The connection ends before an answer to who asks for the weights, this many times.
    Dropped(usize),
    /// The weights have another byte than their hash says.
    Damaged,
    /// Every answer is 503.
    Busy,
    /// There is a `README.md` of no bytes, of whose length no answer tells.
    Empty,
    /// A name that leads out of the cache.
    Hostile,
}

/// The running server. Large files are behind a redirection to a second address, as on the hub.
pub(super) struct Hub {
    pub(super) address: String,
    state: Arc<State>,
}

struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Where large files are.
    large: String,
    /// Who may read, if not everybody; and what they are told.
    token: Option<(String, &'static str)>,
    fault: Mutex<Fault>,
    /// Paths that were asked for.
    requests: Mutex<Vec<String>>,
    /// Ranges of the weights that were asked for.
    ranges: Mutex<Vec<String>>,
}

/// A request: the path, and the headers that matter.
struct Request {
    /// Whether the body is left out.
    is_head: bool,
    path: String,
    range: Option<String>,
    authorization: Option<String>,
}

impl Hub {
    pub(super) fn start(fault: Fault) -> Hub {
        Hub::start_for(fault, None)
    }

    /// A model that others than the holder of a token are refused with a status.
    pub(super) fn start_for(fault: Fault, token: Option<(&str, &'static str)>) -> Hub {
        let student = workshop().join("teacher/student");
        let read = |name: &str| (name.to_owned(), std::fs::read(student.join(name)).unwrap());
        let files = ["config.json", WEIGHTS, "tokenizer.json"].map(read).into();
        let [small, large] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            files,
            large: address(&large),
            token: token.map(|(token, status)| (format!("Bearer {token}"), status)),
            fault: Mutex::new(fault),
            requests: Mutex::default(),
            ranges: Mutex::default(),
        });
        let hub = Hub { address: address(&small), state };
        for (listener, answer) in [(small, State::answer as fn(&State, &TcpStream)), (large, State::answer_large)] {
            let state = Arc::clone(&hub.state);
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || answer(&state, &stream));
                }
            });
        }
        hub
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    pub(super) fn weights(&self) -> &[u8] {
        &self.state.files[WEIGHTS]
    }

    /// Paths that were asked for since the last call.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }

    /// Ranges of the weights that were asked for since the last call.
    pub(super) fn ranges(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.ranges.lock().unwrap())
    }
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Request> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        let path = first.split(' ').nth(1)?.to_owned();
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let header = |name: &str| {
            let mut pairs = headers.iter().filter_map(|line| line.split_once(": "));
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        Some(Request {
            is_head: first.starts_with("HEAD "),
            path,
            range: header("range"),
            authorization: header("authorization"),
        })
    }
}

impl State {
    /// The hub itself: lists, small files, and where large ones are.
    fn answer(&self, stream: &TcpStream) {
        let Some(request) = Request::read(stream) else { return };
        self.requests.lock().unwrap().push(request.path.clone());
        let fault = *self.fault.lock().unwrap();
        match &self.token {
            _ if fault == Fault::Busy => return head(stream, "503 Service Unavailable", &[], 0),
            Some((token, status)) if request.authorization.as_ref() != Some(token) => {
                return head(stream, status, &[], 0);
            }
            _ => {}
        }
        let path = request.path.split('?').next().unwrap_or_default();
        if let Some(asked) = path.strip_prefix("/api/models/owner/tiny") {
            let body = if asked.starts_with("/tree/") { self.tree() } else { self.list(fault) };
            let kind = ("Content-Type", "application/json".into());
            return send(stream, "200 OK", &[kind], body.to_string().as_bytes());
        }
        let file = path.strip_prefix(&format!("/owner/tiny/resolve/{COMMIT}/"));
        if fault == Fault::Empty && file == Some("README.md") {
            let more = [("X-Repo-Commit", COMMIT.to_owned()), ("ETag", format!("\"{}\"", small_tag(&[])))];
            return head(stream, "200 OK", &more, 0);
        }
        let Some((name, bytes)) = file.and_then(|name| self.files.get_key_value(name)) else {
            return head(stream, "404 Not Found", &[], 0);
        };
        let commit = ("X-Repo-Commit", COMMIT.to_owned());
        if name == WEIGHTS {
            let tag = match fault {
                Fault::Hostile => "../../../evil".into(),
                _ => hash(bytes),
            };
            let linked = [("X-Linked-Etag", format!("\"{tag}\"")), ("X-Linked-Size", bytes.len().to_string())];
            let more = [commit, ("Location", format!("{}/{name}", self.large))];
            return head(stream, "302 Found", &[&more[..], &linked[..]].concat(), 0);
        }
        let tag = ("ETag", format!("\"{}\"", small_tag(bytes)));
        part(stream, &request, &[commit, tag], bytes, bytes);
    }

    /// The model as the hub describes it.
    fn list(&self, fault: Fault) -> Value {
        let evil = (fault == Fault::Hostile).then_some(("../../evil.json", 1));
        let empty = (fault == Fault::Empty).then_some(("README.md", 0));
        let files = self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).chain(evil).chain(empty);
        let siblings: Vec<Value> = files.map(|(name, size)| json!({ "rfilename": name, "size": size })).collect();
        json!({ "id": "owner/tiny", "sha": COMMIT, "siblings": siblings })
    }

    /// The files with their sizes, which Python asks for.
    fn tree(&self) -> Value {
        let entry = |(name, bytes): (&String, &Vec<u8>)| {
            let mut entry = json!({ "type": "file", "path": name, "size": bytes.len(), "oid": small_tag(bytes) });
            if name == WEIGHTS {
                entry["lfs"] = json!({ "oid": hash(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            entry
        };
        self.files.iter().map(entry).collect()
    }

    /// Where the weights are.
    fn answer_large(&self, stream: &TcpStream) {
        let Some(request) = Request::read(stream) else { return };
        let whole = &self.files[WEIGHTS];
        let mut bytes = whole.clone();
        // A single byte is asked for to learn the length.
        if request.range.as_deref() != Some("bytes=0-0") {
            self.ranges.lock().unwrap().push(request.range.clone().unwrap_or_default());
            let mut fault = self.fault.lock().unwrap();
            match *fault {
                Fault::CutOff(times) if times > 0 => {
                    *fault = Fault::CutOff(times - 1);
                    // A third of what is left arrives.
                    let first = first(&request);
                    bytes.truncate(first + (whole.len() - first) / 3);
                }
                Fault::Dropped(times) if times > 0 => {
                    *fault = Fault::Dropped(times - 1);
                    return;
                }
                Fault::Damaged => *bytes.last_mut().unwrap() ^= 1,
                _ => {}
            }
        }
        part(stream, &request, &[("ETag", "\"of another server\"".into())], whole, &bytes);
    }
}

/// The first byte that a request asks for.
fn first(request: &Request) -> usize {
    let range = request.range.as_deref().and_then(|range| range.strip_prefix("bytes="));
    range.and_then(|range| range.split('-').next()?.parse().ok()).unwrap_or(0)
}

/// The part of a file that was asked for, of which only `sent` is there to send.
fn part(mut stream: &TcpStream, request: &Request, more: &[(&str, String)], whole: &[u8], sent: &[u8]) {
    let (first, last) = match &request.range {
        None => (0, whole.len() - 1),
        Some(range) => {
            let last = range.rsplit('-').next().and_then(|last| last.parse().ok());
            (first(request), last.unwrap_or(whole.len() - 1))
        }
    };
    if first >= whole.len() {
        let length = ("Content-Range", format!("bytes */{}", whole.len()));
        return head(stream, "416 Range Not Satisfiable", &[length], 0);
    }
    let range = ("Content-Range", format!("bytes {first}-{last}/{}", whole.len()));
    match &request.range {
        None => head(stream, "200 OK", more, whole.len()),
        Some(_) => head(stream, "206 Partial Content", &[more, &[range]].concat(), last + 1 - first),
    }
    if !request.is_head {
        let _ = stream.write_all(&sent[first.min(sent.len())..(last + 1).min(sent.len())]);
    }
}

fn send(mut stream: &TcpStream, status: &str, more: &[(&str, String)], body: &[u8]) {
    head(stream, status, more, body.len());
    let _ = stream.write_all(body);
}

fn head(mut stream: &TcpStream, status: &str, more: &[(&str, String)], length: usize) {
    let more: String = more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n");
}

/// What stands for the hash of git.
fn small_tag(bytes: &[u8]) -> String {
    format!("{:040x}", bytes.len())
}

pub(super) fn hash(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
