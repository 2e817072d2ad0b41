//! A server in this process, and a client that says exactly what a test wants said.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use attar_bill::{Factors, Grid, Tariff};
use attar_meter::source::SourceChoice;
use attar_meter::{Meter, MeterOptions, Watts};
use attar_serve::{Event, Listening, NamedBundle, ServeOptions, Server};
use serde_json::Value;
use tokio::sync::oneshot;

/// A server that runs until it is dropped.
pub(crate) struct Running {
    /// Of no meaning where it listens on a Unix socket.
    pub(crate) address: SocketAddr,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The JSON of an answer that has to be one.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

/// A machine that draws 10 W.
pub(crate) fn meter() -> Meter {
    let sources = SourceChoice::Fixed(Watts::new(10.0).unwrap());
    Meter::start(MeterOptions { sources, ..MeterOptions::default() }, None).unwrap()
}

impl Running {
    pub(crate) fn new(bundles: Vec<NamedBundle>, change: impl FnOnce(&mut ServeOptions)) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Running::start(address, Listening::Tcp(listener), bundles, change)
    }

    /// On a socket of the file system.
    #[cfg(unix)]
    pub(crate) fn at(
        path: &std::path::Path,
        bundles: Vec<NamedBundle>,
        change: impl FnOnce(&mut ServeOptions),
    ) -> Running {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        Running::start(SocketAddr::from(([0; 4], 0)), Listening::Unix(listener), bundles, change)
    }

    fn start(
        address: SocketAddr,
        listening: Listening,
        bundles: Vec<NamedBundle>,
        change: impl FnOnce(&mut ServeOptions),
    ) -> Running {
        let mut options = ServeOptions::new(bundles);
        options.energy_interval = Duration::from_millis(20);
        change(&mut options);
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let told = Arc::clone(&events);
        let on_event = Arc::new(move |event: &Event| told.lock().unwrap().push(event.clone()));
        let factors = Factors::new(Grid::world(), Tariff::own_machine());
        let server = Server::new(options, meter(), factors, on_event).unwrap();
        let (stop, stopped) = oneshot::channel();
        let end = async {
            _ = stopped.await;
        };
        let thread = std::thread::spawn(move || server.run_until(listening, end).unwrap());
        Running { address, events, stop: Mutex::new(Some(stop)), thread: Some(thread) }
    }

    /// Tells it to end, without waiting.
    pub(crate) fn end(&self) {
        drop(self.stop.lock().unwrap().take());
    }

    /// Waits until it has ended.
    pub(crate) fn join(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// Texts that wait, as the metrics say it.
    pub(crate) fn waiting(&self) -> f64 {
        number(&self.get("/metrics").body, "te_queue_size")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&request(method, path, headers, body)).unwrap();
        read_answer(&mut stream)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server has panicked");
        }
    }
}

/// The bytes of a request after which the connection closes.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Reads an answer to its end.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Whoever is refused before it has sent everything may find the connection reset after the answer.
    let ended = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { panic!("no answer: {text:?}, {ended:?}") };
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    assert_eq!(headers.get("content-length").map(|length| length.parse().unwrap()), Some(body.len()), "{text}");
    Answer { status, headers, body: body.to_owned() }
}

/// The number that metrics give for a name.
pub(crate) fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// Asks again until it is so; a minute at most.
#[track_caller]
pub(crate) fn wait_for(mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}
