//! Serves model directories at an address, each by the name of its folder:
//!
//! ```text
//! cargo run --release -p attar-serve --example serve -- 127.0.0.1:8080 DIR…
//! ```

use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attar_bill::{Factors, Grid, Tariff};
use attar_meter::{Meter, MeterOptions};
use attar_model::quantized::QUANTIZED_FILE;
use attar_runtime::{Options, Precision};
use attar_serve::{Event, Listening, NamedBundle, ServeOptions, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("give an address to listen on, then model directories")?;
    let bundles = arguments.map(|dir| named(Path::new(&dir))).collect();
    let meter = Meter::start(MeterOptions::default(), None)?;
    let factors = Factors::new(Grid::world(), Tariff::own_machine());
    let on_event = Arc::new(|event: &Event| {
        if !matches!(event, Event::Request { .. }) {
            // If standard error is closed there is no reader.
            _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{event:?}\n").as_bytes());
        }
    });
    let server = Server::new(ServeOptions::new(bundles), meter, factors, on_event)?;
    Ok(server.run(Listening::Tcp(TcpListener::bind(address)?))?)
}

/// A directory by the name of its folder, in int8 where it has such weights.
fn named(dir: &Path) -> NamedBundle {
    let precision = if dir.join(QUANTIZED_FILE).exists() { Precision::Int8 } else { Precision::F32 };
    let name = dir.file_name().map_or_else(|| "bundle".to_owned(), |name| name.to_string_lossy().into_owned());
    NamedBundle { name, dir: PathBuf::from(dir), options: Options::all_threads(precision) }
}
