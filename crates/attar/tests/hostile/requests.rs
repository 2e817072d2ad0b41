//! A server in this process, and bodies of requests for it. The fuzz target `body` is made of the same file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use attar_bill::{Factors, Grid, Tariff};
use attar_meter::source::SourceChoice;
use attar_meter::{Meter, MeterOptions, Watts};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, EncoderConfig, Head, Target, Tensor, Weights, expected_shapes};
use attar_runtime::{Options, Precision};
use attar_serve::{Event, Listening, NamedBundle, ServeOptions, Server};
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

const TEXT: &str = "a rose is a rose, and a daisy is none";
/// A body's first byte chooses one of them.
const ROUTES: [&str; 14] = [
    "/predict",
    "/embed",
    "/embed_all",
    "/tokenize",
    "/decode",
    "/similarity",
    "/v1/embeddings",
    "/invocations",
    "/rerank",
    "/",
    "/models/tags/tag",
    "/models/answers/answer",
    "/models/pairs/rerank",
    "/models/pairs/predict",
];

/// A connection to a server that answers until the process ends.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Starts a server of small models with each kind of head, whose files lie in `folder` while they are read.
    pub(crate) fn start(folder: &Path) -> Client {
        let labels = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let classes = |target| Head::Classification { target };
        let heads = [
            ("intents", classes(Target::Labels(labels("rose daisy none")))),
            ("tags", Head::TokenClassification { labels: labels("O B-FLOWER I-FLOWER") }),
            ("answers", Head::QuestionAnswering),
            ("pairs", classes(Target::Regression)),
        ];
        let bundles = heads.map(|(name, head)| {
            let dir = folder.join(name);
            write(&dir, head);
            NamedBundle { name: name.to_owned(), dir, options: Options::new(Precision::F32, 1) }
        });
        let sources = SourceChoice::Fixed(Watts::new(10.0).unwrap());
        let meter = Meter::start(MeterOptions { sources, ..MeterOptions::default() }, None).unwrap();
        let factors = Factors::new(Grid::world(), Tariff::own_machine());
        let mut options = ServeOptions::new(bundles.to_vec());
        options.limits.max_body = 1 << 20;
        let server = Server::new(options, meter, factors, Arc::new(|_: &Event| ())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || server.run_until(Listening::Tcp(listener), std::future::pending()));
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    /// Sends a body to the route that its first byte chooses: an answer or a refusal, over a connection that stays.
    pub(crate) fn ask(&mut self, bytes: &[u8]) {
        let Some((&choice, body)) = bytes.split_first() else { return };
        let route = ROUTES[usize::from(choice) % ROUTES.len()];
        let head = format!("POST {route} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
        let status = self.line().split(' ').nth(1).unwrap().parse::<u16>().unwrap();
        let mut length = 0;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).unwrap();
        let shown = String::from_utf8(answer).unwrap();
        assert!([200, 400, 404, 413, 422, 424].contains(&status), "{route}: status {status}, {shown}");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection was closed");
        line.trim_end().to_owned()
    }
}

fn write(dir: &Path, head: Head) {
    std::fs::create_dir_all(dir).unwrap();
    let tokenizer = train_wordpiece([TEXT; 3], TrainOptions::new(60)).unwrap();
    let config = EncoderConfig {
        layers: 1,
        hidden: 8,
        heads: 2,
        feed_forward: 12,
        vocabulary: tokenizer.vocabulary_size(),
        positions: 24,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let tensor = |shape: Vec<usize>| {
        let numbers = (0..shape.iter().product()).map(|place: usize| (place as f32 * 0.7).sin()).collect();
        Tensor::new(shape, numbers)
    };
    let weights: Weights = expected_shapes(&config).into_iter().map(|(name, shape)| (name, tensor(shape))).collect();
    Bundle::new(config, weights).write(dir, WriteMode::Replace).unwrap();
    tokenizer.save(dir).unwrap();
}
