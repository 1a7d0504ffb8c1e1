//! Requests to a real HTTP server, plain and over TLS.

use crate::control::client::{Client, RequestBounds, RequestError, Roots, RootsError};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{any, post};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::pending;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tower_service::Service;

const BOUNDS: RequestBounds = RequestBounds { time_max: Duration::from_secs(20), body_bytes_max: 1024 };

/// A backend on a port of its own, and how many connections it has accepted.
pub(super) async fn backend(router: Router) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, router.clone()));
        }
    });
    (address, accepted)
}

pub(super) fn client() -> Client {
    Client::new(&Roots::System).unwrap()
}

fn get(address: &str) -> Request<Bytes> {
    Request::get(address).body(Bytes::new()).unwrap()
}

#[tokio::test]
async fn a_request_carries_method_headers_and_body_there_and_status_headers_and_body_back() {
    let router = Router::new().route(
        "/rpc",
        post(|headers: HeaderMap, body: String| async move {
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            let echo = format!("{} {} {} {body}", text("host"), text("x-key"), text("user-agent"));
            (StatusCode::CREATED, [("x-answer", "yes")], echo)
        }),
    );
    let (address, _) = backend(router).await;
    let request = Request::post(format!("http://{address}/rpc"))
        .header("x-key", "k")
        .header("host", "elsewhere.example")
        .body(Bytes::from_static(b"hello"))
        .unwrap();
    let answer = client().request(request, BOUNDS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["x-answer"], "yes");
    let expected = format!("{address} k Ringway/{} hello", env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.body(), expected.as_bytes());
}

#[tokio::test]
async fn connections_are_used_again() {
    let (address, accepted) = backend(Router::new().route("/", any(|| async { "ok" }))).await;
    let client = client();
    for _ in 0..5 {
        client.request(get(&format!("http://{address}/")), BOUNDS).await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_backend_that_never_answers_costs_the_time_that_was_given_and_no_more() {
    let (address, _) = backend(Router::new().route("/", any(pending::<()>))).await;
    let bounds = RequestBounds { time_max: Duration::from_millis(50), ..BOUNDS };
    let error = client().request(get(&format!("http://{address}/")), bounds).await.unwrap_err();
    assert!(matches!(error, RequestError::Timeout(_)) && !error.is_unsent(), "{error}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_an_error_whether_or_not_its_length_was_declared() {
    let router = Router::new()
        .route("/fits", any(|| async { "x".repeat(1024) }))
        .route("/declared", any(|| async { "x".repeat(1025) }))
        .route("/endless", any(|| async { Body::new(Endless) }));
    let (address, _) = backend(router).await;
    let client = client();
    let fits = client.request(get(&format!("http://{address}/fits")), BOUNDS).await.unwrap();
    assert_eq!(fits.body().len(), 1024);
    for path in ["declared", "endless"] {
        let error = client.request(get(&format!("http://{address}/{path}")), BOUNDS).await.unwrap_err();
        assert!(matches!(error, RequestError::TooLong(1024)), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let router =
        Router::new().route("/", any(|| async { (StatusCode::FOUND, [("location", "/other")], "moved") }));
    let (address, _) = backend(router).await;
    let answer = client().request(get(&format!("http://{address}/")), BOUNDS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_request_that_cannot_connect_can_be_made_again_and_one_that_broke_off_cannot() {
    let client = client();
    // Bound and given up: nobody listens there.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let error = client.request(get(&format!("http://{closed}/")), BOUNDS).await.unwrap_err();
    assert!(matches!(error, RequestError::Connect(_)) && error.is_unsent(), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    let rude = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = rude.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = rude.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
    });
    let error = client.request(get(&format!("http://{address}/")), BOUNDS).await.unwrap_err();
    assert!(matches!(error, RequestError::Broken(_)) && !error.is_unsent(), "{error}");
}

#[tokio::test]
async fn only_absolute_http_and_https_addresses_are_called() {
    for address in ["/relative", "ftp://example.com/", "example.com:80"] {
        let error = client().request(get(address), BOUNDS).await.unwrap_err();
        assert!(matches!(error, RequestError::Address), "{address}: {error}");
    }
}

#[tokio::test]
async fn https_is_spoken_to_a_backend_whose_authority_is_trusted_and_to_no_other() {
    let (address, authority) = secure_backend().await;
    let url = format!("https://localhost:{}/", address.port());
    let trusting = Client::new(&Roots::Pem(authority.into_bytes())).unwrap();
    let answer = trusting.request(get(&url), BOUNDS).await.unwrap();
    assert_eq!(answer.body(), "secret".as_bytes());

    let error = client().request(get(&url), BOUNDS).await.unwrap_err();
    assert!(matches!(&error, RequestError::Connect(cause) if cause.contains("UnknownIssuer")), "{error}");
    // The certificate names localhost alone.
    let error =
        trusting.request(get(&format!("https://127.0.0.1:{}/", address.port())), BOUNDS).await.unwrap_err();
    assert!(matches!(error, RequestError::Connect(_)), "{error}");
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    assert!(matches!(Client::new(&Roots::Pem(b"hello".to_vec())), Err(RootsError::Empty)));
    let broken = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n".to_vec();
    assert!(matches!(Client::new(&Roots::Pem(broken)), Err(RootsError::Unreadable(_))));
}

/// A TLS server for `localhost`, and its self-signed certificate as PEM.
async fn secure_backend() -> (SocketAddr, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                serve(stream, Router::new().route("/", any(|| async { "secret" }))).await;
            });
        }
    });
    (address, cert.pem())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
    // A client that leaves in the middle is part of the tests.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A body that never ends.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 512])))))
    }
}
