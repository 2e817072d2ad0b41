//! Limits of a server towards its clients: how long a request may take to arrive, how long a
//! connection may be silent, and how many there may be.
//!
//! Whoever opens connections and sends nothing, or a byte now and then, would otherwise hold a file
//! each for as long as it likes.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a client may ask of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte of a request to its answer.
    pub request: Duration,
    /// Without a byte in either direction, before and between requests.
    pub idle: Duration,
    /// Connections at once; further ones are closed as they come.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: Duration::from_secs(10), idle: Duration::from_secs(75), connections: 64 }
    }
}

/// A listener whose connections keep within limits.
#[derive(Debug)]
pub struct Limited<L> {
    listener: L,
    limits: Limits,
    open: Arc<AtomicUsize>,
}

impl<L> Limited<L> {
    /// The connections of a listener, within limits.
    pub fn new(listener: L, limits: Limits) -> Self {
        Self { listener, limits, open: Arc::default() }
    }
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Connection<L::Io>, L::Addr) {
        loop {
            // As axum's own listener: it logs and retries what a client did wrong.
            let (stream, address) = self.listener.accept().await;
            if self.open.fetch_add(1, Ordering::Relaxed) < self.limits.connections {
                return (Connection::new(stream, self.limits, Arc::clone(&self.open)), address);
            }
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its client takes too long.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    limits: Limits,
    open: Arc<AtomicUsize>,
    /// Whether a request has begun to arrive and is not answered yet.
    in_request: bool,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    fn new(stream: S, limits: Limits, open: Arc<AtomicUsize>) -> Self {
        let deadline = Box::pin(sleep_until(Instant::now() + limits.idle));
        Self { stream, limits, open, in_request: false, deadline }
    }

    /// What a stream answers, or an error if the time is over.
    fn within<T>(&mut self, context: &mut Context<'_>, answer: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if answer.is_pending() {
            ready!(self.deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client took too long")));
        }
        answer
    }

    fn wait(&mut self, time: Duration) {
        self.deadline.as_mut().reset(Instant::now() + time);
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let answer = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before && !self.in_request {
            // Later bytes of the same request move the deadline no further.
            self.in_request = true;
            let time = self.limits.request;
            self.wait(time);
        }
        self.within(context, answer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let answer = Pin::new(&mut self.stream).poll_write(context, bytes);
        // No bytes are no answer: they ask whether the connection still stands.
        if answer.is_ready() && !bytes.is_empty() {
            self.in_request = false;
            let time = self.limits.idle;
            self.wait(time);
        }
        self.within(context, answer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_flush(context);
        self.within(context, answer)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within(context, answer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{self, SocketAddr};

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    /// A server within these limits; its address.
    fn serve(limits: Limits) -> SocketAddr {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Limited::new(TcpListener::from_std(listener).unwrap(), limits);
                axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))).await
            })
        });
        address
    }

    fn connect(address: SocketAddr) -> net::TcpStream {
        let stream = net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// What the server still says until it closes; a minute at most.
    fn rest(stream: &mut net::TcpStream) -> String {
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "not closed: {error}"),
        }
        String::from_utf8(text).unwrap()
    }

    const SHORT: Limits =
        Limits { request: Duration::from_millis(300), idle: Duration::from_millis(300), connections: 2 };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn whoever_sends_nothing_is_closed() {
        assert_eq!(rest(&mut connect(serve(SHORT))), "");
    }

    #[test]
    fn a_byte_now_and_then_buys_no_time() {
        let mut stream = connect(serve(SHORT));
        let mut sent = 0;
        // A head that would take ten times as long as it may.
        for byte in REQUEST.iter().take(REQUEST.len() - 2).cycle().take(100) {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            sent += 1;
            std::thread::sleep(Duration::from_millis(30));
        }
        assert!(sent < 100, "all of it was taken");
    }

    #[test]
    fn an_answered_client_that_stays_is_closed_after_a_while() {
        let mut stream = connect(serve(SHORT));
        stream.write_all(REQUEST).unwrap();
        assert!(rest(&mut stream).ends_with("hello"));
    }

    #[test]
    fn only_so_many_are_served_at_once() {
        let patient = Limits { idle: Duration::from_secs(600), ..SHORT };
        let address = serve(patient);
        let mut first = connect(address);
        first.write_all(REQUEST).unwrap();
        let mut answer = [0; 8];
        first.read_exact(&mut answer).unwrap();
        let mut second = connect(address);
        second.write_all(REQUEST).unwrap();
        second.read_exact(&mut answer).unwrap();
        // The third is closed unanswered; when one leaves there is room again.
        let mut third = connect(address);
        let _ = third.write_all(REQUEST);
        assert_eq!(rest(&mut third), "");
        drop(first);
        let served = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            let mut next = connect(address);
            next.write_all(REQUEST).is_ok() && next.read_exact(&mut [0; 8]).is_ok()
        });
        assert!(served);
    }
}
