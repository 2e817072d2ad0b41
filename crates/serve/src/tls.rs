//! TLS: the certificate of a server, and connections that are encrypted by it.
//!
//! The handshake is a part of a connection's own task, so a client that is slow at it delays nobody's connection. Built
//! with the feature `tls`; without it, asking for a certificate is an error.

use std::path::PathBuf;

/// A certificate and its private key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by the intermediate ones of its chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM: PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

#[cfg(feature = "tls")]
pub(crate) use enabled::{Certificate, TlsListener};

#[cfg(not(feature = "tls"))]
pub(crate) use disabled::Certificate;

#[cfg(not(feature = "tls"))]
mod disabled {
    use super::TlsFiles;
    use crate::error::ServeError;

    /// The certificate of a program that cannot use one: there is none.
    #[derive(Debug)]
    pub(crate) enum Certificate {}

    impl Certificate {
        pub(crate) fn load(_files: TlsFiles) -> Result<Certificate, ServeError> {
            Err(ServeError::NoTls)
        }

        pub(crate) fn reload(&self) -> Result<(), ServeError> {
            match *self {}
        }
    }
}

#[cfg(feature = "tls")]
mod enabled {
    use std::fmt::Display;
    use std::io::{self, ErrorKind};
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::{Arc, PoisonError, RwLock};
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use axum::serve::Listener;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::time::{Instant, Sleep, sleep_until};
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{Error, ServerConfig};
    use tokio_rustls::server::TlsStream;
    use tokio_rustls::{Accept, TlsAcceptor};

    use super::TlsFiles;
    use crate::error::ServeError;

    /// From the opening of a connection to the end of its handshake.
    const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// The certificate that new connections are secured with.
    #[derive(Debug)]
    pub(crate) struct Certificate {
        files: TlsFiles,
        current: RwLock<Arc<ServerConfig>>,
    }

    impl Certificate {
        pub(crate) fn load(files: TlsFiles) -> Result<Certificate, ServeError> {
            let current = RwLock::new(Arc::new(read(&files)?));
            Ok(Certificate { files, current })
        }

        /// Reads the files again. If they cannot be used, the former certificate stays.
        pub(crate) fn reload(&self) -> Result<(), ServeError> {
            let fresh = Arc::new(read(&self.files)?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
            Ok(())
        }

        fn acceptor(&self) -> TlsAcceptor {
            TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
        }
    }

    /// Reads a certificate and its key, and checks that they belong together.
    fn read(files: &TlsFiles) -> Result<ServerConfig, ServeError> {
        fn wrong<E: Display>(path: &Path, expected: &'static str) -> impl Fn(E) -> ServeError {
            move |error| ServeError::Tls { path: path.to_owned(), problem: error.to_string(), expected }
        }
        let TlsFiles { certificate, key } = files;
        let expected = "expected a certificate and its chain as PEM";
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(wrong(certificate, expected))?;
        if chain.is_empty() {
            return Err(wrong(certificate, expected)("there is no certificate in it"));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(wrong(key, "expected a private key as PEM"))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_no_client_auth())
            .and_then(|builder| builder.with_single_cert(chain, secret));
        let mut config = config.map_err(|error| match error {
            Error::InvalidCertificate(_) => wrong(certificate, expected)(error),
            _ => wrong(key, "expected the private key of the certificate")(error),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A listener whose connections are encrypted.
    #[derive(Debug)]
    pub(crate) struct TlsListener<L> {
        listener: L,
        certificate: Arc<Certificate>,
    }

    impl<L> TlsListener<L> {
        pub(crate) fn new(listener: L, certificate: Arc<Certificate>) -> Self {
            Self { listener, certificate }
        }
    }

    impl<L: Listener> Listener for TlsListener<L> {
        type Io = Stream<L::Io>;
        type Addr = L::Addr;

        async fn accept(&mut self) -> (Stream<L::Io>, L::Addr) {
            let (stream, address) = self.listener.accept().await;
            let deadline = Box::pin(sleep_until(Instant::now() + HANDSHAKE_TIMEOUT));
            let accept = Box::new(self.certificate.acceptor().accept(stream));
            (Stream::Handshake(accept, deadline), address)
        }

        fn local_addr(&self) -> io::Result<L::Addr> {
            self.listener.local_addr()
        }
    }

    /// An encrypted connection, or one that is about to be.
    pub(crate) enum Stream<S> {
        Handshake(Box<Accept<S>>, Pin<Box<Sleep>>),
        Open(Box<TlsStream<S>>),
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
        /// The connection once its handshake is over.
        fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
            if let Stream::Handshake(accept, deadline) = self {
                if deadline.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the handshake took too long")));
                }
                *self = Stream::Open(Box::new(ready!(Pin::new(&mut **accept).poll(context))?));
            }
            match self {
                Stream::Open(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
                Stream::Handshake(..) => Poll::Pending,
            }
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(self.poll_handshake(context))?.poll_read(context, buffer)
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            ready!(self.poll_handshake(context))?.poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            match &mut *self {
                Stream::Open(stream) => Pin::new(&mut **stream).poll_flush(context),
                // Nothing was written yet.
                Stream::Handshake(..) => Poll::Ready(Ok(())),
            }
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            match &mut *self {
                Stream::Open(stream) => Pin::new(&mut **stream).poll_shutdown(context),
                // No TLS session yet, so no close_notify; the connection closes when it is dropped.
                Stream::Handshake(..) => Poll::Ready(Ok(())),
            }
        }
    }
}
