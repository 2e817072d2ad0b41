//! Connections and their requests: half-closed clients still get their response, and the work of disconnected ones is
//! dropped.
//!
//! The end of a client's input is no proof that it left: `nc -N` and some health checkers send a request, close their writing
//! half and wait. TCP tells the two apart only when the server writes. So a request is dropped when its connection fails (a
//! reset, a closed Unix socket, TLS that ends without a `close_notify`), and a client whose input has ended is marked
//! ([`Client`]): its texts are computed last, and make room where the queue is full. After a `close_notify`, TLS
//! shows no failure, because an empty write never reaches the underlying socket.

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

/// How often a half-closed connection is probed for failure.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// A client, as its requests carry it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    has_half_closed: Arc<AtomicBool>,
}

impl Client {
    /// Whether it has closed its sending side: it is waiting for its response, or has disconnected.
    pub(crate) fn has_half_closed(&self) -> bool {
        self.has_half_closed.load(Ordering::Relaxed)
    }
}

/// Serves connections until `shutdown` resolves, then finishes the requests in progress. Requests carry their
/// [`Client`].
pub(crate) async fn serve<L: Listener>(mut listener: L, app: Router, shutdown: impl Future<Output = ()>) {
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            (stream, _) = listener.accept() => stream,
            () = &mut shutdown => break,
        };
        let shared = SharedStream(Arc::new(Mutex::new(WatchedStream { stream, peeked: None })));
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
                    error = shared.until_failure(&client) => Err(error),
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
struct SharedStream<S>(Arc<Mutex<WatchedStream<S>>>);

#[derive(Debug)]
struct WatchedStream<S> {
    stream: S,
    /// A byte that the watch has read and the protocol has not consumed yet.
    peeked: Option<u8>,
}

impl<S> Clone for SharedStream<S> {
    fn clone(&self) -> Self {
        SharedStream(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SharedStream<S> {
    /// The protocol and the watch are polled by one task, so nobody waits for this.
    fn lock(&self) -> MutexGuard<'_, WatchedStream<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the connection fails and returns the error. Meanwhile, marks a client that closes its sending
    /// side.
    async fn until_failure(&self, client: &Client) -> io::Error {
        if let Err(error) = std::future::poll_fn(|context| self.lock().poll_input_end(context)).await {
            return error;
        }
        client.has_half_closed.store(true, Ordering::Relaxed);
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let look = |context: &mut Context<'_>| Pin::new(&mut self.lock().stream).poll_write(context, &[]);
            if let Err(error) = std::future::poll_fn(look).await {
                return error;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> WatchedStream<S> {
    /// Ready at the end of the input.
    fn poll_input_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.peeked.is_none() {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            match buffer.filled() {
                [] => return Poll::Ready(Ok(())),
                filled => self.peeked = filled.first().copied(),
            }
            // The protocol may want it: it is of a body that has not arrived whole, or of the next request.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for SharedStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut watched = self.lock();
        let Some(byte) = watched.peeked.take() else {
            return Pin::new(&mut watched.stream).poll_read(context, buffer);
        };
        buffer.put_slice(&[byte]);
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Also read what has arrived after it: a body read byte by byte would take one buffer per byte.
        match Pin::new(&mut watched.stream).poll_read(context, buffer) {
            Poll::Pending => Poll::Ready(Ok(())),
            done => done,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SharedStream<S> {
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use axum::body::HttpBody;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_in_large_parts_while_its_connection_is_watched() -> io::Result<()> {
        const BYTES: usize = 256 << 10;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let parts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&parts);
        let app = Router::new().fallback(async move |mut body: Body| {
            while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                let length = frame.data_ref().map_or(0, |data| data.len());
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(length);
                // The watch has its turn between two parts.
                tokio::task::yield_now().await;
            }
        });
        let server = tokio::spawn(serve(listener, app, std::future::pending()));
        let answer = tokio::task::spawn_blocking(move || -> io::Result<String> {
            let mut client = std::net::TcpStream::connect(address)?;
            write!(client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {BYTES}\r\nconnection: close\r\n\r\n")?;
            client.write_all(&vec![b'x'; BYTES])?;
            let mut answer = String::new();
            client.read_to_string(&mut answer)?;
            Ok(answer)
        });
        let answer = answer.await??;
        server.abort();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(parts.iter().sum::<usize>(), BYTES);
        assert!(parts.len() <= BYTES / 1024, "{} parts", parts.len());
        Ok(())
    }
}
