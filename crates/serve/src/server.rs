//! The server: bundles, the thread that computes them, and the routes that lead there.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use attar_bill::Factors;
use attar_meter::Meter;
use tokio::net::TcpListener;

use crate::batch::BatchPolicy;
use crate::bundle::{Bundle, NamedBundle, check_name};
use crate::cascade::{self, Cascade};
use crate::connections;
use crate::energy::Energy;
use crate::engine::Engine;
use crate::error::{ErrorType, Refusal, ServeError};
use crate::event::{Event, EventHandler};
use crate::keys::Keys;
use crate::limits::{Limited, Limits};
use crate::metrics::Metrics;
use crate::routes;
use crate::signals::{Hangups, shutdown};
#[cfg(feature = "tls")]
use crate::tls::TlsListener;
use crate::tls::{Certificate, TlsFiles};

/// How a server is run.
#[derive(Debug)]
pub struct ServeOptions {
    /// The bundles; the first is the one that requests without a name mean.
    pub bundles: Vec<NamedBundle>,
    /// Bundles that answer together; none by default.
    pub cascades: Vec<Cascade>,
    /// Batches and the queue before them.
    pub batches: BatchPolicy,
    /// What a request may ask for.
    pub limits: RequestLimits,
    /// Whether texts that are too long are cut where a request does not say.
    pub auto_truncate: bool,
    /// Who may ask; anyone without.
    pub keys: Option<Keys>,
    /// Origins whose pages may ask, or `*`; none by default.
    pub cors: Vec<String>,
    /// The certificate that connections over TCP are encrypted with; none by default.
    pub tls: Option<TlsFiles>,
    /// Time between two readings of energy.
    pub energy_interval: Duration,
}

impl ServeOptions {
    /// These bundles with the usual limits, for anyone who reaches the server and for no page of others.
    pub fn new(bundles: Vec<NamedBundle>) -> ServeOptions {
        ServeOptions {
            bundles,
            cascades: Vec::new(),
            batches: BatchPolicy::default(),
            limits: RequestLimits::default(),
            auto_truncate: true,
            keys: None,
            cors: Vec::new(),
            tls: None,
            energy_interval: Duration::from_secs(1),
        }
    }
}

/// What a request may ask for, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// From its arrival to its answer.
    pub timeout: Duration,
    /// Bytes of its body.
    pub max_body: usize,
    /// Its inputs.
    pub max_inputs: usize,
    /// Connections at once.
    pub max_connections: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), max_body: 2_000_000, max_inputs: 256, max_connections: 1024 }
    }
}

/// Where a server listens.
#[derive(Debug)]
pub enum Listening {
    /// An address and port.
    Tcp(std::net::TcpListener),
    /// A socket in the file system.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// Loaded bundles and everything that requests need of each other.
#[derive(Debug)]
pub struct Server {
    pub(crate) named: Vec<NamedBundle>,
    pub(crate) loaded: RwLock<Vec<Arc<Bundle>>>,
    pub(crate) cascades: Vec<Cascade>,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) batches: BatchPolicy,
    pub(crate) limits: RequestLimits,
    pub(crate) auto_truncate: bool,
    pub(crate) keys: Option<Keys>,
    pub(crate) cors: Vec<String>,
    pub(crate) on_event: EventHandlerBox,
    pub(crate) start: Instant,
    /// One reload at a time.
    pub(crate) reload: tokio::sync::Mutex<()>,
}

/// A callback that has a debug form.
#[derive(Clone)]
pub(crate) struct EventHandlerBox(EventHandler);

impl std::fmt::Debug for EventHandlerBox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("EventHandler")
    }
}

impl std::ops::Deref for EventHandlerBox {
    type Target = EventHandler;

    fn deref(&self) -> &EventHandler {
        &self.0
    }
}

impl Server {
    /// Loads all bundles. `meter` reads the energy of the machine, `factors` are what its carbon is computed with, and
    /// `on_event` is called with each event.
    ///
    /// # Errors
    /// If a bundle cannot be served, two have one name, the certificate cannot be used, or an entry of `cors` is no valid origin.
    pub fn new(
        options: ServeOptions,
        meter: Meter,
        factors: Factors,
        on_event: EventHandler,
    ) -> Result<Server, ServeError> {
        let named = options.bundles;
        for (index, bundle) in named.iter().enumerate() {
            check_name(&bundle.name)?;
            if named[..index].iter().any(|other| other.name == bundle.name) {
                return Err(ServeError::Twice { name: bundle.name.clone() });
            }
        }
        if named.is_empty() {
            return Err(ServeError::NoBundle);
        }
        routes::check_origins(&options.cors)?;
        let certificate = options.tls.map(Certificate::load).transpose()?.map(Arc::new);
        let energy = Energy::new(meter, factors, options.energy_interval);
        let metrics = Arc::new(Metrics::new(energy.last()));
        let loaded = named.iter().map(Bundle::load).collect::<Result<Vec<_>, _>>()?;
        let bundles: Vec<Arc<Bundle>> = loaded.iter().map(|(bundle, _)| Arc::clone(bundle)).collect();
        cascade::check(&options.cascades)?;
        options.cascades.iter().try_for_each(|cascade| cascade::connect(cascade.clone(), &bundles))?;
        let engine = Engine::start(options.batches, Arc::clone(&metrics), energy)
            .map_err(|source| ServeError::System { what: "the thread that computes could not be started", source })?;
        let on_event = EventHandlerBox(on_event);
        let install = |(bundle, session): (Arc<Bundle>, _)| {
            for text in &bundle.notes {
                on_event(&Event::Note { bundle: bundle.name.clone(), text: text.clone() });
            }
            engine.install(&bundle, session);
            bundle
        };
        let loaded = RwLock::new(loaded.into_iter().map(install).collect());
        Ok(Server {
            named,
            loaded,
            cascades: options.cascades,
            certificate,
            engine,
            metrics,
            batches: options.batches,
            limits: options.limits,
            auto_truncate: options.auto_truncate,
            keys: options.keys,
            cors: options.cors,
            on_event,
            start: Instant::now(),
            reload: tokio::sync::Mutex::default(),
        })
    }

    /// Serves until a signal ends the program; SIGHUP reads bundles and certificate again. What was accepted is answered first.
    ///
    /// # Errors
    /// If the system refuses an event loop or the listener.
    pub fn run(self, listening: Listening) -> Result<(), ServeError> {
        self.run_with(listening, shutdown)
    }

    /// As [`Server::run`], until `end` is ready.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run_until(
        self,
        listening: Listening,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        self.run_with(listening, || end)
    }

    /// `end` is called inside the event loop.
    fn run_with<F: Future<Output = ()> + Send + 'static>(
        self,
        listening: Listening,
        end: impl FnOnce() -> F,
    ) -> Result<(), ServeError> {
        let refused = |what| move |source| ServeError::System { what, source };
        let server = Arc::new(self);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(refused("the system gives no event loop"))?;
        let served = runtime.block_on(async { Arc::clone(&server).listen(listening, end()).await });
        // After the last answer was sent; it finds the queue empty.
        server.engine.finish();
        served.map_err(refused("the server stopped"))
    }

    async fn listen(
        self: Arc<Self>,
        listening: Listening,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        // A client may take as long to send a request as its answer may take.
        let idle = Duration::from_secs(75);
        let limits = Limits { request: self.limits.timeout * 2, idle, connections: self.limits.max_connections };
        let stopping = Arc::clone(&self);
        let end = async move {
            end.await;
            stopping.engine.skip_waiting();
            (stopping.on_event)(&Event::Stopping);
        };
        let mut hangups = Hangups::catch();
        let reloading = Arc::clone(&self);
        let hangups = tokio::spawn(async move {
            loop {
                hangups.next().await;
                reloading.reload_all().await;
            }
        });
        match listening {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                let address = listener.local_addr()?;
                let app = routes::router(Arc::clone(&self), address.ip().is_loopback());
                self.tell_listening(&address);
                match self.certificate.clone() {
                    None => connections::serve(Limited::new(listener, limits), app, end).await,
                    #[cfg(feature = "tls")]
                    Some(certificate) => {
                        let listener = Limited::new(TlsListener::new(listener, certificate), limits);
                        connections::serve(listener, app, end).await;
                    }
                    #[cfg(not(feature = "tls"))]
                    Some(certificate) => match *certificate {},
                }
            }
            #[cfg(unix)]
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                let path = listener.local_addr()?.as_pathname().map(|path| path.display().to_string());
                let app = routes::router(Arc::clone(&self), true);
                self.tell_at(format!("unix:{}", path.unwrap_or_default()));
                connections::serve(Limited::new(listener, limits), app, end).await;
            }
        }
        hangups.abort();
        Ok(())
    }

    fn tell_listening(&self, address: &SocketAddr) {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        self.tell_at(format!("{scheme}://{address}"));
    }

    fn tell_at(&self, at: String) {
        let bundles = self.bundles().iter().map(|bundle| bundle.name.clone()).collect();
        (self.on_event)(&Event::Listening { at, bundles });
    }

    /// All bundles, the default one first.
    pub(crate) fn bundles(&self) -> Vec<Arc<Bundle>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bundle of a name.
    pub(crate) fn bundle(&self, name: &str) -> Result<Arc<Bundle>, Refusal> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.iter().find(|bundle| bundle.name == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = loaded.iter().map(|bundle| bundle.name.as_str()).collect();
            let said = format!("there is no bundle of this name here: ask for one of {}", known.join(", "));
            Refusal::new(ErrorType::Validation, said).with_status(axum::http::StatusCode::NOT_FOUND)
        })
    }

    /// The bundle of a name, or the default one without a name. Where there is one bundle, it is meant whatever its
    /// clients call it.
    pub(crate) fn bundle_or_default(&self, name: Option<&str>) -> Result<Arc<Bundle>, Refusal> {
        let loaded = self.bundles();
        match (name, &loaded[..]) {
            (Some(name), [_, _, ..]) if !name.is_empty() => self.bundle(name),
            (_, [first, ..]) => Ok(Arc::clone(first)),
            (_, []) => Err(Refusal::new(ErrorType::Unhealthy, "there is no bundle here")),
        }
    }
}
