//! HTTP/1.1 requests of the control plane to backends, plain or over TLS.
//!
//! Invariant: a request ends within its time whatever the backend does, and holds at most its limit of the body. Redirects
//! are never followed, and nothing is sent twice unless no byte of it left: whoever asks decides about retries.
//! Knows nothing of what is asked for. RFC 9112; roots of trust are those of the machine, or a file.

use crate::limits::{
    BACKEND_CONNECT_MS_MAX, BACKEND_HEADER_BYTES_MAX, BACKEND_IDLE_COUNT_MAX, BACKEND_IDLE_MS_MAX,
};
use axum::http::header::{HOST, USER_AGENT};
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// A pool of connections; clones share it. Needs the runtime that it was first used on.
#[derive(Clone, Debug)]
pub struct Client {
    pool: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Who vouches for a backend.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The certificates of this machine; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured. Without any, https fails.
    System,
    /// These certificates (PEM) and no others: a private authority.
    Pem(Vec<u8>),
}

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct RequestBounds {
    /// From the start, connecting included, to the last byte of the body.
    pub time_max: Duration,
    /// Body of the answer. Beyond: an error, and the connection is closed.
    pub body_bytes_max: usize,
}

/// Why there is no answer. An answer with a status of 500 is an answer.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error("the address is no http:// or https:// address")]
    Address,
    /// No byte of the request has left: it can be made again.
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the exchange broke off: {0}")]
    Broken(String),
}

/// The certificates to trust cannot be used.
#[derive(Debug, Error)]
pub enum RootsError {
    #[error("no certificate in PEM form is in the file")]
    Empty,
    #[error("a certificate cannot be read: {0}")]
    Unreadable(String),
}

impl Client {
    pub fn new(roots: &Roots) -> Result<Self, RootsError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_millis(BACKEND_CONNECT_MS_MAX)));
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(trust(roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(BACKEND_IDLE_MS_MAX))
            .pool_max_idle_per_host(BACKEND_IDLE_COUNT_MAX)
            .http1_max_buf_size(BACKEND_HEADER_BYTES_MAX as usize)
            .build(tls);
        Ok(Self { pool })
    }

    /// Sends the request, whose address must be absolute, and waits for the whole answer.
    pub async fn request(
        &self,
        mut request: Request<Bytes>,
        bounds: RequestBounds,
    ) -> Result<Response<Bytes>, RequestError> {
        let scheme = request.uri().scheme();
        if request.uri().host().is_none() || (scheme != Some(&Scheme::HTTP) && scheme != Some(&Scheme::HTTPS))
        {
            return Err(RequestError::Address);
        }
        // The host is the one that we connect to: a header that differs would let a caller address another site there.
        request.headers_mut().remove(HOST);
        request.headers_mut().entry(USER_AGENT).or_insert(OURSELVES);
        let exchange = self.exchange(request.map(Full::new), bounds.body_bytes_max);
        timeout(bounds.time_max, exchange).await.map_err(|_| RequestError::Timeout(bounds.time_max))?
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        body_bytes_max: usize,
    ) -> Result<Response<Bytes>, RequestError> {
        let answer = self.pool.request(request).await.map_err(|error| {
            let cause = innermost(&error);
            if error.is_connect() { RequestError::Connect(cause) } else { RequestError::Broken(cause) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, body_bytes_max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                RequestError::TooLong(body_bytes_max)
            } else {
                RequestError::Broken(innermost(error.as_ref()))
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

impl RequestError {
    /// Whether the backend cannot have seen the request, so that making it again cannot do anything twice.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Address | Self::Connect(_) => true,
            Self::Timeout(_) | Self::TooLong(_) | Self::Broken(_) => false,
        }
    }
}

fn trust(roots: &Roots) -> Result<ClientConfig, RootsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| RootsError::Unreadable(error.to_string()))?;
    let store = match roots {
        Roots::System => match config.clone().with_native_roots() {
            Ok(config) => return Ok(config.with_no_client_auth()),
            // A bare container has none, and may still call plain http.
            Err(_) => RootCertStore::empty(),
        },
        Roots::Pem(text) => {
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(text) {
                let certificate = certificate.map_err(|error| RootsError::Unreadable(error.to_string()))?;
                store.add(certificate).map_err(|error| RootsError::Unreadable(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(RootsError::Empty);
            }
            store
        }
    };
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

/// The outer errors only say that something failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(io) => io.kind().to_string() + ": " + &io.to_string(),
        None => cause.to_string(),
    }
}

const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("Ringway/", env!("CARGO_PKG_VERSION")));
