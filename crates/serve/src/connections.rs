//! Connections and their requests: clients that send no more are answered, and the work of those that left is dropped.
//!
//! The end of a client's input is no proof that it left: `nc -N` and some health checkers send a request, close their writing
//! half and wait. TCP tells the two apart only when the server writes. So a request is dropped when its connection fails (a
//! reset, a closed Unix socket, TLS that ends without a `close_notify`), and a client whose input has ended is marked
//! ([`Client`]): its texts are computed last, and make room where the queue is full. TLS shows no failure after a `close_notify`,
//! for writing nothing does not reach the connection below.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Between two looks at whether a client whose input has ended is still there.
const LOOK: Duration = Duration::from_millis(250);

/// A client, as its requests carry it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    has_ended: Arc<AtomicBool>,
}

impl Client {
    /// Whether it sends no more: it waits for its answer, or has left.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

/// Serves connections until `end` is ready, and then what they have begun. Requests carry their [`Client`].
pub(crate) async fn serve<L: Listener>(mut listener: L, app: Router, end: impl Future<Output = ()>) {
    let open = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let stream = tokio::select! {
            (stream, _) = listener.accept() => stream,
            () = &mut end => break,
        };
        let shared = Shared(Arc::new(Mutex::new(Watched { stream, ahead: None })));
        let (io, client, app) =
            (TokioIo::new(shared.clone()), Client::default(), TowerToHyperService::new(app.clone()));
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(client.clone());
            let answer = app.call(request.map(Body::new));
            let (shared, client) = (shared.clone(), client.clone());
            async move {
                tokio::select! {
                    biased;
                    Ok(answer) = answer => Ok(answer),
                    error = shared.lost(&client) => Err(error),
                }
            }
        });
        let connection = http1::Builder::new().half_close(true).serve_connection(io, service);
        let connection = open.watch(connection);
        // What fails is this client's connection.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    open.shutdown().await;
}

/// A connection that the protocol reads and writes, and that is watched while a request is answered.
#[derive(Debug)]
struct Shared<S>(Arc<Mutex<Watched<S>>>);

#[derive(Debug)]
struct Watched<S> {
    stream: S,
    /// A byte that the watch has read and the protocol not yet.
    ahead: Option<u8>,
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Shared<S> {
    /// The protocol and the watch are polled by one task, so nobody waits for this.
    fn lock(&self) -> MutexGuard<'_, Watched<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the connection has failed, as soon as it has. Marks a client whose input ends.
    async fn lost(&self, client: &Client) -> io::Error {
        if let Err(error) = std::future::poll_fn(|context| self.lock().poll_end(context)).await {
            return error;
        }
        client.has_ended.store(true, Ordering::Relaxed);
        loop {
            tokio::time::sleep(LOOK).await;
            let look = |context: &mut Context<'_>| Pin::new(&mut self.lock().stream).poll_write(context, &[]);
            if let Err(error) = std::future::poll_fn(look).await {
                return error;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Ready at the end of the input.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_none() {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            match buffer.filled() {
                [] => return Poll::Ready(Ok(())),
                filled => self.ahead = filled.first().copied(),
            }
            // The protocol may want it: it is of a body that has not arrived whole, or of the next request.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Shared<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut watched = self.lock();
        match watched.ahead.take() {
            Some(byte) => {
                buffer.put_slice(&[byte]);
                Poll::Ready(Ok(()))
            }
            None => Pin::new(&mut watched.stream).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Shared<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.lock().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(context)
    }
}
