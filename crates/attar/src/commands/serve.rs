//! `attar serve`: bundles over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use attar_distill::contract::{self, Contract};
use attar_distill::model_directory;
use attar_meter::{Host, Ledger, Meter, SystemClock};
use attar_runtime::Precision;
use attar_serve::{
    BatchPolicy, Cascade, Event, EventHandler, Keys, Listening, NamedBundle, ReadTerms, RequestLimits, ServeOptions,
    Server, Terms, TlsFiles,
};

use super::energy::setup;
use crate::cli::serve::{LimitArgs, LogArg, ServeArgs};
use crate::{console, engine};

/// Time between two readings of energy.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ServeArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let factors = setup::placed(&args.place)?;
    let bundles = args.bundles.iter().map(|word| bundle(word, args, threads)).collect::<anyhow::Result<Vec<_>>>()?;
    let cascades = args.cascade.iter().map(|word| cascade(word, &bundles, args)).collect::<anyhow::Result<Vec<_>>>()?;
    let keys = args.access.api_key_file.as_deref().map(keys).transpose()?;
    // Before bundles are loaded, so that a busy address is said at once.
    let listening = listening(args)?;
    let tls = args.access.tls_cert.clone().zip(args.access.tls_key.clone());
    let LimitArgs { timeout, max_body, max_wait, auto_truncate, .. } = args.limits;
    let options = ServeOptions {
        cascades,
        batches: BatchPolicy {
            max_tokens: args.limits.max_batch_tokens as usize,
            max_wait,
            max_queue: args.limits.max_queue as usize,
        },
        limits: RequestLimits {
            timeout,
            max_body,
            max_inputs: args.limits.max_client_batch_size as usize,
            max_connections: args.limits.max_connections as usize,
        },
        auto_truncate,
        keys,
        cors: args.access.cors.clone(),
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        energy_interval: INTERVAL,
        ..ServeOptions::new(bundles)
    };
    let ledger = match &args.ledger {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            Some(Ledger::append_to(folder.join("ledger.jsonl"))?)
        }
        None => None,
    };
    let meter = setup::meter(&args.source, INTERVAL)?;
    let meter = Meter::start_on(&Host::local(), Box::new(SystemClock::new()), meter, ledger)?;
    setup::must_read(&args.source, &meter)?;
    meter.reasons().iter().for_each(console::note);
    Server::new(options, meter, factors, event_handler(args.log))?.run(listening)?;
    Ok(())
}

/// A bundle as it is named on the command line.
fn bundle(word: &str, args: &ServeArgs, threads: Option<usize>) -> anyhow::Result<NamedBundle> {
    // A folder may have `=` in its name.
    let named = word.split_once('=').filter(|_| !Path::new(word).exists());
    let (name, path) = match named {
        Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
        None => (model_directory::name(Path::new(word)), PathBuf::from(word)),
    };
    let dir = model_directory::answering(&path)?;
    let options = engine::options(&dir, &args.engine, threads);
    Ok(NamedBundle { name, dir, options })
}

/// Two bundles by their names, with the contract that lies beside the student.
fn cascade(word: &str, bundles: &[NamedBundle], args: &ServeArgs) -> anyhow::Result<Cascade> {
    let Some((student, teacher)) = word.split_once('=') else {
        anyhow::bail!("--cascade {word}: expected STUDENT=TEACHER, the names of two served bundles");
    };
    anyhow::ensure!(
        (0.0..=1.0).contains(&args.cascade_audit_share),
        "--cascade-audit-share is {}: give a share from 0 to 1",
        args.cascade_audit_share
    );
    let find = |name: &str| {
        bundles.iter().find(|bundle| bundle.name == name).with_context(|| {
            let known: Vec<&str> = bundles.iter().map(|bundle| bundle.name.as_str()).collect();
            format!("--cascade {word}: no bundle is named `{name}`; there are {}", known.join(", "))
        })
    };
    let models = [find(student)?.clone(), find(teacher)?.clone()];
    let terms = terms(&models)?;
    let read_terms = ReadTerms(Arc::new(move || self::terms(&models).map_err(|error| format!("{error:#}"))));
    Ok(Cascade {
        student: student.into(),
        teacher: teacher.into(),
        terms,
        audit_share: args.cascade_audit_share,
        read_terms: Some(read_terms),
    })
}

/// What the contract beside a student says, which has to be about these two models as they are on the disk.
fn terms([student, teacher]: &[NamedBundle; 2]) -> anyhow::Result<Terms> {
    let identity = |bundle: &NamedBundle| {
        contract::identity(&bundle.dir, bundle.options.precision == Precision::Int8).map_err(anyhow::Error::from)
    };
    let contract = Contract::read(&contract::path_of(&student.dir), &identity(student)?, &identity(teacher)?)?;
    Ok(Terms { threshold: contract.threshold.confidence, min_agreement: contract.requirements.min_agreement })
}

fn keys(path: &Path) -> anyhow::Result<Keys> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the keys in {}", path.display()))?;
    Keys::parse(&text).with_context(|| format!("the keys in {} cannot be used", path.display()))
}

fn listening(args: &ServeArgs) -> anyhow::Result<Listening> {
    #[cfg(unix)]
    if let Some(path) = &args.unix_socket {
        return Ok(Listening::Unix(unix_socket(path)?));
    }
    #[cfg(not(unix))]
    anyhow::ensure!(args.unix_socket.is_none(), "--unix-socket needs a Unix: leave it out");
    let address = std::net::SocketAddr::from((args.host, args.port));
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; choose another port with --port"))?;
    Ok(Listening::Tcp(listener))
}

#[cfg(unix)]
fn unix_socket(path: &Path) -> anyhow::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    // What a server that is no more has left behind.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path).with_context(|| format!("cannot replace the socket {}", path.display()))?;
    }
    UnixListener::bind(path).with_context(|| format!("cannot listen on {}; choose another file", path.display()))
}

/// Notes for a person, or lines of JSON for a program.
fn event_handler(log: LogArg) -> EventHandler {
    match log {
        LogArg::Json => Arc::new(|event: &Event| {
            if let Ok(line) = serde_json::to_string(event) {
                console::aside(line);
            }
        }),
        LogArg::None => Arc::new(|event: &Event| match event {
            Event::Listening { at, bundles } => {
                console::note(format!(
                    "{} at {at}; the page is there too, and counters at /metrics",
                    bundles.join(", ")
                ));
            }
            Event::Reloaded { bundle } => console::note(format!("{bundle} was read again")),
            Event::ReloadRefused { bundle, error } => {
                console::warning(format!("{bundle} stays as it was, because its folder cannot be served: {error}"));
            }
            Event::CertificateReloaded => console::note("the certificate was read again"),
            Event::CertificateRefused { error } => {
                console::warning(format!("the former certificate stays, because the new one cannot be used: {error}"));
            }
            Event::Drift { student, teacher, audits, agreed, min_agreement } => console::warning(format!(
                "{student} and {teacher} agreed on {agreed} of the last {audits} answers that were put to both, and the contract \
                 promises {:.1} %: the texts may have changed; make the contract again on newer rows, or distill on them",
                100.0 * min_agreement
            )),
            Event::Note { bundle, text } => console::note(format!("{bundle}: {text}")),
            Event::Stopping => console::note("stopping; what was accepted is answered first"),
            _ => {}
        }),
    }
}
